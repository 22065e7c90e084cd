//! One replica of a partition: what the leader admits and promises, what a follower keeps.
//!
//! The engine feeds [`Leader`] or [`Follower`] under the partition's lock and carries out the [`Effect`]s; the records
//! themselves go from `batch` to `log` beside it.

mod delete;
mod effect;
mod epochs;
mod error;
mod follower;
mod in_sync;
mod leader;
mod pending_acks;

pub use delete::DeleteError;
pub use effect::{Effect, Effects, IsrMember, IsrProposal};
pub use epochs::{Correction, Diverging, EpochError, EpochMatch, correction, divergence, straddled};
pub use error::{AppendError, FetchError};
pub use follower::{Follower, FollowerError, FollowerStart, TruncationKind};
pub use in_sync::{IsrDecision, PartitionChange};
pub use leader::{Appended, FetchGrant, FollowerFetch, Leader, LeaderStart, Offsets};
pub use pending_acks::{Acks, InvalidAcks, PendingAcks};

#[cfg(test)]
mod tests;
