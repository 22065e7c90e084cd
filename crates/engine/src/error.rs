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
    /// Another broker leads, or this one may not lead at the moment. Of a batch that was appended already it says that nobody
    /// knows whether it stays.
    #[error("led by broker {leader} in epoch {epoch}")]
    NotLeader {
        /// The leader, [`BrokerId::NONE`] when none is known.
        leader: BrokerId,
        /// Epoch of that leadership.
        epoch: LeaderEpoch,
    },
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

/// Why records were not deleted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DeleteRecordsError {
    /// The offset is negative or above the high watermark.
    #[error(transparent)]
    Refused(#[from] eddy_core::DeleteError),
    /// Another broker leads.
    #[error("led by broker {leader} in epoch {epoch}")]
    NotLeader {
        /// The leader, [`BrokerId::NONE`] when none is known.
        leader: BrokerId,
        /// Epoch of that leadership.
        epoch: LeaderEpoch,
    },
    /// Not all in-sync replicas have followed in time: the records are gone from this broker all the same.
    #[error("not all replicas have moved their log start to {start} in time")]
    TimedOut {
        /// The new log start of this broker.
        start: Offset,
    },
}

/// Why a leader has nothing for a replica. The session ends or begins anew with what the metadata says by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaRefused {
    /// This broker does not lead (NOT_LEADER_OR_FOLLOWER).
    #[error("not the leader")]
    NotLeader,
    /// The follower has not heard of the current epoch (FENCED_LEADER_EPOCH).
    #[error("an older leader epoch than {0}")]
    FencedEpoch(LeaderEpoch),
    /// This broker has not heard of the epoch yet: try again (UNKNOWN_LEADER_EPOCH).
    #[error("a newer leader epoch than {0}")]
    UnknownEpoch(LeaderEpoch),
    /// The follower has registered again since: this is from its former life (KIP-903).
    #[error("from an earlier life of the broker")]
    StaleBroker,
    /// The broker holds no replica as far as this one knows: one of the two has old metadata.
    #[error("the broker has no replica here")]
    UnknownReplica,
}

/// Why a follower did not do what it was told. Nothing has changed then, unless the variant says so.
#[derive(Debug, thiserror::Error)]
pub enum ReplicateError {
    /// It follows another leader or epoch by now, or nobody.
    #[error("not a follower in this epoch, role or epoch is another one: {0}")]
    OtherRole(LeaderEpoch),
    /// What the leader sent is no whole valid batch. Batches before it were taken.
    #[error("the leader sent a bad batch at offset {at}: {source}")]
    Batch {
        /// End of the log, where it should have gone.
        at: Offset,
        /// What is wrong.
        source: eddy_batch::BatchError,
    },
    /// The replica's rules forbid it. Batches before it were taken.
    #[error(transparent)]
    Refused(#[from] eddy_core::FollowerError),
    /// The log is being cut: wait for that first.
    #[error("the log is being cut")]
    Cutting,
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The write-ahead log is closed.
    #[error(transparent)]
    Stopped(#[from] eddy_wal::Stopped),
    /// The replica was closed.
    #[error("the partition was deleted")]
    PartitionGone,
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
    /// This broker does not lead any more: what was read may not stay.
    #[error("not the leader any more, epoch {epoch}")]
    NotLeader {
        /// The epoch known now.
        epoch: LeaderEpoch,
    },
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
        source: crate::storage::OpenError,
    },
    /// The metadata group did not start.
    #[error(transparent)]
    Quorum(#[from] eddy_quorum::QuorumError),
    /// The disk failed.
    #[error("disk: {0}")]
    Disk(#[from] std::io::Error),
}
