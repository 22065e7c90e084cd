//! Open segment files: few, whatever the number of partitions.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use eddy_disk::{AlignedBuffer, Disk, File, Open};
use parking_lot::Mutex;

use crate::deleted::{Deleted, PIECE_BYTES};
use crate::error::LogError;

/// Keeps at most a fixed number of segment files open, for all logs of a process; those not used lately are closed first.
/// A file that is in use when it is closed here stays open until its last user is done with it.
pub struct FileCache {
    disk: Arc<dyn Disk>,
    capacity: usize,
    open: Mutex<VecDeque<Weak<FileSlot>>>,
    pub(crate) deleted: Deleted,
    /// For batches on their way past the page cache: one flusher writes for all logs.
    pub(crate) aligned: Mutex<AlignedBuffer>,
}

/// Bytes of one write past the page cache.
const ALIGNED_BYTES: usize = 1 << 20;

/// A file that is opened when it is needed.
pub(crate) struct FileSlot {
    path: PathBuf,
    file: Mutex<Option<Arc<dyn File>>>,
    used: AtomicBool,
    /// Another file has the name, or will have it: what is not open any more is not opened again.
    retired: AtomicBool,
}

impl FileSlot {
    pub(crate) fn new(path: PathBuf) -> Arc<FileSlot> {
        FileSlot::with(path, None)
    }

    /// A file that is open already, perhaps under another name. It stays open until the cache is told of it
    /// ([`FileCache::admit`]).
    pub(crate) fn opened(path: PathBuf, file: Arc<dyn File>) -> Arc<FileSlot> {
        FileSlot::with(path, Some(file))
    }

    fn with(path: PathBuf, file: Option<Arc<dyn File>>) -> Arc<FileSlot> {
        let (used, retired) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(FileSlot { path, file: Mutex::new(file), used, retired })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn close(&self) {
        *self.file.lock() = None;
    }

    /// Closes the file for good: the name is another's. Who has it open already goes on reading it.
    pub(crate) fn retire(&self) {
        let mut file = self.file.lock();
        self.retired.store(true, Ordering::Relaxed);
        *file = None;
    }
}

impl FileCache {
    /// A cache of at most `capacity` open files (at least 1) of `disk`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, capacity: usize) -> Self {
        let open = Mutex::new(VecDeque::new());
        let aligned = Mutex::new(AlignedBuffer::new(ALIGNED_BYTES));
        FileCache { disk, capacity: capacity.max(1), open, deleted: Deleted::new(PIECE_BYTES), aligned }
    }

    /// The same, with pieces of another size in which larger files of deleted segments are given back to the disk
    /// ([`FileCache::give_back`]).
    #[must_use]
    pub fn with_piece_bytes(self, piece_bytes: u64) -> Self {
        FileCache { deleted: Deleted::new(piece_bytes), ..self }
    }

    /// The disk that holds the files.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Files it holds open at this moment.
    #[must_use]
    pub fn open_files(&self) -> usize {
        let open = self.open.lock();
        open.iter().filter_map(Weak::upgrade).filter(|slot| slot.file.lock().is_some()).count()
    }

    /// The file of a slot, opened if it must be. Blocks.
    pub(crate) fn get(&self, slot: &Arc<FileSlot>, mode: Open) -> Result<Arc<dyn File>, LogError> {
        let mut file = slot.file.lock();
        slot.used.store(true, Ordering::Relaxed);
        if let Some(file) = &*file {
            return Ok(Arc::clone(file));
        }
        if slot.retired.load(Ordering::Relaxed) {
            return Err(LogError::io("open", &slot.path, io::ErrorKind::NotFound.into()));
        }
        let opened =
            self.disk.open(&slot.path, mode).map_err(|error| LogError::io("open", &slot.path, error))?;
        *file = Some(Arc::clone(&opened));
        drop(file);
        self.admit(slot);
        Ok(opened)
    }

    /// The file of a slot if it is open; an error of kind `WouldBlock` otherwise. Never blocks.
    pub(crate) fn peek(&self, slot: &FileSlot) -> Result<Arc<dyn File>, LogError> {
        let file = slot.file.try_lock().and_then(|file| file.clone());
        slot.used.store(true, Ordering::Relaxed);
        file.ok_or_else(|| LogError::io("open", &slot.path, io::ErrorKind::WouldBlock.into()))
    }

    /// Second chance: a slot used since it was last looked at goes to the end of the line once more.
    pub(crate) fn admit(&self, slot: &Arc<FileSlot>) {
        let mut open = self.open.lock();
        open.push_back(Arc::downgrade(slot));
        let mut chances = open.len();
        while open.len() > self.capacity {
            let Some(weak) = open.pop_front() else { break };
            let Some(candidate) = weak.upgrade() else { continue };
            if chances > 0 && candidate.used.swap(false, Ordering::Relaxed) {
                chances -= 1;
                open.push_back(weak);
                continue;
            }
            // Locked only for a moment everywhere but in `get`, which may be opening it: then it is in use, and counts again.
            match candidate.file.try_lock() {
                Some(mut file) => *file = None,
                None if chances > 0 => {
                    chances -= 1;
                    open.push_back(weak);
                }
                None => {}
            }
        }
    }
}

impl std::fmt::Debug for FileCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileCache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}
