//! The start: metadata first, then what the disk holds, then the threads that keep it.

use std::sync::Arc;

use eddy_disk::Disk;
use eddy_log::{FileCache, TailBudget};
use eddy_metadata::{Image, Record};
use eddy_quorum::{Applied, Quorum};
use eddy_types::{BrokerId, Clock, LocalPartition, Offset};
use eddy_wal::{Entry, Lsn, ReplayError, Sink, Wal, WalConfig, WalError};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Backpressure, DiskSpace, Engine, EngineConfig};
use crate::budget::MemoryBudget;
use crate::checkpoint::Checkpoint;
use crate::cleaner::{self, CleanerState};
use crate::error::StartError;
use crate::fatal::OnFatal;
use crate::flusher::{FlushConfig, Flusher};
use crate::housekeeping;
use crate::lease::Lease;
use crate::partition::{Followed, Milestones, PartitionKey, Shared};
use crate::partitions::{Held, Partitions};
use crate::recovery::Replay;
use crate::replica_watch::DurableNews;
use crate::role_changes::RoleFeed;
use crate::storage::Storage;

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
    let mut replay = Replay::new(&storage, me, Arc::clone(&image), &checkpoint, clock.steady());
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
        clock,
        wal: wal.clone(),
        flush_queue: Arc::default(),
        lease: Arc::new(Lease::for_ever()),
        isr: Arc::default(),
        roles: Arc::new(RoleFeed::default()),
        milestones: Milestones::default(),
        followed: Followed::default(),
        durable_news: DurableNews::default(),
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
    let partitions = Arc::new(Partitions::new(storage, shared, held));
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
