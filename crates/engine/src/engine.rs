//! The engine: what a broker owns while it runs, and in which order it starts and stops.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eddy_core::ProducerLimits;
use eddy_disk::Disk;
use eddy_log::{FileCache, TailBudget};
use eddy_metadata::controller::{self, ProducerIdsExhausted};
use eddy_metadata::{Image, Record};
use eddy_quorum::{Applied, ChangeError, Quorum, QuorumConfig};
use eddy_types::{BrokerId, Clock, LocalPartition, Millis, Offset, ProducerId};
use eddy_wal::{Entry, Lsn, Pressure, ReplayError, Room, Sink, Wal, WalConfig, WalError};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::budget::MemoryBudget;
use crate::checkpoint::Checkpoint;
use crate::cleaner::{self, CleanerState, CleanerStatus};
use crate::error::{AppendError, DeleteRecordsError, PartitionError, StartError};
use crate::fatal::OnFatal;
use crate::flush_queue::FlushQueue;
use crate::flusher::{FlushConfig, Flusher};
use crate::housekeeping::{self, HousekeepingConfig};
use crate::isr::{IsrProposals, ReplicationStatus};
use crate::lease::Lease;
use crate::partition::{Followed, Milestones, Partition, PartitionKey, Shared};
use crate::partitions::{Held, Partitions};
use crate::recovery::Replay;
use crate::role_changes::{RoleChanges, RoleFeed};
use crate::storage::Storage;

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

/// Metadata reaches the partitions through this, and whoever looks at images; before the registry exists there is nobody
/// to tell.
struct MetadataFollower {
    partitions: std::sync::OnceLock<Arc<Partitions>>,
    images: watch::Sender<u64>,
}

impl Applied for MetadataFollower {
    fn applied(&self, records: &[Record], image: &Arc<Image>) {
        if let Some(partitions) = self.partitions.get() {
            partitions.applied(records, image);
        }
        self.images.send_replace(image.version());
    }
}

/// Durable groups reach the partitions through this. The WAL starts first, the registry needs its handle.
struct DurableFollower {
    partitions: std::sync::OnceLock<Arc<Partitions>>,
    on_fatal: OnFatal,
}

impl Sink for DurableFollower {
    fn durable(&self, ends: &[(LocalPartition, Offset)], upto: Lsn) {
        if let Some(partitions) = self.partitions.get() {
            partitions.durable(ends, upto);
        }
    }

    fn failed(&self, error: WalError) {
        (self.on_fatal)("the write-ahead log failed", &error)
    }
}

impl Engine {
    /// Starts: metadata first, then what the disk holds, then the threads that keep it. Blocking work runs on blocking threads.
    ///
    /// # Errors
    /// Damage, a failing disk, or metadata that cannot be read. Nothing was changed on disk in the case of damage.
    pub async fn start(
        config: EngineConfig,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Engine>, StartError> {
        let (images, image_version) = watch::channel(0);
        let metadata = Arc::new(MetadataFollower { partitions: std::sync::OnceLock::new(), images });
        let quorum = Quorum::start(config.quorum, Arc::clone(&metadata) as Arc<dyn Applied>).await?;
        let storage = Storage {
            files: Arc::new(FileCache::new(Arc::clone(&disk), config.open_files)),
            disk,
            data_dir: config.data_dir,
            tail: Arc::new(TailBudget::new(config.tail_bytes)),
            producer_limits: config.producer_limits,
            on_fatal: config.on_fatal,
        };
        let opening = Opening {
            me: config.me,
            clock: Arc::clone(&clock),
            storage,
            image: quorum.image(),
            wal: config.wal,
            flush: config.flush,
        };
        let me = config.me;
        let Opened { wal, partitions, flusher } = tokio::task::spawn_blocking(move || open_storage(opening))
            .await
            .map_err(|panic| StartError::Disk(std::io::Error::other(panic)))??;
        let _ = metadata.partitions.set(Arc::clone(&partitions));
        // What was applied between the image that was opened with and this moment.
        partitions.applied(&[], &quorum.image());
        let engine = Arc::new(Engine {
            me,
            clock,
            quorum,
            image_version,
            wal,
            partitions,
            flusher,
            requests: MemoryBudget::new(config.request_bytes),
            backpressure_max_wait: config.backpressure_max_wait,
            disk_space: Arc::new(DiskSpace::default()),
            producer_ids: tokio::sync::Mutex::new(0..0),
            backpressure: Backpressure::default(),
            cleaner: CleanerState::default(),
            tasks: Mutex::default(),
            stopping: watch::Sender::new(false),
        });
        let mut tasks = housekeeping::start(&engine, config.housekeeping);
        tasks.push(cleaner::start(&engine));
        *engine.tasks.lock() = tasks;
        Ok(engine)
    }

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

    /// The wall clock.
    pub fn now(&self) -> Millis {
        self.clock.now()
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

    /// The partition, if this broker leads it.
    ///
    /// # Errors
    /// Unknown, led elsewhere, or offline.
    pub async fn partition(
        &self,
        image: &Image,
        key: PartitionKey,
    ) -> Result<Arc<Partition>, PartitionError> {
        if let Some(open) = self.partitions.get_open(key).filter(|open| open.is_leading()) {
            return Ok(open);
        }
        let state = state_of(image, key)?;
        if state.leader != Some(self.me) {
            return Err(not_leader(state));
        }
        let partition = self.partitions.get(image, key).await?;
        if partition.is_leading() {
            return Ok(partition);
        }
        let (leader, epoch) = partition.leader();
        Err(PartitionError::NotLeader { leader, epoch })
    }

    /// The partition, if this broker holds a replica of it, whatever its role.
    ///
    /// # Errors
    /// Unknown, held elsewhere only, or offline.
    pub async fn replica(&self, image: &Image, key: PartitionKey) -> Result<Arc<Partition>, PartitionError> {
        if let Some(open) = self.partitions.get_open(key) {
            return Ok(open);
        }
        let state = state_of(image, key)?;
        if !state.replicas.contains(&self.me) {
            return Err(not_leader(state));
        }
        self.partitions.get(image, key).await
    }

    /// Subscribes to the partitions whose leader, leader epoch or replicas change; all that are held here are listed first.
    pub fn role_changes(&self) -> RoleChanges {
        self.partitions.role_changes()
    }

    /// The ISR changes that leaders here want of the controller.
    pub fn isr_proposals(&self) -> &Arc<IsrProposals> {
        self.partitions.isr_proposals()
    }

    /// How the replicas stand that this broker holds. Linear in all partitions of the cluster.
    pub fn replication(&self) -> ReplicationStatus {
        ReplicationStatus::of(&self.image(), self.me, self.isr_proposals())
    }

    /// This broker's right to lead.
    pub fn lease(&self) -> &Arc<Lease> {
        self.partitions.lease()
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

    /// Moves the log start of a partition and waits until that is on disk and all in-sync replicas have followed, at most
    /// until `deadline`; -1 means the high watermark.
    ///
    /// # Errors
    /// The offset is negative or above the high watermark, this broker does not lead, or the time is over.
    pub async fn delete_records(
        &self,
        partition: &Arc<Partition>,
        before: Offset,
        deadline: Instant,
    ) -> Result<Offset, DeleteRecordsError> {
        let (start, lsn) = partition.delete_records(before)?;
        if self.wal.until_durable(lsn).await.is_err() {
            // The process is about to end: the files stay as they are.
            return Ok(start);
        }
        let partition = Arc::clone(partition);
        // The answer does not depend on the files below: whether they went shows at the next retention check.
        let this = Arc::clone(&partition);
        let wal = self.wal.clone();
        let _ = tokio::task::spawn_blocking(move || housekeeping::remove_below_start(&wal, &this)).await;
        let everywhere = housekeeping::until_low_watermark(&partition, start);
        match tokio::time::timeout_at(deadline, everywhere).await {
            Ok(reached) => reached.map(|()| start),
            Err(_) => Err(DeleteRecordsError::TimedOut { start }),
        }
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

fn state_of(image: &Image, key: PartitionKey) -> Result<&eddy_metadata::Partition, PartitionError> {
    let topic = image.topic_by_id(key.topic).ok_or(PartitionError::Unknown)?;
    let index = usize::try_from(key.index).map_err(|_| PartitionError::Unknown)?;
    topic.partitions.get(index).ok_or(PartitionError::Unknown)
}

fn not_leader(state: &eddy_metadata::Partition) -> PartitionError {
    PartitionError::NotLeader { leader: state.leader.unwrap_or(BrokerId::NONE), epoch: state.leader_epoch }
}

/// What the blocking part of the start needs.
struct Opening {
    me: BrokerId,
    clock: Arc<dyn Clock>,
    storage: Storage,
    image: Arc<Image>,
    wal: WalConfig,
    flush: FlushConfig,
}

struct Opened {
    wal: Wal,
    partitions: Arc<Partitions>,
    flusher: Flusher,
}

fn open_storage(opening: Opening) -> Result<Opened, StartError> {
    let Opening { me, clock, storage, image, wal, flush } = opening;
    let checkpoint = Checkpoint::load(storage.disk.as_ref(), &storage.data_dir)?;
    storage.disk.create_dir_all(&storage.partitions_dir())?;
    storage.disk.sync_dir(&storage.data_dir)?;
    housekeeping::remove_leftovers(&storage, &image, me);
    let mut replay = Replay::new(&storage, me, Arc::clone(&image), &checkpoint, clock.now());
    let mut failed = None;
    let mut apply = |_at: Lsn, entry: Entry| {
        replay.entry(entry).map_err(|error| {
            let reason = ReplayError::from(error.to_string());
            failed = Some(error);
            reason
        })
    };
    let wal_dir = storage.data_dir.join("wal");
    let recovered = Wal::recover(Arc::clone(&storage.disk), &wal_dir, wal, checkpoint.lsn, &mut apply);
    if let Some(error) = failed {
        return Err(error);
    }
    let recovered = recovered?;
    let outcome = replay.finish()?;
    let replayed = recovered.replayed() > 0;
    let on_fatal = storage.on_fatal;
    let durable = Arc::new(DurableFollower { partitions: std::sync::OnceLock::new(), on_fatal });
    let wal = recovered.start(Arc::clone(&durable) as Arc<dyn Sink>)?;
    let shared = Shared {
        me,
        wal: wal.clone(),
        flush_queue: Arc::default(),
        lease: Arc::new(Lease::for_ever()),
        isr: Arc::default(),
        roles: Arc::new(RoleFeed::default()),
        milestones: Milestones::default(),
        followed: Followed::default(),
        producer_limits: storage.producer_limits,
    };
    let mut recorded = checkpoint.partitions;
    recorded.retain(|recorded| {
        let partition = image.partition(recorded.key.topic, recorded.key.index);
        partition.is_some_and(|partition| partition.replicas.contains(&me))
            && !outcome.forgotten.contains(&recorded.key)
    });
    let held = Held {
        image: &image,
        recorded: &recorded,
        replayed: outcome.replayed,
        next_local: outcome.next_local,
    };
    let partitions = Arc::new(Partitions::new(clock, storage, shared, held));
    let _ = durable.partitions.set(Arc::clone(&partitions));
    for (topic, removed) in image.removed_topics() {
        if removed.brokers.contains(&me) {
            partitions.flush_queue().topic_reclaimed(topic);
        }
    }
    let moved: Vec<PartitionKey> =
        image.removed_replicas_of(me).map(|(topic, index)| PartitionKey { topic, index }).collect();
    if !moved.is_empty() {
        partitions.flush_queue().replicas_reclaimed(moved.into_iter());
    }
    let flusher = Flusher::start(Arc::clone(&partitions), recorded, replayed, flush)?;
    Ok(Opened { wal, partitions, flusher })
}
