//! What the flusher thread is asked to do, and how others wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use eddy_types::TopicId;
use eddy_wal::Lsn;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use crate::partition::{Partition, PartitionKey};

/// Requests to the flusher thread. Its lists hold a partition at most once each, so they are bounded by the partitions.
#[derive(Default)]
pub(crate) struct FlushQueue {
    requests: Mutex<Requests>,
    changed: Condvar,
    evicted: Notify,
    reclaimed: Mutex<Reclaimed>,
    reclaimed_some: Notify,
    checkpoints: AtomicU64,
    flushed_bytes: AtomicU64,
}

#[derive(Default)]
struct Requests {
    dirty: Vec<Arc<Partition>>,
    destroy: Vec<Doomed>,
    pressed: bool,
    stop: bool,
}

/// What was removed from the disk and is still to be reported.
#[derive(Debug, Default)]
pub(crate) struct Reclaimed {
    /// Deleted topics.
    pub(crate) topics: Vec<TopicId>,
    /// Replicas that moved away.
    pub(crate) replicas: Vec<PartitionKey>,
}

/// Why files go, which says what is reported after that.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reason {
    /// The topic was deleted.
    TopicDeleted(TopicId),
    /// The replicas moved to other brokers.
    MovedAway,
}

/// Replicas whose files go, each with the open one if it was open.
pub(crate) struct Doomed {
    pub(crate) reason: Reason,
    pub(crate) partitions: Vec<(PartitionKey, Option<Arc<Partition>>)>,
    /// The entries that forget them lie below: they must be durable before a file goes.
    pub(crate) after: Lsn,
}

/// What the flusher shall do next.
pub(crate) struct Work {
    /// Partitions that changed for the first time since a checkpoint last looked at them.
    pub(crate) dirty: Vec<Arc<Partition>>,
    /// Replicas whose files go.
    pub(crate) destroy: Vec<Doomed>,
    /// Memory is short: flush everything.
    pub(crate) pressed: bool,
    /// Take a last checkpoint and end.
    pub(crate) stop: bool,
}

impl FlushQueue {
    /// A partition has changed. Called under the partition's lock, once until a checkpoint has looked at it.
    pub(crate) fn push(&self, partition: Arc<Partition>) {
        let mut requests = self.requests.lock();
        requests.dirty.push(partition);
        if requests.dirty.len() == 1 {
            self.changed.notify_one();
        }
    }

    /// A topic was deleted, or replicas have moved: their files go.
    pub(crate) fn destroy(&self, doomed: Doomed) {
        self.requests.lock().destroy.push(doomed);
        self.changed.notify_one();
    }

    /// Memory is short: flush and evict now.
    pub(crate) fn press(&self) {
        if !std::mem::replace(&mut self.requests.lock().pressed, true) {
            self.changed.notify_one();
        }
    }

    /// Take a last checkpoint and end.
    pub(crate) fn stop(&self) {
        self.requests.lock().stop = true;
        self.changed.notify_one();
    }

    /// Sleeps until there is something to do: until `tick` at the most, for ever without one.
    pub(crate) fn next(&self, tick: Option<Instant>) -> Work {
        let mut requests = self.requests.lock();
        match tick {
            // A new dirty partition can wait for the tick like the others.
            Some(tick) => {
                self.changed.wait_while_until(&mut requests, |r| !r.pressed && !r.stop, tick);
            }
            None => self.changed.wait_while(&mut requests, |r| {
                r.dirty.is_empty() && r.destroy.is_empty() && !r.pressed && !r.stop
            }),
        }
        Work {
            dirty: std::mem::take(&mut requests.dirty),
            destroy: std::mem::take(&mut requests.destroy),
            pressed: std::mem::take(&mut requests.pressed),
            stop: requests.stop,
        }
    }

    /// Partitions that changed since the last call of this or of [`FlushQueue::next`].
    pub(crate) fn take_dirty(&self) -> Vec<Arc<Partition>> {
        std::mem::take(&mut self.requests.lock().dirty)
    }

    /// The flusher has evicted what it could.
    pub(crate) fn evicted(&self) {
        self.evicted.notify_waiters();
    }

    /// Resolves when the flusher has evicted what it could, after this call.
    pub(crate) async fn wait_evicted(&self) {
        self.evicted.notified().await;
    }

    /// The files of a deleted topic are gone.
    pub(crate) fn topic_reclaimed(&self, topic: TopicId) {
        self.reclaimed.lock().topics.push(topic);
        self.reclaimed_some.notify_one();
    }

    /// The files of replicas that moved away are gone.
    pub(crate) fn replicas_reclaimed(&self, keys: impl Iterator<Item = PartitionKey>) {
        self.reclaimed.lock().replicas.extend(keys);
        self.reclaimed_some.notify_one();
    }

    /// Waits for files that are gone.
    pub(crate) async fn next_reclaimed(&self) -> Reclaimed {
        loop {
            let reclaimed = std::mem::take(&mut *self.reclaimed.lock());
            if !reclaimed.topics.is_empty() || !reclaimed.replicas.is_empty() {
                return reclaimed;
            }
            self.reclaimed_some.notified().await;
        }
    }

    pub(crate) fn count_flushed(&self, bytes: u64) {
        self.flushed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn count_checkpoint(&self) {
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
    }

    /// Checkpoints taken, and bytes written to segments, since the start.
    pub(crate) fn counters(&self) -> (u64, u64) {
        (self.checkpoints.load(Ordering::Relaxed), self.flushed_bytes.load(Ordering::Relaxed))
    }
}
