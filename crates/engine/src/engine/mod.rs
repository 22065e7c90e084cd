//! The engine: what a broker owns while it runs, and in which order it starts and stops.

mod replicas;
mod start;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eddy_core::ProducerLimits;
use eddy_metadata::Image;
use eddy_metadata::controller::{self, ProducerIdsExhausted};
use eddy_quorum::{ChangeError, Quorum, QuorumConfig};
use eddy_types::{BrokerId, Clock, Millis, ProducerId};
use eddy_wal::{Pressure, Room, Wal, WalConfig};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::budget::MemoryBudget;
use crate::cleaner::{CleanerState, CleanerStatus};
use crate::error::AppendError;
use crate::fatal::OnFatal;
use crate::flush_queue::FlushQueue;
use crate::flusher::{FlushConfig, Flusher};
use crate::housekeeping::HousekeepingConfig;
use crate::partitions::Partitions;

/// How an engine runs. Every field has one source: the broker's configuration.
pub struct EngineConfig {
    /// Directory of everything this broker keeps.
    pub data_dir: PathBuf,
    /// This broker.
    pub me: BrokerId,
    /// The metadata group.
    pub quorum: QuorumConfig,
    /// The write-ahead log and its limits.
    pub wal: WalConfig,
    /// Bytes that the tail caches may hold.
    pub tail_bytes: usize,
    /// Bytes that requests may hold between socket and answer.
    pub request_bytes: usize,
    /// Idle producers: how long and how many are remembered.
    pub producer_limits: ProducerLimits,
    /// Segment files kept open at most.
    pub open_files: usize,
    /// How long a produce waits for room before it is refused (`backpressure.max.wait`).
    pub backpressure_max_wait: Duration,
    /// When batches go to segments.
    pub flush: FlushConfig,
    /// Retention, expiry and the watch over free space.
    pub housekeeping: HousekeepingConfig,
    /// What happens when log data cannot be written; [`fatal::abort`](crate::abort) outside of tests.
    pub on_fatal: OnFatal,
}

/// A running broker without its network.
pub struct Engine {
    me: BrokerId,
    clock: Arc<dyn Clock>,
    quorum: Quorum,
    image_version: watch::Receiver<u64>,
    wal: Wal,
    partitions: Arc<Partitions>,
    flusher: Flusher,
    requests: MemoryBudget,
    backpressure_max_wait: Duration,
    disk_space: Arc<DiskSpace>,
    producer_ids: tokio::sync::Mutex<std::ops::Range<i64>>,
    backpressure: Backpressure,
    cleaner: CleanerState,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    stopping: watch::Sender<bool>,
}

/// What back-pressure has cost so far.
#[derive(Debug, Default)]
pub struct Backpressure {
    /// Microseconds that produces waited for room.
    pub delayed_micros: AtomicU64,
    /// Produces refused because there was no room in time, or no disk space.
    pub rejected: AtomicU64,
}

/// Room on the file system of the data directory, looked at once a second.
#[derive(Debug, Default)]
pub struct DiskSpace {
    /// Bytes free at the last look.
    pub free: AtomicU64,
    /// Size of the file system.
    pub total: AtomicU64,
    /// Bytes below which writes are refused.
    pub reserve: AtomicU64,
    /// Whether writes are refused at the moment.
    pub protect: AtomicBool,
}

impl Engine {
    /// Stops: no more housekeeping, everything flushed and recorded, so that the next start replays nothing.
    pub async fn stop(self: &Arc<Self>) {
        self.stopping.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            // Housekeeping ends at its next pause; a panic there was reported by its hook.
            let _ = task.await;
        }
        let this = Arc::clone(self);
        let _ = tokio::task::spawn_blocking(move || {
            this.flusher.stop();
            this.wal.clone().close();
        })
        .await;
        self.quorum.shutdown().await;
    }

    /// This broker's id.
    pub fn me(&self) -> BrokerId {
        self.me
    }

    /// The time of day: for timestamps of records and what is compared with them.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// The broker's clocks.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The cluster's metadata as of now.
    pub fn image(&self) -> Arc<Image> {
        self.quorum.image()
    }

    /// Version of the newest image whose partitions exist here: changes after each change of the metadata.
    pub fn image_version(&self) -> watch::Receiver<u64> {
        self.image_version.clone()
    }

    /// The metadata group.
    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// The registry of partitions.
    pub fn partitions(&self) -> &Arc<Partitions> {
        &self.partitions
    }

    /// Directory of everything this broker keeps.
    pub fn data_dir(&self) -> &std::path::Path {
        self.partitions.data_dir()
    }

    /// The write-ahead log.
    pub fn wal(&self) -> &Wal {
        &self.wal
    }

    /// Memory of requests in flight.
    pub fn request_budget(&self) -> &MemoryBudget {
        &self.requests
    }

    /// Free space of the data directory.
    pub fn disk_space(&self) -> &Arc<DiskSpace> {
        &self.disk_space
    }

    /// What back-pressure has cost so far.
    pub fn backpressure(&self) -> &Backpressure {
        &self.backpressure
    }

    /// Pressure of the write-ahead log.
    pub fn pressure(&self) -> watch::Receiver<Pressure> {
        self.wal.pressure()
    }

    /// Bytes in the tail caches, and their limit.
    pub fn tail_bytes(&self) -> (usize, usize) {
        let tail = self.partitions.tail_budget();
        (tail.used(), tail.limit())
    }

    /// Checkpoints taken, and bytes written to segments, since the start.
    pub fn flush_counters(&self) -> (u64, u64) {
        self.partitions.flush_queue().counters()
    }

    /// What compaction has done since the start, and what it cannot do.
    pub fn cleaner_status(&self) -> CleanerStatus {
        self.cleaner.status()
    }

    pub(crate) fn cleaner(&self) -> &CleanerState {
        &self.cleaner
    }

    /// Becomes true when the engine stops.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    pub(crate) fn flush_queue(&self) -> &Arc<FlushQueue> {
        self.partitions.flush_queue()
    }

    /// Runs `append`, which appends what was admitted; while nobody else appends, that is on disk when this returns, and is
    /// acknowledged as far as that depends on this broker. For who has nothing more to append meanwhile
    /// ([`Wal::commit_in_place`]).
    pub fn commit_in_place<R>(&self, append: impl FnOnce() -> R) -> R {
        self.wal.commit_in_place(append)
    }

    /// Waits for room for `batches` batches of `bytes` in all, at most until `deadline` and `backpressure.max.wait`.
    ///
    /// # Errors
    /// No room in time, or the disk is full: nothing may be appended.
    pub async fn admit(&self, batches: u32, bytes: usize, deadline: Instant) -> Result<Room, AppendError> {
        if self.disk_space.protect.load(Ordering::Relaxed) {
            self.backpressure.rejected.fetch_add(1, Ordering::Relaxed);
            return Err(AppendError::DiskFull {
                free: self.disk_space.free.load(Ordering::Relaxed),
                reserve: self.disk_space.reserve.load(Ordering::Relaxed),
            });
        }
        let at_once = self.tail_has_room().then(|| self.wal.try_admit(batches, bytes)).flatten();
        if let Some(room) = at_once {
            return Ok(room);
        }
        let begin = Instant::now();
        let deadline = deadline.min(begin + self.backpressure_max_wait);
        let room = self.wait_for_room(batches, bytes, deadline).await;
        let waited = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.backpressure.delayed_micros.fetch_add(waited, Ordering::Relaxed);
        room.map_err(|cause| {
            self.backpressure.rejected.fetch_add(1, Ordering::Relaxed);
            let stats = self.wal.stats();
            let (queued, limit) = (stats.queue_batches, stats.limits.queue_depth);
            AppendError::Full { cause, queued, limit }
        })
    }

    async fn wait_for_room(&self, batches: u32, bytes: usize, deadline: Instant) -> Result<Room, String> {
        while !self.tail_has_room() {
            let evicted = self.flush_queue().wait_evicted();
            self.flush_queue().press();
            if tokio::time::timeout_at(deadline, evicted).await.is_err() {
                return Err("its caches wait to be flushed to segments".to_owned());
            }
        }
        self.wal.admit(batches, bytes, deadline).await.map_err(|full| full.cause.to_string())
    }

    /// The caches may exceed their limit by one request each connection, or one larger than the limit would wait for ever.
    fn tail_has_room(&self) -> bool {
        let tail = self.partitions.tail_budget();
        tail.used() < tail.limit()
    }

    /// A producer id nobody has had and nobody will have again.
    ///
    /// # Errors
    /// The metadata group did not commit a new block of ids.
    pub async fn new_producer_id(&self) -> Result<ProducerId, ChangeError<ProducerIdsExhausted>> {
        let mut block = self.producer_ids.lock().await;
        if block.is_empty() {
            let allocate = |image: &Image| controller::allocate_producer_ids(image, self.me);
            let ids = self.quorum.change(allocate).await?;
            *block = ids.first.0..ids.first.0 + ids.count;
        }
        let id = block.start;
        block.start += 1;
        Ok(ProducerId(id))
    }
}
