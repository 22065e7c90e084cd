//! Who writes: the commit thread, or for one group whoever appends while nobody else does.
//!
//! The way to another thread and back is a tenth of a lone append's time (`docs/adr/0016-a-lone-append-commits-itself.md`).

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::commit::{Committer, DIRECT_BYTES_MAX, End};
use crate::files::Files;
use crate::queue::Shared;

/// The committer, one at a time.
pub(crate) struct Seat {
    shared: Arc<Shared>,
    files: Arc<Files>,
    /// Gone with the commit thread: it holds the sink, which may hold the log.
    committer: Mutex<Option<Committer>>,
}

impl Seat {
    pub(crate) fn new(shared: Arc<Shared>, files: Arc<Files>, committer: Committer) -> Seat {
        Seat { shared, files, committer: Mutex::new(Some(committer)) }
    }

    /// The thread: commits what waits until the log is closed and all is written.
    pub(crate) fn run(&self) {
        let _stop = StopOnDrop(&self.shared, &self.files);
        while self.shared.wait_for_work() {
            let goes_on = match &mut *self.committer.lock() {
                Some(committer) => self.commit(committer, None),
                None => false,
            };
            if !goes_on {
                break;
            }
            // On a busy machine whoever was just told is about to append again: with the next group a moment later, fewer and
            // larger ones go through the disk (ADR 7). On an idle one this costs a microsecond.
            std::thread::yield_now();
        }
        // A group that is being written in place comes first.
        *self.committer.lock() = None;
    }

    /// Runs `append`, and writes what it submits on this thread if nobody else appends or writes.
    pub(crate) fn commit_in_place<R>(&self, append: impl FnOnce() -> R) -> R {
        if !self.shared.is_lone() || !may_block() {
            return append();
        }
        let Some(mut seat) = self.committer.try_lock() else { return append() };
        let Some(committer) = &mut *seat else { return append() };
        let room = committer.prepared_bytes().min(DIRECT_BYTES_MAX as u64);
        let Some(in_place) = InPlace::begin(&self.shared) else { return append() };
        let appended = append();
        tokio::task::block_in_place(|| self.commit(committer, Some(room)));
        // Whom the end wakes finds the seat free.
        drop(seat);
        drop(in_place);
        appended
    }

    /// Commits what waits, if it fits into `room`; whether the log goes on.
    fn commit(&self, committer: &mut Committer, room: Option<u64>) -> bool {
        let stop = StopOnDrop(&self.shared, &self.files);
        match committer.commit_queued(room) {
            Ok(()) => {
                std::mem::forget(stop);
                true
            }
            Err(end) => {
                // First nobody is let in or waits any more, then the sink is told: it may not return.
                drop(stop);
                match end {
                    End::GivenUp(cause) => {
                        tracing::warn!(%cause, "write-ahead log closed with entries that are not durable");
                    }
                    End::Failed(error) => committer.sink.failed(error),
                }
                false
            }
        }
    }
}

/// Whether this thread may wait for a disk: the runtime's other tasks then go on elsewhere.
fn may_block() -> bool {
    Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// While it lives the commit thread sleeps on; what is queued when it ends is left to that.
struct InPlace<'s>(&'s Shared);

impl<'s> InPlace<'s> {
    /// `None` when somebody else has appended.
    fn begin(shared: &'s Shared) -> Option<InPlace<'s>> {
        shared.begin_in_place().then(|| InPlace(shared))
    }
}

impl Drop for InPlace<'_> {
    fn drop(&mut self) {
        self.0.end_in_place();
    }
}

/// Stops the log when whoever writes ends, also by a panic: nobody must wait for what nobody writes.
struct StopOnDrop<'s>(&'s Shared, &'s Files);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
        self.1.stop();
    }
}
