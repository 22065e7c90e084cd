//! Refusals of the leader.

use eddy_types::{BrokerId, Offset};

use crate::producer::SequenceError;

/// Why a batch is not appended. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// acks=all, and the ISR is too small to keep the promise (R-3.4, NOT_ENOUGH_REPLICAS).
    #[error("in-sync replicas are fewer than required: {in_sync} of {required}")]
    NotEnoughReplicas {
        /// Members of the ISR.
        in_sync: usize,
        /// The effective minimum: `min.insync.replicas`, at most the number of replicas.
        required: usize,
    },
    /// The producer's epoch or sequence does not fit.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// A batch that takes no offset; validation lets none through.
    #[error("batch takes no offsets: {offsets}")]
    NoOffsets {
        /// Offsets that the batch claims.
        offsets: i32,
    },
}

/// Why a follower gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The broker has no replica of this partition as far as the leader knows (NOT_LEADER_OR_FOLLOWER: one of the two
    /// has old metadata).
    #[error("broker {broker} has no replica here")]
    UnknownReplica {
        /// Who fetched.
        broker: BrokerId,
    },
    /// The broker has registered again since: the fetch is from its former life (KIP-903, NOT_LEADER_OR_FOLLOWER).
    #[error("broker {broker} fetched with epoch {sent}, current one {current}")]
    StaleBrokerEpoch {
        /// Who fetched.
        broker: BrokerId,
        /// Broker epoch in the fetch.
        sent: i64,
        /// Broker epoch seen before.
        current: i64,
    },
    /// The offset is not in the log (R-2.43, OFFSET_OUT_OF_RANGE).
    #[error("offset {offset} is outside {log_start}..={log_end}")]
    OutOfRange {
        /// Offset asked for.
        offset: Offset,
        /// First offset of the log.
        log_start: Offset,
        /// End of the log.
        log_end: Offset,
    },
}
