//! Who is served next: partitions take turns.

use std::collections::VecDeque;

use ahash::AHashSet;

/// Slots that have something to send, each once, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    queue: VecDeque<u32>,
    queued: AHashSet<u32>,
}

impl Rounds {
    /// Puts slots at the end of the queue, unless they wait already.
    pub(super) fn extend(&mut self, slots: impl IntoIterator<Item = u32>) {
        for slot in slots {
            if self.queued.insert(slot) {
                self.queue.push_back(slot);
            }
        }
    }

    /// Takes the slot whose turn it is.
    pub(super) fn next(&mut self) -> Option<u32> {
        let slot = self.queue.pop_front()?;
        self.queued.remove(&slot);
        Some(slot)
    }

    /// Slots that wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_take_turns_and_wait_once() {
        let mut rounds = Rounds::default();
        rounds.extend([1, 2, 1]);
        assert_eq!(rounds.next(), Some(1));
        rounds.extend([1, 2]);
        assert_eq!((rounds.next(), rounds.next(), rounds.next()), (Some(2), Some(1), None));
    }
}
