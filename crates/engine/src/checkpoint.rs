//! The checkpoint: where each partition's files stood, so that a start scans nothing and replays only the WAL's tail.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eddy_core::{ProducerSnapshot, WindowBatch};
use eddy_disk::Disk;
use eddy_log::LogCheckpoint;
use eddy_types::{LeaderEpoch, LocalPartition, Millis, Offset, ProducerEpoch, ProducerId, TopicId};
use eddy_wal::Lsn;
use serde::{Deserialize, Serialize};

use crate::error::StartError;
use crate::partition::PartitionKey;

const FORMAT: u32 = 1;
const FILE: &str = "checkpoint.json";

/// Everything below `lsn` is in segments that were synced; the WAL is replayed from there.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    pub(crate) lsn: Lsn,
    /// The next partition number to give; numbers are never used twice.
    pub(crate) next_local: u32,
    pub(crate) partitions: Vec<PartitionCheckpoint>,
}

/// One partition's part of the checkpoint.
#[derive(Debug, Clone)]
pub(crate) struct PartitionCheckpoint {
    pub(crate) key: PartitionKey,
    pub(crate) local: LocalPartition,
    pub(crate) log: LogCheckpoint,
    /// The high watermark then, as far as this replica knew; [`Offset::NONE`] in a checkpoint of an older version.
    pub(crate) high_watermark: Offset,
    /// Windows of the idempotent producers as they were at `log.flushed_end`.
    pub(crate) producers: Arc<[ProducerSnapshot]>,
}

#[derive(Serialize, Deserialize)]
struct FileShape {
    format: u32,
    lsn: u64,
    next_local: u32,
    partitions: Vec<PartitionShape>,
}

#[derive(Serialize, Deserialize)]
struct PartitionShape {
    topic: TopicId,
    index: i32,
    local: u32,
    start: Offset,
    flushed_end: Offset,
    active_segment: Offset,
    active_bytes: u64,
    #[serde(default = "unknown")]
    high_watermark: Offset,
    #[serde(default, skip_serializing_if = "is_zero")]
    cleaned_to: Offset,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    epochs: Vec<(LeaderEpoch, Offset)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    producers: Vec<ProducerShape>,
}

#[derive(Serialize, Deserialize)]
struct ProducerShape {
    id: ProducerId,
    epoch: ProducerEpoch,
    last_timestamp: Millis,
    coordinator_epoch: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open_transaction: Option<Offset>,
    /// First and last sequence, first and last offset, timestamp.
    batches: Vec<(i32, i32, Offset, Offset, Millis)>,
}

fn unknown() -> Offset {
    Offset::NONE
}

fn is_zero(offset: &Offset) -> bool {
    *offset == Offset::ZERO
}

impl Checkpoint {
    /// Reads the checkpoint of a data directory; an empty one when there is none yet.
    pub(crate) fn load(disk: &dyn Disk, data_dir: &Path) -> Result<Checkpoint, StartError> {
        let path = data_dir.join(FILE);
        let contents = match eddy_disk::read(disk, &path) {
            Ok(contents) => contents,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Checkpoint::default()),
            Err(error) => return Err(unreadable(path, &error)),
        };
        let shape: FileShape =
            serde_json::from_slice(&contents).map_err(|error| unreadable(path.clone(), &error))?;
        if shape.format != FORMAT {
            let reason = format!("format {}, this version reads {FORMAT}", shape.format);
            return Err(StartError::Checkpoint { path, reason });
        }
        Ok(Checkpoint {
            lsn: Lsn(shape.lsn),
            next_local: shape.next_local,
            partitions: shape.partitions.into_iter().map(PartitionCheckpoint::from).collect(),
        })
    }
}

/// A checkpoint about to be written.
pub(crate) struct CheckpointView<I> {
    pub(crate) lsn: Lsn,
    pub(crate) next_local: u32,
    pub(crate) partitions: I,
}

impl<'a, I: Iterator<Item = &'a PartitionCheckpoint>> CheckpointView<I> {
    /// Replaces the checkpoint of a data directory; after a crash it is the old one or this one.
    pub(crate) fn store(self, disk: &dyn Disk, data_dir: &Path) -> std::io::Result<()> {
        let shape = FileShape {
            format: FORMAT,
            lsn: self.lsn.0,
            next_local: self.next_local,
            partitions: self.partitions.map(PartitionShape::from).collect(),
        };
        let contents = serde_json::to_vec(&shape).map_err(std::io::Error::other)?;
        eddy_disk::replace(disk, &data_dir.join(FILE), &contents)
    }
}

fn unreadable(path: PathBuf, reason: &dyn std::fmt::Display) -> StartError {
    StartError::Checkpoint { path, reason: reason.to_string() }
}

impl From<PartitionShape> for PartitionCheckpoint {
    fn from(shape: PartitionShape) -> Self {
        PartitionCheckpoint {
            key: PartitionKey { topic: shape.topic, index: shape.index },
            local: LocalPartition(shape.local),
            log: LogCheckpoint {
                start_offset: shape.start,
                flushed_end: shape.flushed_end,
                active_segment: shape.active_segment,
                active_bytes: shape.active_bytes,
                epochs: shape.epochs,
                cleaned_to: shape.cleaned_to,
            },
            high_watermark: shape.high_watermark,
            producers: shape.producers.into_iter().map(ProducerSnapshot::from).collect(),
        }
    }
}

impl From<&PartitionCheckpoint> for PartitionShape {
    fn from(partition: &PartitionCheckpoint) -> Self {
        PartitionShape {
            topic: partition.key.topic,
            index: partition.key.index,
            local: partition.local.0,
            start: partition.log.start_offset,
            flushed_end: partition.log.flushed_end,
            active_segment: partition.log.active_segment,
            active_bytes: partition.log.active_bytes,
            high_watermark: partition.high_watermark,
            cleaned_to: partition.log.cleaned_to,
            epochs: partition.log.epochs.clone(),
            producers: partition.producers.iter().map(ProducerShape::from).collect(),
        }
    }
}

impl From<ProducerShape> for ProducerSnapshot {
    fn from(shape: ProducerShape) -> Self {
        let batches = shape.batches.into_iter().map(
            |(first_sequence, last_sequence, base_offset, last_offset, timestamp)| WindowBatch {
                first_sequence,
                last_sequence,
                base_offset,
                last_offset,
                timestamp,
            },
        );
        ProducerSnapshot {
            id: shape.id,
            epoch: shape.epoch,
            last_timestamp: shape.last_timestamp,
            coordinator_epoch: shape.coordinator_epoch,
            open_transaction: shape.open_transaction,
            batches: batches.collect(),
        }
    }
}

impl From<&ProducerSnapshot> for ProducerShape {
    fn from(producer: &ProducerSnapshot) -> Self {
        let batches = producer
            .batches
            .iter()
            .map(|b| (b.first_sequence, b.last_sequence, b.base_offset, b.last_offset, b.timestamp));
        ProducerShape {
            id: producer.id,
            epoch: producer.epoch,
            last_timestamp: producer.last_timestamp,
            coordinator_epoch: producer.coordinator_epoch,
            open_transaction: producer.open_transaction,
            batches: batches.collect(),
        }
    }
}
