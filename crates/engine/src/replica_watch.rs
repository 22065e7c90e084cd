//! Replication sessions that serve many partitions: which of them have moved.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A ready list. Partitions push the slots under which they are known here; a slot is in the list at most once, so the
/// list is bounded by the slots, and a busy partition costs one atomic an event.
#[derive(Debug, Default)]
pub struct ReplicaWatch {
    ready: Mutex<Vec<Arc<WatchSlot>>>,
    some: Notify,
}

/// One partition in one watch.
#[derive(Debug)]
pub(crate) struct WatchSlot {
    watch: Weak<ReplicaWatch>,
    slot: u32,
    queued: AtomicBool,
}

impl ReplicaWatch {
    /// A watch that no partition knows yet.
    #[must_use]
    pub fn new() -> Arc<ReplicaWatch> {
        Arc::new(ReplicaWatch::default())
    }

    /// Waits until a partition has moved and takes the slots of all that have. What moves from now on is listed again: look
    /// at the partition after this call, not before. One task waits at a time; cancel-safe.
    pub async fn ready(&self) -> Vec<u32> {
        loop {
            let slots = self.try_ready();
            if !slots.is_empty() {
                return slots;
            }
            self.some.notified().await;
        }
    }

    /// As [`ReplicaWatch::ready`], without waiting.
    pub fn try_ready(&self) -> Vec<u32> {
        let taken = std::mem::take(&mut *self.ready.lock());
        let slot = |slot: Arc<WatchSlot>| {
            // Before the caller looks at the partition: a move after that look is pushed again.
            slot.queued.store(false, Ordering::SeqCst);
            slot.slot
        };
        taken.into_iter().map(slot).collect()
    }
}

impl WatchSlot {
    fn push(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::SeqCst) {
            return;
        }
        let Some(watch) = self.watch.upgrade() else { return };
        let mut ready = watch.ready.lock();
        ready.push(Arc::clone(self));
        let is_first = ready.len() == 1;
        drop(ready);
        if is_first {
            watch.some.notify_one();
        }
    }
}

/// The replication sessions of one partition.
#[derive(Debug, Default)]
pub(crate) struct ReplicaWatchers(Vec<Arc<WatchSlot>>);

impl ReplicaWatchers {
    /// Adds a watch and lists the slot at once: what happened before counts as news. Watches that are gone are dropped.
    pub(crate) fn add(&mut self, watch: &Arc<ReplicaWatch>, slot: u32) {
        self.remove(watch, slot);
        let slot = WatchSlot { watch: Arc::downgrade(watch), slot, queued: AtomicBool::new(false) };
        let slot = Arc::new(slot);
        slot.push();
        self.0.push(slot);
    }

    pub(crate) fn remove(&mut self, watch: &Arc<ReplicaWatch>, slot: u32) {
        self.0.retain(|known| {
            let is_same = known.slot == slot && std::ptr::eq(known.watch.as_ptr(), Arc::as_ptr(watch));
            known.watch.strong_count() > 0 && !is_same
        });
    }

    /// The partition has moved.
    pub(crate) fn push(&self) {
        self.0.iter().for_each(WatchSlot::push);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slot_is_listed_once_until_it_is_taken_and_again_after_that() {
        let (mut watchers, watch) = (ReplicaWatchers::default(), ReplicaWatch::new());
        watchers.add(&watch, 7);
        assert_eq!(watch.ready().await, [7], "news from before");
        watchers.push();
        watchers.push();
        assert_eq!(watch.ready().await, [7]);
        assert!(watch.try_ready().is_empty());
        watchers.push();
        assert_eq!(watch.ready().await, [7]);
    }

    #[test]
    fn watches_that_are_gone_or_removed_hear_nothing() {
        let (mut watchers, kept, gone) =
            (ReplicaWatchers::default(), ReplicaWatch::new(), ReplicaWatch::new());
        watchers.add(&kept, 1);
        watchers.add(&gone, 1);
        drop(gone);
        watchers.add(&kept, 2);
        assert_eq!(watchers.0.len(), 2);
        watchers.remove(&kept, 1);
        kept.try_ready();
        watchers.push();
        assert_eq!(kept.try_ready(), [2]);
    }
}
