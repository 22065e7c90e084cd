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
    /// Since when this member, as leader of a term, has waited for others to answer; none for those known not to run.
    waiting: (u64, HashMap<MemberId, Option<Instant>>),
}

impl State {
    fn waiting_in(&mut self, term: u64) -> &mut HashMap<MemberId, Option<Instant>> {
        if self.waiting.0 != term {
            self.waiting = (term, HashMap::new());
        }
        &mut self.waiting.1
    }
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

    /// The member is known not to run.
    pub(crate) fn is_dead(&self, member: MemberId, term: u64) {
        let mut state = self.state();
        state.answered.remove(&member);
        state.waiting_in(term).insert(member, None);
    }

    /// Whether the member has not answered for so long, all of it while this one led.
    pub(crate) fn is_gone(&self, member: MemberId, term: u64, long: Duration) -> bool {
        let mut state = self.state();
        let answered = state.answered.get(&member).map(|(at, _)| *at);
        let waiting = *state.waiting_in(term).entry(member).or_insert_with(|| Some(Instant::now()));
        waiting.is_none_or(|since| answered.map_or(since, |at| at.max(since)).elapsed() > long)
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
        state.waiting.1.retain(|member, _| members(*member));
    }

    /// The leader of this vote has called.
    pub(crate) fn leader_called(&self, vote: Vote<MemberId>) {
        self.state().leader = Some((vote, Instant::now()));
    }

    /// When a leader last called, whichever it was.
    pub(crate) fn any_leader_call(&self) -> Option<Instant> {
        self.state().leader.map(|(_, at)| at)
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
