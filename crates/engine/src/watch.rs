//! Fetches that wait for data: one waiter a request, registered with every partition it reads.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;

/// A parked fetch. Partitions hold it weakly: a fetch that was answered or whose client left costs nothing further.
#[derive(Debug, Default)]
pub struct FetchWaiter {
    moved: Notify,
}

impl FetchWaiter {
    /// A waiter that no partition knows yet.
    #[must_use]
    pub fn new() -> Arc<FetchWaiter> {
        Arc::new(FetchWaiter::default())
    }

    /// Waits until a partition that knows this waiter has moved. A move between registration and this call counts.
    pub async fn moved(&self) {
        self.moved.notified().await;
    }

    fn wake(&self) {
        self.moved.notify_one();
    }
}

/// The parked fetches of one partition.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    parked: Vec<Weak<FetchWaiter>>,
    prune_above: usize,
}

impl Watchers {
    const PRUNE_MIN: usize = 16;

    /// Adds a waiter. Waiters of answered fetches are dropped when the list has doubled since the last time, so an idle
    /// partition that is polled for ever holds at most twice its live readers.
    pub(crate) fn add(&mut self, waiter: &Arc<FetchWaiter>) {
        if self.parked.len() >= self.prune_above.max(Self::PRUNE_MIN) {
            self.parked.retain(|waiter| waiter.strong_count() > 0);
            self.prune_above = self.parked.len() * 2;
        }
        self.parked.push(Arc::downgrade(waiter));
    }

    /// Takes all waiters, to be woken once the partition's lock is released.
    pub(crate) fn take(&mut self) -> Woken {
        Woken(std::mem::take(&mut self.parked))
    }
}

/// Waiters to wake when this is dropped or [`Woken::wake`] is called.
#[must_use]
pub(crate) struct Woken(Vec<Weak<FetchWaiter>>);

impl Woken {
    pub(crate) fn none() -> Woken {
        Woken(Vec::new())
    }

    pub(crate) fn wake(self) {
        for waiter in self.0.iter().filter_map(Weak::upgrade) {
            waiter.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_move_between_registration_and_waiting_is_not_missed() {
        let (mut watchers, waiter) = (Watchers::default(), FetchWaiter::new());
        watchers.add(&waiter);
        watchers.take().wake();
        waiter.moved().await;
    }

    #[test]
    fn waiters_of_answered_fetches_do_not_pile_up() {
        let mut watchers = Watchers::default();
        for _ in 0..10_000 {
            watchers.add(&FetchWaiter::new());
        }
        assert!(watchers.parked.len() <= Watchers::PRUNE_MIN);
    }
}
