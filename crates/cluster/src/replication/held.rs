//! Partitions that a throttle holds back.

use std::time::Duration;

use ahash::AHashSet;
use tokio::time::Instant;

/// Slots that have something to send and may not yet.
#[derive(Debug, Default)]
pub(super) struct Held {
    slots: AHashSet<u32>,
    until: Option<Instant>,
}

impl Held {
    /// Holds a slot back for a while; all of them are looked at again when the shortest while is over.
    pub(super) fn put(&mut self, slot: u32, pause: Duration) {
        self.slots.insert(slot);
        let until = Instant::now() + pause;
        self.until = Some(self.until.map_or(until, |known| known.min(until)));
    }

    /// When to look again.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Gives back what is held.
    pub(super) fn release(&mut self) -> AHashSet<u32> {
        self.until = None;
        std::mem::take(&mut self.slots)
    }

    /// The same, if the time has come.
    pub(super) fn release_due(&mut self) -> AHashSet<u32> {
        if self.until.is_some_and(|until| until <= Instant::now()) { self.release() } else { AHashSet::new() }
    }

    /// Slots that are held back.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}
