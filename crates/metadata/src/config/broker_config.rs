//! The configuration of a broker, as the code reads it, and what of it comes from outside the cluster.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::address::{Address, SeedBroker};
use super::check::limits_by_address;
use super::foreign::{Foreign, foreign};
use super::key::Scope;
use super::registry;
use super::typed::{FromValue, typed_config};
use super::value::{ConfigError, Value};
use super::{Overrides, broker_keys};
use crate::Image;

/// What flags, environment and file set: canonical key to canonical text, every value checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticConfig(BTreeMap<&'static str, String>);

impl StaticConfig {
    /// Reads pairs of key (or alias) and value; a later pair replaces an earlier one. Names of Kafka's that mean nothing here
    /// ([`foreign`]) are passed over.
    pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<StaticConfig, ConfigError> {
        let mut config = StaticConfig::default();
        for (name, value) in pairs {
            config.set(name.as_ref(), value.as_ref())?;
        }
        Ok(config)
    }

    /// Sets one key (or alias).
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        match foreign(name, value) {
            Some(Foreign::Unsupported(why)) => {
                return Err(ConfigError::Unsupported { key: name.to_owned(), why });
            }
            Some(Foreign::Harmless(_)) if registry::broker(name).is_none_or(|key| key.name != name) => {
                return Ok(());
            }
            _ => {}
        }
        let key = registry::find(Scope::Broker, name)?;
        self.0.insert(key.name, key.parse(value)?.to_text());
        Ok(())
    }

    /// Text of a key, when it is set.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Everything that is set, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(key, value)| (*key, value.as_str()))
    }
}

/// `max.connections.per.ip.overrides`: limits of single addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsByAddress(Vec<(IpAddr, u32)>);

impl LimitsByAddress {
    /// The limit of an address, when it has one of its own.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Option<u32> {
        self.0.iter().find(|(listed, _)| *listed == address).map(|(_, limit)| *limit)
    }
}

impl FromValue for LimitsByAddress {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { limits_by_address(text).ok().map(LimitsByAddress) } else { None }
    }
}

/// `group.consumer.migration.policy`: which way a group with members may change its protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Neither way.
    Disabled,
    /// From KIP-848 to classic.
    Downgrade,
    /// From classic to KIP-848.
    Upgrade,
    /// Both ways.
    #[default]
    Bidirectional,
}

impl MigrationPolicy {
    /// Whether a classic group may become one of KIP-848.
    #[must_use]
    pub fn upgrades(self) -> bool {
        matches!(self, MigrationPolicy::Upgrade | MigrationPolicy::Bidirectional)
    }

    /// Whether a group of KIP-848 may become a classic one.
    #[must_use]
    pub fn downgrades(self) -> bool {
        matches!(self, MigrationPolicy::Downgrade | MigrationPolicy::Bidirectional)
    }
}

impl FromValue for MigrationPolicy {
    fn from_value(value: &Value) -> Option<Self> {
        Some(match String::from_value(value)?.as_str() {
            "disabled" => MigrationPolicy::Disabled,
            "downgrade" => MigrationPolicy::Downgrade,
            "upgrade" => MigrationPolicy::Upgrade,
            "bidirectional" => MigrationPolicy::Bidirectional,
            _ => return None,
        })
    }
}

typed_config! {
    /// The configuration in force for a broker, without the defaults of topics ([`TopicConfig`](super::TopicConfig)).
    /// Fields are named like their keys, times in milliseconds, sizes in bytes; [`broker_keys`] says what each means.
    BrokerConfig(registry::broker) {
        "node.id" => node_id: i32,
        "data.dir" => data_dir: String,
        "listeners.kafka" => listeners_kafka: Address,
        "listeners.admin" => listeners_admin: Address,
        "listeners.advertised" => listeners_advertised: Option<Address>,
        "broker.rack" => broker_rack: Option<String>,
        "cluster.listen" => cluster_listen: Option<Address>,
        "cluster.advertised" => cluster_advertised: Option<Address>,
        "cluster.seeds" => cluster_seeds: Vec<SeedBroker>,
        "wal.profile" => wal_profile: String,
        "wal.total.bytes" => wal_total_bytes: Option<u64>,
        "backpressure.max.wait" => backpressure_max_wait_ms: u64,
        "log.checkpoint.interval" => log_checkpoint_interval_ms: u64,
        "search.memory" => search_memory: u64,
        "search.commit.interval" => search_commit_interval_ms: u64,
        "log.format" => log_format: String,
        "log.level" => log_level: String,
        "num.partitions" => num_partitions: i32,
        "default.replication.factor" => default_replication_factor: i16,
        "auto.create.topics.enable" => auto_create_topics_enable: bool,
        "delete.topic.enable" => delete_topic_enable: bool,
        "max.request.partition.size.limit" => max_request_partition_size_limit: i32,
        "log.retention.check.interval.ms" => log_retention_check_interval_ms: u64,
        "log.cleaner.enable" => log_cleaner_enable: bool,
        "log.cleaner.backoff.ms" => log_cleaner_backoff_ms: u64,
        "log.cleaner.dedupe.buffer.size" => log_cleaner_dedupe_buffer_size: u64,
        "log.cleaner.io.max.bytes.per.second" => log_cleaner_io_max_bytes_per_second: f64,
        "producer.id.expiration.ms" => producer_id_expiration_ms: i64,
        "socket.request.max.bytes" => socket_request_max_bytes: u32,
        "queued.max.request.bytes" => queued_max_request_bytes: i64,
        "connections.max.idle.ms" => connections_max_idle_ms: i64,
        "max.connections" => max_connections: u32,
        "max.connections.per.ip" => max_connections_per_ip: u32,
        "max.connections.per.ip.overrides" => max_connections_per_ip_overrides: LimitsByAddress,
        "max.connection.creation.rate" => max_connection_creation_rate: u32,
        "fetch.max.bytes" => fetch_max_bytes: u32,
        "max.incremental.fetch.session.cache.slots" => max_incremental_fetch_session_cache_slots: u32,
        "replica.selector.class" => replica_selector_class: Option<String>,
        "replica.lag.time.max.ms" => replica_lag_time_max_ms: u64,
        "leader.replication.throttled.rate" => leader_replication_throttled_rate: u64,
        "follower.replication.throttled.rate" => follower_replication_throttled_rate: u64,
        "broker.heartbeat.interval.ms" => broker_heartbeat_interval_ms: u64,
        "broker.session.timeout.ms" => broker_session_timeout_ms: u64,
        "auto.leader.rebalance.enable" => auto_leader_rebalance_enable: bool,
        "leader.imbalance.check.interval.seconds" => leader_imbalance_check_interval_seconds: u64,
        "quota.window.num" => quota_window_num: u32,
        "quota.window.size.seconds" => quota_window_size_seconds: u32,
        "controller.quota.window.num" => controller_quota_window_num: u32,
        "controller.quota.window.size.seconds" => controller_quota_window_size_seconds: u32,
        "telemetry.max.bytes" => telemetry_max_bytes: u32,
        "group.initial.rebalance.delay.ms" => group_initial_rebalance_delay_ms: i64,
        "group.min.session.timeout.ms" => group_min_session_timeout_ms: i32,
        "group.max.session.timeout.ms" => group_max_session_timeout_ms: i32,
        "group.max.size" => group_max_size: u32,
        "group.consumer.session.timeout.ms" => group_consumer_session_timeout_ms: i32,
        "group.consumer.heartbeat.interval.ms" => group_consumer_heartbeat_interval_ms: i32,
        "group.consumer.max.size" => group_consumer_max_size: u32,
        "group.consumer.min.session.timeout.ms" => group_consumer_min_session_timeout_ms: i32,
        "group.consumer.max.session.timeout.ms" => group_consumer_max_session_timeout_ms: i32,
        "group.consumer.min.heartbeat.interval.ms" => group_consumer_min_heartbeat_interval_ms: i32,
        "group.consumer.max.heartbeat.interval.ms" => group_consumer_max_heartbeat_interval_ms: i32,
        "group.consumer.assignment.interval.ms" => group_consumer_assignment_interval_ms: i32,
        "group.consumer.min.assignment.interval.ms" => group_consumer_min_assignment_interval_ms: i32,
        "group.consumer.max.assignment.interval.ms" => group_consumer_max_assignment_interval_ms: i32,
        "group.consumer.assignors" => group_consumer_assignors: Vec<String>,
        "group.consumer.migration.policy" => group_consumer_migration_policy: MigrationPolicy,
        "group.coordinator.rebalance.protocols" => group_coordinator_rebalance_protocols: Vec<String>,
        "offset.metadata.max.bytes" => offset_metadata_max_bytes: u32,
        "offsets.topic.num.partitions" => offsets_topic_num_partitions: i32,
        "offsets.topic.replication.factor" => offsets_topic_replication_factor: i16,
        "offsets.topic.segment.bytes" => offsets_topic_segment_bytes: u32,
        "offsets.retention.minutes" => offsets_retention_minutes: i64,
        "offsets.retention.check.interval.ms" => offsets_retention_check_interval_ms: u64,
    }
}

impl BrokerConfig {
    /// What the static configuration alone gives: what a broker starts with, before it knows the cluster's.
    #[must_use]
    pub fn from_static(config: &StaticConfig) -> BrokerConfig {
        BrokerConfig::layered(config, &Overrides::new(), &Overrides::new())
    }

    /// The configuration of the broker that sees the image. What changes dynamically is read anew from each image.
    pub(crate) fn resolve(image: &Image) -> BrokerConfig {
        let local = image.local();
        BrokerConfig::layered(
            &local.config,
            image.broker_default_overrides(),
            image.broker_overrides(local.broker),
        )
    }

    fn layered(fixed: &StaticConfig, all_brokers: &Overrides, this_broker: &Overrides) -> BrokerConfig {
        let mut config = BrokerConfig::default();
        for key in broker_keys::keys() {
            let dynamic = || this_broker.get(key.name).or_else(|| all_brokers.get(key.name));
            let text = dynamic().map(String::as_str).or_else(|| fixed.get(key.name));
            if let Some(Ok(value)) = text.map(|text| key.parse(text)) {
                config.set(key.name, &value);
            }
        }
        config
    }

    /// Whether consumers are sent to a replica in their rack (KIP-392).
    #[must_use]
    pub fn reads_by_rack(&self) -> bool {
        self.replica_selector_class.as_deref() == Some(broker_keys::RACK_AWARE_SELECTOR)
    }

    /// The address that clients are told to connect to.
    #[must_use]
    pub fn advertised(&self) -> &Address {
        self.listeners_advertised.as_ref().unwrap_or(&self.listeners_kafka)
    }

    /// The address that other brokers are told to connect to; `None` for a broker that is alone, and for one of which only
    /// an address to listen on is known that stands for every address.
    #[must_use]
    pub fn advertised_to_brokers(&self) -> Option<&Address> {
        let listen = self.cluster_listen.as_ref()?;
        let own = self.cluster_seeds.iter().find(|seed| seed.broker.0 == self.node_id);
        self.cluster_advertised
            .as_ref()
            .or(own.map(|seed| &seed.address))
            .or(Some(listen).filter(|listen| !listen.is_unspecified()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_key() {
        for (field, _) in BrokerConfig::FIELDS {
            assert_eq!(registry::broker(field).map(|key| key.name), Some(*field));
        }
        assert_eq!(BrokerConfig::default().node_id, 1);
        assert_eq!(BrokerConfig::default().listeners_admin.port, 9644);
    }

    /// A key is honoured through a field or through the topic or group key that it is the default of, or says why it is not.
    #[test]
    fn every_broker_key_is_honoured_or_says_why_not() {
        let defaults_of = |name: &str| {
            let mut others = crate::config::topic_keys::KEYS.iter().chain(crate::config::group_keys::KEYS);
            others.any(|key| key.synonyms.contains(&name))
        };
        for key in broker_keys::keys() {
            let has_field = BrokerConfig::FIELDS.iter().any(|(field, _)| *field == key.name);
            let honoured = has_field || defaults_of(key.name);
            assert!(honoured || key.inert.is_some(), "{}", key.name);
            assert!(!(has_field && key.inert.is_some()), "{}", key.name);
            // These show in the configuration of topics.
            let is_default = defaults_of(key.name);
            assert!(is_default || !(key.inert.is_some() && key.dynamic), "{}", key.name);
        }
    }

    #[test]
    fn what_is_refused_cannot_be_set_and_what_asks_for_nothing_can() {
        let set = |name, value| StaticConfig::from_pairs([(name, value)]);
        assert!(matches!(set("ssl.protocol", "TLSv1.3"), Err(ConfigError::Unsupported { .. })));
        assert!(matches!(set("authorizer.class.name", "x"), Err(ConfigError::Unsupported { .. })));
        assert_eq!(set("authorizer.class.name", "").unwrap().get("authorizer.class.name"), Some(""));
        assert_eq!(set("zookeeper.connect", "z:1").unwrap().iter().count(), 0);
        assert_eq!(set("num.io.threads", "9").unwrap().get("num.io.threads"), Some("9"));
        assert!(matches!(set("num.io.threads", "many"), Err(ConfigError::InvalidValue { .. })));
    }

    #[test]
    fn kafka_names_set_our_keys() {
        let pairs = [
            ("broker.id", "7"),
            ("listeners", "PLAINTEXT://127.0.0.1:19092"),
            ("log.dirs", "/data"),
            ("num.io.threads", "8"),
            ("backpressure.max.wait.ms", "2s"),
        ];
        let config = BrokerConfig::from_static(&StaticConfig::from_pairs(pairs).unwrap());
        assert_eq!(config.node_id, 7);
        assert_eq!(config.advertised().to_string(), "127.0.0.1:19092");
        assert_eq!(config.data_dir, "/data");
        assert_eq!(config.backpressure_max_wait_ms, 2000);
    }
}
