//! Reads for followers: beyond the high watermark, and without waiting for the disk where the caller cannot.

use std::sync::Arc;

use bytes::Bytes;
use eddy_log::{DiskRead, FetchedBytes};
use eddy_types::{LeaderEpoch, Offset};

use super::Partition;
use super::role::Replica;
use crate::error::ReadError;
use crate::read::{Reader, Reading, on_disk};

/// What a follower gets.
#[derive(Debug)]
pub struct ReplicaRead {
    /// Whole batches, in offset order.
    pub slices: Vec<Bytes>,
    /// Where the next read goes on; where this one began when there was nothing.
    pub end: Offset,
    /// The high watermark after the read.
    pub high_watermark: Offset,
    /// The log start after the read.
    pub log_start: Offset,
}

/// A read that has begun for a follower.
pub enum ReplicaReading {
    /// Memory or page cache had it.
    Done(ReplicaRead),
    /// It has to wait for the disk.
    Disk(ColdRead),
}

/// A read for a follower that waits for the disk.
pub struct ColdRead {
    partition: Arc<Partition>,
    epoch: LeaderEpoch,
    from: Offset,
    disk: DiskRead,
}

impl ColdRead {
    /// Reads, on a thread that may block.
    ///
    /// # Errors
    /// As [`Partition::begin_read_replica`].
    pub async fn finish(self) -> Result<ReplicaRead, ReadError> {
        let ColdRead { partition, epoch, from, disk } = self;
        let fetched = on_disk(from, disk).await?;
        partition.replica_read(epoch, fetched)
    }
}

impl Partition {
    /// Reads whole batches for a follower, from `from` up to the log end, durable or not: at least one when there is one.
    ///
    /// # Errors
    /// As [`Partition::begin_read_replica`].
    pub async fn read_replica(
        self: &Arc<Self>,
        from: Offset,
        max_bytes: usize,
    ) -> Result<ReplicaRead, ReadError> {
        match self.begin_read_replica(from, max_bytes)? {
            ReplicaReading::Done(read) => Ok(read),
            ReplicaReading::Disk(cold) => cold.finish().await,
        }
    }

    /// As [`Partition::read_replica`], but never waits for the disk: the caller chooses what waits with it.
    ///
    /// # Errors
    /// Offset out of range, a failing disk, or this broker does not lead in the epoch in which the read began.
    pub fn begin_read_replica(
        self: &Arc<Self>,
        from: Offset,
        max_bytes: usize,
    ) -> Result<ReplicaReading, ReadError> {
        let (epoch, log_end) = self.leads_in().map_err(|epoch| ReadError::NotLeader { epoch })?;
        match self.begin_read_log(from, log_end, max_bytes, true, Reader::Other)? {
            Reading::Done(fetched) => self.replica_read(epoch, fetched).map(ReplicaReading::Done),
            Reading::Disk(disk) => {
                Ok(ReplicaReading::Disk(ColdRead { partition: Arc::clone(self), epoch, from, disk }))
            }
        }
    }

    fn replica_read(&self, epoch: LeaderEpoch, fetched: FetchedBytes) -> Result<ReplicaRead, ReadError> {
        let offsets = {
            let state = self.state.lock();
            match &state.replica {
                Replica::Leader(leader) if leader.epoch() == epoch => leader.offsets(),
                // What was read may be of a history that was cut off since.
                replica => return Err(ReadError::NotLeader { epoch: replica.epoch() }),
            }
        };
        Ok(ReplicaRead {
            slices: fetched.slices,
            end: fetched.end_offset,
            high_watermark: offsets.high_watermark,
            log_start: offsets.log_start,
        })
    }

    fn leads_in(&self) -> Result<(LeaderEpoch, Offset), LeaderEpoch> {
        let state = self.state.lock();
        match &state.replica {
            Replica::Leader(leader) => Ok((leader.epoch(), leader.offsets().log_end)),
            Replica::Follower(follower) => Err(follower.epoch()),
        }
    }
}
