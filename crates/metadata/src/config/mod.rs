//! Configuration: one table of keys, and all that is derived from it.
//!
//! A key of a topic, of the broker, of a group or of a subscription to client metrics is an entry of [`topic_keys`],
//! [`broker_keys`], [`group_keys`] or [`client_metrics_keys`]: name, type, unit, default, bounds, text. From the tables come
//! the parser ([`Key::parse`]), the typed structs ([`TopicConfig`], [`BrokerConfig`], [`GroupConfig`],
//! [`ClientMetricsConfig`]), the checks of AlterConfigs and the answers of DescribeConfigs ([`describe_topic`],
//! [`describe_broker`]). [`foreign`] knows the names in a file for Kafka that are no keys here.
//!
//! A value comes from the first of: topic override, dynamic configuration of this broker, dynamic configuration of all
//! brokers, static configuration (flags, environment, file), default.

mod address;
mod broker_config;
pub mod broker_keys;
mod check;
mod client_metrics_config;
pub mod client_metrics_keys;
mod conflicts;
mod describe;
mod foreign;
mod group_config;
pub mod group_keys;
#[cfg(test)]
mod honoured;
mod kafka_listeners;
mod key;
pub mod registry;
mod throttled;
mod topic_config;
pub mod topic_keys;
mod typed;
mod value;

use std::collections::BTreeMap;

pub use address::{Address, SeedBroker};
pub use broker_config::{BrokerConfig, LimitsByAddress, MigrationPolicy, StaticConfig};
pub use client_metrics_config::{ClientMatch, ClientMetricsConfig, ClientSelector};
pub use describe::{
    Described, Source, Synonym, describe_broker, describe_broker_default, describe_client_metrics,
    describe_group, describe_topic,
};
pub use foreign::{Foreign, foreign};
pub use group_config::GroupConfig;
pub(crate) use group_config::check_group;
pub use kafka_listeners::{controller_listener_of, listener_of};
pub use key::{Check, Key, Kind, Scope, Unit};
pub use throttled::ThrottledReplicas;
pub use topic_config::{CleanupPolicy, CompressionType, SearchReplicas, TimestampType, TopicConfig};
pub(crate) use value::parse_list;
pub use value::{ConfigError, Value};

/// Overrides of one resource: canonical key to canonical text.
pub type Overrides = BTreeMap<String, String>;
