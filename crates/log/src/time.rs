//! Offsets by timestamp, as ListOffsets asks.

use std::sync::Arc;

use eddy_batch::{Batch, BatchHeader, DecompressLimit};
use eddy_disk::Access;
use eddy_types::{LeaderEpoch, Millis, Offset};

use crate::error::LogError;
use crate::index::TimeEntry;
use crate::log::Log;
use crate::segment::Segment;

/// A record that a lookup found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its timestamp; that of its batch when the broker set it.
    pub timestamp: Millis,
    /// Its offset.
    pub offset: Offset,
    /// Leader epoch of its batch.
    pub leader_epoch: LeaderEpoch,
}

/// Where a lookup goes on.
enum Place {
    /// In a batch that is in memory.
    Cached { batch: bytes::Bytes, end: Offset },
    /// In a segment, for batches that end at or below `end`.
    Segment { segment: Arc<Segment>, end: Offset },
}

impl Log {
    /// The first record, in offset order, with a timestamp at or above `timestamp` and an offset from the start to below
    /// `limit`. Timestamps may be out of order. Blocks: it reads indexes, headers and usually one batch, whose
    /// records are decompressed within the default [`DecompressLimit`].
    ///
    /// # Errors
    /// When a segment cannot be read or a batch is damaged.
    pub fn offset_for_timestamp(&self, timestamp: Millis, limit: Offset) -> Result<Option<Found>, LogError> {
        let mut from = self.start_offset();
        loop {
            let found = match self.place_at(from, limit, timestamp) {
                None => return Ok(None),
                Some(Place::Cached { batch, end }) => {
                    let found = self.cached_record(&batch, from, limit, timestamp)?;
                    from = end;
                    found
                }
                Some(Place::Segment { segment, end }) => {
                    let range = Range { from, end, limit };
                    let searched = self.search_segment(&segment, range, timestamp);
                    let start = self.start_offset();
                    // Retention took the segment away under the search, or compaction put another in its place.
                    if matches!(searched, Err(LogError::Moved { .. }))
                        && (start > from || segment.successor().is_some())
                    {
                        from = from.max(start);
                        continue;
                    }
                    from = end;
                    searched?
                }
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// The first of the records below `limit` that have the largest timestamp (-3 in ListOffsets); `None` when no record
    /// has one. Blocks, like [`Log::offset_for_timestamp`].
    ///
    /// # Errors
    /// When a segment cannot be read or a batch is damaged.
    pub fn max_timestamp(&self, limit: Offset) -> Result<Option<Found>, LogError> {
        let mut newest = Millis::NONE;
        let mut from = self.start_offset();
        loop {
            match self.place_at(from, limit, newest + Millis(1)) {
                None => break,
                Some(Place::Cached { batch, end }) => {
                    newest = newest.max(self.newest_record(&batch, from, limit)?);
                    from = end;
                }
                Some(Place::Segment { segment, end }) => {
                    let found = self.newest_in_segment(&segment, Range { from, end, limit });
                    if matches!(found, Err(LogError::Moved { .. })) && segment.successor().is_some() {
                        continue;
                    }
                    newest = newest.max(found?);
                    from = end;
                }
            }
        }
        if newest.0 < 0 { Ok(None) } else { self.offset_for_timestamp(newest, limit) }
    }

    /// Where records from `from` on, below `limit`, may have a timestamp at or above `timestamp`.
    fn place_at(&self, from: Offset, limit: Offset, timestamp: Millis) -> Option<Place> {
        let state = self.state.lock();
        let from = from.max(state.start);
        let limit = limit.min(state.end);
        if from >= limit {
            return None;
        }
        let cached_from = state.tail.first_offset().unwrap_or(state.end);
        let on_disk = cached_from.min(state.flushed_end);
        if from < on_disk
            && let Some((segment, next)) = state.segment_at(from)
        {
            let end = next.map_or(on_disk, |next| next.base.min(on_disk));
            return Some(Place::Segment { segment: Arc::clone(segment), end });
        }
        state
            .tail
            .starting_at(from)
            .take_while(|batch| batch.base_offset < limit)
            .find(|batch| batch.max_timestamp >= timestamp)
            .map(|batch| Place::Cached { batch: batch.bytes.clone(), end: batch.end_offset })
    }

    fn search_segment(
        &self,
        segment: &Segment,
        range: Range,
        timestamp: Millis,
    ) -> Result<Option<Found>, LogError> {
        let interval = self.config().index_interval_bytes;
        let facts = segment.facts(&self.files, interval)?;
        if facts.newest.timestamp < timestamp {
            return Ok(None);
        }
        // Up to the batch of an entry no timestamp is above the entry's.
        let entry =
            segment.last_time_entry(&self.files, &facts, |entry: &TimeEntry| entry.timestamp < timestamp)?;
        let from = entry.map_or(range.from, |entry| entry.last_offset.next().max(range.from));
        let Some(position) = segment.locate_surely(&self.files, interval, from)? else { return Ok(None) };
        let mut scan = segment.scan_from(&self.files, position)?;
        while let Some((position, header)) = scan.next()? {
            if !range.reaches(&header) {
                break;
            }
            if header.max_timestamp >= timestamp {
                let batch = self.read_batch(segment, position, &header)?;
                let found = first_record(&batch, range.from, range.limit, timestamp);
                if let Some(found) = found.map_err(|error| damaged(segment, position, error))? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The largest record timestamp of a segment's part.
    fn newest_in_segment(&self, segment: &Segment, range: Range) -> Result<Millis, LogError> {
        let interval = self.config().index_interval_bytes;
        let facts = segment.facts(&self.files, interval)?;
        let newest = facts.newest;
        let is_whole = range.from <= segment.base;
        if newest.timestamp.0 < 0 || (is_whole && newest.last_offset < range.end.min(range.limit)) {
            return Ok(newest.timestamp);
        }
        let Some(position) = segment.locate_surely(&self.files, interval, range.from)? else {
            return Ok(Millis::NONE);
        };
        let mut newest = Millis::NONE;
        let mut scan = segment.scan_from(&self.files, position)?;
        while let Some((position, header)) = scan.next()? {
            if !range.reaches(&header) {
                break;
            }
            if header.max_timestamp > newest {
                let batch = self.read_batch(segment, position, &header)?;
                let in_batch = newest_timestamp(&batch, range.from, range.limit);
                newest = newest.max(in_batch.map_err(|error| damaged(segment, position, error))?);
            }
        }
        Ok(newest)
    }

    fn read_batch(&self, segment: &Segment, position: u64, header: &BatchHeader) -> Result<Batch, LogError> {
        let log = segment.log_reader(&self.files, Access::Blocking)?;
        // The scan has seen that the segment holds all of it.
        let mut bytes = vec![0; header.total_bytes()];
        log.read_exact(&mut bytes, position)?;
        Ok(Batch { header: *header, bytes: bytes.into() })
    }

    fn cached_record(
        &self,
        bytes: &bytes::Bytes,
        from: Offset,
        limit: Offset,
        timestamp: Millis,
    ) -> Result<Option<Found>, LogError> {
        Batch::parse(bytes)
            .and_then(|batch| first_record(&batch, from, limit, timestamp))
            .map_err(|error| self.damaged_in_memory(error))
    }

    fn newest_record(&self, bytes: &bytes::Bytes, from: Offset, limit: Offset) -> Result<Millis, LogError> {
        Batch::parse(bytes)
            .and_then(|batch| newest_timestamp(&batch, from, limit))
            .map_err(|error| self.damaged_in_memory(error))
    }

    fn damaged_in_memory(&self, error: eddy_batch::BatchError) -> LogError {
        LogError::Damaged { path: self.dir.to_path_buf(), position: 0, damage: error.into() }
    }
}

/// Which records of a segment a lookup is about.
#[derive(Clone, Copy)]
struct Range {
    /// First record.
    from: Offset,
    /// Batches that end above are not looked for in the segment.
    end: Offset,
    /// Records from here on do not count.
    limit: Offset,
}

impl Range {
    fn reaches(&self, header: &BatchHeader) -> bool {
        header.base_offset < self.limit && header.last_offset() < self.end
    }
}

fn damaged(segment: &Segment, position: u64, error: eddy_batch::BatchError) -> LogError {
    LogError::Damaged { path: segment.log_path().to_owned(), position, damage: error.into() }
}

fn first_record(
    batch: &Batch,
    from: Offset,
    limit: Offset,
    timestamp: Millis,
) -> Result<Option<Found>, eddy_batch::BatchError> {
    for record in batch.records(&DecompressLimit::default())? {
        let record = record?;
        if record.offset >= limit {
            break;
        }
        if record.offset >= from && record.timestamp >= timestamp {
            return Ok(Some(Found {
                timestamp: record.timestamp,
                offset: record.offset,
                leader_epoch: batch.header.leader_epoch,
            }));
        }
    }
    Ok(None)
}

/// The largest timestamp of records from `from` to below `limit`; the header has it when those are all.
fn newest_timestamp(batch: &Batch, from: Offset, limit: Offset) -> Result<Millis, eddy_batch::BatchError> {
    if batch.header.base_offset >= from && batch.header.last_offset() < limit {
        return Ok(batch.header.max_timestamp);
    }
    let mut newest = Millis::NONE;
    for record in batch.records(&DecompressLimit::default())? {
        let record = record?;
        if record.offset >= from && record.offset < limit {
            newest = newest.max(record.timestamp);
        }
    }
    Ok(newest)
}
