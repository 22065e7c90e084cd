//! Changes to a segment's files: batches appended, the end cut, everything synced or removed. Only the flusher makes them.

use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;

use eddy_disk::{Access, Open, write_past_cache};
use eddy_types::{Millis, Offset};

use super::{Extent, Segment};
use crate::error::LogError;
use crate::file_cache::{FileCache, FileSlot};
use crate::index::{
    Facts, IndexBuilder, IndexedBatch, OFFSET_ENTRY_BYTES, OffsetEntry, TIME_ENTRY_BYTES, fits,
};
use crate::scan::{HeaderScan, NARROW, Reader};
use crate::{LogConfig, TailBatch};

/// Less than this goes through the page cache whatever is asked: a write of its own costs more than its pages do.
const PAST_CACHE_BYTES_MIN: u64 = 64 << 10;

/// How batches reach their file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Readers will find them in memory.
    PageCache,
    /// Nobody reads them soon: they cost no pages.
    PastPageCache,
}

impl Segment {
    /// Makes an empty file for the batches of a new segment; its indexes are made with their first entries. Leftovers of the same
    /// names are emptied. Blocks.
    pub(crate) fn create(&self, files: &FileCache) -> Result<(), LogError> {
        let _alone = self.files_change.lock();
        files.get(&self.log, Open::Create)?;
        for slot in self.slots() {
            match resize(files, slot, 0) {
                Err(LogError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                other => other?,
            }
        }
        self.extent.lock().facts = Some(Facts::EMPTY);
        Ok(())
    }

    /// Appends batches from the front of `batches`, up to the one for which the log must roll; returns how many and
    /// their bytes. Nothing has happened when it fails. Blocks.
    pub(crate) fn append(
        &self,
        files: &FileCache,
        batches: &[TailBatch],
        config: &LogConfig,
        way: Way,
    ) -> Result<(usize, u64), LogError> {
        let _alone = self.files_change.lock();
        let before = self.facts_alone(files, config.index_interval_bytes)?;
        let extent = self.extent();
        let mut builder = IndexBuilder::new(self.base, before);
        let mut bytes = extent.bytes;
        let mut end = extent.end;
        let mut parts = Vec::new();
        for batch in batches {
            if self.must_roll(config, bytes, &builder.facts, batch) {
                break;
            }
            let indexed = IndexedBatch {
                last_offset: Offset(batch.end_offset.0 - 1),
                max_timestamp: batch.max_timestamp,
                position: bytes,
                bytes: batch.bytes.len() as u64,
            };
            builder.add(indexed, config.index_interval_bytes);
            parts.push(IoSlice::new(&batch.bytes));
            bytes += batch.bytes.len() as u64;
            end = batch.end_offset;
        }
        if parts.is_empty() {
            return Ok((0, 0));
        }
        let log = files.get(&self.log, Open::Existing)?;
        let written = if way == Way::PastPageCache && bytes - extent.bytes >= PAST_CACHE_BYTES_MIN {
            write_past_cache(log.as_ref(), &mut files.aligned.lock(), &parts, extent.bytes)
        } else {
            log.write_at(&parts, extent.bytes)
        };
        written.map_err(|error| LogError::io("write", self.log.path(), error))?;
        self.write_entries(files, &before, &builder)?;
        *self.extent.lock() = Extent { bytes, end, facts: Some(builder.facts), ..extent };
        Ok((parts.len(), bytes - extent.bytes))
    }

    /// Whether `batch` belongs into a new segment. A segment without batches takes any.
    fn must_roll(&self, config: &LogConfig, bytes: u64, facts: &Facts, batch: &TailBatch) -> bool {
        if bytes == 0 {
            return false;
        }
        let bytes_max = u64::from(config.segment_bytes.min(i32::MAX as u32));
        let entries_max = |entry_bytes: usize| config.index_bytes_max / entry_bytes as u32;
        let age = batch.max_timestamp - facts.first_timestamp;
        bytes + batch.bytes.len() as u64 > bytes_max
            || !fits(Offset(batch.end_offset.0 - 1), self.base)
            || facts.offset_entries >= entries_max(OFFSET_ENTRY_BYTES)
            // One entry is left for the largest timestamp, which is added at the roll.
            || facts.time_entries + 1 >= entries_max(TIME_ENTRY_BYTES)
            || (facts.first_timestamp.0 >= 0 && age > config.segment_ms - self.jitter(config))
    }

    /// A part of `segment.jitter.ms` that depends on the segment alone, so that segments of many partitions that began
    /// together do not all roll together.
    fn jitter(&self, config: &LogConfig) -> Millis {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let limit = config.segment_jitter_ms.0.min(config.segment_ms.0);
        if limit <= 0 {
            return Millis(0);
        }
        let mut hasher = DefaultHasher::new();
        self.log.path().hash(&mut hasher);
        Millis((hasher.finish() % limit as u64) as i64)
    }

    /// No batch follows any more: the largest timestamp becomes the time index's last entry. Blocks.
    pub(crate) fn seal(&self, files: &FileCache, index_interval: u32) -> Result<(), LogError> {
        let _alone = self.files_change.lock();
        let before = self.facts_alone(files, index_interval)?;
        // A write that failed may have left bytes above the end. From now on the file's size is the segment's.
        resize(files, &self.log, self.extent().bytes)?;
        let mut builder = IndexBuilder::new(self.base, before);
        builder.seal();
        self.write_entries(files, &before, &builder)?;
        // Also those without entries: a missing one would be taken for a lost one.
        for slot in [&self.index, &self.time_index] {
            files.get(slot, Open::Create)?;
        }
        let mut extent = self.extent.lock();
        extent.facts = Some(builder.facts);
        extent.sealed = true;
        Ok(())
    }

    /// Nothing is added to the segment any more, nor is it looked at.
    pub(crate) fn leave_as_it_is(&self) {
        self.extent.lock().sealed = true;
    }

    pub(super) fn write_entries(
        &self,
        files: &FileCache,
        before: &Facts,
        builder: &IndexBuilder,
    ) -> Result<(), LogError> {
        let offsets_at = u64::from(before.offset_entries) * OFFSET_ENTRY_BYTES as u64;
        let times_at = u64::from(before.time_entries) * TIME_ENTRY_BYTES as u64;
        for (slot, entries, position) in [
            (&self.index, &builder.offset_entries, offsets_at),
            (&self.time_index, &builder.time_entries, times_at),
        ] {
            if !entries.is_empty() {
                files
                    .get(slot, Open::Create)?
                    .write_at(&[IoSlice::new(entries)], position)
                    .map_err(|error| LogError::io("write", slot.path(), error))?;
            }
        }
        Ok(())
    }

    /// Cuts the segment before the batch that holds `to`, or else the next one. What lies above `to` is not looked at: after
    /// a crash it may be anything, and the write-ahead log repeats it. Blocks.
    pub(crate) fn cut(&self, files: &FileCache, to: Offset) -> Result<(), LogError> {
        let _alone = self.files_change.lock();
        let extent = self.extent();
        let log = self.log_reader(files, Access::Blocking)?;
        let start = self.sure_position_below(files, &log, &extent, to)?;
        let (position, end) = first_reaching(log, start, extent.bytes, self.base, to)?;
        resize(files, &self.log, position)?;
        // The index files are cut when they are loaded again, as after a crash.
        *self.extent.lock() = Extent::active(position, end);
        Ok(())
    }

    /// Position of a batch below `to`, by an index entry that was checked against the batch; 0 when there is none.
    fn sure_position_below(
        &self,
        files: &FileCache,
        log: &Reader<'_>,
        extent: &Extent,
        to: Offset,
    ) -> Result<u64, LogError> {
        let index = match Reader::open(files, &self.index, Access::Blocking) {
            Ok(index) => index,
            Err(LogError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let entries = self.plausible_offsets(&index, extent)?;
        let Some(OffsetEntry { last_offset, position }) =
            entries.into_iter().take_while(|entry| entry.last_offset < to).last()
        else {
            return Ok(0);
        };
        let mut scan = HeaderScan::new(log.clone(), position, extent.bytes, self.base, NARROW);
        let fits = matches!(scan.next(), Ok(Some((_, header))) if header.last_offset() == last_offset);
        Ok(if fits { position } else { 0 })
    }

    /// Removes the files; those that are missing are no error. Blocks.
    pub(crate) fn remove(&self, files: &FileCache) -> Result<(), LogError> {
        let _alone = self.files_change.lock();
        self.extent.lock().removed = true;
        for slot in self.slots() {
            slot.close();
            match files.disk().remove_file(slot.path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(LogError::io("remove", slot.path(), error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the segment's files durable; as long as it grows only the batches, against which its indexes are checked when it is
    /// opened. Blocks.
    pub(crate) fn sync(&self, files: &FileCache) -> Result<(), LogError> {
        let _alone = self.files_change.lock();
        let slots = self.slots();
        for slot in if self.extent().sealed { &slots[..] } else { &slots[..1] } {
            let file = files.get(slot, Open::Create)?;
            file.sync_data().map_err(|error| LogError::io("sync", slot.path(), error))?;
        }
        Ok(())
    }

    fn slots(&self) -> [&Arc<FileSlot>; 3] {
        [&self.log, &self.index, &self.time_index]
    }
}

/// Gives a file the size of what it holds, if it has another.
pub(super) fn resize(files: &FileCache, slot: &Arc<FileSlot>, bytes: u64) -> Result<(), LogError> {
    let file = files.get(slot, Open::Existing)?;
    let cut = match file.size() {
        Ok(size) if size == bytes => Ok(()),
        Ok(_) => file.set_size(bytes),
        Err(error) => Err(error),
    };
    cut.map_err(|error| LogError::io("cut", slot.path(), error))
}

/// Position of the first batch, from `start` on, that holds `to` or lies above it, and where the batch before it ends.
fn first_reaching(
    log: Reader<'_>,
    start: u64,
    end: u64,
    base: Offset,
    to: Offset,
) -> Result<(u64, Offset), LogError> {
    let mut scan = HeaderScan::new(log, start, end, base, NARROW);
    loop {
        let before = (scan.position(), scan.end_offset());
        // Checked before the next batch is looked at, which may be anything.
        if before.1 >= to {
            return Ok(before);
        }
        match scan.next()? {
            Some((_, header)) if header.last_offset() < to => {}
            _ => return Ok(before),
        }
    }
}
