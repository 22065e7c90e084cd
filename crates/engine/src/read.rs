//! Reading a partition: which offsets a reader may see, and where their bytes are.

use std::sync::Arc;

use bytes::Bytes;
use eddy_core::{Diverging, EpochMatch, Offsets, divergence};
use eddy_log::{DiskRead, FetchedBytes, ReadError as LogReadError, ReadOutcome};
use eddy_types::{LeaderEpoch, Offset, OffsetRange};

use crate::error::ReadError;
use crate::partition::Partition;

/// What a fetch wants of one partition.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    /// First offset wanted; may lie within a batch, which is then returned whole.
    pub offset: Offset,
    /// Leader epoch the reader knows.
    pub leader_epoch: LeaderEpoch,
    /// Epoch of the last record the reader has.
    pub last_fetched_epoch: LeaderEpoch,
    /// Most bytes to return.
    pub max_bytes: usize,
    /// Return one batch even if it is larger than `max_bytes`.
    pub at_least_one: bool,
    /// Stop at the last stable offset in place of the high watermark.
    pub committed_only: bool,
}

/// What a reader gets.
#[derive(Debug)]
pub struct PartitionRead {
    /// The partition's offsets when it was read.
    pub offsets: Offsets,
    /// Whole batches, in offset order.
    pub slices: Vec<Bytes>,
    /// Where the reader's log leaves ours; there are no records then.
    pub diverging: Option<Diverging>,
}

impl Partition {
    /// Reads whole batches below the high watermark. Memory and page cache are read at once; what needs the disk is read on a
    /// thread that may block.
    ///
    /// # Errors
    /// Offset out of range, an epoch that is not ours, or a failing disk.
    pub async fn read(self: &Arc<Self>, request: ReadRequest) -> Result<PartitionRead, ReadError> {
        let (read, end) = self.look(request, Reader::Other).await?;
        let bytes = read.slices.iter().map(Bytes::len).sum();
        self.traffic().count_fetched(OffsetRange { start: request.offset, end }, bytes);
        Ok(read)
    }

    /// As [`Partition::read`], for the broker itself: it does not count as traffic, and the page cache is not kept for it.
    ///
    /// # Errors
    /// As [`Partition::read`].
    pub async fn peek(self: &Arc<Self>, request: ReadRequest) -> Result<PartitionRead, ReadError> {
        Ok(self.look(request, Reader::Broker).await?.0)
    }

    /// What is read, and the offset after it.
    async fn look(
        self: &Arc<Self>,
        request: ReadRequest,
        reader: Reader,
    ) -> Result<(PartitionRead, Offset), ReadError> {
        let offsets = self.checked_offsets(request.leader_epoch)?;
        let asked = request.offset;
        let out_of_range = || ReadError::OutOfRange { asked, start: offsets.log_start, end: offsets.log_end };
        if request.last_fetched_epoch != LeaderEpoch::NONE {
            let end_of = self.log().epoch_end(request.last_fetched_epoch);
            match divergence(request.last_fetched_epoch, asked, end_of) {
                EpochMatch::Agrees => {}
                EpochMatch::OutOfRange => return Err(out_of_range()),
                EpochMatch::Diverges(diverging) => {
                    let read = PartitionRead { offsets, slices: Vec::new(), diverging: Some(diverging) };
                    return Ok((read, asked));
                }
            }
        }
        if asked < offsets.log_start || asked > offsets.log_end {
            return Err(out_of_range());
        }
        let limit = if request.committed_only { offsets.last_stable } else { offsets.high_watermark };
        let (slices, end) = if asked >= limit || (request.max_bytes == 0 && !request.at_least_one) {
            (Vec::new(), asked)
        } else {
            let reading =
                self.begin_read_log(asked, limit, request.max_bytes, request.at_least_one, reader)?;
            let fetched = match reading {
                Reading::Done(fetched) => fetched,
                Reading::Disk(disk) => on_disk(asked, disk).await?,
            };
            (fetched.slices, fetched.end_offset)
        };
        Ok((PartitionRead { offsets, slices, diverging: None }, end))
    }

    /// Reads what memory and page cache hold; never waits for the disk.
    pub(crate) fn begin_read_log(
        &self,
        from: Offset,
        limit: Offset,
        max_bytes: usize,
        at_least_one: bool,
        reader: Reader,
    ) -> Result<Reading, ReadError> {
        let outcome =
            self.log().read(from, limit, max_bytes, at_least_one).map_err(|error| read_error(from, error))?;
        let disk = match outcome {
            ReadOutcome::Ready(fetched) => return Ok(Reading::Done(fetched)),
            ReadOutcome::Disk(disk) => disk,
        };
        if reader == Reader::Other {
            self.log().expect_reads();
        }
        match disk.try_cached() {
            Some(cached) => cached.map(Reading::Done).map_err(|error| read_error(from, error)),
            None => Ok(Reading::Disk(disk)),
        }
    }
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The broker itself, which is in no hurry: that its index lags is no reason to let batches take the page cache.
    Broker,
    /// A consumer or another replica: others read behind it, and it reads on.
    Other,
}

/// A read that has begun.
pub(crate) enum Reading {
    Done(FetchedBytes),
    /// It has to wait for the disk.
    Disk(DiskRead),
}

/// Reads on a thread that may block.
pub(crate) async fn on_disk(from: Offset, disk: DiskRead) -> Result<FetchedBytes, ReadError> {
    match tokio::task::spawn_blocking(move || disk.run()).await {
        Ok(fetched) => fetched.map_err(|error| read_error(from, error)),
        // The blocking thread panicked, which its hook has reported.
        Err(_) => Err(ReadError::PartitionGone),
    }
}

pub(crate) fn read_error(asked: Offset, error: LogReadError) -> ReadError {
    match error {
        LogReadError::OutOfRange { start, end } => ReadError::OutOfRange { asked, start, end },
        LogReadError::Log(error) => ReadError::Log(error),
    }
}
