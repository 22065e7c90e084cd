//! The replicas this broker holds: known from the metadata image at once, opened when first used.
//!
//! Ten thousand partitions cost a map entry each at start. A partition's files are opened by the first request that names
//! it, or by recovery when the write-ahead log still has batches for it.

mod applied;
mod slot;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use ahash::{AHashMap, AHashSet};
use arc_swap::ArcSwap;
use eddy_core::{ProducerSnapshot, ProducerWindows};
use eddy_disk::Disk;
use eddy_log::{LogCheckpoint, TailBudget};
use eddy_metadata::Image;
use eddy_types::{BrokerId, LeaderEpoch, LocalPartition, Offset, TopicId};
use eddy_wal::{Lsn, Wal};
use parking_lot::{Condvar, Mutex, RwLock};

use crate::checkpoint::PartitionCheckpoint;
use crate::flush_queue::FlushQueue;
use crate::isr::IsrProposals;
use crate::lease::Lease;
use crate::partition::{FollowerLag, Partition, PartitionKey, SafePoints, Shared};
use crate::role_changes::RoleChanges;
use crate::storage::Storage;

/// The registry of replicas.
pub struct Partitions {
    storage: Storage,
    shared: Arc<Shared>,
    /// The newest image that was followed.
    image: ArcSwap<Image>,
    topics: RwLock<AHashMap<TopicId, Arc<TopicPartitions>>>,
    by_local: RwLock<AHashMap<LocalPartition, Arc<Partition>>>,
    next_local: AtomicU32,
    /// Every entry of the write-ahead log below is durable, and its partition knows.
    published: AtomicU64,
    /// Leaderships of this broker's former life over partitions that others hold too. In these epochs it may have sent what
    /// its crash has lost: whoever goes on in them gives offsets twice.
    former: AHashMap<PartitionKey, LeaderEpoch>,
    /// Partitions that were seen to get a leader from outside ISR and ELR, and in which epoch.
    unclean: Mutex<AHashMap<PartitionKey, LeaderEpoch>>,
    /// Replicas whose files are to be removed.
    doomed: Mutex<AHashSet<PartitionKey>>,
    removed: Condvar,
    /// Held while an image is followed: one at a time, in order.
    following: Mutex<()>,
}

/// The partitions of one topic, by index; `None` where this broker holds no replica.
#[derive(Default)]
struct TopicPartitions {
    slots: Vec<Option<Arc<Slot>>>,
}

/// A replica that may not be open yet.
struct Slot {
    key: PartitionKey,
    opened: OnceLock<Result<Arc<Partition>, String>>,
    opening: Mutex<Option<Seed>>,
}

/// What an earlier run left of a partition.
struct Seed {
    local: LocalPartition,
    log: LogCheckpoint,
    high_watermark: Offset,
    producers: Arc<[ProducerSnapshot]>,
}

/// A partition that recovery has opened and replayed.
pub(crate) struct Replayed {
    pub(crate) key: PartitionKey,
    pub(crate) local: LocalPartition,
    pub(crate) log: eddy_log::Log,
    pub(crate) high_watermark: Offset,
    pub(crate) producers: ProducerWindows,
    pub(crate) safe_points: SafePoints,
}

/// What the registry starts from.
pub(crate) struct Held<'a> {
    pub(crate) image: &'a Arc<Image>,
    pub(crate) recorded: &'a [PartitionCheckpoint],
    pub(crate) replayed: Vec<Replayed>,
    pub(crate) next_local: u32,
}

impl Partitions {
    /// The registry at start: every replica of the image, with what the checkpoint and the replay know of it.
    pub(crate) fn new(storage: Storage, shared: Shared, held: Held<'_>) -> Partitions {
        let Held { image, recorded, replayed, next_local } = held;
        // What was replayed is durable; what is queued from now on is not yet.
        let published = shared.wal.durable_lsn();
        let partitions = Partitions {
            storage,
            former: applied::former_leaderships(image, shared.me),
            shared: Arc::new(shared),
            image: ArcSwap::from(Arc::clone(image)),
            topics: RwLock::default(),
            by_local: RwLock::default(),
            next_local: AtomicU32::new(next_local),
            published: AtomicU64::new(published.0),
            unclean: Mutex::default(),
            doomed: Mutex::default(),
            removed: Condvar::new(),
            following: Mutex::new(()),
        };
        let mut seeds: AHashMap<PartitionKey, Seed> = recorded.iter().map(|p| (p.key, Seed::of(p))).collect();
        for topic in image.topics() {
            partitions.hold(topic, &mut seeds);
        }
        for replayed in replayed {
            if let (Some(topic), Some(slot)) =
                (image.topic_by_id(replayed.key.topic), partitions.slot(replayed.key))
            {
                let opened = partitions.begin(topic, replayed);
                let _ = slot.opened.set(Ok(opened));
            }
        }
        partitions
    }

    /// A group of the write-ahead log is durable: each of its partitions learns its new end. Called on the WAL's thread.
    pub(crate) fn durable(&self, ends: &[(LocalPartition, Offset)], upto: Lsn) {
        // Cuts come before the position: see `partition/cut.rs`.
        self.shared.milestones.durable(upto);
        for (local, end) in ends {
            let partition = self.by_local.read().get(local).cloned();
            if let Some(partition) = partition {
                partition.durable(*end);
            }
        }
        self.shared.durable_news.tell();
        self.published.store(upto.0, Ordering::Release);
    }

    /// Every entry of the write-ahead log below this is durable, and its partition knows.
    pub(crate) fn published(&self) -> Lsn {
        Lsn(self.published.load(Ordering::Acquire))
    }

    /// Every replica that is open.
    pub fn open_partitions(&self) -> Vec<Arc<Partition>> {
        self.by_local.read().values().cloned().collect()
    }

    /// Partitions that this broker leads and others follow.
    pub(crate) fn followed(&self) -> Vec<Arc<Partition>> {
        self.shared.followed.all()
    }

    /// What each follower lacks of the open partitions that this broker leads.
    pub fn follower_lags(&self) -> BTreeMap<BrokerId, FollowerLag> {
        self.shared.followed.lags()
    }

    /// Number of replicas of this broker, open or not.
    pub fn count(&self) -> usize {
        self.topics.read().values().map(|topic| topic.slots.iter().flatten().count()).sum()
    }

    /// Keys of all replicas of this broker, open or not.
    pub fn keys(&self) -> Vec<PartitionKey> {
        let topics = self.topics.read();
        topics.values().flat_map(|topic| topic.slots.iter().flatten().map(|slot| slot.key)).collect()
    }

    pub(crate) fn role_changes(&self) -> RoleChanges {
        self.shared.roles.subscribe(|| self.keys())
    }

    pub(crate) fn lease(&self) -> &Arc<Lease> {
        &self.shared.lease
    }

    pub(crate) fn isr_proposals(&self) -> &Arc<IsrProposals> {
        &self.shared.isr
    }

    pub(crate) fn next_local(&self) -> u32 {
        self.next_local.load(Ordering::Relaxed)
    }

    pub(crate) fn flush_queue(&self) -> &Arc<FlushQueue> {
        &self.shared.flush_queue
    }

    pub(crate) fn wal(&self) -> &Wal {
        &self.shared.wal
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

/// Keys, each once.
type Keys = BTreeSet<PartitionKey>;
