//! Owns state at run time: partitions, flusher, housekeeping, budgets.
//!
//! The engine binds the pure machines of `core` to the log, the write-ahead log and the metadata group. The gateway asks it
//! for partitions, appends and reads; nothing here knows a socket or a Kafka message.

mod ack;
mod background;
mod budget;
mod checkpoint;
mod cleaner;
mod engine;
mod error;
mod fatal;
mod flush_queue;
mod flusher;
mod housekeeping;
mod isr;
mod lease;
mod log_config;
mod partition;
mod partitions;
mod read;
mod recovery;
mod replica_watch;
mod role_changes;
mod storage;
mod traffic;
mod watch;

pub use ack::{AckGroup, AckResult, AckToken};
pub use background::give_way;
pub use budget::{BudgetPermit, MemoryBudget};
pub use cleaner::{CleanerStatus, Uncleanable};
pub use eddy_wal::Room;
pub use engine::{Backpressure, DiskSpace, Engine, EngineConfig};
pub use error::{
    AppendError, DeleteRecordsError, PartitionError, ReadError, ReplicaRefused, ReplicateError, StartError,
};
pub use fatal::{OnFatal, abort};
pub use flusher::FlushConfig;
pub use housekeeping::HousekeepingConfig;
pub use isr::{IsrProposals, ReplicationStatus};
pub use lease::Lease;
pub use partition::{
    ColdRead, FollowAnswer, FollowerLag, FollowerPosition, NewBatch, Partition, PartitionKey, ReplicaRead,
    ReplicaReading, Role,
};
pub use partitions::Partitions;
pub use read::{PartitionRead, ReadRequest};
pub use replica_watch::{DurableReport, ReplicaWatch};
pub use role_changes::RoleChanges;
pub use traffic::Traffic;
pub use watch::FetchWaiter;
