//! Sans-IO state machines: replica, producer window, fetch sessions, groups.
//!
//! Nothing here waits, reads a clock, draws a random number or sees a byte of a record. Each machine has one method per
//! event (time first, effects last) and a `check` that asserts its invariants by the ids of `docs/INVARIANTS.md`; the
//! owner in `engine` or `gateway` calls it after every event in tests and debug builds, and carries the effects out.

mod fetch_session;
pub mod group;
mod invariant;
mod producer;
mod quota;
mod replica;

pub use fetch_session::{
    FetchContext, FetchPartition, PartitionKey, ReadResult, SessionAnswer, SessionCache, SessionError,
    SessionLimits, SessionRequest, TopicKey,
};
pub use invariant::Invariant;
pub use producer::{
    Admission, EndedTransaction, NO_COORDINATOR_EPOCH, ProducerLimits, ProducerSnapshot, ProducerWindows,
    SequenceError, WINDOW_BATCHES, WindowBatch,
};
pub use quota::{BucketQuotas, Pace, QuotaWindows, RateQuotas, TokenBucket, Tracked};
pub use replica::{
    Acks, AppendError, Appended, Correction, DeleteError, Diverging, Effect, Effects, EpochError, EpochMatch,
    FetchError, FetchGrant, Follower, FollowerError, FollowerFetch, FollowerStart, InvalidAcks, IsrDecision,
    IsrMember, IsrProposal, Leader, LeaderStart, Offsets, PartitionChange, PendingAcks, TruncationKind,
    correction, divergence, straddled,
};
