//! ConsumerGroupHeartbeat: a member joins or lives.

use eddy_types::Millis;

use super::admission::{Admission, Admitted};
use super::member::{Member, MemberState};
use super::partitions::Partitions;
use super::reconcile::Reconciliation;
use super::request::{ConsumerHeartbeat, ConsumerHeartbeatAnswer};
use super::{ConsumerGroup, FIRST_EPOCH};
use crate::group::effects::RebalanceReason;
use crate::group::record::{ConsumerMemberValue, Str};
use crate::group::shard::Context;
use crate::group::timers::Timer;

impl ConsumerHeartbeat {
    /// Whether the client said all of what it wants and has: it does so when it is not sure what we know.
    fn is_full(&self) -> bool {
        self.joins()
            || self.rebalance_timeout.is_some()
                && (self.topic_names.is_some() || self.topic_regex.is_some())
                && self.owned.is_some()
    }

    /// Whether the member wants what it wanted, as in most heartbeats.
    fn changes_nothing_of(&self, wishes: &ConsumerMemberValue) -> bool {
        let says_nothing = self.topic_names.is_none()
            && self.topic_regex.is_none()
            && self.assignor.is_none()
            && self.rebalance_timeout.is_none();
        says_nothing
            && self.instance.as_ref().is_none_or(|instance| wishes.instance.as_ref() == Some(instance))
            && self.rack.as_ref().is_none_or(|rack| wishes.rack.as_ref() == Some(rack))
            && wishes.client_id == self.client_id
            && wishes.client_host == self.client_host
            && wishes.classic.is_none()
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
    /// Serves a heartbeat that was admitted.
    pub(super) fn heartbeat(
        &mut self,
        context: &mut Context<'_>,
        request: &ConsumerHeartbeat,
        admitted: Admitted,
    ) -> ConsumerHeartbeatAnswer {
        let fresh_id = request.new_member.as_ref().filter(|_| request.member.is_empty());
        let id = fresh_id.unwrap_or(&request.member);
        let mut changed = false;
        if let Admission::InPlaceOf(former) = &admitted.admission {
            changed = self.replace_static(context, former, id);
        }
        if let (Some(regex), Some(pattern)) = (&request.topic_regex, admitted.pattern) {
            self.subscriptions.add_pattern(regex, pattern);
        }
        let known = self.members.get(id);
        // A member that did not get our last answer does not know what it is to own.
        let is_sure = known.is_some_and(|member| member.epoch == request.member_epoch);
        let resubscribed = if known.is_some_and(|member| request.changes_nothing_of(&member.wishes)) {
            false
        } else {
            let before = known.map(|member| member.wishes.clone());
            let wishes = request.wishes(before.as_ref());
            self.take_wishes(context, id, before, wishes)
        };
        changed |= resubscribed;
        if changed || self.epoch < FIRST_EPOCH {
            self.next_epoch(context);
        }
        self.update_target(context);
        let reassigned = self.reconcile(context, id, resubscribed, request.owned.as_ref());
        let session_ends = context.now + self.session_timeout(context);
        context.timers.set(&self.id, Timer::ConsumerSession(id.clone()), session_ends);
        self.answer(context, id, request.is_full() || !is_sure || reassigned)
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
        if usurped {
            self.update_regexes(context);
        }
        self.note_rebalance(context, RebalanceReason::StaticReplaced);
        usurped
    }

    /// Takes the member's next step towards the target, and times how long it may take to give partitions back. Returns
    /// whether it is to own others now.
    pub(super) fn reconcile(
        &mut self,
        context: &mut Context<'_>,
        id: &Str,
        subscription_changed: bool,
        owned: Option<&Partitions>,
    ) -> bool {
        let Some(member) = self.members.get(id) else { return false };
        if !subscription_changed && member.is_reconciled_to(self.target_epoch) {
            return false;
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
            return false;
        }
        let reassigned = !next.assigned.same_partitions(&member.assigned);
        self.write_current(context, id, &next);
        if next.is_classic() {
            return reassigned;
        }
        let timer = Timer::ConsumerRebalance(id.clone());
        if next.state == MemberState::UnrevokedPartitions {
            context.timers.set(&self.id, timer, context.now + next.wishes.rebalance_timeout);
        } else {
            context.timers.cancel(&self.id, timer);
        }
        reassigned
    }

    fn answer(&self, context: &Context<'_>, id: &Str, with_assignment: bool) -> ConsumerHeartbeatAnswer {
        let member = self.members.get(id);
        let assigned = || member.map(|member| member.assigned.partitions()).unwrap_or_default();
        // A member that the next target assignment is for comes back for it when it is made.
        let interval = self.heartbeat_interval(context);
        let delay = self.target_delay(context).unwrap_or(interval);
        ConsumerHeartbeatAnswer {
            member: id.clone(),
            member_epoch: member.map_or(0, |member| member.epoch),
            heartbeat_interval: interval.min(Millis(delay.0.max(1))),
            assignment: with_assignment.then(assigned),
        }
    }
}
