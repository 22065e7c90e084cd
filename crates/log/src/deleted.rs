//! Large files of deleted segments, whose room is given back to the disk a little at a time.
//!
//! Removing a large file in one go keeps the file system's journal, and a disk that is told of its free room, busy for long, and
//! the write-ahead log's syncs wait meanwhile. So the file stays open when its name goes, and is cut piece by piece. No start can
//! find a file that was begun: it is cut only once its name is gone for good. When the process ends before, the kernel frees
//! the rest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_disk::{File, Open};
use parking_lot::Mutex;

use crate::file_cache::FileCache;
use crate::segment::Segment;

/// Bytes of one piece, unless the cache was told otherwise.
pub(crate) const PIECE_BYTES: u64 = 4 << 20;
/// Files that are kept open for this at a time, and their bytes; what comes on top is freed in one go, so that a disk from which
/// much is deleted has the room soon.
const FILES_MAX: usize = 256;
const BYTES_MAX: u64 = 4 << 30;
/// So long a read may hold up its file; then whoever reads it last frees it in one go.
const IN_USE_MAX: Duration = Duration::from_secs(30);

/// The file of a segment whose name is about to go.
pub(crate) struct LastHold {
    segment: Arc<Segment>,
    file: Arc<dyn File>,
    bytes: u64,
    since: Instant,
}

impl LastHold {
    fn is_in_use(&self) -> bool {
        // Who reads the file, or plans to, holds the segment; nobody finds it any more.
        Arc::strong_count(&self.segment) > 1
    }
}

/// Files without a name.
pub(crate) struct Deleted {
    piece_bytes: u64,
    files: Mutex<VecDeque<LastHold>>,
}

impl Deleted {
    pub(crate) fn new(piece_bytes: u64) -> Deleted {
        Deleted { piece_bytes: piece_bytes.max(1), files: Mutex::new(VecDeque::new()) }
    }

    /// A file that nobody uses any more; those that are used for too long are let go.
    fn take(&self) -> Option<LastHold> {
        let mut files = self.files.lock();
        files.retain(|file| !file.is_in_use() || file.since.elapsed() < IN_USE_MAX);
        let unused = files.iter().position(|file| !file.is_in_use())?;
        files.remove(unused)
    }
}

impl FileCache {
    /// Keeps a large file alive while its name is removed. Blocks.
    pub(crate) fn hold(&self, segment: &Arc<Segment>) -> Option<LastHold> {
        let bytes = segment.extent().bytes;
        if bytes <= self.deleted.piece_bytes {
            return None;
        }
        // One that cannot be opened is freed in one go.
        let file = self.disk().open(segment.log_path(), Open::Existing).ok()?;
        Some(LastHold { segment: Arc::clone(segment), file, bytes, since: Instant::now() })
    }

    /// Takes files whose names are gone, the directory synced: no power cut brings them back.
    pub(crate) fn add_deleted(&self, holds: Vec<LastHold>) {
        let mut files = self.deleted.files.lock();
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        for hold in holds {
            if files.len() < FILES_MAX && bytes < BYTES_MAX {
                bytes += hold.bytes;
                files.push_back(hold);
            }
        }
    }

    /// How many pieces the deleted segments' files are, about.
    #[must_use]
    pub fn pieces_left(&self) -> u64 {
        let bytes: u64 = self.deleted.files.lock().iter().map(|file| file.bytes).sum();
        bytes / self.deleted.piece_bytes
    }

    /// Gives a piece of the deleted segments' files back to the disk. False when none is left, or only such as are being read.
    /// Blocks for a moment.
    pub fn give_back(&self) -> bool {
        let Some(mut file) = self.deleted.take() else { return false };
        file.bytes = file.bytes.saturating_sub(self.deleted.piece_bytes);
        // Synced each time, so that the disk hears of each piece by itself. Should it refuse, the file is freed in one go.
        let cut = file.file.set_size(file.bytes).and_then(|()| file.file.sync_data());
        if cut.is_ok() && file.bytes > 0 {
            self.deleted.files.lock().push_front(file);
        }
        true
    }
}
