//! Which heartbeats are served: what makes sense, who is a member, who lives in which epoch.

use super::ConsumerGroup;
use super::member::{LEAVES, LEFT_FOR_A_TIME, Member, MemberState};
use super::request::{ConsumerGroupError, ConsumerHeartbeat};
use super::target::configured;
use super::topic_pattern::TopicPattern;
use crate::group::config::ConsumerGroupConfig;
use crate::group::record::Str;

/// A heartbeat that can be served.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) admission: Admission,
    /// What it subscribes to, if the group does not know it yet.
    pub(super) pattern: Option<TopicPattern>,
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
