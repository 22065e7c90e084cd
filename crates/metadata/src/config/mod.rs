//! Configuration: one table of keys, and all that is derived from it.
//!
//! A key of a topic or of the broker is an entry of [`topic_keys::KEYS`] or [`broker_keys::KEYS`]: name, type, unit,
//! default, bounds, text. From the tables come the parser ([`Key::parse`]), the typed structs ([`TopicConfig`],
//! [`BrokerConfig`]), the checks of AlterConfigs and the answers of DescribeConfigs ([`describe_topic`],
//! [`describe_broker`]).
//!
//! A value comes from the first of: topic override, dynamic configuration of this broker, dynamic configuration of all
//! brokers, static configuration (flags, environment, file), default.

mod broker_config;
pub mod broker_keys;
mod describe;
mod key;
pub mod registry;
mod topic_config;
pub mod topic_keys;
mod typed;
mod value;

use std::collections::BTreeMap;

pub use broker_config::{Address, BrokerConfig, StaticConfig};
pub use describe::{Described, Source, Synonym, describe_broker, describe_broker_default, describe_topic};
pub use key::{Check, Key, Kind, Scope, Unit};
pub use topic_config::{CleanupPolicy, CompressionType, TimestampType, TopicConfig};
pub(crate) use value::parse_list;
pub use value::{ConfigError, Value};

/// Overrides of one resource: canonical key to canonical text.
pub type Overrides = BTreeMap<String, String>;
