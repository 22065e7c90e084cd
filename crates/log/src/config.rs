//! What a log is told by its topic's configuration.

use eddy_types::Millis;

/// Settings of one log; replaced as a whole when the topic's configuration changes.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// A segment is not grown beyond this (`segment.bytes`); only a single larger batch exceeds it. Above `i32::MAX` it
    /// counts as that, because index positions are signed 32-bit numbers.
    pub segment_bytes: u32,
    /// A segment takes no record this much younger than its first (`segment.ms`).
    pub segment_ms: Millis,
    /// Up to this is taken off `segment_ms`, by a number of the segment's own (`segment.jitter.ms`).
    pub segment_jitter_ms: Millis,
    /// Bytes of log between index entries (`index.interval.bytes`).
    pub index_interval_bytes: u32,
    /// A segment whose index files reach this size is rolled (`segment.index.bytes`).
    pub index_bytes_max: u32,
    /// Segments are dropped when their newest record is older (`retention.ms`); -1 keeps them for ever. For a topic without
    /// the cleanup policy `delete` the caller sets -1.
    pub retention_ms: Millis,
    /// Oldest segments are dropped while the log stays at least this large without them (`retention.bytes`); -1 is no limit.
    pub retention_bytes: i64,
    /// How records are compacted by key; `None` for a topic without the cleanup policy `compact`.
    pub compaction: Option<Compaction>,
}

/// When a log is compacted, and what compaction must keep for a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compaction {
    /// Share of bytes not yet compacted above which the log is compacted (`min.cleanable.dirty.ratio`), 0 to 1.
    pub min_dirty_ratio: f64,
    /// A segment with a record younger than this is left alone, with all that follow it (`min.compaction.lag.ms`).
    pub min_lag_ms: Millis,
    /// A log is compacted, whatever its dirty ratio, once a record has waited longer (`max.compaction.lag.ms`).
    pub max_lag_ms: Millis,
    /// Tombstones, and markers of transactions without records, stay this long after the first compaction that saw them
    /// (`delete.retention.ms`).
    pub delete_retention_ms: Millis,
}

impl Default for Compaction {
    /// Kafka's defaults.
    fn default() -> Self {
        Compaction {
            min_dirty_ratio: 0.5,
            min_lag_ms: Millis(0),
            max_lag_ms: Millis(i64::MAX),
            delete_retention_ms: Millis(24 * 3_600_000),
        }
    }
}

impl Default for LogConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        const WEEK: Millis = Millis(7 * 24 * 3_600_000);
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: WEEK,
            segment_jitter_ms: Millis(0),
            index_interval_bytes: 4096,
            index_bytes_max: 10 << 20,
            retention_ms: WEEK,
            retention_bytes: -1,
            compaction: None,
        }
    }
}
