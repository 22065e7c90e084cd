//! The files of the log: prepared before they are needed, reused when they are trimmed, bounded in total.
//!
//! A file's name is its generation, and each group in it says that generation, so that what a reused file held before is
//! never taken for the log's. The commit thread writes the active file; the thread here makes the next one.

mod make;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_disk::{Disk, File};
use parking_lot::{Condvar, Mutex};

use crate::generation::Generation;
use crate::{Cause, Lsn, WalConfig, WalError};

/// Trimmed files kept to be used again; more are removed, so that a burst does not take the space for ever.
const SPARE_FILES: usize = 4;
/// A full disk is asked again this often: space may come back without anybody telling.
const RETRY: Duration = Duration::from_millis(500);

/// A file of the log, open.
#[derive(Clone)]
pub(crate) struct WalFile {
    pub(crate) generation: Generation,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
    /// Its size: up to here a write changes no metadata.
    pub(crate) bytes: u64,
}

/// A file that is full.
pub(crate) struct Retained {
    pub(crate) file: WalFile,
    /// The position after its last entry.
    pub(crate) end: Lsn,
}

/// All files but the active one.
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file_bytes: u64,
    total_bytes_max: u64,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Oldest first.
    retained: VecDeque<Retained>,
    next: Option<WalFile>,
    next_wanted: bool,
    active_bytes: u64,
    trimmed: Lsn,
    newest: Generation,
    /// Why there is no next file though it is wanted.
    lack: Option<Cause>,
    /// When a full disk is asked again.
    retry_at: Option<Instant>,
    broken: Option<WalError>,
    stopping: bool,
}

/// What recovery found.
pub(crate) struct Found {
    pub(crate) retained: VecDeque<Retained>,
    pub(crate) next: Option<WalFile>,
    pub(crate) active_bytes: u64,
    pub(crate) trimmed: Lsn,
    pub(crate) newest: Generation,
}

/// Sizes for the statistics.
pub(crate) struct Sizes {
    pub(crate) file_bytes: u64,
    pub(crate) retained_bytes: u64,
    pub(crate) file_bytes_max: u64,
}

enum Plan {
    Recycle(WalFile, Generation),
    Make(Generation),
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path, config: &WalConfig, found: Found) -> Self {
        let state = State {
            retained: found.retained,
            next: found.next,
            next_wanted: false,
            active_bytes: found.active_bytes,
            trimmed: found.trimmed,
            newest: found.newest,
            lack: None,
            retry_at: None,
            broken: None,
            stopping: false,
        };
        Files {
            disk,
            dir: dir.to_owned(),
            file_bytes: config.file_bytes,
            total_bytes_max: config.total_bytes_max,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// The commit thread will soon need a file. It says so only when the active one holds a group: until then the newest
    /// retained file, from whose last group the log's position is read, must not be used again.
    pub(crate) fn want_next(&self) {
        self.state.lock().next_wanted = true;
        self.changed.notify_all();
    }

    /// Exchanges the active file for the next one, if it is ready.
    pub(crate) fn switch(&self, active: &mut WalFile, end: Lsn) -> bool {
        let mut state = self.state.lock();
        let Some(next) = state.next.take() else { return false };
        state.next_wanted = false;
        state.active_bytes = next.bytes;
        let full = std::mem::replace(active, next);
        state.retained.push_back(Retained { file: full, end });
        drop(state);
        self.changed.notify_all();
        true
    }

    /// The active file has grown.
    pub(crate) fn active_grew(&self, bytes: u64) {
        self.state.lock().active_bytes = bytes;
    }

    /// Waits a while for the next file; tells why there is none, and tells a cause other than `known` at once.
    pub(crate) fn wait_next(&self, known: Option<Cause>) -> Result<(), Lack> {
        let mut state = self.state.lock();
        state.next_wanted = true;
        self.changed.notify_all();
        if state.next.is_none() && state.broken.is_none() && state.lack == known {
            self.changed.wait_for(&mut state, RETRY);
        }
        if state.next.is_some() {
            return Ok(());
        }
        match (state.broken.take(), state.lack) {
            (Some(error), _) => Err(Lack::Broken(error)),
            (None, Some(cause)) => Err(Lack::For(cause)),
            (None, None) => Err(Lack::Making),
        }
    }

    /// Waits a while, or until something changes.
    pub(crate) fn pause(&self) {
        self.changed.wait_for(&mut self.state.lock(), RETRY);
    }

    /// Entries below `lsn` are no longer needed.
    pub(crate) fn trim(&self, lsn: Lsn) {
        let mut state = self.state.lock();
        if lsn > state.trimmed {
            state.trimmed = lsn;
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Ends the thread that makes files, and wakes who waits for it.
    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_all();
    }

    pub(crate) fn wake(&self) {
        self.changed.notify_all();
    }

    pub(crate) fn sizes(&self) -> Sizes {
        let state = self.state.lock();
        let kept = state.retained.iter().filter(|retained| retained.end > state.trimmed);
        let retained_bytes = kept.map(|retained| retained.file.bytes).sum::<u64>() + state.active_bytes;
        Sizes { file_bytes: state.total_bytes(), retained_bytes, file_bytes_max: self.total_bytes_max }
    }

    /// The thread: makes the next file when it is wanted, removes files that are spare.
    pub(crate) fn run(&self) {
        let mut state = self.state.lock();
        while !state.stopping {
            let plan = self.plan(&mut state);
            let surplus = if plan.is_none() { state.take_surplus() } else { None };
            if let Some(plan) = plan {
                drop(state);
                let made = self.make(plan);
                state = self.state.lock();
                self.made(&mut state, made);
            } else if let Some(surplus) = surplus {
                drop(state);
                let removed = self.remove(&surplus);
                state = self.state.lock();
                if let Err(error) = removed {
                    tracing::warn!(%error, "spare file of the write-ahead log stays");
                }
            } else if state.lack.is_some() {
                self.changed.wait_for(&mut state, RETRY);
            } else {
                self.changed.wait(&mut state);
            }
        }
    }

    /// Decides how the next file is made; `None` when it is not wanted, or cannot be made now.
    fn plan(&self, state: &mut State) -> Option<Plan> {
        if !state.next_wanted || state.next.is_some() || state.broken.is_some() {
            return None;
        }
        if state.oldest_is_trimmed() {
            let oldest = state.retained.pop_front()?;
            return Some(Plan::Recycle(oldest.file, state.new_generation()));
        }
        if !state.retained.is_empty() && state.total_bytes() + self.file_bytes > self.total_bytes_max {
            self.lack(state, Cause::Untrimmed);
            return None;
        }
        if state.retry_at.is_some_and(|at| Instant::now() < at) {
            return None;
        }
        if !self.disk_has_room() {
            self.lack(state, Cause::DiskFull);
            return None;
        }
        Some(Plan::Make(state.new_generation()))
    }

    fn made(&self, state: &mut State, made: Result<WalFile, WalError>) {
        match made {
            Ok(file) => {
                state.next = Some(file);
                state.lack = None;
                state.retry_at = None;
            }
            Err(error) if error.is_no_space() => self.lack(state, Cause::DiskFull),
            // Not fatal by itself: the commit thread fails with it when it needs the file.
            Err(error) => state.broken = Some(error),
        }
        self.changed.notify_all();
    }

    fn lack(&self, state: &mut State, cause: Cause) {
        if cause == Cause::DiskFull {
            state.retry_at = Some(Instant::now() + RETRY);
        }
        if state.lack != Some(cause) {
            tracing::warn!(%cause, "write-ahead log has no next file");
            state.lack = Some(cause);
            self.changed.notify_all();
        }
    }
}

impl State {
    fn new_generation(&mut self) -> Generation {
        self.newest = self.newest.next();
        self.newest
    }

    fn total_bytes(&self) -> u64 {
        let retained: u64 = self.retained.iter().map(|retained| retained.file.bytes).sum();
        retained + self.active_bytes + self.next.as_ref().map_or(0, |next| next.bytes)
    }

    fn oldest_is_trimmed(&self) -> bool {
        self.retained.front().is_some_and(|oldest| oldest.end <= self.trimmed)
    }

    fn take_surplus(&mut self) -> Option<WalFile> {
        let spare = self.retained.iter().take_while(|retained| retained.end <= self.trimmed).count();
        if spare <= SPARE_FILES {
            return None;
        }
        self.retained.pop_front().map(|retained| retained.file)
    }
}

/// Why there is no next file yet.
pub(crate) enum Lack {
    /// It is being made.
    Making,
    /// It cannot be made now.
    For(Cause),
    /// It cannot be made at all.
    Broken(WalError),
}
