//! Counters of sessions and fetchers.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

/// The counters of a fetcher.
#[derive(Debug, Default)]
pub(super) struct FetcherCounters {
    pub(super) connected: AtomicBool,
    pub(super) connections: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) throttled_bytes: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) truncations: AtomicU64,
}

/// The counters of a session.
#[derive(Debug, Default)]
pub(super) struct SessionCounters {
    pub(super) slots: AtomicUsize,
    pub(super) bytes: AtomicU64,
    pub(super) throttled_bytes: AtomicU64,
    pub(super) held: AtomicUsize,
}
