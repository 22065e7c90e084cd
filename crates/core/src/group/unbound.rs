//! What groups of the consumer protocol do not do yet. Each item goes away when `consumer` has it.

use eddy_types::{ErrorCode, Millis};

use super::effects::{Effects, Reply, ReplyToken};
use super::reply::{JoinReply, LeaveReply, SyncReply};
use super::request::{Heartbeat, JoinGroup, LeaveGroup, SyncGroup};
use super::shard::GroupShard;

impl GroupShard {
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
    pub(super) fn consumer_sync_group(
        &mut self,
        _now: Millis,
        token: ReplyToken,
        _: SyncGroup,
        out: &mut Effects,
    ) {
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
    pub(super) fn consumer_leave_group(
        &mut self,
        _now: Millis,
        token: ReplyToken,
        _: LeaveGroup,
        out: &mut Effects,
    ) {
        let reply = LeaveReply { error: ErrorCode::UnknownMemberId, members: Vec::new() };
        out.reply(token, Reply::Leave(reply));
    }
}
