//! The deadlines of a shard.

use std::collections::{BTreeMap, BTreeSet};

use eddy_types::Millis;

use super::record::Str;

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The join phase of a classic group ends.
    Join,
    /// Members of a classic group that have not asked for their assignment are dropped.
    Sync,
    /// A member of a classic group, or an id that was given out, is taken for gone.
    Session(Str),
    /// A member of a consumer group is taken for gone.
    ConsumerSession(Str),
    /// A member of a consumer group has not given its partitions back in time.
    ConsumerRebalance(Str),
    /// A member of a consumer group that speaks the classic protocol has not joined again in time.
    ConsumerJoin(Str),
    /// A member of a consumer group that speaks the classic protocol has not asked for its assignment in time.
    ConsumerSync(Str),
    /// A consumer group may make its next target assignment.
    ConsumerAssignment,
}

/// Deadlines by group and kind: setting one costs a look-up, for thousands of members too.
///
/// A deadline that moves away, as heartbeats make sessions do, leaves its place in the queue and is put right when
/// that place comes up.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeSet<(Millis, Str, Timer)>,
    armed: BTreeMap<(Str, Timer), Armed>,
}

#[derive(Clone, Copy, Debug)]
struct Armed {
    /// When it is due.
    deadline: Millis,
    /// Where it is in the queue: not after the deadline.
    queued: Millis,
}

impl Timers {
    /// Sets a deadline, in place of the former one of the same name.
    pub(super) fn set(&mut self, group: &Str, timer: Timer, deadline: Millis) {
        let key = (group.clone(), timer);
        if let Some(armed) = self.armed.get_mut(&key) {
            armed.deadline = deadline;
            if armed.queued <= deadline {
                return;
            }
            self.queue.remove(&(armed.queued, key.0.clone(), key.1.clone()));
        }
        self.queue.insert((deadline, key.0.clone(), key.1.clone()));
        self.armed.insert(key, Armed { deadline, queued: deadline });
    }

    /// Forgets a deadline; nothing happens when there is none.
    pub(super) fn cancel(&mut self, group: &Str, timer: Timer) {
        let key = (group.clone(), timer);
        if let Some(armed) = self.armed.remove(&key) {
            self.queue.remove(&(armed.queued, key.0, key.1));
        }
    }

    /// Forgets every deadline of a group.
    pub(super) fn cancel_group(&mut self, group: &Str) {
        let from = (group.clone(), Timer::Join);
        let timers: Vec<Timer> = self
            .armed
            .range(from..)
            .take_while(|((of, _), _)| of == group)
            .map(|((_, timer), _)| timer.clone())
            .collect();
        for timer in timers {
            self.cancel(group, timer);
        }
    }

    /// Takes one that is due, the earliest first.
    pub(super) fn pop_due(&mut self, now: Millis) -> Option<(Str, Timer)> {
        while self.queue.first().is_some_and(|(at, _, _)| *at <= now) {
            let (_, group, timer) = self.queue.pop_first()?;
            let key = (group, timer);
            match self.armed.get_mut(&key) {
                Some(armed) if armed.deadline > now => {
                    armed.queued = armed.deadline;
                    self.queue.insert((armed.deadline, key.0, key.1));
                }
                Some(_) => {
                    self.armed.remove(&key);
                    return Some(key);
                }
                None => {}
            }
        }
        None
    }

    /// When to look again; at times before anything is due.
    pub(super) fn next(&self) -> Option<Millis> {
        self.queue.first().map(|(at, _, _)| *at)
    }

    /// When a timer is due.
    pub(super) fn deadline(&self, group: &Str, timer: Timer) -> Option<Millis> {
        self.armed.get(&(group.clone(), timer)).map(|armed| armed.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_moved_away_is_not_due_at_its_former_time() {
        let group = Str::from("g");
        let mut timers = Timers::default();
        timers.set(&group, Timer::Session("a".into()), Millis(10));
        timers.set(&group, Timer::Session("b".into()), Millis(20));
        timers.set(&group, Timer::Session("a".into()), Millis(30));
        assert_eq!(timers.pop_due(Millis(20)), Some((group.clone(), Timer::Session("b".into()))));
        assert_eq!(timers.pop_due(Millis(29)), None);
        assert_eq!(timers.next(), Some(Millis(30)));
        assert_eq!(timers.pop_due(Millis(30)), Some((group, Timer::Session("a".into()))));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_deadline_may_come_nearer() {
        let group = Str::from("g");
        let mut timers = Timers::default();
        timers.set(&group, Timer::Join, Millis(30));
        timers.set(&group, Timer::Join, Millis(10));
        assert_eq!(timers.pop_due(Millis(10)), Some((group, Timer::Join)));
        assert_eq!(timers.pop_due(Millis(100)), None);
    }

    #[test]
    fn cancelling_a_group_leaves_the_others() {
        let (one, two) = (Str::from("1"), Str::from("2"));
        let mut timers = Timers::default();
        for group in [&one, &two] {
            timers.set(group, Timer::Join, Millis(1));
            timers.set(group, Timer::ConsumerRebalance("m".into()), Millis(2));
        }
        timers.cancel_group(&one);
        timers.cancel(&two, Timer::Join);
        assert_eq!(timers.deadline(&one, Timer::Join), None);
        assert_eq!(timers.pop_due(Millis(5)), Some((two, Timer::ConsumerRebalance("m".into()))));
        assert_eq!(timers.pop_due(Millis(5)), None);
    }
}
