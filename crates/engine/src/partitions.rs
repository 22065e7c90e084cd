//! The partitions this broker holds: known from the metadata image at once, opened when first used.
//!
//! Ten thousand partitions cost a map entry each at start. A partition's files are opened by the first request that names
//! it, or by recovery when the write-ahead log still has batches for it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use ahash::AHashMap;
use eddy_core::{PartitionChange, ProducerLimits, ProducerSnapshot, ProducerWindows};
use eddy_disk::Disk;
use eddy_log::{FileCache, Log, LogCheckpoint, LogError, TailBudget};
use eddy_metadata::{Image, Record, Topic};
use eddy_types::{BrokerId, Clock, LocalPartition, Millis, Offset, TopicId};
use eddy_wal::{Lsn, Wal};
use parking_lot::{Mutex, RwLock};

use crate::checkpoint::PartitionCheckpoint;
use crate::error::PartitionError;
use crate::fatal::OnFatal;
use crate::flush_queue::{Doomed, FlushQueue};
use crate::log_config::log_config;
use crate::partition::{LeaderSetup, Opening, Partition, PartitionKey, lone_leader};

/// `replica.lag.time.max.ms`; without followers nobody can lag.
const REPLICA_LAG_MAX: Millis = Millis(30_000);

/// What all logs of a data directory share.
#[derive(Clone)]
pub(crate) struct Storage {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) data_dir: PathBuf,
    pub(crate) tail: Arc<TailBudget>,
    pub(crate) producer_limits: ProducerLimits,
    pub(crate) on_fatal: OnFatal,
    pub(crate) files: Arc<FileCache>,
}

impl Storage {
    /// Directory of a partition, named by topic id: what a client calls a topic never becomes a path.
    pub(crate) fn partition_dir(&self, key: PartitionKey) -> PathBuf {
        self.partitions_dir().join(key.to_string())
    }

    pub(crate) fn partitions_dir(&self) -> PathBuf {
        self.data_dir.join("partitions")
    }

    /// Opens a partition's log where the checkpoint says it stood; [`serve_log`] comes before the first read. A partition that
    /// the checkpoint does not name began after it: the WAL holds all of it.
    pub(crate) fn open_log(
        &self,
        key: PartitionKey,
        topic: &Topic,
        at: Option<&LogCheckpoint>,
    ) -> Result<Log, LogError> {
        Log::open(
            Arc::clone(&self.files),
            self.partition_dir(key),
            Arc::new(log_config(&topic.config)),
            Arc::clone(&self.tail),
            Some(at.unwrap_or(&LogCheckpoint::default())),
        )
    }
}

/// Ends the replay of a log: from here on it may be read, and what its files lack is known.
pub(crate) fn serve_log(log: &Log) -> Result<(), OpenError> {
    log.finish_replay()?;
    match log.missing() {
        None => Ok(()),
        Some(lost) => Err(OpenError::Missing { dir: log.dir().to_owned(), lost }),
    }
}

/// Why a partition's log cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed, or a file is damaged.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Files hold less than was made durable: what is left is kept as it is.
    #[error("offsets {lost} are missing in {}; its files are left as they are", dir.display())]
    Missing {
        /// Directory of the log.
        dir: PathBuf,
        /// What is not there.
        lost: eddy_types::OffsetRange,
    },
    /// The write-ahead log goes on behind the end of the log.
    #[error("the log ends at {end}, the write-ahead log goes on at {next}")]
    Gap {
        /// End of the log.
        end: Offset,
        /// First offset of the entry that comes next.
        next: Offset,
    },
}

impl Storage {
    /// Removes the files of a deleted partition.
    pub(crate) fn remove_partition(
        &self,
        key: PartitionKey,
        open: Option<&Partition>,
    ) -> Result<(), LogError> {
        if let Some(partition) = open {
            partition.log().destroy()?;
        }
        let dir = self.partition_dir(key);
        self.disk.remove_dir_all(&dir).map_err(|source| LogError::Io { action: "remove", path: dir, source })
    }
}

/// The registry of partitions.
pub struct Partitions {
    me: BrokerId,
    clock: Arc<dyn Clock>,
    storage: Storage,
    wal: Wal,
    flush_queue: Arc<FlushQueue>,
    topics: RwLock<AHashMap<TopicId, Arc<TopicPartitions>>>,
    by_local: RwLock<AHashMap<LocalPartition, Arc<Partition>>>,
    next_local: AtomicU32,
    /// Every entry of the write-ahead log below is durable, and its partition knows.
    published: AtomicU64,
}

/// The partitions of one topic, by index.
struct TopicPartitions {
    slots: Vec<Arc<Slot>>,
}

/// A partition that may not be open yet.
struct Slot {
    key: PartitionKey,
    opened: OnceLock<Result<Arc<Partition>, String>>,
    opening: Mutex<Option<Seed>>,
}

/// What an earlier run left of a partition.
struct Seed {
    local: LocalPartition,
    log: LogCheckpoint,
    producers: Vec<ProducerSnapshot>,
}

/// A partition that recovery has opened and replayed.
pub(crate) struct Replayed {
    pub(crate) key: PartitionKey,
    pub(crate) local: LocalPartition,
    pub(crate) log: Log,
    pub(crate) producers: ProducerWindows,
}

impl Partitions {
    pub(crate) fn new(
        me: BrokerId,
        clock: Arc<dyn Clock>,
        storage: Storage,
        wal: Wal,
        flush_queue: Arc<FlushQueue>,
        next_local: u32,
    ) -> Partitions {
        // What was replayed is durable; what is queued from now on is not yet.
        let published = wal.durable_lsn();
        Partitions {
            me,
            clock,
            storage,
            wal,
            flush_queue,
            topics: RwLock::default(),
            by_local: RwLock::default(),
            next_local: AtomicU32::new(next_local),
            published: AtomicU64::new(published.0),
        }
    }

    /// Fills the registry at start: every partition of the image, with what the checkpoint and the replay know of it.
    pub(crate) fn load(&self, image: &Image, recorded: &[PartitionCheckpoint], replayed: Vec<Replayed>) {
        let mut seeds: AHashMap<PartitionKey, Seed> = recorded
            .iter()
            .map(|p| (p.key, Seed { local: p.local, log: p.log.clone(), producers: p.producers.clone() }))
            .collect();
        for topic in image.topics() {
            self.add_topic(topic, &mut seeds);
        }
        for partition in replayed {
            if let (Some(topic), Some(slot)) =
                (image.topic_by_id(partition.key.topic), self.slot(partition.key))
            {
                let opened = self.lead(topic, partition);
                let _ = slot.opened.set(Ok(opened));
            }
        }
    }

    fn add_topic(&self, topic: &Topic, seeds: &mut AHashMap<PartitionKey, Seed>) {
        let slots = (0..).take(topic.partitions.len()).map(|index| {
            let key = PartitionKey { topic: topic.id, index };
            Arc::new(Slot { key, opened: OnceLock::new(), opening: Mutex::new(seeds.remove(&key)) })
        });
        self.topics.write().insert(topic.id, Arc::new(TopicPartitions { slots: slots.collect() }));
    }

    /// Follows the metadata: called in commit order with the records just applied. Touches no file.
    pub(crate) fn applied(&self, records: &[Record], image: &Image) {
        for record in records {
            match record {
                Record::TopicCreated { topic_id, .. } => {
                    if let Some(topic) = image.topic_by_id(*topic_id) {
                        self.add_topic(topic, &mut AHashMap::new());
                    }
                }
                Record::PartitionsAdded { topic_id, .. } => {
                    if let Some(topic) = image.topic_by_id(*topic_id) {
                        self.grow_topic(topic);
                    }
                }
                Record::TopicRemoved { topic_id } => self.remove_topic(*topic_id),
                Record::ConfigsSet { resource, .. } => self.configs_changed(resource, image),
                _ => {}
            }
        }
    }

    fn grow_topic(&self, topic: &Topic) {
        let mut topics = self.topics.write();
        let mut slots = topics.get(&topic.id).map(|known| known.slots.clone()).unwrap_or_default();
        for index in (0..).take(topic.partitions.len()).skip(slots.len()) {
            let key = PartitionKey { topic: topic.id, index };
            slots.push(Arc::new(Slot { key, opened: OnceLock::new(), opening: Mutex::new(None) }));
        }
        topics.insert(topic.id, Arc::new(TopicPartitions { slots }));
    }

    fn remove_topic(&self, id: TopicId) {
        let Some(removed) = self.topics.write().remove(&id) else { return };
        let partitions = removed.slots.iter().map(|slot| (slot.key, self.close(slot))).collect();
        self.flush_queue.destroy(Doomed { topic: id, partitions });
    }

    /// Closes a partition for good: nobody opens it afterwards.
    fn close(&self, slot: &Slot) -> Option<Arc<Partition>> {
        let mut opening = slot.opening.lock();
        *opening = None;
        let opened = slot.opened.get_or_init(|| Err("the topic was deleted".to_owned()));
        let partition = opened.as_ref().ok()?;
        partition.close();
        self.by_local.write().remove(&partition.local());
        Some(Arc::clone(partition))
    }

    fn configs_changed(&self, resource: &eddy_metadata::Resource, image: &Image) {
        match resource {
            eddy_metadata::Resource::Topic(id) => {
                if let Some(topic) = image.topic_by_id(*id) {
                    self.reconfigure(topic);
                }
            }
            // A broker default may show through any topic.
            _ => image.topics().for_each(|topic| self.reconfigure(topic)),
        }
    }

    fn reconfigure(&self, topic: &Topic) {
        let config = Arc::new(log_config(&topic.config));
        let known = self.topics.read().get(&topic.id).cloned();
        for slot in known.iter().flat_map(|known| &known.slots) {
            if let Some(Ok(partition)) = slot.opened.get() {
                partition.log().set_config(Arc::clone(&config));
                if let Some(change) = partition_change(topic, slot.key.index) {
                    partition.reconfigure(change);
                }
            }
        }
    }

    /// A partition of this broker, opened if need be: that reads files, on a thread that may block.
    ///
    /// # Errors
    /// Unknown partition, or one whose files are damaged.
    pub async fn get(
        self: &Arc<Self>,
        image: &Image,
        key: PartitionKey,
    ) -> Result<Arc<Partition>, PartitionError> {
        let slot = self.slot(key).ok_or(PartitionError::Unknown)?;
        if let Some(opened) = slot.opened.get() {
            return opened.clone().map_err(PartitionError::Offline);
        }
        let topic = Arc::clone(image.topic_by_id(key.topic).ok_or(PartitionError::Unknown)?);
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || this.open(&topic, &slot))
            .await
            .unwrap_or_else(|panic| Err(PartitionError::Offline(panic.to_string())))
    }

    /// The partition when it is open already.
    pub fn get_open(&self, key: PartitionKey) -> Option<Arc<Partition>> {
        self.slot(key)?.opened.get()?.as_ref().ok().cloned()
    }

    /// Like [`Partitions::get`], for threads that may block.
    pub(crate) fn get_blocking(
        &self,
        image: &Image,
        key: PartitionKey,
    ) -> Result<Arc<Partition>, PartitionError> {
        let slot = self.slot(key).ok_or(PartitionError::Unknown)?;
        let topic = image.topic_by_id(key.topic).ok_or(PartitionError::Unknown)?;
        self.open(topic, &slot)
    }

    fn slot(&self, key: PartitionKey) -> Option<Arc<Slot>> {
        let index = usize::try_from(key.index).ok()?;
        self.topics.read().get(&key.topic)?.slots.get(index).cloned()
    }

    fn open(&self, topic: &Topic, slot: &Slot) -> Result<Arc<Partition>, PartitionError> {
        let mut opening = slot.opening.lock();
        let opened = slot.opened.get_or_init(|| {
            let seed = opening.take();
            let at = seed.as_ref().map(|seed| &seed.log);
            let opened = self.storage.open_log(slot.key, topic, at).map_err(OpenError::from);
            let log = opened.and_then(|log| serve_log(&log).map(|()| log)).map_err(|error| {
                tracing::error!(topic = %topic.name, partition = slot.key.index, %error,
                    "ED-1203: partition offline: its log cannot be opened");
                error.to_string()
            })?;
            let local = seed.as_ref().map_or_else(|| self.new_local(), |seed| seed.local);
            let snapshots = seed.map(|seed| seed.producers).unwrap_or_default();
            let producers =
                ProducerWindows::restore(self.clock.now(), self.storage.producer_limits, snapshots);
            Ok(self.lead(topic, Replayed { key: slot.key, local, log, producers }))
        });
        opened.clone().map_err(PartitionError::Offline)
    }

    fn lead(&self, topic: &Topic, replayed: Replayed) -> Arc<Partition> {
        let Replayed { key, local, log, producers } = replayed;
        let known = usize::try_from(key.index).ok().and_then(|index| topic.partitions.get(index));
        let setup = LeaderSetup {
            epoch: known.map(|p| p.leader_epoch).unwrap_or_default(),
            partition_epoch: known.map(|p| p.partition_epoch).unwrap_or_default(),
            replicas: known.map_or_else(|| vec![self.me], |p| p.replicas.to_vec()),
            isr: known.map_or_else(|| vec![self.me], |p| p.isr.to_vec()),
            min_insync: min_insync(topic),
            replica_lag_max: REPLICA_LAG_MAX,
            producers,
        };
        let start = lone_leader(self.me, &log, setup);
        let opening = Opening { key, topic: Arc::clone(&topic.name), local, log, start };
        let partition = Partition::open(opening, self.wal.clone(), Arc::clone(&self.flush_queue));
        self.by_local.write().insert(local, Arc::clone(&partition));
        partition
    }

    fn new_local(&self) -> LocalPartition {
        LocalPartition(self.next_local.fetch_add(1, Ordering::Relaxed))
    }

    /// A group of the write-ahead log is durable: each of its partitions learns its new end. Called on the WAL's thread.
    pub(crate) fn durable(&self, ends: &[(LocalPartition, Offset)], upto: Lsn) {
        for (local, end) in ends {
            let partition = self.by_local.read().get(local).cloned();
            if let Some(partition) = partition {
                partition.durable(*end);
            }
        }
        self.published.store(upto.0, Ordering::Release);
    }

    /// Every entry of the write-ahead log below this is durable, and its partition knows.
    pub(crate) fn published(&self) -> Lsn {
        Lsn(self.published.load(Ordering::Acquire))
    }

    /// Every partition that is open.
    pub fn open_partitions(&self) -> Vec<Arc<Partition>> {
        self.by_local.read().values().cloned().collect()
    }

    /// Number of partitions of this broker, open or not.
    pub fn count(&self) -> usize {
        self.topics.read().values().map(|topic| topic.slots.len()).sum()
    }

    /// Keys of all partitions of this broker, open or not.
    pub(crate) fn keys(&self) -> Vec<PartitionKey> {
        self.topics.read().values().flat_map(|topic| topic.slots.iter().map(|slot| slot.key)).collect()
    }

    pub(crate) fn next_local(&self) -> u32 {
        self.next_local.load(Ordering::Relaxed)
    }

    pub(crate) fn flush_queue(&self) -> &Arc<FlushQueue> {
        &self.flush_queue
    }

    pub(crate) fn wal(&self) -> &Wal {
        &self.wal
    }

    pub(crate) fn tail_budget(&self) -> &TailBudget {
        &self.storage.tail
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.storage.disk
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.storage.data_dir
    }
}

fn partition_change(topic: &Topic, index: i32) -> Option<PartitionChange> {
    let state = topic.partitions.get(usize::try_from(index).ok()?)?;
    Some(PartitionChange {
        partition_epoch: state.partition_epoch,
        replicas: state.replicas.to_vec(),
        isr: state.isr.to_vec(),
        min_insync: min_insync(topic),
    })
}

fn min_insync(topic: &Topic) -> usize {
    usize::try_from(topic.config.min_insync_replicas).unwrap_or(1)
}
