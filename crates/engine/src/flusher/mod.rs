//! The flusher: one thread that moves what the write-ahead log made safe into segments, and then frees the log.
//!
//! It works in the WAL's shadow: busy partitions are flushed by size, quiet ones by age, all of them when memory or the WAL
//! runs short. A checkpoint syncs the segments, records where they end, and gives WAL files back. The thread sleeps without
//! a timer when nothing was appended.

mod removal;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_types::Offset;
use eddy_wal::Lsn;
use parking_lot::Mutex;

use crate::checkpoint::{CheckpointView, PartitionCheckpoint};
use crate::flush_queue::{Doomed, FlushQueue};
use crate::partition::{Mark, Partition, PartitionKey};
use crate::partitions::Partitions;

/// When the flusher acts.
#[derive(Debug, Clone)]
pub struct FlushConfig {
    /// A partition with this many unflushed bytes is flushed at once.
    pub bytes: usize,
    /// A dirty partition is flushed after this time, unless it holds little.
    pub age: Duration,
    /// A checkpoint is taken this long after the first append that follows the last one.
    pub checkpoint_interval: Duration,
    /// A checkpoint is taken when the write-ahead log retains more than this: it bounds what a start replays.
    pub replay_bytes: u64,
}

impl Default for FlushConfig {
    fn default() -> Self {
        FlushConfig {
            bytes: 1 << 20,
            age: Duration::from_secs(1),
            checkpoint_interval: Duration::from_secs(10),
            replay_bytes: 192 << 20,
        }
    }
}

/// How often the thread looks around while partitions are dirty.
const TICK: Duration = Duration::from_millis(100);

/// Flushed batches stay in memory up to this. Readers that are further behind find them in the page cache; memory that is
/// used again and again costs less than fresh memory for every batch (ADR 7).
const CACHED_BYTES_MAX: usize = 32 << 20;

/// A partition that is old but holds less than this waits for the checkpoint: where many partitions get a little each, writing each
/// of them every second would be most of the work.
const SMALL_BYTES: usize = 64 << 10;

/// A checkpoint writes so many partitions before it syncs them, which keeps their files open in between.
const SYNCED_TOGETHER: usize = 1024;

/// With this many the file system is synced before their files.
const SYNC_ALL_PARTITIONS: usize = 128;

/// Time for the WAL's thread to tell the partitions of its last group. When it is over, the next start replays that group.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

/// Handle of the flusher thread.
pub(crate) struct Flusher {
    queue: Arc<FlushQueue>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Flusher {
    /// Starts the thread. `recorded` is what the last checkpoint says of each partition. When entries were `replayed`, a
    /// checkpoint is due at once: a broker that keeps crashing must not replay more each time.
    pub(crate) fn start(
        partitions: Arc<Partitions>,
        recorded: Vec<PartitionCheckpoint>,
        replayed: bool,
        config: FlushConfig,
    ) -> std::io::Result<Flusher> {
        let queue = Arc::clone(partitions.flush_queue());
        let worker = Worker {
            queue: Arc::clone(&queue),
            partitions,
            config,
            recorded: recorded.into_iter().map(|partition| (partition.key, partition)).collect(),
            unflushed: BTreeMap::new(),
            touched: BTreeMap::new(),
            unstored: BTreeMap::new(),
            cached: BTreeMap::new(),
            doomed: Vec::new(),
            checkpoint_due: replayed.then(Instant::now),
        };
        let thread =
            std::thread::Builder::new().name("eddy-flusher".to_owned()).spawn(move || worker.run())?;
        Ok(Flusher { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Flushes everything, takes a last checkpoint and ends the thread. Blocks.
    pub(crate) fn stop(&self) {
        self.queue.stop();
        if let Some(thread) = self.thread.lock().take() {
            // A panic in the flusher has been reported by its own hook; stopping goes on.
            let _ = thread.join();
        }
    }
}

struct Worker {
    queue: Arc<FlushQueue>,
    partitions: Arc<Partitions>,
    config: FlushConfig,
    /// What the newest checkpoint says of each partition.
    recorded: BTreeMap<PartitionKey, PartitionCheckpoint>,
    /// Partitions with unflushed batches, and since when.
    unflushed: BTreeMap<PartitionKey, (Arc<Partition>, Instant)>,
    /// Partitions that changed since the newest checkpoint.
    touched: BTreeMap<PartitionKey, Arc<Partition>>,
    /// Partitions whose logs were synced for a checkpoint that is not stored yet.
    unstored: BTreeMap<PartitionKey, Arc<Partition>>,
    /// Partitions whose tail cache may hold something to evict.
    cached: BTreeMap<PartitionKey, Arc<Partition>>,
    /// Replicas whose files go as soon as that they are forgotten is durable.
    doomed: Vec<Doomed>,
    checkpoint_due: Option<Instant>,
}

impl Worker {
    fn run(mut self) {
        loop {
            let idle = self.unflushed.is_empty() && self.doomed.is_empty() && self.checkpoint_due.is_none();
            let work = self.queue.next((!idle).then(|| Instant::now() + TICK));
            self.absorb(work.dirty);
            self.doomed.extend(work.destroy);
            self.destroy_doomed();
            self.flush(work.pressed);
            self.evict();
            let due = self.checkpoint_due.is_some_and(|due| Instant::now() >= due || self.wal_is_filling());
            if work.stop {
                self.last_checkpoint();
                return;
            }
            if due {
                self.checkpoint();
            }
        }
    }

    fn absorb(&mut self, dirty: Vec<Arc<Partition>>) {
        let now = Instant::now();
        for partition in dirty {
            let key = partition.key();
            self.touched.insert(key, Arc::clone(&partition));
            self.unflushed.entry(key).or_insert((partition, now));
            self.checkpoint_due.get_or_insert(now + self.config.checkpoint_interval);
        }
    }

    /// Writes unflushed batches to segments: of every dirty partition when `all`, else of those that are large, or old and not
    /// small. While memory is short, small ones are written too.
    fn flush(&mut self, all: bool) {
        let now = Instant::now();
        let budget = self.partitions.tail_budget();
        let small = if budget.used() > budget.limit() / 4 { 0 } else { SMALL_BYTES };
        let is_due = |partition: &Partition, since: Instant| {
            let bytes = partition.log().unflushed_bytes();
            let is_old = now.duration_since(since) >= self.config.age;
            all || bytes >= self.config.bytes || (is_old && bytes >= small)
        };
        let due: Vec<PartitionKey> = self
            .unflushed
            .iter()
            .filter(|(_, (partition, since))| is_due(partition, *since))
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            let Some((partition, _)) = self.unflushed.remove(&key) else { continue };
            if partition.is_gone() {
                continue;
            }
            self.flush_one(&partition, partition.offsets().durable_end);
            self.cached.insert(key, Arc::clone(&partition));
            // It stays listed until a checkpoint has cleared its flag: new batches do not announce it again before that.
            self.unflushed.insert(key, (partition, now));
        }
    }

    fn fatal(&self, what: &str, error: &dyn std::fmt::Display) -> ! {
        (self.partitions.storage().on_fatal)(what, error)
    }

    fn flush_one(&self, partition: &Partition, upto: Offset) {
        match partition.log().flush(upto) {
            Ok(bytes) => self.queue.count_flushed(bytes),
            // What the WAL acknowledged cannot reach its segment: going on would fill memory and then lie.
            Err(error) => self.fatal("cannot write a segment", &error),
        }
        self.make_room(partition);
    }

    /// While memory is short what was just written leaves it at once: a round over thousands of partitions, on a file system that is
    /// slow to make files, takes longer than producers wait.
    fn make_room(&self, partition: &Partition) {
        let budget = self.partitions.tail_budget();
        if budget.used() > budget.limit() / 4 * 3 {
            partition.log().evict(0);
            self.queue.evicted();
        }
    }

    /// Drops flushed batches from the caches when they hold more than is of use.
    fn evict(&mut self) {
        let budget = self.partitions.tail_budget();
        let enough = CACHED_BYTES_MAX.min(budget.limit() / 2);
        if budget.used() > enough {
            let share = enough / 2 / self.cached.len().max(1);
            for keep in [share, 0] {
                for partition in self.cached.values() {
                    partition.log().evict(keep);
                }
                if budget.used() <= enough {
                    break;
                }
            }
            self.cached.retain(|_, partition| !partition.is_gone());
        }
        self.queue.evicted();
    }

    /// Makes the segments hold everything that the WAL has made durable, says so in the checkpoint, and frees the WAL below.
    ///
    /// It waits for nothing that is still queued: when the WAL has no file left to write to, only this gives it one.
    fn checkpoint(&mut self) {
        let lsn = self.partitions.published();
        // After the position: whoever queued an entry below it is in the list by now.
        let late = self.queue.take_dirty();
        self.absorb(late);
        self.checkpoint_due = None;
        let touched = std::mem::take(&mut self.touched);
        let mut touched = touched.into_values().filter(|partition| !partition.is_gone());
        loop {
            let together = touched.by_ref().take(SYNCED_TOGETHER);
            let written: Vec<_> = together.map(|partition| (self.write(&partition), partition)).collect();
            if written.is_empty() {
                break;
            }
            if written.len() >= SYNC_ALL_PARTITIONS {
                self.sync_ahead();
            }
            for (mark, partition) in written {
                self.record(mark, partition);
            }
        }
        self.store(lsn);
    }

    /// Syncs a partition that was written, for the checkpoint that is stored next.
    fn record(&mut self, mark: Mark, partition: Arc<Partition>) {
        if partition.is_gone() {
            return;
        }
        let key = partition.key();
        let (record, more_to_come) = self.sync(&partition, mark);
        if more_to_come {
            self.touched.insert(key, Arc::clone(&partition));
            self.checkpoint_due = Some(Instant::now() + self.config.checkpoint_interval);
        } else {
            self.unflushed.remove(&key);
        }
        self.unstored.insert(key, Arc::clone(&partition));
        self.cached.insert(key, partition);
        self.recorded.insert(key, record);
    }

    /// The last checkpoint of a run: first room for what is queued, then everything.
    fn last_checkpoint(&mut self) {
        self.checkpoint();
        self.wait_published(self.partitions.wal().next_lsn());
        self.checkpoint();
    }

    /// Waits until every entry below `upto` is durable and its partition knows.
    fn wait_published(&self, upto: Lsn) {
        let Some(last) = upto.0.checked_sub(1) else { return };
        if let Err(stopped) = self.partitions.wal().wait_durable(Lsn(last)) {
            self.fatal("cannot take the last checkpoint", &stopped);
        }
        // The partitions are told right after the group is durable, on the WAL's thread.
        let deadline = Instant::now() + PUBLISH_TIMEOUT;
        while self.partitions.published() < upto && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether a checkpoint is due by size: what a start replays stays small, and the WAL is never short of files.
    fn wal_is_filling(&self) -> bool {
        let stats = self.partitions.wal().stats();
        stats.retained_bytes > self.config.replay_bytes.min(stats.file_bytes_max / 2)
    }

    /// Syncs the file system once, so that the sync of each file that follows does not write and wait for its own.
    fn sync_ahead(&self) {
        if let Err(error) = self.partitions.disk().sync_all(self.partitions.data_dir()) {
            self.fatal("cannot sync the segments", &error);
        }
    }

    /// Makes the segments hold all that is durable; returns what the checkpoint says of the partition.
    fn write(&self, partition: &Partition) -> Mark {
        let mark = partition.mark();
        self.flush_one(partition, mark.durable_end);
        mark
    }

    /// The record of a partition that was written, once that is durable, and whether the next checkpoint is to look again.
    fn sync(&self, partition: &Partition, mut mark: Mark) -> (PartitionCheckpoint, bool) {
        let log = loop {
            let log = match partition.log().sync() {
                Ok(log) => log,
                Err(error) => self.fatal("cannot sync a segment", &error),
            };
            // After a cut the windows of the mark know batches that the files do not hold.
            if partition.cuts() == mark.cuts {
                break log;
            }
            mark = self.write(partition);
        };
        let record = PartitionCheckpoint {
            key: partition.key(),
            local: partition.local(),
            log,
            high_watermark: mark.high_watermark,
            producers: mark.producers,
        };
        (record, mark.more_to_come)
    }

    fn store(&mut self, lsn: Lsn) {
        let checkpoint = CheckpointView {
            lsn,
            next_local: self.partitions.next_local(),
            // One that is to be removed may have been forgotten below the position: it must not come back.
            partitions: self.recorded.values().filter(|recorded| !self.partitions.is_doomed(recorded.key)),
        };
        match checkpoint.store(self.partitions.disk().as_ref(), self.partitions.data_dir()) {
            Ok(()) => {
                self.partitions.wal().trim(lsn);
                for partition in std::mem::take(&mut self.unstored).values() {
                    partition.log().checkpoint_stored();
                }
                self.queue.count_checkpoint();
            }
            // The old checkpoint is still whole and the WAL still holds what it needs: try again later.
            Err(error) => {
                tracing::warn!(%error, "cannot store the checkpoint; the write-ahead log is kept");
                self.checkpoint_due = Some(Instant::now() + self.config.checkpoint_interval);
            }
        }
    }
}
