//! What a shard's owner asks of its consumer groups.

use std::collections::BTreeSet;

use eddy_types::{ErrorCode, Millis};

use super::ConsumerGroup;
use super::heartbeat::Admission;
use super::member::LEFT_FOR_A_TIME;
use super::request::{ConsumerGroupError, ConsumerHeartbeat, ConsumerHeartbeatAnswer};
use crate::group::effects::{Effects, RebalanceReason, Reply, ReplyToken};
use crate::group::record::{GroupRecord, Str};
use crate::group::shard::{Group, GroupShard};
use crate::group::timers::Timer;

impl GroupShard {
    /// A member of a consumer group joins, lives or leaves. The answer is [`Reply::ConsumerHeartbeat`].
    pub fn consumer_heartbeat(
        &mut self,
        now: Millis,
        token: ReplyToken,
        request: ConsumerHeartbeat,
        out: &mut Effects,
    ) {
        let answer = match request.validate(&self.config.consumer) {
            Err(error) => Err(error),
            Ok(()) if request.leaves() => self.leave_by_heartbeat(now, &request, out),
            Ok(()) => self.live_by_heartbeat(now, &request, out),
        };
        out.reply(token, Reply::ConsumerHeartbeat(answer));
    }

    fn live_by_heartbeat(
        &mut self,
        now: Millis,
        request: &ConsumerHeartbeat,
        out: &mut Effects,
    ) -> Result<ConsumerHeartbeatAnswer, ConsumerGroupError> {
        let admission = self.admit(now, request, out)?;
        let (groups, mut context) = self.split(now, out);
        match groups.get_mut(&request.group) {
            Some(Group::Consumer(group)) => Ok(group.heartbeat(&mut context, request, &admission)),
            _ => Err(no_group(&request.group)),
        }
    }

    /// Sees to it that there is a consumer group for a heartbeat that can be served, and changes nothing for another.
    fn admit(
        &mut self,
        now: Millis,
        request: &ConsumerHeartbeat,
        out: &mut Effects,
    ) -> Result<Admission, ConsumerGroupError> {
        let id = &request.group;
        let config = &self.config.consumer;
        match self.groups.get(id) {
            Some(Group::Consumer(group)) => group.admit(config, request),
            Some(Group::Classic(_)) if !request.joins() => Err(classic_group(id)),
            None if !request.joins() => Err(no_group(id)),
            known => {
                let is_new = known.is_none();
                let group = ConsumerGroup::new(id.clone());
                let admission = group.admit(config, request)?;
                if !is_new {
                    self.timers.cancel_group(id);
                    out.records.push(GroupRecord::ClassicGroup { group: id.clone(), value: None });
                }
                self.groups.insert(id.clone(), Group::Consumer(Box::new(group)));
                let _ = now;
                Ok(admission)
            }
        }
    }

    fn leave_by_heartbeat(
        &mut self,
        now: Millis,
        request: &ConsumerHeartbeat,
        out: &mut Effects,
    ) -> Result<ConsumerHeartbeatAnswer, ConsumerGroupError> {
        let id = &request.group;
        let (groups, mut context) = self.split(now, out);
        let group = match groups.get_mut(id) {
            Some(Group::Consumer(group)) => group,
            Some(Group::Classic(_)) => return Err(classic_group(id)),
            None => return Err(no_group(id)),
        };
        group.named(&request.member, request.instance.as_ref())?;
        if request.member_epoch == LEFT_FOR_A_TIME {
            group.leave_for_a_time(&mut context, &request.member);
        } else {
            self.remove_consumers(now, id, &[request.member.clone()], RebalanceReason::Leave, out);
        }
        Ok(ConsumerHeartbeatAnswer::left(&request.member, request.member_epoch))
    }

    /// Takes members out of a consumer group.
    pub(super) fn remove_consumers(
        &mut self,
        now: Millis,
        id: &Str,
        members: &[Str],
        reason: RebalanceReason,
        out: &mut Effects,
    ) {
        let (groups, mut context) = self.split(now, out);
        if let Some(Group::Consumer(group)) = groups.get_mut(id) {
            group.remove(&mut context, members, reason);
        }
    }

    /// A deadline of a consumer group has come.
    pub(in crate::group) fn consumer_timeout(&mut self, now: Millis, id: &Str, timer: &Timer, out: &mut Effects) {
        let (groups, mut context) = self.split(now, out);
        let Some(Group::Consumer(group)) = groups.get_mut(id) else { return };
        if let Some((member, reason)) = group.due(&mut context, timer) {
            self.remove_consumers(now, id, &[member], reason, out);
        }
    }

    /// Shows a consumer group. The answer is [`Reply::DescribeConsumer`]: GROUP_ID_NOT_FOUND for a group that does not
    /// exist or is of the other type.
    pub fn describe_consumer_group(&self, token: ReplyToken, group: &str, out: &mut Effects) {
        let described = match self.groups.get(group) {
            Some(Group::Consumer(group)) => Ok(group.describe(&self.config.consumer)),
            Some(Group::Classic(_)) | None => Err(ErrorCode::GroupIdNotFound),
        };
        out.reply(token, Reply::DescribeConsumer(described));
    }

    /// The cluster's topics are others now: consumer groups that read what came, went or changed get a new assignment.
    pub(in crate::group) fn consumer_topics_changed(
        &mut self,
        now: Millis,
        changed: &BTreeSet<Str>,
        out: &mut Effects,
    ) {
        if changed.is_empty() {
            return;
        }
        let (groups, mut context) = self.split(now, out);
        for group in groups.values_mut() {
            if let Group::Consumer(group) = group {
                group.topics_changed(&mut context, changed);
            }
        }
    }
}

fn no_group(group: &Str) -> ConsumerGroupError {
    ConsumerGroupError::GroupNotFound { group: group.clone(), reason: "it does not exist" }
}

fn classic_group(group: &Str) -> ConsumerGroupError {
    ConsumerGroupError::GroupNotFound { group: group.clone(), reason: "it is a classic group" }
}
