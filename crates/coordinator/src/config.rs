//! What the cluster's configuration says of coordination, as of one image.

use std::collections::BTreeMap;

use eddy_core::group::{ConsumerGroupConfig, GroupConfig, GroupOverrides, MigrationPolicy, Str};
use eddy_metadata::Image;
use eddy_metadata::config::{BrokerConfig, MigrationPolicy as Configured};
use eddy_types::Millis;

const MINUTE_MS: i64 = 60_000;

/// Limits and timeouts of groups: those of all, and what operators set for some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupConfigs {
    pub(crate) all: GroupConfig,
    pub(crate) overrides: BTreeMap<Str, GroupOverrides>,
}

impl GroupConfigs {
    /// The configuration in force.
    pub(crate) fn of(image: &Image) -> GroupConfigs {
        let overrides = image.configured_groups().map(|group| (Str::from(group), overrides(image, group)));
        GroupConfigs { all: group_config(image.broker_config()), overrides: overrides.collect() }
    }
}

/// What `__consumer_offsets` is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetsTopicConfig {
    pub(crate) partitions: i32,
    /// No more than there are brokers.
    pub(crate) replication_factor: i16,
    pub(crate) segment_bytes: u32,
}

impl OffsetsTopicConfig {
    pub(crate) fn of(broker: &BrokerConfig) -> OffsetsTopicConfig {
        OffsetsTopicConfig {
            partitions: broker.offsets_topic_num_partitions,
            replication_factor: broker.offsets_topic_replication_factor,
            segment_bytes: broker.offsets_topic_segment_bytes,
        }
    }
}

fn group_config(broker: &BrokerConfig) -> GroupConfig {
    let millis = |value: i32| Millis(i64::from(value));
    let kafka = GroupConfig::default();
    GroupConfig {
        session_timeout_min: millis(broker.group_min_session_timeout_ms),
        session_timeout_max: millis(broker.group_max_session_timeout_ms),
        size_max: size(broker.group_max_size),
        initial_rebalance_delay: Millis(broker.group_initial_rebalance_delay_ms),
        offset_metadata_bytes_max: size(broker.offset_metadata_max_bytes),
        offsets_retention: Millis(broker.offsets_retention_minutes.saturating_mul(MINUTE_MS)),
        offsets_retention_check_interval: Millis(
            i64::try_from(broker.offsets_retention_check_interval_ms).unwrap_or(i64::MAX),
        ),
        consumer: ConsumerGroupConfig {
            session_timeout: millis(broker.group_consumer_session_timeout_ms),
            heartbeat_interval: millis(broker.group_consumer_heartbeat_interval_ms),
            size_max: size(broker.group_consumer_max_size),
            assignors: broker.group_consumer_assignors.iter().map(|name| Str::from(name.as_str())).collect(),
            migration_policy: match broker.group_consumer_migration_policy {
                Configured::Disabled => MigrationPolicy::Disabled,
                Configured::Downgrade => MigrationPolicy::Downgrade,
                Configured::Upgrade => MigrationPolicy::Upgrade,
                Configured::Bidirectional => MigrationPolicy::Bidirectional,
            },
            assignment_interval: millis(broker.group_consumer_assignment_interval_ms),
            ..kafka.consumer
        },
        ..kafka
    }
}

fn size(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn overrides(image: &Image, group: &str) -> GroupOverrides {
    let set = image.group_overrides(group);
    let config = image.group_config(group);
    let when_set = |key: &str, value: i32| set.contains_key(key).then(|| Millis(i64::from(value)));
    GroupOverrides {
        consumer_session_timeout: when_set("consumer.session.timeout.ms", config.consumer_session_timeout_ms),
        consumer_heartbeat_interval: when_set(
            "consumer.heartbeat.interval.ms",
            config.consumer_heartbeat_interval_ms,
        ),
    }
}
