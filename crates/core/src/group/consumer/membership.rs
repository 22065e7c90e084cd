//! Classic members of consumer groups, as the shard serves them, and groups that change their type with their members.

use eddy_types::{ErrorCode, Millis};

use super::ConsumerGroup;
use super::classic::Joining;
use crate::group::classic::ClassicGroup;
use crate::group::effects::{Effects, RebalanceReason, Reply, ReplyToken};
use crate::group::record::{GroupRecord, Str};
use crate::group::reply::{JoinReply, LeaveReply, LeftMember, SyncReply};
use crate::group::request::{Heartbeat, JoinGroup, LeaveGroup, SyncGroup};
use crate::group::shard::{Group, GroupShard};

impl GroupShard {
    /// A classic member joins a consumer group that has members. Validated are the group id and the session timeout.
    pub(in crate::group) fn consumer_join_group(
        &mut self,
        now: Millis,
        token: ReplyToken,
        request: JoinGroup,
        out: &mut Effects,
    ) {
        let admitted = match self.groups.get(&request.group) {
            Some(Group::Consumer(group)) => group.admit_classic(&self.config.consumer, &request),
            Some(Group::Classic(_)) | None => Err(ErrorCode::UnknownMemberId),
        };
        let reply = match admitted {
            Ok(joining) => self.join_consumer_group(now, &request, &joining, out),
            Err(error @ ErrorCode::MemberIdRequired) => {
                JoinReply::Failed { error, member: request.new_member }
            }
            Err(error) => JoinReply::Failed { error, member: request.member },
        };
        out.reply(token, Reply::Join(reply));
    }

    fn join_consumer_group(
        &mut self,
        now: Millis,
        request: &JoinGroup,
        joining: &Joining,
        out: &mut Effects,
    ) -> JoinReply {
        let (groups, mut context) = self.split(now, out);
        let Some(Group::Consumer(group)) = groups.get_mut(&request.group) else {
            return JoinReply::Failed { error: ErrorCode::UnknownMemberId, member: request.member.clone() };
        };
        let had_consumers = group.has_consumers();
        let mut joined = group.join_classic(&mut context, request, joining);
        // A consumer that comes back as a classic member may have been the last one.
        if had_consumers && group.is_classic_without(&[], context.config) {
            let is_stale = !group.is_settled();
            joined.generation = group.epoch;
            self.replace_by_classic_members(now, &request.group, &[], out);
            if is_stale {
                self.rebalance_classic(now, &request.group, RebalanceReason::Join, out);
            }
        }
        JoinReply::Joined(joined)
    }

    /// A classic member of a consumer group asks for its assignment.
    pub(in crate::group) fn consumer_sync_group(
        &mut self,
        now: Millis,
        token: ReplyToken,
        request: SyncGroup,
        out: &mut Effects,
    ) {
        let (groups, mut context) = self.split(now, out);
        let synced = match groups.get(&request.group) {
            Some(Group::Consumer(group)) => group.sync_classic(&mut context, &request),
            Some(Group::Classic(_)) | None => Err(ErrorCode::UnknownMemberId),
        };
        out.reply(token, Reply::Sync(synced.unwrap_or_else(SyncReply::failed)));
    }

    /// A classic member of a consumer group is alive.
    pub(in crate::group) fn consumer_classic_heartbeat(
        &mut self,
        now: Millis,
        token: ReplyToken,
        request: Heartbeat,
        out: &mut Effects,
    ) {
        let (groups, mut context) = self.split(now, out);
        let outcome = match groups.get(&request.group) {
            Some(Group::Consumer(group)) => group.heartbeat_classic(&mut context, &request),
            Some(Group::Classic(_)) | None => Err(ErrorCode::UnknownMemberId),
        };
        out.reply(token, Reply::Heartbeat(outcome));
    }

    /// Members of a consumer group leave as classic ones do, or any of them by an administrator's word.
    pub(in crate::group) fn consumer_leave_group(
        &mut self,
        now: Millis,
        token: ReplyToken,
        request: LeaveGroup,
        out: &mut Effects,
    ) {
        let mut leaving: Vec<Str> = Vec::new();
        let mut members = Vec::new();
        for named in request.members {
            let leaver = match self.groups.get(&request.group) {
                Some(Group::Consumer(group)) => group.leaver(&named).map_err(|error| error.code()),
                Some(Group::Classic(_)) | None => Err(ErrorCode::UnknownMemberId),
            };
            let error = leaver.as_ref().err().copied().unwrap_or(ErrorCode::None);
            members.push(LeftMember { member: named.member, instance: named.instance, error });
            leaving.extend(leaver.ok().filter(|id| !leaving.contains(id)));
        }
        if !leaving.is_empty() {
            self.remove_consumers(now, &request.group, &leaving, RebalanceReason::Leave, out);
        }
        out.reply(token, Reply::Leave(LeaveReply { error: ErrorCode::None, members }));
    }

    /// Takes members out of a consumer group, of either protocol. When only classic ones remain, they make a classic
    /// group, which has to rebalance.
    pub(super) fn remove_consumers(
        &mut self,
        now: Millis,
        id: &Str,
        leaving: &[Str],
        reason: RebalanceReason,
        out: &mut Effects,
    ) {
        let (groups, mut context) = self.split(now, out);
        let Some(Group::Consumer(group)) = groups.get_mut(id) else { return };
        if group.has_consumers() && group.is_classic_without(leaving, context.config) {
            self.replace_by_classic_members(now, id, leaving, out);
            self.rebalance_classic(now, id, reason, out);
        } else {
            group.remove(&mut context, leaving, reason);
        }
    }

    /// Puts a new consumer group, with the records that tell of its members, in the place of a classic one, if there is
    /// one. Whoever waits there is told to join again.
    pub(super) fn replace_by_consumer(
        &mut self,
        now: Millis,
        group: ConsumerGroup,
        records: Vec<GroupRecord>,
        out: &mut Effects,
    ) {
        let id = group.id.clone();
        let (groups, mut context) = self.split(now, out);
        if let Some(Group::Classic(classic)) = groups.get_mut(&id) {
            classic.fail_waiting(&mut context);
            context.out.records.push(GroupRecord::ClassicGroup { group: id.clone(), value: None });
        }
        context.timers.cancel_group(&id);
        context.out.records.extend(records);
        for (member, known) in &group.members {
            group.start_timers(&mut context, member, known);
        }
        groups.insert(id, Group::Consumer(Box::new(group)));
    }

    /// Puts a classic group of those members that do not leave in the place of a consumer group.
    fn replace_by_classic_members(&mut self, now: Millis, id: &Str, leaving: &[Str], out: &mut Effects) {
        let (groups, mut context) = self.split(now, out);
        let Some(Group::Consumer(group)) = groups.get(id) else { return };
        let Some(value) = group.downgraded(leaving, now, context.topics) else { return };
        context.out.records.extend(group.tombstones());
        context.timers.cancel_group(id);
        let value_record = GroupRecord::ClassicGroup { group: id.clone(), value: Some(value.clone()) };
        context.out.records.push(value_record);
        let mut classic = ClassicGroup::from_value(id.clone(), value);
        classic.loaded(&mut context);
        groups.insert(id.clone(), Group::Classic(Box::new(classic)));
    }

    fn rebalance_classic(&mut self, now: Millis, id: &Str, reason: RebalanceReason, out: &mut Effects) {
        let (groups, mut context) = self.split(now, out);
        if let Some(Group::Classic(group)) = groups.get_mut(id) {
            group.rebalance(&mut context, reason);
        }
    }
}
