//! What groups of the consumer protocol do not do yet. Each item goes away when `consumer` has it.

use eddy_types::{ErrorCode, Millis};

use super::consumer::ConsumerGroup;
use super::effects::{Effects, Reply, ReplyToken};
use super::record::{GroupRecord, Str};
use super::reply::{JoinReply, LeaveReply, SyncReply};
use super::request::{Heartbeat, JoinGroup, LeaveGroup, SyncGroup};
use super::shard::{Context, GroupShard};
use super::state::GroupState;
use super::timers::Timer;

impl ConsumerGroup {
    /// A group without members.
    pub(super) fn new(_id: Str) -> ConsumerGroup {
        ConsumerGroup {}
    }

    /// Whether it has no members.
    pub(super) fn is_empty(&self) -> bool {
        true
    }

    /// Its state.
    pub(super) fn state(&self) -> GroupState {
        GroupState::Empty
    }

    /// Applies a record.
    pub(super) fn replay(&mut self, _record: &GroupRecord) {}

    /// Whether a member subscribes to the topic, by name or by expression.
    pub(super) fn is_subscribed(&self, _topic: &str) -> bool {
        true
    }

    /// Whether a commit of this member and epoch counts; -1 without a member only in an empty group.
    pub(super) fn validate_commit(&self, _member: &str, _instance: Option<&str>, _epoch: i32) -> Result<(), ErrorCode> {
        Err(ErrorCode::UnknownMemberId)
    }

    /// Whether this member and epoch may see offsets; always without a member.
    pub(super) fn validate_fetch(&self, _member: Option<&str>, _epoch: i32) -> Result<(), ErrorCode> {
        Ok(())
    }

    /// The tombstones of everything that is recorded of the group.
    pub(super) fn tombstones(&self) -> Vec<GroupRecord> {
        Vec::new()
    }

    /// Sessions begin anew.
    pub(super) fn loaded(&mut self, _cx: &mut Context<'_>) {}

    /// Asserts the invariants of a consumer group.
    pub(super) fn check(&self) {}
}

impl GroupShard {
    /// A deadline of a consumer group has come. The group may become a classic one.
    pub(super) fn consumer_timeout(&mut self, _now: Millis, _group: &Str, _timer: &Timer, _out: &mut Effects) {}

    /// `self.topics` are others now.
    pub(super) fn consumer_topics_changed(&mut self, _now: Millis, _out: &mut Effects) {}

    /// A classic member joins a consumer group that has members. Validated are the group id and the session timeout.
    pub(super) fn consumer_join_group(
        &mut self,
        _now: Millis,
        token: ReplyToken,
        request: JoinGroup,
        out: &mut Effects,
    ) {
        let error = ErrorCode::InconsistentGroupProtocol;
        out.reply(token, Reply::Join(JoinReply::Failed { error, member: request.member }));
    }

    /// A classic member of a consumer group asks for its assignment.
    pub(super) fn consumer_sync_group(&mut self, _now: Millis, token: ReplyToken, _: SyncGroup, out: &mut Effects) {
        out.reply(token, Reply::Sync(SyncReply::failed(ErrorCode::UnknownMemberId)));
    }

    /// A classic member of a consumer group is alive.
    pub(super) fn consumer_classic_heartbeat(
        &mut self,
        _now: Millis,
        token: ReplyToken,
        _: Heartbeat,
        out: &mut Effects,
    ) {
        out.reply(token, Reply::Heartbeat(Err(ErrorCode::UnknownMemberId)));
    }

    /// Classic members of a consumer group leave, or any by an administrator's word.
    pub(super) fn consumer_leave_group(&mut self, _now: Millis, token: ReplyToken, _: LeaveGroup, out: &mut Effects) {
        let reply = LeaveReply { error: ErrorCode::UnknownMemberId, members: Vec::new() };
        out.reply(token, Reply::Leave(reply));
    }
}
