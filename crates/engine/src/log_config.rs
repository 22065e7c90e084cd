//! A topic's configuration as its log and its batches see it.

use eddy_log::{Compaction, LogConfig};
use eddy_metadata::config::TopicConfig;
use eddy_types::Millis;

/// What a log is told of its topic's configuration.
pub(crate) fn log_config(topic: &TopicConfig) -> LogConfig {
    let deletes = topic.cleanup_policy.delete;
    let compaction = topic.cleanup_policy.compact.then_some(Compaction {
        min_dirty_ratio: topic.min_cleanable_dirty_ratio,
        min_lag_ms: Millis(topic.min_compaction_lag_ms),
        max_lag_ms: Millis(topic.max_compaction_lag_ms),
        delete_retention_ms: Millis(topic.delete_retention_ms),
    });
    // A record cannot be compacted before its segment is sealed.
    let lag_max = compaction.map_or(i64::MAX, |compaction| compaction.max_lag_ms.0.max(1));
    LogConfig {
        segment_bytes: topic.segment_bytes,
        segment_ms: Millis(topic.segment_ms.min(lag_max)),
        segment_jitter_ms: Millis(topic.segment_jitter_ms),
        index_interval_bytes: topic.index_interval_bytes,
        index_bytes_max: topic.segment_index_bytes,
        retention_ms: Millis(if deletes { topic.retention_ms } else { -1 }),
        retention_bytes: if deletes { topic.retention_bytes } else { -1 },
        compaction,
    }
}
