//! What the index files tell, read when first asked for; index files that are lost or do not fit are rebuilt.

use std::io::{self, IoSlice};

use eddy_disk::{Access, Open};
use eddy_types::{Millis, Offset};

use super::change::resize;
use super::{Extent, Segment};
use crate::error::LogError;
use crate::file_cache::FileCache;
use crate::index::{
    Facts, IndexBuilder, IndexedBatch, OFFSET_ENTRY_BYTES, OffsetEntry, TIME_ENTRY_BYTES, TimeEntry,
};
use crate::scan::{HeaderScan, NARROW, Reader};

impl Segment {
    /// The facts, read or rebuilt when they are not known yet. Blocks.
    pub(crate) fn facts(&self, files: &FileCache, index_interval: u32) -> Result<Facts, LogError> {
        match self.extent().facts {
            Some(facts) => Ok(facts),
            None => {
                let _alone = self.files_change.lock();
                self.facts_alone(files, index_interval)
            }
        }
    }

    /// The facts, for one who has the files to himself.
    pub(super) fn facts_alone(&self, files: &FileCache, index_interval: u32) -> Result<Facts, LogError> {
        let extent = self.extent();
        if extent.removed {
            return Err(LogError::Moved { base: self.base });
        }
        if let Some(facts) = extent.facts {
            return Ok(facts);
        }
        let loaded = match extent {
            Extent { reindex: true, .. } => None,
            Extent { sealed: true, .. } => self.load_complete(files, &extent)?,
            Extent { sealed: false, .. } => self.load_unsure(files, &extent, index_interval)?,
        };
        let facts = match loaded {
            Some(facts) => facts,
            None => self.rebuild(files, &extent, index_interval)?,
        };
        self.extent.lock().facts = Some(facts);
        Ok(facts)
    }

    /// Rebuilds the indexes. What was known stays when that fails. Blocks.
    pub(super) fn reindex(&self, files: &FileCache, index_interval: u32) -> Result<(), LogError> {
        let _alone = self.files_change.lock();
        let extent = self.extent();
        if extent.removed {
            return Err(LogError::Moved { base: self.base });
        }
        let facts = self.rebuild(files, &extent, index_interval)?;
        self.extent.lock().facts = Some(facts);
        Ok(())
    }

    /// Looks at the last entries only. `None` when the files are missing or cannot be right.
    fn load_complete(&self, files: &FileCache, extent: &Extent) -> Result<Option<Facts>, LogError> {
        let Some((index, time_index)) = self.index_readers(files)? else { return Ok(None) };
        let Some(offset_entries) = whole_entries(index.size()?, OFFSET_ENTRY_BYTES) else { return Ok(None) };
        let Some(time_entries) = whole_entries(time_index.size()?, TIME_ENTRY_BYTES) else { return Ok(None) };
        if let Some(last) = offset_entries.checked_sub(1) {
            let mut entry = [0; OFFSET_ENTRY_BYTES];
            index.read_exact(&mut entry, u64::from(last) * OFFSET_ENTRY_BYTES as u64)?;
            let entry = OffsetEntry::decode(&entry, self.base);
            if !self.holds(extent, entry.last_offset) || entry.position >= extent.bytes {
                return Ok(None);
            }
        }
        // A time index is empty when the records have no timestamps or when it was lost: only the batches can tell.
        let Some(last) = time_entries.checked_sub(1) else { return Ok(None) };
        let mut entry = [0; TIME_ENTRY_BYTES];
        time_index.read_exact(&mut entry, u64::from(last) * TIME_ENTRY_BYTES as u64)?;
        let newest = TimeEntry::decode(&entry, self.base);
        if !self.holds(extent, newest.last_offset) {
            return Ok(None);
        }
        let log = self.log_reader(files, Access::Blocking)?;
        let Some((_, first)) = HeaderScan::new(log, 0, extent.bytes, self.base, NARROW).next()? else {
            return Ok(None);
        };
        Ok(Some(Facts {
            offset_entries,
            time_entries,
            last_indexed_timestamp: newest.timestamp,
            // Nothing is added to a segment that another one follows.
            bytes_since_entry: 0,
            first_timestamp: first.max_timestamp,
            newest,
        }))
    }

    fn holds(&self, extent: &Extent, offset: Offset) -> bool {
        offset >= self.base && offset < extent.end
    }

    /// Takes the entries that can be right, cuts the files behind them, and makes those for the batches that follow.
    fn load_unsure(
        &self,
        files: &FileCache,
        extent: &Extent,
        interval: u32,
    ) -> Result<Option<Facts>, LogError> {
        let Some((index, time_index)) = self.index_readers(files)? else { return Ok(None) };
        let mut offsets = self.plausible_offsets(&index, extent)?;
        let times = self.plausible_times(&time_index, extent)?;
        if times.is_empty() && !offsets.is_empty() {
            // Either the records have no timestamps or the time index was lost: only the batches can tell.
            return Ok(None);
        }
        // Entries that were not synced may be anything, zeros for instance. At most the last of those that are plausible is
        // one of them: the largest timestamp of this part of the log can be indexed only once.
        if !times.last().map_or(Ok(true), |entry| self.is_true(files, extent, &offsets, entry))? {
            return Ok(None);
        }
        // The time index may have lost entries that the offset index has: what follows the last time entry is looked at again.
        let covered = times.last().map_or(Offset::NONE, |entry| entry.last_offset);
        offsets.truncate(offsets.partition_point(|entry| entry.last_offset <= covered));
        let log = self.log_reader(files, Access::Blocking)?;
        let first = HeaderScan::new(log, 0, extent.bytes, self.base, NARROW).next()?;
        let known = Facts {
            offset_entries: offsets.len() as u32,
            time_entries: times.len() as u32,
            last_indexed_timestamp: times.last().map_or(Millis::NONE, |entry| entry.timestamp),
            first_timestamp: first.map_or(Millis::NONE, |(_, first)| first.max_timestamp),
            newest: times.last().copied().unwrap_or(Facts::EMPTY.newest),
            ..Facts::EMPTY
        };
        let mut builder = IndexBuilder::new(self.base, known);
        let start = offsets.last().map_or(0, |entry| entry.position);
        let mut scan = self.scan_from(files, start)?;
        while let Some((position, header)) = scan.next()? {
            let wrong = |entry: &OffsetEntry| entry.last_offset != header.last_offset();
            if position == start && offsets.last().is_some_and(wrong) {
                return Ok(None);
            }
            builder.add(IndexedBatch::new(&header, position), interval);
        }
        let kept_offsets = offsets.len() * OFFSET_ENTRY_BYTES;
        let kept_times = times.len() * TIME_ENTRY_BYTES;
        let is_right = ends_with(&index, kept_offsets, &builder.offset_entries)?
            && ends_with(&time_index, kept_times, &builder.time_entries)?;
        if !is_right {
            resize(files, &self.index, kept_offsets as u64)?;
            resize(files, &self.time_index, kept_times as u64)?;
            self.write_entries(files, &known, &builder)?;
        }
        Ok(Some(builder.facts))
    }

    /// Whether the batch of a time index entry has the timestamp that the entry says.
    fn is_true(
        &self,
        files: &FileCache,
        extent: &Extent,
        offsets: &[OffsetEntry],
        entry: &TimeEntry,
    ) -> Result<bool, LogError> {
        let below = offsets.partition_point(|offset| offset.last_offset < entry.last_offset);
        let start =
            below.checked_sub(1).and_then(|floor| offsets.get(floor)).map_or(0, |floor| floor.position);
        let log = self.log_reader(files, Access::Blocking)?;
        let mut scan = HeaderScan::new(log, start, extent.bytes, self.base, NARROW);
        while let Some((_, header)) = scan.next()? {
            if header.last_offset() >= entry.last_offset {
                let batch = TimeEntry { timestamp: header.max_timestamp, last_offset: header.last_offset() };
                return Ok(batch == *entry);
            }
        }
        Ok(false)
    }

    /// The longest run of entries from the start of the offset index that the segment can have.
    pub(super) fn plausible_offsets(
        &self,
        index: &Reader<'_>,
        extent: &Extent,
    ) -> Result<Vec<OffsetEntry>, LogError> {
        let mut entries: Vec<OffsetEntry> = Vec::new();
        for bytes in self.index_contents(index, extent)?.as_chunks::<OFFSET_ENTRY_BYTES>().0 {
            let entry = OffsetEntry::decode(bytes, self.base);
            let rises = entries
                .last()
                .is_none_or(|last| entry.last_offset > last.last_offset && entry.position > last.position);
            if !rises || !self.holds(extent, entry.last_offset) || entry.position >= extent.bytes {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn plausible_times(&self, index: &Reader<'_>, extent: &Extent) -> Result<Vec<TimeEntry>, LogError> {
        let mut entries: Vec<TimeEntry> = Vec::new();
        for bytes in self.index_contents(index, extent)?.as_chunks::<TIME_ENTRY_BYTES>().0 {
            let entry = TimeEntry::decode(bytes, self.base);
            let rises = entries
                .last()
                .is_none_or(|last| entry.timestamp > last.timestamp && entry.last_offset > last.last_offset);
            if !rises || entry.timestamp.0 < 0 || !self.holds(extent, entry.last_offset) {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// An index file, or as much of it as the segment's batches can account for.
    fn index_contents(&self, index: &Reader<'_>, extent: &Extent) -> Result<Vec<u8>, LogError> {
        let batches_max = extent.bytes / eddy_batch::HEADER_BYTES as u64;
        let bytes = index.size()?.min(batches_max * TIME_ENTRY_BYTES as u64);
        let mut contents = vec![0; bytes as usize];
        let read = index.read_some(&mut contents, 0)?;
        contents.truncate(read);
        Ok(contents)
    }

    /// `None` when one of the files is missing.
    fn index_readers(&self, files: &FileCache) -> Result<Option<(Reader<'_>, Reader<'_>)>, LogError> {
        let open = |slot| match Reader::open(files, slot, Access::Blocking) {
            Ok(reader) => Ok(Some(reader)),
            Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        Ok(open(&self.index)?.zip(open(&self.time_index)?))
    }

    /// Makes both indexes anew from the batches and syncs them.
    fn rebuild(&self, files: &FileCache, extent: &Extent, interval: u32) -> Result<Facts, LogError> {
        let mut builder = IndexBuilder::new(self.base, Facts::EMPTY);
        let mut scan = self.scan_from(files, 0)?;
        while let Some((position, header)) = scan.next()? {
            builder.add(IndexedBatch::new(&header, position), interval);
        }
        if extent.sealed {
            builder.seal();
        }
        let contents = [(&self.index, &builder.offset_entries), (&self.time_index, &builder.time_entries)];
        for (slot, contents) in contents {
            let file = files.get(slot, Open::Create)?;
            file.set_size(0)
                .and_then(|()| file.write_at(&[IoSlice::new(contents)], 0))
                .and_then(|()| file.sync_data())
                .map_err(|error| LogError::io("rebuild", slot.path(), error))?;
        }
        Ok(builder.facts)
    }
}

/// Whether a file has `entries`, and nothing else, from `position` on.
fn ends_with(file: &Reader<'_>, position: usize, entries: &[u8]) -> Result<bool, LogError> {
    if file.size()? != (position + entries.len()) as u64 {
        return Ok(false);
    }
    let mut found = vec![0; entries.len()];
    Ok(file.read_some(&mut found, position as u64)? == entries.len() && found == entries)
}

fn whole_entries(bytes: u64, entry_bytes: usize) -> Option<u32> {
    let entry_bytes = entry_bytes as u64;
    if bytes.is_multiple_of(entry_bytes) { u32::try_from(bytes / entry_bytes).ok() } else { None }
}
