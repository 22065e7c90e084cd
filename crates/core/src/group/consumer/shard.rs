//! What a shard's owner asks of its consumer groups.

use std::collections::BTreeSet;

use eddy_types::{ErrorCode, Millis};

use super::ConsumerGroup;
use super::admission::Admitted;
use super::convert::upgrade;
use super::member::LEFT_FOR_A_TIME;
use super::request::{ConsumerGroupError, ConsumerHeartbeat, ConsumerHeartbeatAnswer};
use crate::group::effects::{Effects, RebalanceReason, Reply, ReplyToken};
use crate::group::record::Str;
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
        let admitted = self.admit(now, request, out)?;
        let (groups, mut context) = self.split(now, out);
        match groups.get_mut(&request.group) {
            Some(Group::Consumer(group)) => Ok(group.heartbeat(&mut context, request, admitted)),
            _ => Err(not_consumer(&request.group, MISSING)),
        }
    }

    /// Sees to it that there is a consumer group for a heartbeat that can be served, and changes nothing for another.
    fn admit(
        &mut self,
        now: Millis,
        request: &ConsumerHeartbeat,
        out: &mut Effects,
    ) -> Result<Admitted, ConsumerGroupError> {
        let id = &request.group;
        let (group, records) = match self.groups.get(id) {
            Some(Group::Consumer(group)) => return group.admit(&self.config.consumer, request),
            Some(Group::Classic(_)) if !request.joins() => return Err(not_consumer(id, CLASSIC)),
            Some(Group::Classic(classic)) if !classic.members.is_empty() => {
                upgrade(classic, &self.config, &self.topics).map_err(|reason| not_consumer(id, reason))?
            }
            None if !request.joins() => return Err(not_consumer(id, MISSING)),
            Some(Group::Classic(_)) | None => (ConsumerGroup::new(id.clone()), Vec::new()),
        };
        let admitted = group.admit(&self.config.consumer, request)?;
        self.replace_by_consumer(now, group, records, out);
        Ok(admitted)
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
            Some(Group::Classic(_)) => return Err(not_consumer(id, CLASSIC)),
            None => return Err(not_consumer(id, MISSING)),
        };
        group.named(&request.member, request.instance.as_ref())?;
        if request.member_epoch == LEFT_FOR_A_TIME {
            group.leave_for_a_time(&mut context, &request.member);
        } else {
            self.remove_consumers(
                now,
                id,
                std::slice::from_ref(&request.member),
                RebalanceReason::Leave,
                out,
            );
        }
        Ok(ConsumerHeartbeatAnswer::left(&request.member, request.member_epoch))
    }

    /// A deadline of a consumer group has come.
    pub(in crate::group) fn consumer_timeout(
        &mut self,
        now: Millis,
        id: &Str,
        timer: &Timer,
        out: &mut Effects,
    ) {
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

const MISSING: &str = "it does not exist";
const CLASSIC: &str = "it is a classic group";

fn not_consumer(group: &Str, reason: &'static str) -> ConsumerGroupError {
    ConsumerGroupError::GroupNotFound { group: group.clone(), reason }
}
