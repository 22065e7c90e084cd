//! Cluster image, metadata records, controller decisions and the configuration registry; pure.
//!
//! The metadata group commits [`Record`]s; every broker applies them, in the same order, to its [`Image`]. The leader of
//! the group decides what to commit with the functions of [`controller`]: image and request in, records or a typed
//! refusal out. Nothing here knows a clock, a file, a task or a random number: ids and time come from the caller.
//!
//! [`config`] is the one table of configuration keys: parsing, defaults, dynamic changes and DescribeConfigs read it.

pub mod config;
pub mod controller;
mod image;
pub mod quota;
mod record;

pub use image::{
    ApplyError, Broker, Image, Local, Partition, PartitionCounts, PlacedPartition, RemovedTopic,
    SnapshotError, Topic,
};
pub use record::{Assignment, DecodeError, Endpoint, PartitionAssignment, Record, Resource};
