//! When this member last heard from the others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use eddy_types::{Clock, Millis, SystemClock};
use openraft::Vote;

use crate::types::MemberId;

/// When members answered, and when the leader called.
#[derive(Default)]
pub(crate) struct Contacts(Mutex<State>);

#[derive(Default)]
struct State {
    answered: HashMap<MemberId, (Instant, Millis)>,
    called: HashMap<MemberId, Instant>,
    leader: Option<(Vote<MemberId>, Instant)>,
    voted: Option<(Vote<MemberId>, Instant)>,
}

impl Contacts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A member has answered.
    pub(crate) fn heard_from(&self, member: MemberId) {
        self.state().answered.insert(member, (Instant::now(), SystemClock.now()));
    }

    /// The member is told something, entries or only that the leader is there.
    pub(crate) fn calling(&self, member: MemberId) {
        self.state().called.insert(member, Instant::now());
    }

    /// When the member was last told something.
    pub(crate) fn called(&self, member: MemberId) -> Option<Instant> {
        self.state().called.get(&member).copied()
    }

    /// Time since the member's last answer.
    pub(crate) fn silence(&self, member: MemberId) -> Option<Duration> {
        self.state().answered.get(&member).map(|(at, _)| at.elapsed())
    }

    /// When the member last answered.
    pub(crate) fn last(&self, member: MemberId) -> Option<Millis> {
        self.state().answered.get(&member).map(|(_, at)| *at)
    }

    /// Forgets all but these members.
    pub(crate) fn keep(&self, members: impl Fn(MemberId) -> bool) {
        let mut state = self.state();
        state.answered.retain(|member, _| members(*member));
        state.called.retain(|member, _| members(*member));
    }

    /// The leader of this vote has called.
    pub(crate) fn leader_called(&self, vote: Vote<MemberId>) {
        self.state().leader = Some((vote, Instant::now()));
    }

    /// When the leader of this vote last called.
    pub(crate) fn leader_call(&self, vote: &Vote<MemberId>) -> Option<Instant> {
        self.state().leader.filter(|(of, _)| of == vote).map(|(_, at)| at)
    }

    /// This member's vote has changed to this one.
    pub(crate) fn voted(&self, vote: Vote<MemberId>) {
        self.state().voted = Some((vote, Instant::now()));
    }

    /// Time since this vote was first seen; none when it has not been seen yet.
    pub(crate) fn vote_age(&self, vote: &Vote<MemberId>) -> Option<Duration> {
        self.state().voted.filter(|(of, _)| of == vote).map(|(_, at)| at.elapsed())
    }
}
