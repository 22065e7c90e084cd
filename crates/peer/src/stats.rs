//! Counters of what happened on the listener.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened on the listener since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerStats {
    /// Connections with a finished handshake.
    pub accepted: u64,
    /// Connections refused with a reason.
    pub refused: u64,
    /// Connections closed because they did not speak this protocol: another hello, a frame over the limit or
    /// an unknown message on a connection for calls.
    pub garbage: u64,
    /// Handshakes not finished in time, or ended early for newer ones.
    pub unfinished: u64,
}

/// The counters behind [`PeerStats`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) garbage: AtomicU64,
    pub(crate) unfinished: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> PeerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PeerStats {
            accepted: read(&self.accepted),
            refused: read(&self.refused),
            garbage: read(&self.garbage),
            unfinished: read(&self.unfinished),
        }
    }
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
