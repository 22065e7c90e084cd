//! Ids, offsets, epochs, error codes and time: the vocabulary of every other crate.
//!
//! Everything Kafka counts has a type of its own, so that an offset is never taken for an epoch. The types are plain
//! wrappers with a public field: they carry meaning, not behaviour.

mod batch_facts;
mod error_code;
mod ids;
mod offset;
mod time;

pub use batch_facts::{BatchFacts, ControlKind, ProducerSequence};
pub use error_code::ErrorCode;
pub use ids::{
    BrokerId, ClusterId, DirectoryId, LocalPartition, ParseIdError, ProducerId, TopicId, TopicPartition,
};
pub use offset::{LeaderEpoch, Offset, OffsetRange, PartitionEpoch, ProducerEpoch};
pub use time::{Clock, Millis, SystemClock};
