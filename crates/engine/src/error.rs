//! What can go wrong at run time, one type an operation. The gateway gives each its Kafka code, in one place.

use std::path::PathBuf;

use eddy_log::LogError;
use eddy_types::{BrokerId, LeaderEpoch, Offset};

/// Why a batch was not appended, or not acknowledged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AppendError {
    /// The replica refused it: sequence, epoch or ISR rule (R-3.4, R-3.20… ). Nothing was written.
    #[error(transparent)]
    Refused(#[from] eddy_core::AppendError),
    /// The topic was deleted meanwhile.
    #[error("the partition was deleted")]
    PartitionGone,
    /// No room in the write-ahead log within the time given. Nothing was written.
    #[error(
        "the broker is full, {cause}: {queued} of {limit} batches wait; nothing of this batch was written, retry"
    )]
    Full {
        /// What was waited for.
        cause: String,
        /// Batches that wait.
        queued: u32,
        /// Queue depth of the profile.
        limit: u32,
    },
    /// Free space is at or below the reserve: writes are refused until there is room again.
    #[error(
        "the disk is full: {free} bytes free, {reserve} are kept in reserve; free space or lower retention"
    )]
    DiskFull {
        /// Bytes free on the file system of the data directory.
        free: u64,
        /// Bytes below which writes are refused.
        reserve: u64,
    },
}

/// Why a partition could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset lies outside the log.
    #[error("offset {asked} is outside {start}..{end}")]
    OutOfRange {
        /// Offset that was asked for.
        asked: Offset,
        /// First offset of the log.
        start: Offset,
        /// Log end offset.
        end: Offset,
    },
    /// The leader epoch of the request is not the current one.
    #[error(transparent)]
    Epoch(#[from] eddy_core::EpochError),
    /// The disk failed, or holds something else than it should.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The topic was deleted meanwhile.
    #[error("the partition was deleted")]
    PartitionGone,
}

/// Why a partition is not served here.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PartitionError {
    /// No such topic or partition.
    #[error("unknown topic or partition")]
    Unknown,
    /// Another broker leads it.
    #[error("led by broker {leader} in epoch {epoch}")]
    NotLeader {
        /// The leader, [`BrokerId::NONE`] when there is none.
        leader: BrokerId,
        /// Epoch of that leadership.
        epoch: LeaderEpoch,
    },
    /// Its files are damaged: the partition is offline until an operator has looked (reliability rule A5).
    #[error("the partition's log cannot be opened: {0}")]
    Offline(String),
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The checkpoint exists and cannot be read.
    #[error("cannot read the checkpoint {}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The write-ahead log could not be opened or is damaged.
    #[error(transparent)]
    Wal(#[from] eddy_wal::WalError),
    /// A partition's log could not be opened while the write-ahead log was replayed into it.
    #[error("cannot recover {partition}: {source}")]
    Log {
        /// Name of the partition.
        partition: String,
        /// What failed.
        source: crate::partitions::OpenError,
    },
    /// The metadata group did not start.
    #[error(transparent)]
    Quorum(#[from] eddy_quorum::QuorumError),
    /// The disk failed.
    #[error("disk: {0}")]
    Disk(#[from] std::io::Error),
}
