//! Recovery: the checkpoint says where the segments end, the write-ahead log holds what came after.

use std::sync::Arc;

use ahash::AHashMap;
use eddy_batch::BatchHeader;
use eddy_core::ProducerWindows;
use eddy_log::TailBatch;
use eddy_metadata::Image;
use eddy_types::{LocalPartition, Millis};
use eddy_wal::Entry;

use crate::checkpoint::{Checkpoint, PartitionCheckpoint};
use crate::error::StartError;
use crate::partition::PartitionKey;
use crate::partitions::{OpenError, Replayed, Storage, serve_log};

/// Replays WAL entries into the logs they belong to. Logs without entries stay closed.
pub(crate) struct Replay<'a> {
    storage: &'a Storage,
    image: Arc<Image>,
    now: Millis,
    names: AHashMap<LocalPartition, PartitionKey>,
    recorded: AHashMap<PartitionKey, &'a PartitionCheckpoint>,
    open: AHashMap<LocalPartition, Replayed>,
    next_local: u32,
}

/// What the replay left open.
pub(crate) struct Outcome {
    pub(crate) replayed: Vec<Replayed>,
    pub(crate) next_local: u32,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(
        storage: &'a Storage,
        image: Arc<Image>,
        checkpoint: &'a Checkpoint,
        now: Millis,
    ) -> Replay<'a> {
        Replay {
            storage,
            image,
            now,
            names: checkpoint.partitions.iter().map(|p| (p.local, p.key)).collect(),
            recorded: checkpoint.partitions.iter().map(|p| (p.key, p)).collect(),
            open: AHashMap::new(),
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
                self.names.remove(&partition);
                self.open.remove(&partition);
            }
            Entry::Append { partition, base_offset, end_offset, leader_epoch, batch } => {
                let now = self.now;
                let Some(replayed) = self.open(partition)? else { return Ok(()) };
                let log = &replayed.log;
                let end = log.end_offset();
                if base_offset < end {
                    return Ok(());
                }
                if base_offset > end {
                    let gap = OpenError::Gap { end, next: base_offset };
                    return Err(log_error(replayed.key, gap));
                }
                let header = BatchHeader::parse(&batch).ok();
                if let Some(header) = &header {
                    replayed.producers.replay(now, &header.facts(), base_offset);
                }
                log.append(TailBatch {
                    base_offset,
                    end_offset,
                    leader_epoch,
                    max_timestamp: header.map_or(Millis::NONE, |header| header.max_timestamp),
                    charge: batch.len(),
                    bytes: batch,
                });
                self.relieve(partition)?;
            }
            Entry::LogStart { partition, offset } => {
                if let Some(replayed) = self.open(partition)? {
                    replayed.log.set_start_offset(offset);
                }
            }
            Entry::Truncate { partition, to, .. } => {
                if let Some(replayed) = self.open(partition)? {
                    replayed.log.truncate(to);
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
        if let Some(replayed) = self.open.get(&partition) {
            replayed
                .log
                .flush(replayed.log.end_offset())
                .map_err(|error| log_error(replayed.key, error.into()))?;
            replayed.log.evict(0);
        }
        for replayed in self.open.values().filter(|_| tail.used() >= tail.limit() / 2) {
            replayed
                .log
                .flush(replayed.log.end_offset())
                .map_err(|error| log_error(replayed.key, error.into()))?;
            replayed.log.evict(0);
        }
        Ok(())
    }

    fn open(&mut self, local: LocalPartition) -> Result<Option<&mut Replayed>, StartError> {
        if !self.open.contains_key(&local) {
            let Some(&key) = self.names.get(&local) else { return Ok(None) };
            let Some(topic) = self.image.topic_by_id(key.topic) else { return Ok(None) };
            let recorded = self.recorded.get(&key);
            let log = self
                .storage
                .open_log(key, topic, recorded.map(|recorded| &recorded.log))
                .map_err(|error| log_error(key, error.into()))?;
            let snapshots = recorded.map(|recorded| recorded.producers.clone()).unwrap_or_default();
            let producers = ProducerWindows::restore(self.now, self.storage.producer_limits, snapshots);
            self.open.insert(local, Replayed { key, local, log, producers });
        }
        Ok(self.open.get_mut(&local))
    }

    /// Ends the replay. A log that lacks what it should hold refuses the start: the WAL's entries for it would be lost with the
    /// next checkpoint.
    pub(crate) fn finish(self) -> Result<Outcome, StartError> {
        for replayed in self.open.values() {
            serve_log(&replayed.log).map_err(|error| log_error(replayed.key, error))?;
        }
        Ok(Outcome { replayed: self.open.into_values().collect(), next_local: self.next_local })
    }
}

fn log_error(key: PartitionKey, source: OpenError) -> StartError {
    StartError::Log { partition: key.to_string(), source }
}
