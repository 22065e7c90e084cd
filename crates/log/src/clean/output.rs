//! The segment that compaction writes, under names that no log has, until it takes the place of others.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eddy_batch::BatchHeader;
use eddy_disk::{Disk, File, Open};
use eddy_types::Offset;

use super::swap::cleaned_path;
use crate::error::LogError;
use crate::index::{Facts, IndexBuilder, IndexedBatch};
use crate::segment::{Extent, INDEX_SUFFIX, LOG_SUFFIX, Segment, TIME_INDEX_SUFFIX};

/// Bytes of one write, which is synced at once: the write-ahead log's syncs wait for it. One of half a mebibyte takes them a
/// millisecond, one of two mebibytes seven.
const WRITE_BYTES: usize = 512 << 10;

/// A segment being written. Nothing is durable before [`Output::finish`].
pub(super) struct Output<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    base: Offset,
    index_interval: u32,
    path: PathBuf,
    log: Arc<dyn File>,
    buffer: Vec<u8>,
    /// Bytes in the file, before the buffer.
    written: u64,
    index: IndexBuilder,
}

impl<'a> Output<'a> {
    pub(super) fn create(
        disk: &'a dyn Disk,
        dir: &'a Path,
        base: Offset,
        index_interval: u32,
    ) -> Result<Self, LogError> {
        let path = cleaned_path(dir, base, LOG_SUFFIX);
        let log = create(disk, &path)?;
        let index = IndexBuilder::new(base, Facts::EMPTY);
        let buffer = Vec::with_capacity(WRITE_BYTES);
        Ok(Output { disk, dir, base, index_interval, path, log, buffer, written: 0, index })
    }

    /// Bytes of batches so far.
    pub(super) fn bytes(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub(super) fn append(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<(), LogError> {
        let position = self.bytes();
        if position + batch.len() as u64 > i32::MAX as u64 {
            // Index positions are signed 32-bit numbers. Records may grow: a delete horizon makes timestamps longer.
            return Err(LogError::io("write", &self.path, io::ErrorKind::FileTooLarge.into()));
        }
        self.index.add(IndexedBatch::new(header, position), self.index_interval);
        if self.buffer.len() + batch.len() > WRITE_BYTES {
            self.write_out()?;
        }
        self.buffer.extend_from_slice(batch);
        Ok(())
    }

    fn write_out(&mut self) -> Result<(), LogError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.log
            .write_at(&[IoSlice::new(&self.buffer)], self.written)
            .map_err(|error| LogError::io("write", &self.path, error))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(WRITE_BYTES);
        self.sync()
    }

    fn sync(&self) -> Result<(), LogError> {
        self.log.sync_data().map_err(|error| LogError::io("sync", &self.path, error))
    }

    /// Makes the segment durable, with its indexes, for offsets below `end`.
    pub(super) fn finish(mut self, end: Offset) -> Result<Arc<Segment>, LogError> {
        self.write_out()?;
        // An empty one too: it may have taken the place of what an earlier attempt wrote.
        self.sync()?;
        self.index.seal();
        let index = self.write_index(INDEX_SUFFIX, &self.index.offset_entries)?;
        let time_index = self.write_index(TIME_INDEX_SUFFIX, &self.index.time_entries)?;
        let extent = Extent { facts: Some(self.index.facts), ..Extent::sealed(self.written, end) };
        Ok(Segment::unnamed(self.dir, self.base, extent, [self.log, index, time_index]))
    }

    fn write_index(&self, suffix: &str, entries: &[u8]) -> Result<Arc<dyn File>, LogError> {
        let path = cleaned_path(self.dir, self.base, suffix);
        let file = create(self.disk, &path)?;
        file.write_at(&[IoSlice::new(entries)], 0)
            .and_then(|()| file.sync_data())
            .map_err(|error| LogError::io("write", &path, error))?;
        Ok(file)
    }
}

/// Makes an empty file; what an earlier attempt left is emptied.
fn create(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn File>, LogError> {
    let make = || {
        let file = disk.open(path, Open::Create)?;
        file.set_size(0)?;
        Ok(file)
    };
    make().map_err(|error| LogError::io("create", path, error))
}
