//! Runs the group coordinator's machines on the internal topics.
//!
//! Every partition of `__consumer_offsets` that this broker leads is a shard: a [`GroupShard`](eddy_core::group::GroupShard)
//! rebuilt from the partition's records. A request becomes one event of its group's shard: room in the write-ahead log is
//! reserved, the machine runs under the shard's short lock, its records are appended as one batch, and its answers leave
//! when everything appended so far is on disk. The next event does not wait for that, so many commits share one sync.
//!
//! The gateway calls [`GroupCoordinator`]; nothing here knows a socket or a request's version.

mod asked;
mod batch;
mod config;
mod coordinator;
mod error;
mod load;
mod metadata;
mod notes;
mod offsets_topic;
mod replies;
mod requests;
mod route;
mod shard;
mod shards;
mod snapshot;
mod stored;
mod timer;

pub use asked::Asked;
pub use coordinator::GroupCoordinator;
pub use error::Unavailable;
pub use notes::Counts;
pub use offsets_topic::OFFSETS_TOPIC;
pub use route::partition_of;
pub use snapshot::{GroupSnapshot, OffsetSnapshot, Snapshot};
