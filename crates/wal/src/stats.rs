//! Counters of the log, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{Limits, Lsn, Pressure};

/// A moment of the log. Cheap to take.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Record batches admitted and not yet durable.
    pub queue_batches: u32,
    /// Their bytes.
    pub queue_bytes: usize,
    /// Requests that wait for room.
    pub waiting: usize,
    /// The limits of the queue.
    pub limits: Limits,
    /// How full the log is.
    pub pressure: Pressure,
    /// Position of the next entry.
    pub next_lsn: Lsn,
    /// Entries below this one are durable.
    pub durable_lsn: Lsn,
    /// Groups made durable by this process.
    pub groups: u64,
    /// Those of them that were written where they were submitted ([`Wal::commit_in_place`](crate::Wal::commit_in_place)).
    pub groups_in_place: u64,
    /// Entries in them all.
    pub entries: u64,
    /// Bytes written for them, with headers and padding.
    pub bytes_written: u64,
    /// Calls of `fdatasync` for them.
    pub syncs: u64,
    /// Bytes of all files.
    pub file_bytes: u64,
    /// Bytes of the files that hold entries which were not trimmed.
    pub retained_bytes: u64,
    /// What `file_bytes` may grow to.
    pub file_bytes_max: u64,
    /// Seconds that one `fdatasync` took.
    pub sync_seconds: HistogramSnapshot,
    /// Entries of one group.
    pub group_entries: HistogramSnapshot,
    /// Seconds that the oldest entry of a group waited for its group to begin.
    pub wait_seconds: HistogramSnapshot,
}

/// Counts of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSnapshot {
    /// Upper bounds of the buckets, in the histogram's unit; one more bucket holds all above.
    pub bounds: &'static [f64],
    /// Values in each bucket, not cumulative; one more than there are bounds.
    pub counts: Vec<u64>,
    /// Sum of all values.
    pub sum: f64,
    /// Number of all values.
    pub count: u64,
}

/// Bounds for times, in seconds: from a sync into a fast cache to a disk that hangs.
pub(crate) const SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
];
/// Bounds for counts.
pub(crate) const COUNTS: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0,
    32768.0,
];

const BUCKETS: usize = 17;
/// Sums are kept in billionths, so that an atomic integer holds them.
const SCALE: f64 = 1e9;

/// A histogram that one thread writes and any thread reads.
pub(crate) struct Histogram {
    bounds: &'static [f64],
    counts: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        assert!(bounds.len() < BUCKETS, "a bucket is needed for what lies above all bounds");
        Histogram { bounds, counts: Default::default(), sum: AtomicU64::new(0) }
    }

    pub(crate) fn record(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add((value * SCALE) as u64, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> HistogramSnapshot {
        let counts: Vec<u64> = self
            .counts
            .iter()
            .take(self.bounds.len() + 1)
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let count = counts.iter().sum();
        HistogramSnapshot {
            bounds: self.bounds,
            counts,
            sum: self.sum.load(Ordering::Relaxed) as f64 / SCALE,
            count,
        }
    }
}

/// What whoever commits counts.
pub(crate) struct Counters {
    pub(crate) groups: AtomicU64,
    pub(crate) groups_in_place: AtomicU64,
    pub(crate) entries: AtomicU64,
    pub(crate) bytes_written: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_seconds: Histogram,
    pub(crate) group_entries: Histogram,
    pub(crate) wait_seconds: Histogram,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Counters {
            groups: AtomicU64::new(0),
            groups_in_place: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            bytes_written: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            sync_seconds: Histogram::new(SECONDS),
            group_entries: Histogram::new(COUNTS),
            wait_seconds: Histogram::new(SECONDS),
        }
    }

    pub(crate) fn group(&self, entries: usize, bytes: u64, waited: Duration, synced: Duration) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries as u64, Ordering::Relaxed);
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.sync_seconds.record(synced.as_secs_f64());
        self.group_entries.record(entries as f64);
        self.wait_seconds.record(waited.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_counts_below_it() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.5, 100.0] {
            histogram.record(value);
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.counts, [2, 1, 2]);
        assert_eq!(snapshot.count, 5);
        assert!((snapshot.sum - 105.5).abs() < 1e-6);
    }
}
