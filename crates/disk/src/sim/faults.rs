//! What a simulated disk is told to do wrong, and what it counted.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// An error that a simulated disk answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device failed (EIO).
    Io,
    /// No room is left (ENOSPC).
    NoSpace,
}

impl Fault {
    pub(super) fn error(self) -> io::Error {
        // The numbers of Linux, so that kinds and texts are the real ones.
        io::Error::from_raw_os_error(match self {
            Fault::Io => 5,
            Fault::NoSpace => 28,
        })
    }
}

/// What a simulated disk did since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls that wrote bytes.
    pub writes: u64,
    /// Bytes in them.
    pub bytes_written: u64,
    /// Those of the bytes that went past the page cache.
    pub bytes_past_cache: u64,
    /// Calls of `sync_data`.
    pub syncs: u64,
    /// Calls of `sync_dir`.
    pub dir_syncs: u64,
}

/// Called with a file's path each time it is about to be synced; the sync takes effect after it returns.
pub type SyncHook = Arc<dyn Fn(&Path) + Send + Sync>;

#[derive(Default)]
pub(super) struct Faults {
    pub(super) counters: Counters,
    write: Option<(u64, Fault)>,
    sync: Option<(u64, Fault)>,
    /// Changes that still go through before the power goes.
    halt_after: Option<u64>,
    halted: bool,
    pub(super) capacity: Option<u64>,
    pub(super) hook: Option<SyncHook>,
    /// Called at each read that the cache does not answer.
    pub(super) read_hook: Option<SyncHook>,
    /// Called at each write.
    pub(super) write_hook: Option<SyncHook>,
    pub(super) cache_cold: bool,
}

impl Faults {
    pub(super) fn fail_write(&mut self, nth: u64, fault: Fault) {
        self.write = Some((nth, fault));
    }

    pub(super) fn fail_sync(&mut self, nth: u64, fault: Fault) {
        self.sync = Some((nth, fault));
    }

    pub(super) fn halt_after(&mut self, changes: u64) {
        self.halt_after = Some(changes);
    }

    pub(super) fn restart(&mut self) {
        self.halt_after = None;
        self.halted = false;
    }

    /// Whether the power is still on.
    pub(super) fn alive(&self) -> io::Result<()> {
        if self.halted { Err(power_is_off()) } else { Ok(()) }
    }

    /// Counts a change of the disk; from the one on at which the power goes, all fail.
    pub(super) fn change(&mut self) -> io::Result<()> {
        self.alive()?;
        if let Some(left) = &mut self.halt_after {
            if *left == 0 {
                self.halted = true;
                return Err(power_is_off());
            }
            *left -= 1;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: u64) -> Result<(), Fault> {
        self.counters.writes += 1;
        self.counters.bytes_written += bytes;
        count_down(&mut self.write)
    }

    pub(super) fn sync(&mut self) -> Result<(), Fault> {
        count_down(&mut self.sync)
    }
}

fn count_down(armed: &mut Option<(u64, Fault)>) -> Result<(), Fault> {
    match armed {
        Some((nth, fault)) if *nth <= 1 => {
            let fault = *fault;
            *armed = None;
            Err(fault)
        }
        Some((nth, _)) => {
            *nth -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

pub(super) fn power_is_off() -> io::Error {
    io::Error::other("the simulated machine has no power")
}

/// Holds every sync of a simulated disk until it is let through: made by [`SimDisk::hold_syncs`](super::SimDisk::hold_syncs).
/// Dropping it lets all through.
pub struct SyncGate {
    state: Arc<(Mutex<GateState>, Condvar)>,
}

#[derive(Default)]
struct GateState {
    waiting: usize,
    passes: usize,
    open: bool,
}

impl SyncGate {
    /// A gate for the files whose path the filter takes.
    pub(super) fn filtered(filter: impl Fn(&Path) -> bool + Send + Sync + 'static) -> (SyncGate, SyncHook) {
        let (gate, hold) = SyncGate::new();
        let hook = move |path: &Path| {
            if filter(path) {
                hold(path);
            }
        };
        (gate, Arc::new(hook))
    }

    pub(super) fn new() -> (SyncGate, SyncHook) {
        let state = Arc::new((Mutex::new(GateState::default()), Condvar::new()));
        let of_hook = state.clone();
        let hook = move |_: &Path| {
            let (lock, changed) = &*of_hook;
            let mut state = lock.lock();
            state.waiting += 1;
            changed.notify_all();
            changed.wait_while(&mut state, |state| !state.open && state.passes == 0);
            state.waiting -= 1;
            state.passes = state.passes.saturating_sub(1);
        };
        (SyncGate { state }, Arc::new(hook))
    }

    /// Blocks until a sync waits at the gate.
    pub fn wait_for_sync(&self) {
        let (lock, changed) = &*self.state;
        changed.wait_while(&mut lock.lock(), |state| state.waiting == 0);
    }

    /// Lets one sync through: one that waits, or else the next.
    pub fn pass_one(&self) {
        let (lock, changed) = &*self.state;
        lock.lock().passes += 1;
        changed.notify_all();
    }

    /// Lets all syncs through, from now on.
    pub fn open(&self) {
        let (lock, changed) = &*self.state;
        lock.lock().open = true;
        changed.notify_all();
    }
}

impl Drop for SyncGate {
    fn drop(&mut self) {
        self.open();
    }
}
