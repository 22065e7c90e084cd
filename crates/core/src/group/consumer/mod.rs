//! Consumer groups of the consumer protocol (KIP-848).

/// A group whose members speak ConsumerGroupHeartbeat.
#[derive(Debug)]
pub(in crate::group) struct ConsumerGroup {}
