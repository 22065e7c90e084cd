//! The requests of members: which group they are for, and what is wrong with them before any group is asked.

use eddy_types::{ErrorCode, Millis};

use super::effects::{Effects, Reply, ReplyToken};
use super::record::{GroupRecord, Str};
use super::reply::{JoinReply, LeaveReply, LeftMember, SyncReply};
use super::request::{Heartbeat, JoinGroup, LeaveGroup, SyncGroup};
use super::shard::{Group, GroupShard};

impl GroupShard {
    /// A member joins a group. The answer, [`Reply::Join`], comes when the join phase ends.
    pub fn join_group(&mut self, now: Millis, token: ReplyToken, mut request: JoinGroup, out: &mut Effects) {
        request.rebalance_timeout = request.rebalance_timeout.max(Millis(0));
        if let Err(error) = self.may_join(&request) {
            return out.reply(token, Reply::Join(JoinReply::Failed { error, member: request.member }));
        }
        let id = request.group.clone();
        match self.groups.get(&id) {
            Some(Group::Consumer(group)) if !group.is_empty() => {
                return self.consumer_join_group(now, token, request, out);
            }
            Some(Group::Consumer(_)) => self.replace_by_classic(now, &id, out),
            Some(Group::Classic(group)) if !group.is_simple() => {}
            Some(Group::Classic(_)) | None => self.create_classic(now, &id, out),
        }
        let (groups, mut cx) = self.split(now, out);
        if let Some(Group::Classic(group)) = groups.get_mut(&id) {
            group.join(&mut cx, token, request);
        }
    }

    fn may_join(&self, request: &JoinGroup) -> Result<(), ErrorCode> {
        if request.group.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let allowed = self.config.session_timeout_min..=self.config.session_timeout_max;
        if !allowed.contains(&request.session_timeout) {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        if !request.member.is_empty() && !self.groups.contains_key(&request.group) {
            return Err(ErrorCode::UnknownMemberId);
        }
        Ok(())
    }

    /// Records a group before its first member, so that it is there after a restart. A simple group begins anew as one
    /// for members: it has nothing but offsets, which are not its own.
    fn create_classic(&mut self, now: Millis, id: &Str, out: &mut Effects) {
        let mut group = super::classic::ClassicGroup::new(id.clone());
        group.phase_since = Some(now);
        out.records.push(GroupRecord::ClassicGroup { group: id.clone(), value: Some(group.value()) });
        self.groups.insert(id.clone(), Group::Classic(Box::new(group)));
    }

    /// A consumer group without members becomes a classic one without members.
    fn replace_by_classic(&mut self, now: Millis, id: &Str, out: &mut Effects) {
        if let Some(Group::Consumer(group)) = self.groups.get(id) {
            out.records.extend(group.tombstones());
            self.timers.cancel_group(id);
        }
        self.create_classic(now, id, out);
    }

    /// A member asks for its assignment, and the leader brings all. The answer is [`Reply::Sync`].
    pub fn sync_group(&mut self, now: Millis, token: ReplyToken, request: SyncGroup, out: &mut Effects) {
        let (groups, mut cx) = self.split(now, out);
        let error = match groups.get_mut(&request.group) {
            _ if request.group.is_empty() => ErrorCode::InvalidGroupId,
            Some(Group::Classic(group)) => return group.sync(&mut cx, token, request),
            Some(Group::Consumer(_)) => return self.consumer_sync_group(now, token, request, out),
            None => ErrorCode::UnknownMemberId,
        };
        out.reply(token, Reply::Sync(SyncReply::failed(error)));
    }

    /// A member is alive. The answer is [`Reply::Heartbeat`].
    pub fn heartbeat(&mut self, now: Millis, token: ReplyToken, request: Heartbeat, out: &mut Effects) {
        let (groups, mut cx) = self.split(now, out);
        let outcome = match groups.get_mut(&request.group) {
            _ if request.group.is_empty() => Err(ErrorCode::InvalidGroupId),
            Some(Group::Classic(group)) => group.heartbeat(&mut cx, &request),
            Some(Group::Consumer(_)) => return self.consumer_classic_heartbeat(now, token, request, out),
            None => Err(ErrorCode::UnknownMemberId),
        };
        out.reply(token, Reply::Heartbeat(outcome));
    }

    /// Members leave. The answer is [`Reply::Leave`].
    pub fn leave_group(&mut self, now: Millis, token: ReplyToken, request: LeaveGroup, out: &mut Effects) {
        let LeaveGroup { group: id, members } = &request;
        let (groups, mut cx) = self.split(now, out);
        let reply = match groups.get_mut(id) {
            _ if id.is_empty() => LeaveReply { error: ErrorCode::InvalidGroupId, members: Vec::new() },
            Some(Group::Classic(group)) => {
                LeaveReply { error: ErrorCode::None, members: group.leave(&mut cx, request.members) }
            }
            Some(Group::Consumer(_)) => return self.consumer_leave_group(now, token, request, out),
            None => LeaveReply { error: ErrorCode::None, members: members.iter().map(unknown).collect() },
        };
        out.reply(token, Reply::Leave(reply));
    }
}

/// Of a group that does not exist nobody is a member.
fn unknown(leaving: &super::request::LeavingMember) -> LeftMember {
    LeftMember {
        member: leaving.member.clone(),
        instance: leaving.instance.clone(),
        error: ErrorCode::UnknownMemberId,
    }
}
