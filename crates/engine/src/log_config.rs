//! A topic's configuration as its log and its batches see it.

use eddy_log::LogConfig;
use eddy_metadata::config::TopicConfig;
use eddy_types::Millis;

/// What a log is told of its topic's configuration.
pub(crate) fn log_config(topic: &TopicConfig) -> LogConfig {
    let deletes = topic.cleanup_policy.delete;
    LogConfig {
        segment_bytes: topic.segment_bytes,
        segment_ms: Millis(topic.segment_ms),
        segment_jitter_ms: Millis(topic.segment_jitter_ms),
        index_interval_bytes: topic.index_interval_bytes,
        index_bytes_max: topic.segment_index_bytes,
        retention_ms: Millis(if deletes { topic.retention_ms } else { -1 }),
        retention_bytes: if deletes { topic.retention_bytes } else { -1 },
    }
}
