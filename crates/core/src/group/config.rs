//! The limits and timeouts of groups.

use eddy_types::Millis;

use super::record::Str;

/// What holds for every group of a broker, under Kafka's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// Least session timeout that a classic member may ask for (`group.min.session.timeout.ms`).
    pub session_timeout_min: Millis,
    /// Greatest session timeout that a classic member may ask for (`group.max.session.timeout.ms`).
    pub session_timeout_max: Millis,
    /// Most members of a classic group (`group.max.size`).
    pub size_max: usize,
    /// How long the first member of an empty classic group waits for others (`group.initial.rebalance.delay.ms`).
    pub initial_rebalance_delay: Millis,
    /// How long the JoinGroup of a member that has never had a generation may wait; its client is taken for gone then
    /// (not configurable in Kafka: 5 minutes).
    pub new_member_join_timeout: Millis,
    /// Most bytes of text with a committed offset (`offset.metadata.max.bytes`).
    pub offset_metadata_bytes_max: usize,
    /// How long offsets are kept that nobody uses (`offsets.retention.minutes`).
    pub offsets_retention: Millis,
    /// How often expired offsets are looked for (`offsets.retention.check.interval.ms`).
    pub offsets_retention_check_interval: Millis,
    /// What holds for groups of the consumer protocol (KIP-848).
    pub consumer: ConsumerGroupConfig,
}

impl Default for GroupConfig {
    /// Kafka's defaults.
    fn default() -> GroupConfig {
        GroupConfig {
            session_timeout_min: Millis(6_000),
            session_timeout_max: Millis(1_800_000),
            size_max: i32::MAX as usize,
            initial_rebalance_delay: Millis(3_000),
            new_member_join_timeout: Millis(5 * 60_000),
            offset_metadata_bytes_max: 4096,
            offsets_retention: Millis(7 * 24 * 3_600_000),
            offsets_retention_check_interval: Millis(600_000),
            consumer: ConsumerGroupConfig::default(),
        }
    }
}

/// What holds for groups of the consumer protocol (KIP-848), under Kafka's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupConfig {
    /// How long a member may be silent (`group.consumer.session.timeout.ms`).
    pub session_timeout: Millis,
    /// How often a member shall send a heartbeat (`group.consumer.heartbeat.interval.ms`).
    pub heartbeat_interval: Millis,
    /// Most members (`group.consumer.max.size`).
    pub size_max: usize,
    /// Names of the assignors that members may ask for, the default one first (`group.consumer.assignors`).
    pub assignors: Vec<Str>,
    /// Between which protocols a group may change while it has members (`group.consumer.migration.policy`).
    pub migration_policy: MigrationPolicy,
    /// Least time between two target assignments of a group (`group.consumer.assignment.interval.ms`).
    pub assignment_interval: Millis,
    /// How often a regular expression is matched against the topics anew
    /// (`group.consumer.regex.refresh.interval.ms`).
    pub regex_refresh_interval: Millis,
}

impl Default for ConsumerGroupConfig {
    /// Kafka's defaults.
    fn default() -> ConsumerGroupConfig {
        ConsumerGroupConfig {
            session_timeout: Millis(45_000),
            heartbeat_interval: Millis(5_000),
            size_max: i32::MAX as usize,
            assignors: vec!["uniform".into(), "range".into()],
            migration_policy: MigrationPolicy::Bidirectional,
            assignment_interval: Millis(1_000),
            regex_refresh_interval: Millis(600_000),
        }
    }
}

/// Which way a group with members may go between the classic and the consumer protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Both ways.
    Bidirectional,
    /// From classic to consumer.
    Upgrade,
    /// From consumer to classic.
    Downgrade,
    /// Neither.
    Disabled,
}

/// What an operator set for one group (dynamic group configuration); `None` leaves the broker's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupOverrides {
    /// `consumer.session.timeout.ms`.
    pub consumer_session_timeout: Option<Millis>,
    /// `consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval: Option<Millis>,
}
