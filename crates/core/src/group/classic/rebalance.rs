//! The join phase: how it starts, and how it ends in a new generation.

use eddy_types::{ErrorCode, Millis};

use super::{ClassicGroup, InitialDelay, Phase, fail_sync};
use crate::group::effects::{Note, Reply};
use crate::group::record::Str;
use crate::group::reply::JoinReply;
use crate::group::shard::Context;
use crate::group::timers::Timer;
use crate::group::{ExpiryReason, RebalanceReason};

/// Least time between two looks for absent static members, who may have asked for none at all.
const ABSENT_WAIT_MIN: Millis = Millis(1_000);

impl ClassicGroup {
    /// Something changed: starts a join phase, or sees whether it ends the one under way.
    pub(super) fn rebalance_or_complete(&mut self, cx: &mut Context<'_>, reason: RebalanceReason) {
        match self.phase {
            Phase::Preparing(_) => self.complete_if_all_joined(cx),
            Phase::Empty | Phase::Completing | Phase::Stable => self.prepare_rebalance(cx, reason),
        }
    }

    /// Every member has to join again.
    pub(super) fn prepare_rebalance(&mut self, cx: &mut Context<'_>, reason: RebalanceReason) {
        cx.out.notes.push(Note::RebalanceStarted { group: self.id.clone(), reason });
        if self.phase == Phase::Completing {
            self.fail_syncs(cx, ErrorCode::RebalanceInProgress);
        }
        cx.timers.cancel(&self.id, Timer::Sync);
        self.unsynced.clear();

        if self.phase == Phase::Empty {
            let least = cx.config.initial_rebalance_delay;
            let delay = InitialDelay { latest_end: cx.now + self.members.rebalance_timeout().max(least) };
            cx.timers.set(&self.id, Timer::Join, cx.now + least);
            self.enter(cx.now, Phase::Preparing(Some(delay)));
            return;
        }
        self.enter(cx.now, Phase::Preparing(None));
        cx.timers.set(&self.id, Timer::Join, cx.now + self.members.rebalance_timeout());
        self.complete_if_all_joined(cx);
    }

    /// Ends the join phase when nobody is missing; one that began from an empty group takes its time.
    pub(super) fn complete_if_all_joined(&mut self, cx: &mut Context<'_>) {
        let all_joined = self.members.joining() == self.members.len() && self.pending.is_empty();
        if self.phase == Phase::Preparing(None) && all_joined {
            self.complete_join(cx);
        }
    }

    /// Somebody new has come: others like it have the initial delay anew, up to the rebalance timeout. Kafka counts in rounds of the
    /// delay instead and goes on after the first round without a newcomer, so that its groups wait up to twice as long for nobody.
    pub(super) fn extend_initial_delay(&mut self, cx: &mut Context<'_>) {
        if let Phase::Preparing(Some(InitialDelay { latest_end })) = self.phase {
            let end = cx.now + cx.config.initial_rebalance_delay;
            cx.timers.set(&self.id, Timer::Join, end.min(latest_end));
        }
    }

    /// The time of the join phase, or of its initial delay, is over.
    pub(super) fn join_phase_is_over(&mut self, cx: &mut Context<'_>) {
        match self.phase {
            Phase::Preparing(_) => self.complete_join(cx),
            Phase::Empty | Phase::Completing | Phase::Stable => {}
        }
    }

    /// Goes on with those who are here. Dynamic members who are not are dropped; static ones have their session for
    /// coming back.
    fn complete_join(&mut self, cx: &mut Context<'_>) {
        let is_late = |member: &&super::Member| member.join.is_none() && member.instance.is_none();
        let late: Vec<Str> = self.members.iter().filter(is_late).map(|member| member.id.clone()).collect();
        for id in &late {
            self.remove_member(cx, id, ErrorCode::UnknownMemberId);
            self.note_expired(cx, id, ExpiryReason::RebalanceTimeout);
        }
        if !self.members.is_empty() && !self.elect_leader_who_joined() {
            // Only absent static members: there is nobody to assign, so the phase goes on.
            let wait = self.members.rebalance_timeout().max(ABSENT_WAIT_MIN);
            cx.timers.set(&self.id, Timer::Join, cx.now + wait);
            return;
        }
        cx.timers.cancel(&self.id, Timer::Join);
        self.next_generation(cx);
    }

    fn elect_leader_who_joined(&mut self) -> bool {
        let joined = |id: &Str| self.members.get(id).is_some_and(|member| member.join.is_some());
        if !self.leader.as_ref().is_some_and(joined) {
            match self.members.first(|member| member.join.is_some()).cloned() {
                Some(elected) => self.leader = Some(elected),
                None => return false,
            }
        }
        true
    }

    fn next_generation(&mut self, cx: &mut Context<'_>) {
        self.generation = self.generation.saturating_add(1);
        self.protocol = self.members.elect_protocol();
        self.subscribed = self.read_subscriptions();
        let (group, generation, members) = (self.id.clone(), self.generation, self.members.len());
        cx.out.notes.push(Note::GenerationStarted { group, generation, members });
        if self.members.is_empty() {
            self.enter(cx.now, Phase::Empty);
            self.record(cx);
            return;
        }
        self.enter(cx.now, Phase::Completing);
        cx.timers.set(&self.id, Timer::Sync, cx.now + self.members.rebalance_timeout());
        let ids: Vec<Str> = self.members.iter().map(|member| member.id.clone()).collect();
        for id in ids {
            self.refresh_session(cx, &id);
            if let Some(member) = self.members.get_mut(&id) {
                member.is_new = false;
            }
            if let Some(token) = self.members.take_join(&id) {
                let joined = self.joined(id.clone(), self.leader.as_ref() == Some(&id));
                cx.out.reply(token, Reply::Join(JoinReply::Joined(joined)));
            }
            self.unsynced.insert(id);
        }
    }

    /// Fails every SyncGroup that waits. A member that waited has had no need of heartbeats: it has a session again.
    fn fail_syncs(&mut self, cx: &mut Context<'_>, error: ErrorCode) {
        let mut waited = Vec::new();
        for member in self.members.iter_mut() {
            if let Some(token) = member.sync.take() {
                fail_sync(cx, Some(token), error);
                waited.push(member.id.clone());
            }
        }
        for id in waited {
            self.refresh_session(cx, &id);
        }
    }
}
