//! Recovery: the checkpoint says where the segments end, the write-ahead log holds what came after.

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use eddy_batch::Batch;
use eddy_core::ProducerWindows;
use eddy_log::TailBatch;
use eddy_metadata::Image;
use eddy_types::{BrokerId, LocalPartition, Millis, Offset, OffsetRange};
use eddy_wal::Entry;

use crate::checkpoint::{Checkpoint, PartitionCheckpoint};
use crate::error::StartError;
use crate::partition::PartitionKey;
use crate::partition::SafePoints;
use crate::partitions::Replayed;
use crate::storage::{OpenError, Storage, serve_log};

/// Replays WAL entries into the logs they belong to. Logs without entries stay closed.
pub(crate) struct Replay<'a> {
    storage: &'a Storage,
    me: BrokerId,
    image: Arc<Image>,
    now: Millis,
    names: AHashMap<LocalPartition, PartitionKey>,
    recorded: AHashMap<PartitionKey, &'a PartitionCheckpoint>,
    open: AHashMap<LocalPartition, Replaying>,
    forgotten: AHashSet<PartitionKey>,
    next_local: u32,
}

/// What the replay left open.
pub(crate) struct Outcome {
    pub(crate) replayed: Vec<Replayed>,
    pub(crate) next_local: u32,
    /// Replicas that ended after the checkpoint: what it says of them is void, though they may be here again.
    pub(crate) forgotten: AHashSet<PartitionKey>,
}

/// A log that the replay has opened.
struct Replaying {
    partition: Replayed,
    /// Offsets that the write-ahead log passed over without saying why. A truncation that comes later may explain them: the
    /// files were cut already when the checkpoint was taken.
    holes: Vec<OffsetRange>,
    /// The windows are to be built anew: a truncation took batches that they know.
    truncated: bool,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(
        storage: &'a Storage,
        me: BrokerId,
        image: Arc<Image>,
        checkpoint: &'a Checkpoint,
        now: Millis,
    ) -> Replay<'a> {
        Replay {
            storage,
            me,
            image,
            now,
            names: checkpoint.partitions.iter().map(|p| (p.local, p.key)).collect(),
            recorded: checkpoint.partitions.iter().map(|p| (p.key, p)).collect(),
            open: AHashMap::new(),
            forgotten: AHashSet::new(),
            next_local: checkpoint.next_local,
        }
    }

    /// Applies one entry. Entries of partitions that no longer exist are passed over.
    pub(crate) fn entry(&mut self, entry: Entry) -> Result<(), StartError> {
        match entry {
            Entry::Name { partition, topic, index } => {
                self.names.insert(partition, PartitionKey { topic, index });
                self.next_local = self.next_local.max(partition.0.saturating_add(1));
            }
            Entry::Forget { partition } => {
                self.open.remove(&partition);
                if let Some(key) = self.names.remove(&partition) {
                    self.recorded.remove(&key);
                    self.forgotten.insert(key);
                }
            }
            Entry::Append { partition, base_offset, end_offset, leader_epoch, after_gap, batch } => {
                let now = self.now;
                let Some(replaying) = self.open(partition)? else { return Ok(()) };
                let Replayed { log, producers, .. } = &mut replaying.partition;
                let end = log.end_offset();
                if base_offset < end {
                    return Ok(());
                }
                let follows = after_gap.unwrap_or(base_offset);
                if end < follows {
                    replaying.holes.push(OffsetRange { start: end, end: follows });
                }
                let found = Batch::parse(&batch).ok();
                if let Some(found) = found.as_ref().filter(|_| !replaying.truncated) {
                    producers.replay(now, &found.facts(), base_offset);
                }
                log.append(TailBatch {
                    base_offset,
                    end_offset,
                    leader_epoch,
                    max_timestamp: found.map_or(Millis::NONE, |found| found.header.max_timestamp),
                    charge: batch.len(),
                    bytes: batch,
                });
                self.relieve(partition)?;
            }
            Entry::LogStart { partition, offset } => {
                if let Some(replaying) = self.open(partition)? {
                    replaying.partition.log.set_start_offset(offset);
                    replaying.holes.retain(|hole| hole.end > offset);
                }
            }
            Entry::Truncate { partition, to, .. } => {
                if let Some(replaying) = self.open(partition)? {
                    let partition = &mut replaying.partition;
                    replaying.truncated |= to < partition.log.end_offset();
                    partition.log.truncate(to);
                    partition.high_watermark = partition.high_watermark.min(to);
                    partition.safe_points.truncate(to);
                    replaying.holes.retain(|hole| hole.start < to);
                }
            }
        }
        Ok(())
    }

    /// Keeps memory within the tail cache's budget however long the WAL is.
    fn relieve(&mut self, partition: LocalPartition) -> Result<(), StartError> {
        let tail = &self.storage.tail;
        if tail.used() < tail.limit() / 2 {
            return Ok(());
        }
        let relieve = |replaying: &Replaying| {
            let Replayed { key, log, .. } = &replaying.partition;
            log.flush(log.end_offset()).map_err(|error| log_error(*key, error.into()))?;
            log.evict(0);
            Ok(())
        };
        self.open.get(&partition).map_or(Ok(()), relieve)?;
        self.open.values().filter(|_| tail.used() >= tail.limit() / 2).try_for_each(relieve)
    }

    fn open(&mut self, local: LocalPartition) -> Result<Option<&mut Replaying>, StartError> {
        if !self.open.contains_key(&local) {
            let Some(&key) = self.names.get(&local) else { return Ok(None) };
            // Of a partition that is no longer here, or no longer at all, the files may be gone.
            let held = self.image.partition(key.topic, key.index);
            if !held.is_some_and(|partition| partition.replicas.contains(&self.me)) {
                return Ok(None);
            }
            let Some(topic) = self.image.topic_by_id(key.topic) else { return Ok(None) };
            let recorded = self.recorded.get(&key);
            let log = self
                .storage
                .open_log(key, topic, recorded.map(|recorded| &recorded.log))
                .map_err(|error| log_error(key, error.into()))?;
            let mut safe_points = SafePoints::default();
            let snapshots = recorded.map(|recorded| {
                let producers = Arc::clone(&recorded.producers);
                safe_points.add(recorded.log.flushed_end, producers, recorded.high_watermark);
                recorded.producers.to_vec()
            });
            let limits = self.storage.producer_limits;
            let producers = ProducerWindows::restore(self.now, limits, snapshots.unwrap_or_default());
            let high_watermark = recorded.map_or(Offset::NONE, |recorded| recorded.high_watermark);
            let partition = Replayed { key, local, log, high_watermark, producers, safe_points };
            self.open.insert(local, Replaying { partition, holes: Vec::new(), truncated: false });
        }
        Ok(self.open.get_mut(&local))
    }

    /// Ends the replay. A log that lacks what it should hold refuses the start: the WAL's entries for it would be lost with the
    /// next checkpoint.
    pub(crate) fn finish(self) -> Result<Outcome, StartError> {
        let mut replayed = Vec::with_capacity(self.open.len());
        for replaying in self.open.into_values() {
            let Replaying { mut partition, holes, truncated } = replaying;
            let log = &partition.log;
            if let Some(hole) = holes.first() {
                let gap = OpenError::Gap { end: hole.start, next: hole.end };
                return Err(log_error(partition.key, gap));
            }
            serve_log(log).map_err(|error| log_error(partition.key, error))?;
            if truncated {
                let (end, limits) = (log.end_offset(), self.storage.producer_limits);
                let windows = partition.safe_points.producers_at(log, end, self.now, limits);
                partition.producers =
                    windows.map_err(|error| log_error(partition.key, OpenError::Read(Box::new(error))))?;
            }
            replayed.push(partition);
        }
        Ok(Outcome { replayed, next_local: self.next_local, forgotten: self.forgotten })
    }
}

fn log_error(key: PartitionKey, source: OpenError) -> StartError {
    StartError::Log { partition: key.to_string(), source }
}
