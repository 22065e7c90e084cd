//! The configuration of a topic, as the code reads it.

use std::sync::Arc;

use super::registry;
use super::throttled::ThrottledReplicas;
use super::typed::{FromValue, typed_config};
use super::value::{ConfigError, Value};
use super::{Overrides, describe};
use crate::Image;

typed_config! {
    /// The configuration in force for a topic. Fields are named like their keys, times in milliseconds, sizes in bytes;
    /// [`topic_keys`](super::topic_keys) says what each means.
    TopicConfig(registry::topic) {
        "cleanup.policy" => cleanup_policy: CleanupPolicy,
        "compression.gzip.level" => compression_gzip_level: i32,
        "compression.lz4.level" => compression_lz4_level: i32,
        "compression.type" => compression_type: CompressionType,
        "compression.zstd.level" => compression_zstd_level: i32,
        "delete.retention.ms" => delete_retention_ms: i64,
        "file.delete.delay.ms" => file_delete_delay_ms: i64,
        "flush.messages" => flush_messages: i64,
        "flush.ms" => flush_ms: i64,
        "follower.replication.throttled.replicas" => follower_replication_throttled_replicas: ThrottledReplicas,
        "index.interval.bytes" => index_interval_bytes: u32,
        "leader.replication.throttled.replicas" => leader_replication_throttled_replicas: ThrottledReplicas,
        "local.retention.bytes" => local_retention_bytes: i64,
        "local.retention.ms" => local_retention_ms: i64,
        "max.compaction.lag.ms" => max_compaction_lag_ms: i64,
        "max.message.bytes" => max_message_bytes: u32,
        "message.timestamp.after.max.ms" => message_timestamp_after_max_ms: i64,
        "message.timestamp.before.max.ms" => message_timestamp_before_max_ms: i64,
        "message.timestamp.type" => message_timestamp_type: TimestampType,
        "min.cleanable.dirty.ratio" => min_cleanable_dirty_ratio: f64,
        "min.compaction.lag.ms" => min_compaction_lag_ms: i64,
        "min.insync.replicas" => min_insync_replicas: u32,
        "preallocate" => preallocate: bool,
        "remote.log.copy.disable" => remote_log_copy_disable: bool,
        "remote.log.delete.on.disable" => remote_log_delete_on_disable: bool,
        "remote.storage.enable" => remote_storage_enable: bool,
        "retention.bytes" => retention_bytes: i64,
        "retention.ms" => retention_ms: i64,
        "search.enable" => search_enable: bool,
        "search.fields" => search_fields: Vec<String>,
        "search.replicas" => search_replicas: SearchReplicas,
        "search.store.values" => search_store_values: bool,
        "search.tokenizer" => search_tokenizer: String,
        "segment.bytes" => segment_bytes: u32,
        "segment.index.bytes" => segment_index_bytes: u32,
        "segment.jitter.ms" => segment_jitter_ms: i64,
        "segment.ms" => segment_ms: i64,
        "unclean.leader.election.enable" => unclean_leader_election_enable: bool,
    }
}

/// `cleanup.policy`: neither keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Old segments are deleted by age and size.
    pub delete: bool,
    /// Records are compacted by key.
    pub compact: bool,
}

/// `compression.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent it.
    #[default]
    Producer,
    /// None.
    Uncompressed,
    /// gzip.
    Gzip,
    /// snappy.
    Snappy,
    /// lz4.
    Lz4,
    /// zstd.
    Zstd,
}

/// `message.timestamp.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, at the append.
    LogAppendTime,
}

/// `search.replicas`: who indexes a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchReplicas {
    /// Its leader.
    #[default]
    Leader,
    /// Every replica.
    All,
}

impl TopicConfig {
    /// The configuration of a topic with these overrides, on the broker that sees the image. Overrides that this broker
    /// does not know or understand are passed over: a newer one checked them when they were set.
    #[must_use]
    pub fn resolve(overrides: &Overrides, image: &Image) -> Arc<TopicConfig> {
        let mut config = image.topic_defaults().clone();
        if !overrides.is_empty() {
            Arc::make_mut(&mut config).overlay(overrides);
        }
        config
    }

    /// The configuration of a topic without overrides.
    pub(crate) fn defaults(image: &Image) -> TopicConfig {
        let mut config = TopicConfig::default();
        for key in super::topic_keys::KEYS {
            if let Some(value) = describe::broker_level(image, key) {
                config.set(key.name, &value);
            }
        }
        config
    }

    fn overlay(&mut self, overrides: &Overrides) {
        for (name, text) in overrides {
            if let Some(Ok(value)) = registry::topic(name).map(|key| key.parse(text)) {
                self.set(name, &value);
            }
        }
    }

    /// Checks what single keys cannot: values that do not go together.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.min_compaction_lag_ms > self.max_compaction_lag_ms {
            return Err(ConfigError::Conflict {
                reason: format!(
                    "min.compaction.lag.ms {} is above max.compaction.lag.ms {}",
                    self.min_compaction_lag_ms, self.max_compaction_lag_ms
                ),
            });
        }
        if self.remote_storage_enable {
            return Err(ConfigError::Conflict {
                reason: "remote.storage.enable needs a broker with tiered storage, and this one has none"
                    .to_owned(),
            });
        }
        Ok(())
    }
}

impl FromValue for CleanupPolicy {
    fn from_value(value: &Value) -> Option<Self> {
        let items = Vec::<String>::from_value(value)?;
        let has = |name: &str| items.iter().any(|item| item == name);
        Some(CleanupPolicy { delete: has("delete"), compact: has("compact") })
    }
}

impl FromValue for CompressionType {
    fn from_value(value: &Value) -> Option<Self> {
        Some(match String::from_value(value)?.as_str() {
            "producer" => CompressionType::Producer,
            "uncompressed" => CompressionType::Uncompressed,
            "gzip" => CompressionType::Gzip,
            "snappy" => CompressionType::Snappy,
            "lz4" => CompressionType::Lz4,
            "zstd" => CompressionType::Zstd,
            _ => return None,
        })
    }
}

impl FromValue for TimestampType {
    fn from_value(value: &Value) -> Option<Self> {
        Some(match String::from_value(value)?.as_str() {
            "CreateTime" => TimestampType::CreateTime,
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => return None,
        })
    }
}

impl FromValue for SearchReplicas {
    fn from_value(value: &Value) -> Option<Self> {
        Some(match String::from_value(value)?.as_str() {
            "leader" => SearchReplicas::Leader,
            "all" => SearchReplicas::All,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_key_has_a_field() {
        let keys: Vec<_> = super::super::topic_keys::KEYS.iter().map(|key| key.name).collect();
        let fields: Vec<_> = TopicConfig::FIELDS.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, fields);
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let config = TopicConfig::default();
        assert_eq!(config.cleanup_policy, CleanupPolicy { delete: true, compact: false });
        assert_eq!(config.retention_ms, 604_800_000);
        assert_eq!(config.segment_bytes, 1 << 30);
        assert_eq!(config.max_message_bytes, 1_048_588);
        assert_eq!(config.min_insync_replicas, 1);
        assert_eq!(config.flush_ms, i64::MAX);
        assert!((config.min_cleanable_dirty_ratio - 0.5).abs() < f64::EPSILON);
    }
}
