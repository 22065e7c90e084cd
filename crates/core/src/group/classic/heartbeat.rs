//! Heartbeat, and what happens without it.

use eddy_types::ErrorCode;

use super::{ClassicGroup, Phase};
use crate::group::record::Str;
use crate::group::request::Heartbeat;
use crate::group::shard::Context;
use crate::group::{ExpiryReason, RebalanceReason};

impl ClassicGroup {
    /// A member is alive. It learns of a rebalance by the answer.
    pub(in crate::group) fn heartbeat(
        &self,
        cx: &mut Context<'_>,
        request: &Heartbeat,
    ) -> Result<(), ErrorCode> {
        self.members.validate(&request.member, request.instance.as_deref())?;
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.phase {
            Phase::Empty => Err(ErrorCode::UnknownMemberId),
            Phase::Preparing(_) => {
                self.refresh_session(cx, &request.member);
                Err(ErrorCode::RebalanceInProgress)
            }
            Phase::Completing | Phase::Stable => {
                self.refresh_session(cx, &request.member);
                Ok(())
            }
        }
    }

    /// A member was silent for its session timeout, or an id did not come back.
    pub(super) fn session_is_over(&mut self, cx: &mut Context<'_>, id: &Str) {
        if self.pending.contains(id) {
            self.remove_member(cx, id, ErrorCode::UnknownMemberId);
            self.note_expired(cx, id, ExpiryReason::PendingTimeout);
            return self.complete_if_all_joined(cx);
        }
        let Some(member) = self.members.get(id) else { return };
        let reason = if member.is_new {
            ExpiryReason::NewMemberTimeout
        } else if member.join.is_some() || member.sync.is_some() {
            // It waits for the coordinator, which cannot expect it to speak; its session begins with the answer.
            return;
        } else {
            ExpiryReason::SessionTimeout
        };
        self.remove_member(cx, id, ErrorCode::UnknownMemberId);
        self.note_expired(cx, id, reason);
        self.rebalance_or_complete(cx, RebalanceReason::SessionTimeout);
    }
}
