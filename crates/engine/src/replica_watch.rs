//! Replication sessions that serve many partitions: which of them have moved.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A ready list. Partitions push the slots under which they are known here; a slot is in a list at most once, so the
/// lists are bounded by the slots, and a busy partition costs one atomic an event.
#[derive(Default)]
pub struct ReplicaWatch {
    ready: Mutex<Vec<Arc<WatchSlot>>>,
    some: Notify,
    /// Of slots whose news can wait a little.
    later: Mutex<Vec<Arc<WatchSlot>>>,
    some_later: Notify,
    report: Option<Weak<dyn DurableReport>>,
}

/// Takes what a group of the write-ahead log has made durable right where that is known, which saves waking a task for it.
pub trait DurableReport: Send + Sync {
    /// Reports what [`ReplicaWatch::try_ready`] gives; false when the waiting task is to do that. Called on the write-ahead
    /// log's thread once a group, when all of its partitions have been told; it must not block.
    fn report(&self, watch: &ReplicaWatch) -> bool;
}

/// One partition in one watch.
#[derive(Debug)]
pub(crate) struct WatchSlot {
    watch: Weak<ReplicaWatch>,
    slot: u32,
    queued: AtomicBool,
    queued_later: AtomicBool,
}

impl ReplicaWatch {
    /// A watch that no partition knows yet.
    #[must_use]
    pub fn new() -> Arc<ReplicaWatch> {
        Arc::new(ReplicaWatch::default())
    }

    /// The same, with somebody who takes news of the disk at once.
    #[must_use]
    pub fn with_report(report: Weak<dyn DurableReport>) -> Arc<ReplicaWatch> {
        Arc::new(ReplicaWatch { report: Some(report), ..ReplicaWatch::default() })
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

    /// Waits until there is something in [`ReplicaWatch::take_later`]: news of a high watermark or a log start that moved without
    /// data. Nobody is woken for more of them until they are taken, so that a caller who waits a little before that is woken
    /// rarely. One task waits at a time; cancel-safe.
    pub async fn some_later(&self) {
        while self.later.lock().is_empty() {
            self.some_later.notified().await;
        }
    }

    /// Takes the slots of partitions whose high watermark or log start has moved.
    pub fn take_later(&self) -> Vec<u32> {
        let taken = std::mem::take(&mut *self.later.lock());
        let slot = |slot: Arc<WatchSlot>| {
            slot.queued_later.store(false, Ordering::SeqCst);
            slot.slot
        };
        taken.into_iter().map(slot).collect()
    }

    /// A group of the write-ahead log has listed slots here.
    fn tell(&self) {
        let report = self.report.as_ref().and_then(Weak::upgrade);
        if !report.is_some_and(|report| report.report(self)) {
            self.some.notify_one();
        }
    }
}

impl std::fmt::Debug for ReplicaWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicaWatch").finish_non_exhaustive()
    }
}

impl WatchSlot {
    fn push(self: &Arc<Self>) {
        if let Some(watch) = self.list() {
            watch.some.notify_one();
        }
    }

    /// Lists the slot; the watch, when it is the first there and somebody must be told.
    fn list(self: &Arc<Self>) -> Option<Arc<ReplicaWatch>> {
        if self.queued.swap(true, Ordering::SeqCst) {
            return None;
        }
        let watch = self.watch.upgrade()?;
        let mut ready = watch.ready.lock();
        ready.push(Arc::clone(self));
        let is_first = ready.len() == 1;
        drop(ready);
        is_first.then_some(watch)
    }

    fn push_later(self: &Arc<Self>) {
        if self.queued_later.swap(true, Ordering::SeqCst) {
            return;
        }
        let Some(watch) = self.watch.upgrade() else { return };
        let mut later = watch.later.lock();
        later.push(Arc::clone(self));
        let is_first = later.len() == 1;
        drop(later);
        if is_first {
            watch.some_later.notify_one();
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
        let (queued, queued_later) = (AtomicBool::new(false), AtomicBool::new(false));
        let slot = Arc::new(WatchSlot { watch: Arc::downgrade(watch), slot, queued, queued_later });
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

    /// Its high watermark or log start has moved, of which a follower need not hear at once.
    pub(crate) fn push_later(&self) {
        self.0.iter().for_each(WatchSlot::push_later);
    }

    /// A group of the write-ahead log has moved the partition's durable end: the watches are told when the whole group is.
    pub(crate) fn push_durable(&self, news: &DurableNews) {
        news.0.lock().extend(self.0.iter().filter_map(WatchSlot::list));
    }
}

/// Watches in which the present group of the write-ahead log has listed slots.
#[derive(Debug, Default)]
pub(crate) struct DurableNews(Mutex<Vec<Arc<ReplicaWatch>>>);

impl DurableNews {
    /// The group is told to all of its partitions.
    pub(crate) fn tell(&self) {
        let watches = std::mem::take(&mut *self.0.lock());
        watches.iter().for_each(|watch| watch.tell());
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

    #[tokio::test]
    async fn news_that_can_wait_wake_nobody_twice() {
        let (mut watchers, watch) = (ReplicaWatchers::default(), ReplicaWatch::new());
        watchers.add(&watch, 7);
        assert_eq!(watch.try_ready(), [7]);
        watchers.push_later();
        watchers.push_later();
        watch.some_later().await;
        assert!(watch.try_ready().is_empty(), "they are in a list of their own");
        assert_eq!(watch.take_later(), [7]);
        assert!(watch.take_later().is_empty());
        watchers.push_later();
        assert_eq!(watch.take_later(), [7]);
    }

    /// Takes what is ready, or leaves it.
    struct Reporter {
        takes: bool,
        told: Mutex<Vec<Vec<u32>>>,
    }

    impl DurableReport for Reporter {
        fn report(&self, watch: &ReplicaWatch) -> bool {
            if self.takes {
                self.told.lock().push(watch.try_ready());
            }
            self.takes
        }
    }

    #[tokio::test]
    async fn news_of_the_disk_are_reported_once_a_group_or_left_to_the_task() {
        for takes in [true, false] {
            let reporter = Arc::new(Reporter { takes, told: Mutex::default() });
            let report = Arc::downgrade(&reporter);
            let watch = ReplicaWatch::with_report(report);
            let (mut one, mut other) = (ReplicaWatchers::default(), ReplicaWatchers::default());
            one.add(&watch, 1);
            other.add(&watch, 2);
            watch.ready().await;
            let news = DurableNews::default();
            one.push_durable(&news);
            other.push_durable(&news);
            assert!(reporter.told.lock().is_empty(), "the group is not complete");
            news.tell();
            if takes {
                assert_eq!(*reporter.told.lock(), [[1, 2]]);
                assert!(watch.try_ready().is_empty());
            } else {
                assert_eq!(watch.ready().await, [1, 2]);
            }
        }
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
