//! Consumer groups of the consumer protocol (KIP-848).

#[allow(dead_code, reason = "bound when the group is in place")]
mod assignor;
mod partitions;
mod request;
mod shard;
mod topic_pattern;

pub use partitions::Partitions;
pub use request::{
    ConsumerGroupError, ConsumerHeartbeat, ConsumerHeartbeatAnswer, DescribedConsumerGroup,
    DescribedConsumerMember,
};
pub use topic_pattern::InvalidPattern;

/// A group whose members speak ConsumerGroupHeartbeat.
#[derive(Debug)]
pub(in crate::group) struct ConsumerGroup {}
