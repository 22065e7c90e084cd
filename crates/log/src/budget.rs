//! Memory that the tail caches of all partitions share.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the bytes that cached batches keep alive. It counts and never refuses: whoever admits batches looks at
/// [`TailBudget::used`] first, and the flusher evicts when it nears the limit.
#[derive(Debug)]
pub struct TailBudget {
    used: AtomicUsize,
    limit: usize,
}

impl TailBudget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        TailBudget { used: AtomicUsize::new(0), limit }
    }

    /// Bytes kept alive now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that may be kept alive.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Adds `bytes`.
    pub fn charge(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes back `bytes` that were charged before.
    pub fn release(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "released {bytes} of {before}");
    }
}
