//! A topic's configuration as the rules its batches must keep.

use eddy_batch::{Compression, Rules, TimestampType};
use eddy_metadata::config::{CompressionType, TimestampType as ConfiguredTimestamp, TopicConfig};
use eddy_types::Millis;

/// The rules for batches that arrive `now`.
pub(crate) fn batch_rules(topic: &TopicConfig, now: Millis) -> Rules {
    let compression = match topic.compression_type {
        CompressionType::Producer => None,
        CompressionType::Uncompressed => Some((Compression::None, None)),
        CompressionType::Gzip => Some((Compression::Gzip, Some(topic.compression_gzip_level))),
        CompressionType::Snappy => Some((Compression::Snappy, None)),
        CompressionType::Lz4 => Some((Compression::Lz4, Some(topic.compression_lz4_level))),
        CompressionType::Zstd => Some((Compression::Zstd, Some(topic.compression_zstd_level))),
    };
    Rules {
        max_message_bytes: topic.max_message_bytes as usize,
        segment_bytes: topic.segment_bytes as usize,
        compression,
        timestamp_type: match topic.message_timestamp_type {
            ConfiguredTimestamp::CreateTime => TimestampType::CreateTime,
            ConfiguredTimestamp::LogAppendTime => TimestampType::LogAppendTime,
        },
        timestamp_before_max: Millis(topic.message_timestamp_before_max_ms),
        timestamp_after_max: Millis(topic.message_timestamp_after_max_ms),
        compacted: topic.cleanup_policy.compact,
        now,
    }
}
