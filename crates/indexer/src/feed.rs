//! Reads a partition's committed records for its index, by the same way as consumers.

use std::sync::Arc;

use bytes::Bytes;
use eddy_core::Diverging;
use eddy_engine::{Partition, ReadError, ReadRequest};
use eddy_types::{LeaderEpoch, Offset};

/// What a read found.
#[derive(Debug)]
pub(crate) enum Read {
    /// Whole batches; none when everything that is committed was read.
    Batches { slices: Vec<Bytes>, log_start: Offset },
    /// The log is another one from here on than the one that was indexed: an unclean election cut it.
    Diverged { at: Offset },
    /// The offset is not in the log, which begins and ends here.
    OutOfRange { start: Offset, end: Offset },
    /// The partition is no longer here.
    Gone,
}

/// Why nothing could be read; it is tried again later.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct FeedError(ReadError);

/// Reads on from an offset. `last_epoch` is that of the batch before it, against which the log is checked as a follower's fetch
/// is.
pub(crate) async fn read(
    partition: &Arc<Partition>,
    from: Offset,
    last_epoch: LeaderEpoch,
    max_bytes: usize,
) -> Result<Read, FeedError> {
    let request = ReadRequest {
        offset: from,
        leader_epoch: LeaderEpoch::NONE,
        last_fetched_epoch: last_epoch,
        max_bytes,
        at_least_one: true,
        committed_only: true,
    };
    if partition.is_gone() {
        return Ok(Read::Gone);
    }
    match partition.peek(request).await {
        Ok(read) => Ok(match read.diverging {
            Some(Diverging { end_offset, .. }) => Read::Diverged { at: end_offset },
            None => Read::Batches { slices: read.slices, log_start: read.offsets.log_start },
        }),
        Err(ReadError::OutOfRange { start, end, .. }) => Ok(Read::OutOfRange { start, end }),
        Err(ReadError::PartitionGone) => Ok(Read::Gone),
        Err(error) => Err(FeedError(error)),
    }
}

/// The end of what is indexed: no record of a transaction that is not decided.
pub(crate) fn committed(offsets: &eddy_core::Offsets) -> Offset {
    offsets.last_stable.min(offsets.high_watermark)
}
