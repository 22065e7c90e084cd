//! How the coordinator runs.

use eddy_core::group::GroupConfig;

/// What the broker's configuration says of coordination. Every field has one source: the broker's configuration.
#[derive(Clone, Debug)]
pub struct CoordinatorConfig {
    /// Limits and timeouts of groups.
    pub groups: GroupConfig,
    /// Partitions of `__consumer_offsets` when it is made (`offsets.topic.num.partitions`).
    pub offsets_partitions: i32,
    /// Its replicas, no more than there are brokers (`offsets.topic.replication.factor`).
    pub offsets_replication_factor: i16,
    /// Its `segment.bytes` (`offsets.topic.segment.bytes`).
    pub offsets_segment_bytes: u64,
}

impl Default for CoordinatorConfig {
    /// Kafka's defaults.
    fn default() -> CoordinatorConfig {
        CoordinatorConfig {
            groups: GroupConfig::default(),
            offsets_partitions: 50,
            offsets_replication_factor: 3,
            offsets_segment_bytes: 100 << 20,
        }
    }
}
