//! What went into a partition and out of it since the broker started.

use std::sync::atomic::{AtomicU64, Ordering};

use eddy_types::OffsetRange;

/// Records and bytes of one partition. Offsets stand for records: where compaction has left gaps, fewer were sent.
#[derive(Debug, Default)]
pub struct Traffic {
    produced: Flow,
    fetched: Flow,
}

/// One direction of it.
#[derive(Debug, Default)]
struct Flow {
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Flow {
    fn add(&self, range: OffsetRange, bytes: usize) {
        self.records.fetch_add(u64::try_from(range.end.0 - range.start.0).unwrap_or(0), Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn get(&self) -> (u64, u64) {
        (self.records.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl Traffic {
    /// Records and bytes of batches appended.
    pub fn produced(&self) -> (u64, u64) {
        self.produced.get()
    }

    /// Records and bytes of batches read by consumers.
    pub fn fetched(&self) -> (u64, u64) {
        self.fetched.get()
    }

    pub(crate) fn count_produced(&self, range: OffsetRange, bytes: usize) {
        self.produced.add(range, bytes);
    }

    pub(crate) fn count_fetched(&self, range: OffsetRange, bytes: usize) {
        self.fetched.add(range, bytes);
    }
}
