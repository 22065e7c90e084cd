//! SyncGroup: the leader brings the assignments, the others wait for theirs.

use std::collections::BTreeMap;

use eddy_types::ErrorCode;

use super::{ClassicGroup, Phase, fail_sync};
use crate::group::effects::{Reply, ReplyToken};
use crate::group::record::{Blob, Str};
use crate::group::reply::SyncReply;
use crate::group::request::SyncGroup;
use crate::group::shard::Context;
use crate::group::timers::Timer;
use crate::group::{ExpiryReason, RebalanceReason};

impl ClassicGroup {
    /// A member asks for its assignment.
    pub(in crate::group) fn sync(&mut self, cx: &mut Context<'_>, token: ReplyToken, request: SyncGroup) {
        if let Err(error) = self.validate_sync(&request) {
            return fail_sync(cx, Some(token), error);
        }
        match self.phase {
            Phase::Empty => fail_sync(cx, Some(token), ErrorCode::UnknownMemberId),
            Phase::Preparing(_) => fail_sync(cx, Some(token), ErrorCode::RebalanceInProgress),
            Phase::Completing => {
                self.has_synced(cx, &request.member);
                let former =
                    self.members.get_mut(&request.member).and_then(|member| member.sync.replace(token));
                // The client has given up on its former request.
                fail_sync(cx, former, ErrorCode::RebalanceInProgress);
                if self.leader.as_ref() == Some(&request.member) {
                    self.assign(cx, request.assignments);
                }
            }
            Phase::Stable => {
                self.has_synced(cx, &request.member);
                self.refresh_session(cx, &request.member);
                let assigned = self.members.get(&request.member).map(|member| member.assignment.clone());
                self.tell_assignment(cx, token, assigned.unwrap_or_else(|| [].into()));
            }
        }
    }

    fn validate_sync(&self, request: &SyncGroup) -> Result<(), ErrorCode> {
        self.members.validate(&request.member, request.instance.as_deref())?;
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs =
            |told: &Option<Str>, known: &Option<Str>| told.is_some() && known.is_some() && told != known;
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol, &self.protocol)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// The leader has decided. Its word is recorded before any member hears of it: replies wait for the record.
    fn assign(&mut self, cx: &mut Context<'_>, assignments: Vec<(Str, Blob)>) {
        let mut assignments: BTreeMap<Str, Blob> = assignments.into_iter().collect();
        let mut waiting = Vec::new();
        for member in self.members.iter_mut() {
            member.assignment = assignments.remove(&member.id).unwrap_or_else(|| [].into());
            if let Some(token) = member.sync.take() {
                waiting.push((member.id.clone(), token, member.assignment.clone()));
            }
        }
        self.enter(cx.now, Phase::Stable);
        self.record(cx);
        for (id, token, assignment) in waiting {
            self.refresh_session(cx, &id);
            self.tell_assignment(cx, token, assignment);
        }
    }

    fn tell_assignment(&self, cx: &mut Context<'_>, token: ReplyToken, assignment: Blob) {
        let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
        let reply = SyncReply { error: ErrorCode::None, protocol_type, protocol, assignment };
        cx.out.reply(token, Reply::Sync(reply));
    }

    fn has_synced(&mut self, cx: &mut Context<'_>, member: &str) {
        self.unsynced.remove(member);
        if self.unsynced.is_empty() {
            cx.timers.cancel(&self.id, Timer::Sync);
        }
    }

    /// Members that joined the generation and never asked for their assignment are dropped, so that others get it.
    pub(super) fn sync_phase_is_over(&mut self, cx: &mut Context<'_>) {
        if !matches!(self.phase, Phase::Completing | Phase::Stable) || self.unsynced.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.unsynced) {
            self.remove_member(cx, &id, ErrorCode::UnknownMemberId);
            self.note_expired(cx, &id, ExpiryReason::SyncTimeout);
        }
        self.prepare_rebalance(cx, RebalanceReason::SyncTimeout);
    }
}
