//! Replicas are opened when they are first used, and closed for good when they move away or their topic goes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eddy_core::ProducerWindows;
use eddy_log::LogCheckpoint;
use eddy_metadata::{Image, Topic};
use eddy_types::{LocalPartition, Offset};

use super::{Partitions, Replayed, Seed, Slot};
use crate::checkpoint::PartitionCheckpoint;
use crate::error::{AppendError, PartitionError};
use crate::flush_queue::{Doomed, Reason};
use crate::partition::{Opening, Partition, PartitionKey, SafePoints};
use crate::storage::{OpenError, serve_log};

/// How long opening a replica waits for the files of its former life to be removed.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);

impl Partitions {
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

    pub(super) fn slot(&self, key: PartitionKey) -> Option<Arc<Slot>> {
        let index = usize::try_from(key.index).ok()?;
        self.topics.read().get(&key.topic)?.slots.get(index)?.clone()
    }

    fn open(&self, topic: &Topic, slot: &Slot) -> Result<Arc<Partition>, PartitionError> {
        self.wait_removed(slot.key)?;
        let mut opening = slot.opening.lock();
        let is_first = slot.opened.get().is_none();
        let opened = slot.opened.get_or_init(|| {
            let seed = opening.take();
            let at = seed.as_ref().map(|seed| &seed.log);
            let opened = self.storage.open_log(slot.key, topic, at).map_err(OpenError::from);
            let log = opened.and_then(|log| serve_log(&log).map(|()| log)).map_err(|error| {
                tracing::error!(topic = %topic.name, partition = slot.key.index, %error,
                    "ED-1203: partition offline: its log cannot be opened");
                error.to_string()
            })?;
            let seed = seed.unwrap_or_else(|| Seed::empty(self.new_local()));
            let mut safe_points = SafePoints::default();
            safe_points.add(seed.log.flushed_end, Arc::clone(&seed.producers), seed.high_watermark);
            let producers = ProducerWindows::restore(
                self.shared.clock.steady(),
                self.storage.producer_limits,
                seed.producers.to_vec(),
            );
            let (key, local, high_watermark) = (slot.key, seed.local, seed.high_watermark);
            Ok(self.begin(topic, Replayed { key, local, log, high_watermark, producers, safe_points }))
        });
        drop(opening);
        if is_first && let Ok(partition) = opened {
            // The metadata may have moved on while the files were read; from here on it finds the partition itself.
            self.assign_newest(partition);
        }
        opened.clone().map_err(PartitionError::Offline)
    }

    /// Waits until the files of a former replica are gone, should this broker hold one again.
    fn wait_removed(&self, key: PartitionKey) -> Result<(), PartitionError> {
        let mut doomed = self.doomed.lock();
        let deadline = Instant::now() + REMOVAL_TIMEOUT;
        self.removed.wait_while_until(&mut doomed, |doomed| doomed.contains(&key), deadline);
        if doomed.contains(&key) {
            return Err(PartitionError::Offline("its former files are still being removed".to_owned()));
        }
        Ok(())
    }

    pub(super) fn begin(&self, topic: &Topic, replayed: Replayed) -> Arc<Partition> {
        let Replayed { key, local, log, high_watermark, producers, safe_points } = replayed;
        let topic = Arc::clone(&topic.name);
        let opening = Opening { key, topic, local, log, high_watermark, producers, safe_points };
        let partition = Partition::open(opening, Arc::clone(&self.shared));
        self.by_local.write().insert(local, Arc::clone(&partition));
        self.assign_newest(&partition);
        partition
    }

    fn new_local(&self) -> LocalPartition {
        LocalPartition(self.next_local.fetch_add(1, Ordering::Relaxed))
    }

    /// Closes a replica for good: nobody opens it afterwards.
    pub(super) fn close(&self, slot: &Slot, why: &AppendError) -> Option<Arc<Partition>> {
        let mut opening = slot.opening.lock();
        *opening = None;
        let opened = slot.opened.get_or_init(|| Err(why.to_string()));
        let partition = opened.as_ref().ok()?;
        partition.close(why);
        self.by_local.write().remove(&partition.local());
        Some(Arc::clone(partition))
    }

    /// Closes replicas and has their files removed, which is reported after that.
    pub(super) fn doom(&self, slots: &[Arc<Slot>], reason: Reason, why: &AppendError) {
        // Before the entry that forgets them: a checkpoint above it must not record them.
        self.doomed.lock().extend(slots.iter().map(|slot| slot.key));
        let partitions = slots.iter().map(|slot| (slot.key, self.close(slot, why))).collect();
        let after = self.shared.wal.next_lsn();
        self.shared.flush_queue.destroy(Doomed { reason, partitions, after });
    }

    /// Whether the files of a replica are to be removed, or are being removed.
    pub(crate) fn is_doomed(&self, key: PartitionKey) -> bool {
        self.doomed.lock().contains(&key)
    }

    /// The files of a replica are gone.
    pub(crate) fn files_removed(&self, key: PartitionKey) {
        self.doomed.lock().remove(&key);
        self.removed.notify_all();
    }
}

impl Seed {
    pub(super) fn of(recorded: &PartitionCheckpoint) -> Seed {
        Seed {
            local: recorded.local,
            log: recorded.log.clone(),
            high_watermark: recorded.high_watermark,
            producers: Arc::clone(&recorded.producers),
        }
    }

    fn empty(local: LocalPartition) -> Seed {
        Seed { local, log: LogCheckpoint::default(), high_watermark: Offset::NONE, producers: Arc::new([]) }
    }
}
