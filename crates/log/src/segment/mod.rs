//! One segment: a run of batches in a file named by its base offset, with its two indexes.
//!
//! What is known of it in memory stands in its [`Extent`]; facts that the indexes hold are read when first needed, so that
//! opening a log costs the same whatever its size.

mod change;
mod facts;

pub(crate) use self::change::Way;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eddy_disk::{Access, File};
use eddy_types::{Millis, Offset};
use parking_lot::Mutex;

use crate::error::{Damage, LogError};
use crate::file_cache::{FileCache, FileSlot};
use crate::index::{Facts, OFFSET_ENTRY_BYTES, OffsetEntry, TIME_ENTRY_BYTES, TimeEntry};
use crate::scan::{HeaderScan, NARROW, Reader, WIDE, last_entry};

pub(crate) const LOG_SUFFIX: &str = "log";
pub(crate) const INDEX_SUFFIX: &str = "index";
pub(crate) const TIME_INDEX_SUFFIX: &str = "timeindex";

/// Path of a segment's file.
pub(crate) fn path(dir: &Path, base: Offset, suffix: &str) -> PathBuf {
    dir.join(format!("{:020}.{suffix}", base.0))
}

/// One segment of a log.
pub(crate) struct Segment {
    pub(crate) base: Offset,
    log: Arc<FileSlot>,
    index: Arc<FileSlot>,
    time_index: Arc<FileSlot>,
    /// Locked for a moment, never during IO.
    extent: Mutex<Extent>,
    /// Held while the files are changed or the facts are read from them; only by those who may block.
    files_change: Mutex<()>,
    /// Since when retention has seen a segment without timestamps at this size.
    quiet: Mutex<Option<(u64, Millis)>>,
    /// The segment that compaction has put in the place of this one and perhaps of its neighbours.
    successor: Mutex<Option<Arc<Segment>>>,
}

/// What is known of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Bytes of whole batches in the file; what lies above is not part of the log.
    pub(crate) bytes: u64,
    /// Offset after its last batch; for a segment that another follows, at most that one's base.
    pub(crate) end: Offset,
    /// Whether its index files were completed: after that nothing is added.
    pub(crate) sealed: bool,
    /// Whether the index files are to be rebuilt, not read.
    pub(crate) reindex: bool,
    /// Known once someone has asked.
    pub(crate) facts: Option<Facts>,
    pub(crate) removed: bool,
}

impl Extent {
    /// A segment to which batches may be added. Its index files may hold too little or too much: it was being written when
    /// the process ended, or it was cut.
    pub(crate) fn active(bytes: u64, end: Offset) -> Extent {
        Extent { bytes, end, sealed: false, reindex: false, facts: None, removed: false }
    }

    /// A segment that another one follows, synced together with its indexes.
    pub(crate) fn sealed(bytes: u64, end: Offset) -> Extent {
        Extent { sealed: true, ..Extent::active(bytes, end) }
    }
}

impl Segment {
    /// A segment as it is in the files, or will be.
    pub(crate) fn new(dir: &Path, base: Offset, extent: Extent) -> Arc<Segment> {
        let slot = |suffix| FileSlot::new(path(dir, base, suffix));
        let slots = [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX].map(slot);
        Segment::of_slots(base, extent, slots)
    }

    /// A segment whose files are open and will get their names; see [`Segment::named`]. They come in the order log, index, time index.
    pub(crate) fn unnamed(
        dir: &Path,
        base: Offset,
        extent: Extent,
        files: [Arc<dyn File>; 3],
    ) -> Arc<Segment> {
        let [log, index, time_index] = files;
        let slots = [(LOG_SUFFIX, log), (INDEX_SUFFIX, index), (TIME_INDEX_SUFFIX, time_index)]
            .map(|(suffix, file)| FileSlot::opened(path(dir, base, suffix), file));
        Segment::of_slots(base, extent, slots)
    }

    fn of_slots(base: Offset, extent: Extent, [log, index, time_index]: [Arc<FileSlot>; 3]) -> Arc<Segment> {
        Arc::new(Segment {
            base,
            log,
            index,
            time_index,
            extent: Mutex::new(extent),
            files_change: Mutex::new(()),
            quiet: Mutex::new(None),
            successor: Mutex::new(None),
        })
    }

    /// The files of an unnamed segment have their names: from now on they may be closed and opened again.
    pub(crate) fn named(&self, files: &FileCache) {
        for slot in [&self.log, &self.index, &self.time_index] {
            files.admit(slot);
        }
    }

    /// Compaction has put `successor` in this one's place, and its files are about to lose their names. Reads under way go on
    /// with the files they have open, or with the successor. Blocks.
    pub(crate) fn replaced_by(&self, successor: &Arc<Segment>) {
        let _alone = self.files_change.lock();
        *self.successor.lock() = Some(Arc::clone(successor));
        self.extent.lock().removed = true;
        for slot in [&self.log, &self.index, &self.time_index] {
            slot.retire();
        }
    }

    /// What took this segment's place.
    pub(crate) fn successor(&self) -> Option<Arc<Segment>> {
        self.successor.lock().clone()
    }

    pub(crate) fn extent(&self) -> Extent {
        *self.extent.lock()
    }

    pub(crate) fn log_path(&self) -> &Path {
        self.log.path()
    }

    pub(crate) fn log_reader(&self, files: &FileCache, access: Access) -> Result<Reader<'_>, LogError> {
        self.reader(files, &self.log, access)
    }

    fn reader<'a>(
        &self,
        files: &FileCache,
        slot: &'a Arc<FileSlot>,
        access: Access,
    ) -> Result<Reader<'a>, LogError> {
        Reader::open(files, slot, access).map_err(|error| self.moved_or(error, 0))
    }

    /// When it was first asked for this at its present size.
    pub(crate) fn quiet_since(&self, now: Millis) -> Millis {
        let bytes = self.extent().bytes;
        let mut quiet = self.quiet.lock();
        match *quiet {
            Some((seen, since)) if seen == bytes => since,
            _ => {
                *quiet = Some((bytes, now));
                now
            }
        }
    }

    /// An error met while reading up to `bytes` means nothing when the files were removed or cut at the same time.
    pub(crate) fn moved_or(&self, error: LogError, bytes: u64) -> LogError {
        let extent = self.extent();
        if extent.removed || extent.bytes < bytes { LogError::Moved { base: self.base } } else { error }
    }

    /// Position of the batch that holds `offset`, or else of the next one; `None` when the segment ends before.
    pub(crate) fn locate(
        &self,
        files: &FileCache,
        access: Access,
        offset: Offset,
    ) -> Result<Option<u64>, LogError> {
        let extent = self.extent();
        let facts = extent.facts.unwrap_or(Facts::EMPTY);
        let entry = self.floor_entry(files, access, &facts, offset)?;
        let start = entry.map_or(0, |entry| entry.position);
        let log = self.log_reader(files, access)?;
        let mut scan = HeaderScan::new(log, start, extent.bytes, self.base, NARROW);
        if let Some(entry) = entry {
            let batch = match scan.next() {
                Ok(Some((_, header))) => Some(header.last_offset()),
                Ok(None) | Err(LogError::Damaged { .. }) => None,
                Err(error) => return Err(error),
            };
            if batch != Some(entry.last_offset) {
                let damage = Damage::Index { entry: entry.last_offset, batch: batch.unwrap_or(Offset::NONE) };
                let path = self.index.path().to_owned();
                return Err(LogError::Damaged { path, position: start, damage });
            }
        }
        while let Some((position, header)) = scan.next()? {
            if header.last_offset() >= offset {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    /// As [`Segment::locate`], with an index that is loaded first, and rebuilt when it is found not to fit. Blocks.
    pub(crate) fn locate_surely(
        &self,
        files: &FileCache,
        index_interval: u32,
        offset: Offset,
    ) -> Result<Option<u64>, LogError> {
        self.facts(files, index_interval)?;
        match self.locate(files, Access::Blocking, offset) {
            Err(error) if self.blames_index(&error) => {
                tracing::warn!(%error, "index is rebuilt");
                self.reindex(files, index_interval)?;
                self.locate(files, Access::Blocking, offset)
            }
            located => located,
        }
    }

    /// Whether an error says that the offset index does not fit the segment, or is shorter than it was.
    fn blames_index(&self, error: &LogError) -> bool {
        match error {
            LogError::Damaged { damage, .. } => matches!(damage, Damage::Index { .. }),
            LogError::Io { path, source, .. } => {
                source.kind() == ErrorKind::UnexpectedEof && path == self.index.path()
            }
            LogError::Moved { .. } => false,
        }
    }

    /// The last entry of the offset index for a batch wholly below `offset`.
    fn floor_entry(
        &self,
        files: &FileCache,
        access: Access,
        facts: &Facts,
        offset: Offset,
    ) -> Result<Option<OffsetEntry>, LogError> {
        if facts.offset_entries == 0 {
            return Ok(None);
        }
        let index = self.reader(files, &self.index, access)?;
        let decode = |bytes: &[u8; OFFSET_ENTRY_BYTES]| OffsetEntry::decode(bytes, self.base);
        let entry = last_entry(&index, facts.offset_entries, |bytes| decode(bytes).last_offset < offset)?;
        Ok(entry.as_ref().map(decode))
    }

    /// The last entry of the time index that satisfies `wanted`, which those before it do too. Blocks.
    pub(crate) fn last_time_entry(
        &self,
        files: &FileCache,
        facts: &Facts,
        wanted: impl Fn(&TimeEntry) -> bool,
    ) -> Result<Option<TimeEntry>, LogError> {
        if facts.time_entries == 0 {
            return Ok(None);
        }
        let index = self.reader(files, &self.time_index, Access::Blocking)?;
        let decode = |bytes: &[u8; TIME_ENTRY_BYTES]| TimeEntry::decode(bytes, self.base);
        let entry = last_entry(&index, facts.time_entries, |bytes| wanted(&decode(bytes)))?;
        Ok(entry.as_ref().map(decode))
    }

    /// Walks the batches from `position`. Blocks.
    pub(crate) fn scan_from(&self, files: &FileCache, position: u64) -> Result<HeaderScan<'_>, LogError> {
        let log = self.log_reader(files, Access::Blocking)?;
        Ok(HeaderScan::new(log, position, self.extent().bytes, self.base, WIDE))
    }
}
