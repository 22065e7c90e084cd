//! What the indexer counts, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::mapping::Raw;

/// Upper bounds of the buckets of times, in seconds.
pub const SECONDS_BOUNDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Times, counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// How many were not above each of [`SECONDS_BOUNDS`] but above the bound before; the last counts those above all.
    pub counts: [u64; SECONDS_BOUNDS.len() + 1],
    /// All of them.
    pub count: u64,
    /// Their sum, in seconds.
    pub sum: f64,
}

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket =
            SECONDS_BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(SECONDS_BOUNDS.len());
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }
}

/// Since the start of the broker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Records indexed.
    pub records: u64,
    /// Bytes of batches that were read for that.
    pub read_bytes: u64,
    /// Bytes of splits written, merges included.
    pub written_bytes: u64,
    /// Records that were indexed otherwise than asked for, by why.
    pub raw: Vec<(&'static str, u64)>,
    /// Records that could not be indexed at all: their batches cannot be decompressed or read.
    pub dropped: u64,
    /// How long a commit took, from the first record to the manifest.
    pub commit_seconds: Times,
    /// How long a merge took.
    pub merge_seconds: Times,
    /// Time that was spent stepping aside, by what for.
    pub backoff: Vec<(&'static str, Duration)>,
    /// Indexes, or parts of one, that were made anew because they could not be used.
    pub rebuilds: u64,
    /// Bytes that are taken for building at the moment.
    pub memory_bytes: u64,
    /// Splits open for searching.
    pub open_splits: usize,
    /// Partitions indexed here.
    pub partitions: usize,
}

/// The same as it is counted.
#[derive(Default)]
pub(crate) struct Counters {
    records: AtomicU64,
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
    raw: [AtomicU64; Raw::ALL.len()],
    dropped: AtomicU64,
    commits: Mutex<Times>,
    merges: Mutex<Times>,
    rebuilds: AtomicU64,
    memory: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self, bytes: usize) {
        self.read_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn raw(&self, why: Raw) {
        if let Some(count) = self.raw.get(why as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn dropped(&self, records: u64) {
        self.dropped.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn committed(&self, records: u64, bytes: u64, took: Duration) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.commits.lock().add(took);
    }

    pub(crate) fn merged(&self, bytes: u64, took: Duration) {
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.merges.lock().add(took);
    }

    pub(crate) fn rebuilt(&self) {
        self.rebuilds.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn memory(&self, bytes: usize) {
        self.memory.store(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            records: get(&self.records),
            read_bytes: get(&self.read_bytes),
            written_bytes: get(&self.written_bytes),
            raw: Raw::ALL.iter().zip(&self.raw).map(|(why, count)| (why.name(), get(count))).collect(),
            dropped: get(&self.dropped),
            commit_seconds: self.commits.lock().clone(),
            merge_seconds: self.merges.lock().clone(),
            rebuilds: get(&self.rebuilds),
            memory_bytes: get(&self.memory),
            ..Stats::default()
        }
    }
}
