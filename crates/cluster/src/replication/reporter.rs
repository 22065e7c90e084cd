//! How far this broker's disk is, told to a leader from where it is known first.
//!
//! An acknowledgement waits for this news more than for anything else but the disk. The thread of the write-ahead log therefore
//! writes it to the stream itself, while the task that owns the writing half has nothing to send and lends it.

use std::sync::{Arc, Weak};

use eddy_engine::{DurableReport, ReplicaWatch};
use eddy_peer::StreamWriter;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::fetcher::Fetcher;
use super::wire::{FromFollower, UpFrame};

/// The writing half of a stream while nobody writes.
pub(super) struct Reporter {
    fetcher: Arc<Fetcher>,
    lent: Mutex<Option<StreamWriter>>,
    /// Something was written that the socket has not taken whole.
    unsent: Notify,
}

impl Reporter {
    pub(super) fn new(fetcher: Arc<Fetcher>) -> Arc<Reporter> {
        Arc::new(Reporter { fetcher, lent: Mutex::default(), unsent: Notify::new() })
    }

    /// What the watch of the stream calls.
    pub(super) fn report(self: &Arc<Self>) -> Weak<dyn DurableReport> {
        let report: Arc<dyn DurableReport> = self.clone();
        Arc::downgrade(&report)
    }

    /// Lends the writing half until [`Reporter::take_back`].
    pub(super) fn lend(&self, writer: StreamWriter) {
        *self.lent.lock() = Some(writer);
    }

    pub(super) fn take_back(&self) -> Option<StreamWriter> {
        self.lent.lock().take()
    }

    /// Waits until there is something to flush.
    pub(super) async fn unsent(&self) {
        self.unsent.notified().await;
    }

    /// Puts into `frame` what the leader does not know yet of these slots.
    pub(super) fn progress(&self, ready: &[u32], frame: &mut UpFrame) {
        let mut following = self.fetcher.following.lock();
        for slot in ready {
            if let Some(progress) = following.progress(*slot) {
                frame.put(&FromFollower::Progress(progress));
            }
        }
    }
}

impl DurableReport for Reporter {
    fn report(&self, watch: &ReplicaWatch) -> bool {
        let mut lent = self.lent.lock();
        let Some(writer) = &mut *lent else { return false };
        let mut frame = UpFrame::default();
        self.progress(&watch.try_ready(), &mut frame);
        // A stream that is broken is found to be so by its task.
        let sent = frame.is_empty() || writer.try_write(&frame.take()).is_ok();
        if !sent || writer.queued() > 0 {
            self.unsent.notify_one();
        }
        true
    }
}
