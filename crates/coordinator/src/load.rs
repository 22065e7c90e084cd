//! Reads a partition of `__consumer_offsets` from its start and hands its records to a machine.

use std::sync::Arc;

use bytes::Bytes;
use eddy_batch::{Batch, BatchError, DecompressLimit, batches};
use eddy_core::Offsets;
use eddy_core::group::GroupRecord;
use eddy_engine::{FetchWaiter, Partition, ReadError, ReadRequest};
use eddy_types::{LeaderEpoch, Offset};

use crate::stored::{StoredError, decode};

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;
/// Damaged records that are reported one by one; a broken segment would fill the log.
const REPORTS_MAX: u64 = 10;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// Records handed over.
    pub(crate) records: u64,
    /// Records of types that groups of today do not have.
    pub(crate) unknown: u64,
    /// Batches and records passed over because they are damaged.
    pub(crate) damaged: u64,
}

/// Why a partition was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("another broker leads the partition")]
    NotLeader,
    #[error("no batch can be read at offset {0}")]
    Unreadable(Offset),
}

/// Waits until all that the log had when this broker began to lead in `epoch` is on the disks of the replicas in sync, and gives its
/// end: what is shown of groups must not be lost with this broker.
///
/// # Errors
/// The epoch is over, or the partition is gone.
pub(crate) async fn until_replicated(
    partition: &Arc<Partition>,
    epoch: LeaderEpoch,
) -> Result<Offset, LoadError> {
    let end = leader_offsets(partition, epoch)?.log_end;
    let waiter = FetchWaiter::new();
    loop {
        partition.watch(&waiter);
        if leader_offsets(partition, epoch)?.high_watermark >= end {
            return Ok(end);
        }
        waiter.moved().await;
    }
}

fn leader_offsets(partition: &Partition, epoch: LeaderEpoch) -> Result<Offsets, LoadError> {
    if partition.is_gone() {
        return Err(ReadError::PartitionGone.into());
    }
    let offsets = partition.checked_offsets(epoch).map_err(|_| LoadError::NotLeader)?;
    if partition.is_leading() { Ok(offsets) } else { Err(LoadError::NotLeader) }
}

/// Reads everything up to `end`, in order.
///
/// # Errors
/// The partition cannot be read, is gone, or is led in another epoch. Damage in it is reported and passed over: what is readable
/// counts.
pub(crate) async fn load(
    partition: &Arc<Partition>,
    epoch: LeaderEpoch,
    end: Offset,
    mut replay: impl FnMut(GroupRecord) + Send,
) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded::default();
    let mut at = partition.offsets().log_start;
    let waiter = FetchWaiter::new();
    while at < end {
        partition.watch(&waiter);
        let request = ReadRequest {
            offset: at,
            leader_epoch: epoch,
            last_fetched_epoch: LeaderEpoch::NONE,
            max_bytes: READ_BYTES,
            at_least_one: true,
            committed_only: false,
        };
        let read = match partition.read(request).await {
            // Retention or DeleteRecords moved the start meanwhile.
            Err(ReadError::OutOfRange { start, .. }) if start > at => {
                at = start;
                continue;
            }
            Err(ReadError::Epoch(_)) => return Err(LoadError::NotLeader),
            read => read?,
        };
        if partition.is_gone() {
            return Err(ReadError::PartitionGone.into());
        }
        if read.slices.is_empty() {
            if read.offsets.high_watermark >= end {
                // Compaction left nothing up to the end.
                break;
            }
            waiter.moved().await;
            continue;
        }
        let from = at;
        for slice in read.slices {
            at = at.max(replay_slice(partition, slice, &mut loaded, &mut replay));
        }
        if at == from {
            return Err(LoadError::Unreadable(at));
        }
        // A long log does not keep others from this thread.
        tokio::task::yield_now().await;
    }
    Ok(loaded)
}

/// Replays whole batches; returns the offset after the last one.
fn replay_slice(
    partition: &Partition,
    slice: Bytes,
    loaded: &mut Loaded,
    replay: &mut impl FnMut(GroupRecord),
) -> Offset {
    let mut next = Offset::ZERO;
    for batch in batches(slice) {
        let Ok(batch) = batch.inspect_err(|error| report(partition, next, loaded, error)) else { break };
        let base = batch.header.base_offset;
        next = Offset(batch.header.last_offset().0.saturating_add(1));
        if batch.header.attributes.is_control() {
            continue;
        }
        if let Err(error) = replay_batch(partition, &batch, loaded, replay) {
            report(partition, base, loaded, &error);
        }
    }
    next
}

fn replay_batch(
    partition: &Partition,
    batch: &Batch,
    loaded: &mut Loaded,
    replay: &mut impl FnMut(GroupRecord),
) -> Result<(), BatchError> {
    batch.verify_crc()?;
    for record in batch.records(&DecompressLimit::default())? {
        let record = record?;
        match decode(record.key, record.value) {
            Ok(Some(decoded)) => {
                loaded.records += 1;
                replay(decoded);
            }
            Ok(None) => loaded.unknown += 1,
            // Whoever may write to internal topics can put such a record there; it holds nothing for us.
            Err(StoredError::NoKey) => loaded.unknown += 1,
            Err(error) => report(partition, record.offset, loaded, &error),
        }
    }
    Ok(())
}

fn report(partition: &Partition, at: Offset, loaded: &mut Loaded, error: &dyn std::fmt::Display) {
    loaded.damaged += 1;
    if loaded.damaged <= REPORTS_MAX {
        tracing::error!(topic = %partition.topic(), partition = partition.key().index, offset = %at, %error,
            "a record of groups is damaged; it is passed over");
    }
}
