//! ConsumerGroupHeartbeat: a member joins or lives.

use eddy_types::Millis;

use super::ConsumerGroup;
use super::member::{LEAVES, LEFT_FOR_A_TIME, Member, MemberState};
use super::partitions::{OwnedPartitions, Partitions};
use super::reconcile::Reconciliation;
use super::request::{ConsumerGroupError, ConsumerHeartbeat, ConsumerHeartbeatAnswer};
use super::target::configured;
use super::topic_pattern::TopicPattern;
use crate::group::config::ConsumerGroupConfig;
use crate::group::effects::RebalanceReason;
use crate::group::record::{ConsumerMemberValue, Str};
use crate::group::shard::Context;
use crate::group::timers::Timer;

/// A heartbeat that can be served.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Admission,
    /// What it subscribes to, if the group does not know it yet.
    pattern: Option<TopicPattern>,
}

/// How a member comes into the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is in it, or it is new.
    AsItself,
    /// It takes the place of the member that has its static name.
    InPlaceOf(Str),
}

impl ConsumerHeartbeat {
    /// Whether the member leaves, for good or for a time.
    pub(super) fn leaves(&self) -> bool {
        self.member_epoch == LEAVES || self.member_epoch == LEFT_FOR_A_TIME
    }

    /// Whether the member joins, or comes back from being fenced.
    pub(super) fn joins(&self) -> bool {
        self.member_epoch == 0
    }

    /// Checks what can be checked without the group.
    pub(super) fn validate(&self, config: &ConsumerGroupConfig) -> Result<(), ConsumerGroupError> {
        let invalid = |reason| Err(ConsumerGroupError::Invalid(reason));
        let is_empty = |text: &Option<Str>| text.as_ref().is_some_and(|text| text.is_empty());
        if self.member.is_empty() && (self.new_member.is_none() || self.member_epoch > 0 || self.leaves()) {
            return invalid("member id is empty");
        }
        if self.group.is_empty() {
            return invalid("group id is empty");
        }
        if is_empty(&self.instance) {
            return invalid("instance id is empty");
        }
        if is_empty(&self.rack) {
            return invalid("rack id is empty");
        }
        if self.joins() {
            if self.rebalance_timeout.is_none() {
                return invalid("rebalance timeout is missing in the first request");
            }
            if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return invalid("topic partitions must be empty when (re-)joining");
            }
            if self.topic_names.is_none() && self.topic_regex.is_none() {
                return invalid(
                    "subscribed topic names or a subscribed topic regex must be given when (re-)joining",
                );
            }
        } else if self.member_epoch == LEFT_FOR_A_TIME && self.instance.is_none() {
            return invalid("instance id is missing");
        } else if self.member_epoch < LEFT_FOR_A_TIME {
            return invalid("member epoch is below -2");
        }
        let configured = configured(config);
        match &self.assignor {
            Some(name) if !configured.iter().any(|assignor| *assignor.name() == **name) => {
                let supported: Vec<_> = configured.iter().map(|assignor| assignor.name()).collect();
                let supported = supported.join(", ");
                Err(ConsumerGroupError::UnsupportedAssignor { name: name.clone(), supported })
            }
            _ => Ok(()),
        }
    }

    /// Whether the client said all of what it wants and has: it does so when it is not sure what we know.
    fn is_full(&self) -> bool {
        self.joins()
            || self.rebalance_timeout.is_some()
                && (self.topic_names.is_some() || self.topic_regex.is_some())
                && self.owned.is_some()
    }

    /// The member's wishes after the request: what was left out stays as it was.
    fn wishes(&self, before: Option<&ConsumerMemberValue>) -> ConsumerMemberValue {
        let keep = |new: &Option<Str>, old: fn(&ConsumerMemberValue) -> &Option<Str>| {
            new.clone().or_else(|| before.and_then(|before| old(before).clone()))
        };
        let known_names = || before.map(|before| before.topic_names.clone()).unwrap_or_default();
        let mut topic_names = self.topic_names.clone().unwrap_or_else(known_names);
        topic_names.sort();
        topic_names.dedup();
        let known_timeout = before.map_or(Millis(-1), |before| before.rebalance_timeout);
        ConsumerMemberValue {
            instance: keep(&self.instance, |before| &before.instance),
            rack: keep(&self.rack, |before| &before.rack),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            topic_names,
            topic_regex: keep(&self.topic_regex, |before| &before.topic_regex)
                .filter(|regex| !regex.is_empty()),
            rebalance_timeout: self.rebalance_timeout.unwrap_or(known_timeout),
            assignor: keep(&self.assignor, |before| &before.assignor),
            classic: None,
        }
    }
}

impl ConsumerGroup {
    /// Whether a heartbeat that does not leave may be served, and how. Changes nothing.
    pub(super) fn admit(
        &self,
        config: &ConsumerGroupConfig,
        request: &ConsumerHeartbeat,
    ) -> Result<Admitted, ConsumerGroupError> {
        let admission = match &request.instance {
            None => self.admit_dynamic(request)?,
            Some(instance) => self.admit_static(instance, request)?,
        };
        let is_new = admission == Admission::AsItself && !self.members.contains_key(&request.member);
        if is_new && self.members.len() >= config.size_max {
            return Err(ConsumerGroupError::GroupFull { limit: config.size_max });
        }
        let is_unknown = |regex: &&Str| !regex.is_empty() && !self.subscriptions.knows(regex);
        let unknown = request.topic_regex.as_ref().filter(is_unknown);
        let pattern = unknown.map(|regex| TopicPattern::compile(regex)).transpose()?;
        Ok(Admitted { admission, pattern })
    }

    fn admit_dynamic(&self, request: &ConsumerHeartbeat) -> Result<Admission, ConsumerGroupError> {
        match self.member(&request.member) {
            Ok(member) => check_epoch(member, request)?,
            Err(_) if request.joins() => {}
            Err(error) => return Err(error),
        }
        Ok(Admission::AsItself)
    }

    /// A static name belongs to one member at a time.
    fn admit_static(
        &self,
        instance: &Str,
        request: &ConsumerHeartbeat,
    ) -> Result<Admission, ConsumerGroupError> {
        let Some(owner) = self.instances.get(instance) else {
            if request.joins() {
                return Ok(Admission::AsItself);
            }
            return Err(ConsumerGroupError::UnknownMember { member: instance.clone() });
        };
        let member = self.member(owner)?;
        if request.joins() {
            // One that comes back under its own id is the same process: it did not get our answer, or was fenced.
            let released = member.epoch == LEFT_FOR_A_TIME || member.is_classic() || *owner == request.member;
            if !released {
                let (instance, owner) = (instance.clone(), owner.clone());
                return Err(ConsumerGroupError::UnreleasedInstance { instance, owner });
            }
            return Ok(Admission::InPlaceOf(owner.clone()));
        }
        if *owner != request.member {
            let (instance, owner) = (instance.clone(), owner.clone());
            return Err(ConsumerGroupError::FencedInstance { instance, owner });
        }
        check_epoch(member, request)?;
        Ok(Admission::AsItself)
    }

    /// Serves a heartbeat that was admitted.
    pub(super) fn heartbeat(
        &mut self,
        context: &mut Context<'_>,
        request: &ConsumerHeartbeat,
        admitted: Admitted,
    ) -> ConsumerHeartbeatAnswer {
        let fresh_id = request.new_member.as_ref().filter(|_| request.member.is_empty());
        let id = fresh_id.unwrap_or(&request.member);
        let mut membership_changed = false;
        if let Admission::InPlaceOf(former) = &admitted.admission {
            membership_changed = self.replace_static(context, former, id);
        }
        let known_epoch = self.members.get(id).map_or(0, |member| member.epoch);
        let assigned_before = self.members.get(id).map(|member| member.assigned.clone()).unwrap_or_default();

        if let (Some(regex), Some(pattern)) = (&request.topic_regex, admitted.pattern) {
            self.subscriptions.add_pattern(regex, pattern);
        }
        let before = self.members.get(id).map(|member| member.wishes.clone());
        let wishes = request.wishes(before.as_ref());
        let subscription_changed = self.take_wishes(context, id, before, wishes);
        self.update_epoch(context, subscription_changed || membership_changed);
        self.update_target(context);
        self.reconcile(context, id, subscription_changed, request.owned.as_ref());
        context.timers.set(
            &self.id,
            Timer::ConsumerSession(id.clone()),
            context.now + self.session_timeout(context),
        );

        let missed_answer = request.member_epoch != known_epoch;
        self.answer(context, id, request.is_full() || missed_answer, &assigned_before)
    }

    /// Takes over what a member asks for; returns whether it subscribes to something else now.
    pub(super) fn take_wishes(
        &mut self,
        context: &mut Context<'_>,
        id: &Str,
        before: Option<ConsumerMemberValue>,
        wishes: ConsumerMemberValue,
    ) -> bool {
        let names = before.as_ref().map_or(&[][..], |before| &before.topic_names);
        let regex = before.as_ref().and_then(|before| before.topic_regex.as_ref());
        let other_regex = wishes.topic_regex.as_ref() != regex;
        let resubscribed = other_regex || wishes.topic_names != names;
        if before.as_ref() != Some(&wishes) {
            self.write_wishes(context, id, wishes);
        }
        if other_regex {
            self.update_regexes(context);
        }
        if resubscribed {
            self.note_rebalance(context, RebalanceReason::Join);
        }
        resubscribed
    }

    /// A static member comes back: what its former self had is its own. Returns whether a third member had to
    /// go for it.
    pub(super) fn replace_static(&mut self, context: &mut Context<'_>, former: &Str, id: &Str) -> bool {
        let Some(member) = self.members.get(former).cloned() else { return false };
        let target = self.target(former);
        let usurped = former != id && self.members.contains_key(id);
        if usurped {
            self.end_timers(context, id);
            self.write_removal(context, id);
        }
        self.end_timers(context, former);
        self.write_removal(context, former);
        self.write_wishes(context, id, member.wishes.clone());
        self.write_target(context, id, &target);
        self.write_current(context, id, &Member { epoch: 0, previous_epoch: 0, ..member });
        self.note_rebalance(context, RebalanceReason::StaticReplaced);
        usurped
    }

    /// Takes the member's next step towards the target, and times how long it may take to give partitions back.
    pub(super) fn reconcile(
        &mut self,
        context: &mut Context<'_>,
        id: &Str,
        subscription_changed: bool,
        owned: Option<&Partitions>,
    ) {
        let Some(member) = self.members.get(id) else { return };
        if !subscription_changed && member.is_reconciled_to(self.target_epoch) {
            return;
        }
        let subscribed = self.subscriptions.topic_ids(&member.wishes, context.topics);
        let target = self.target(id);
        let step = Reconciliation {
            member,
            target_epoch: self.target_epoch,
            target: &target,
            subscribed: &subscribed,
            subscription_changed,
            owned,
            is_taken: |topic, partition| self.owner(topic, partition).is_some_and(|owner| owner != id),
        };
        let next = step.step();
        if next == *member {
            return;
        }
        self.write_current(context, id, &next);
        if next.is_classic() {
            return;
        }
        let timer = Timer::ConsumerRebalance(id.clone());
        if next.state == MemberState::UnrevokedPartitions {
            context.timers.set(&self.id, timer, context.now + next.wishes.rebalance_timeout);
        } else {
            context.timers.cancel(&self.id, timer);
        }
    }

    fn answer(
        &self,
        context: &Context<'_>,
        id: &Str,
        whole: bool,
        assigned_before: &OwnedPartitions,
    ) -> ConsumerHeartbeatAnswer {
        let member = self.members.get(id).cloned().unwrap_or_default();
        let changed = !member.assigned.same_partitions(assigned_before);
        // A member that the next target assignment is for comes back for it when it is made.
        let interval = self.heartbeat_interval(context);
        let delay = self.target_delay(context).unwrap_or(interval);
        ConsumerHeartbeatAnswer {
            member: id.clone(),
            member_epoch: member.epoch,
            heartbeat_interval: interval.min(Millis(delay.0.max(1))),
            assignment: (whole || changed).then(|| member.assigned.partitions()),
        }
    }

    fn session_timeout(&self, context: &Context<'_>) -> Millis {
        let set = context.overrides.get(&self.id).and_then(|overrides| overrides.consumer_session_timeout);
        set.unwrap_or(context.config.consumer.session_timeout)
    }

    fn heartbeat_interval(&self, context: &Context<'_>) -> Millis {
        let set = context.overrides.get(&self.id).and_then(|overrides| overrides.consumer_heartbeat_interval);
        set.unwrap_or(context.config.consumer.heartbeat_interval)
    }

    /// Gives a member a whole session, as after a start: nobody knows how long it has been silent.
    pub(super) fn start_timers(&self, context: &mut Context<'_>, id: &Str, member: &Member) {
        let classic = member.wishes.classic.as_ref().map(|classic| classic.session_timeout);
        let session = classic.unwrap_or_else(|| self.session_timeout(context));
        context.timers.set(&self.id, Timer::ConsumerSession(id.clone()), context.now + session);
        if member.state == MemberState::UnrevokedPartitions && !member.is_classic() {
            let deadline = context.now + member.wishes.rebalance_timeout;
            context.timers.set(&self.id, Timer::ConsumerRebalance(id.clone()), deadline);
        }
    }

    /// Every record is replayed: sessions begin, and topics that changed meanwhile are looked at.
    pub(in crate::group) fn loaded(&mut self, context: &mut Context<'_>) {
        for (id, member) in &self.members {
            self.start_timers(context, id, member);
        }
        let every_topic = context.topics.iter().map(|(name, _)| name.clone()).collect();
        self.update_regexes(context);
        self.topics_changed(context, &every_topic);
    }
}

/// A member lives in its current epoch. It may still be in the previous one if it did not get our answer, as long as it
/// claims nothing that it was not assigned.
fn check_epoch(member: &Member, request: &ConsumerHeartbeat) -> Result<(), ConsumerGroupError> {
    let (received, current) = (request.member_epoch, member.epoch);
    let fenced = Err(ConsumerGroupError::FencedEpoch { received, current });
    if request.joins() {
        return Ok(());
    }
    if member.state == MemberState::Unknown && request.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
        return fenced;
    }
    let claims_its_own = || request.owned.as_ref().is_some_and(|owned| member.assigned.covers(owned));
    if received == current || (received < current && received == member.previous_epoch && claims_its_own()) {
        Ok(())
    } else {
        fenced
    }
}
