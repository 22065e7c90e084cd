//! The handle.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use eddy_disk::Disk;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::admission::{Full, Room};
use crate::files::Files;
use crate::queue::Shared;
use crate::recovery::{self, Recovered};
use crate::seat::Seat;
use crate::{Entry, Lsn, Pressure, ReplayError, Stats, Stopped, WalConfig, WalError};

/// A write-ahead log that is open. Clones are handles on the same log; dropping the last one closes it,
/// as [`Wal::close`] does, but does not wait.
#[derive(Clone)]
pub struct Wal {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) files: Arc<Files>,
    pub(crate) seat: Arc<Seat>,
    pub(crate) commit_thread: Mutex<Option<JoinHandle<()>>>,
    pub(crate) files_thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
        self.files.wake();
    }
}

impl Wal {
    /// Opens the log in `dir`, or makes it, and hands every whole entry at or above `from` to `replay`, in order. Nothing
    /// is replayed before all is checked, and nothing is changed when something is wrong. What is replayed is durable.
    ///
    /// `from` is the checkpoint's position: zero for a new log. One process at a time may do this to a directory.
    pub fn recover(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: WalConfig,
        from: Lsn,
        replay: &mut dyn FnMut(Lsn, Entry) -> Result<(), ReplayError>,
    ) -> Result<Recovered, WalError> {
        recovery::recover(disk, dir, config, from, replay)
    }

    pub(crate) fn new(inner: Inner) -> Wal {
        Wal { inner: Arc::new(inner) }
    }

    /// Waits for room for `batches` batches of `bytes` in all, in the order of the calls, until `deadline`. What goes over
    /// the whole queue waits for an empty one. Cancelling gives up the place.
    pub async fn admit(&self, batches: u32, bytes: usize, deadline: Instant) -> Result<Room, Full> {
        self.inner.shared.admit(batches, bytes, deadline).await
    }

    /// Like [`Wal::admit`] when there is room now and nobody waits.
    #[must_use]
    pub fn try_admit(&self, batches: u32, bytes: usize) -> Option<Room> {
        self.inner.shared.try_admit(batches, bytes)
    }

    /// Queues an entry; the order of calls is the order on disk. Never blocks and never fails: on a log that is closed or
    /// has failed the entry is dropped and never becomes durable. Appends come with the [`Room`] they were admitted to;
    /// other entries need none.
    pub fn submit(&self, entry: Entry, room: Option<Room>) -> Lsn {
        self.inner.shared.submit(entry, room)
    }

    /// Runs `append`, which submits entries; when nobody else does, they are durable, and the [`Sink`](crate::Sink) has been
    /// told on this thread, before this returns. That saves a lone append the way to the log's thread and back.
    ///
    /// For a task of a runtime with several threads, which go on with its other tasks; anywhere else the log's thread commits, as
    /// after [`Wal::submit`]. No lock may be held that the sink takes. Whoever has more to append already is not alone, and should not
    /// wait here.
    pub fn commit_in_place<R>(&self, append: impl FnOnce() -> R) -> R {
        self.inner.seat.commit_in_place(append)
    }

    /// Position of the next entry.
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        self.inner.shared.next_lsn()
    }

    /// Entries below this position are durable.
    #[must_use]
    pub fn durable_lsn(&self) -> Lsn {
        self.inner.shared.durable_lsn()
    }

    /// Blocks until the entry at `lsn` is durable: [`Wal::durable_lsn`] is above it.
    pub fn wait_durable(&self, lsn: Lsn) -> Result<(), Stopped> {
        self.inner.shared.wait_durable(lsn)
    }

    /// Waits until the entry at `lsn` is durable. Cancel-safe. Every group wakes all who wait here: what waits in large
    /// numbers, as produce requests do, is better woken by the [`Sink`](crate::Sink).
    pub async fn until_durable(&self, lsn: Lsn) -> Result<(), Stopped> {
        self.inner.shared.until_durable(lsn).await
    }

    /// Whether the log is closed or has failed: nothing more becomes durable.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.inner.shared.is_stopped()
    }

    /// How full the log is, to be watched.
    #[must_use]
    pub fn pressure(&self) -> watch::Receiver<Pressure> {
        self.inner.shared.pressure.subscribe()
    }

    /// Entries below `lsn` are no longer needed: their files are used again. The caller's checkpoint must be durable.
    pub fn trim(&self, lsn: Lsn) {
        self.inner.files.trim(lsn);
    }

    /// What the log did and how it stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let sizes = self.inner.files.sizes();
        self.inner.shared.stats(sizes)
    }

    /// Writes and syncs what is queued and ends the threads; blocks until that is done. Requests that wait for room are
    /// refused, and what other handles submit from now on is dropped. With no file to write to, what is queued is given up.
    pub fn close(self) {
        self.inner.shared.close();
        self.inner.files.wake();
        let commit_thread = self.inner.commit_thread.lock().take();
        let files_thread = self.inner.files_thread.lock().take();
        // A thread that panicked has said so.
        let _ = commit_thread.map(JoinHandle::join);
        let _ = files_thread.map(JoinHandle::join);
    }
}
