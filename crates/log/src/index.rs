//! Entries of the index files, in Kafka's format, and how they are made.
//!
//! The offset index maps the last offset of a batch to the batch's position. The time index says, for a place in the
//! log, which timestamp was the largest so far and which batch had it. Both are sparse: an entry follows each
//! `index.interval.bytes` of log. Offsets are relative to the segment's base.

use eddy_batch::BatchHeader;
use eddy_types::{Millis, Offset};

/// Size of an offset index entry.
pub(crate) const OFFSET_ENTRY_BYTES: usize = 8;
/// Size of a time index entry.
pub(crate) const TIME_ENTRY_BYTES: usize = 12;

/// A batch, by its last offset, and its position in the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) last_offset: Offset,
    pub(crate) position: u64,
}

/// The largest timestamp up to some place, and the last offset of the first batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: Millis,
    pub(crate) last_offset: Offset,
}

impl OffsetEntry {
    pub(crate) fn decode(bytes: &[u8; OFFSET_ENTRY_BYTES], base: Offset) -> OffsetEntry {
        let [a, b, c, d, e, f, g, h] = *bytes;
        OffsetEntry {
            last_offset: base + i64::from(i32::from_be_bytes([a, b, c, d])),
            position: u64::from(u32::from_be_bytes([e, f, g, h])),
        }
    }

    fn encode(self, base: Offset, out: &mut Vec<u8>) {
        put_relative(self.last_offset, base, out);
        out.extend_from_slice(&u32::try_from(self.position).unwrap_or(u32::MAX).to_be_bytes());
    }
}

impl TimeEntry {
    pub(crate) fn decode(bytes: &[u8; TIME_ENTRY_BYTES], base: Offset) -> TimeEntry {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
        TimeEntry {
            timestamp: Millis(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
            last_offset: base + i64::from(i32::from_be_bytes([i, j, k, l])),
        }
    }

    fn encode(self, base: Offset, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        put_relative(self.last_offset, base, out);
    }
}

/// A segment is rolled before an offset does not fit.
fn put_relative(offset: Offset, base: Offset, out: &mut Vec<u8>) {
    debug_assert!(fits(offset, base), "offset {offset} in segment {base}");
    let relative = i32::try_from(offset.0 - base.0).unwrap_or(i32::MAX);
    out.extend_from_slice(&relative.to_be_bytes());
}

/// Whether an offset can stand in the index of the segment that begins at `base`.
pub(crate) fn fits(offset: Offset, base: Offset) -> bool {
    offset >= base && offset.0 - base.0 <= i64::from(i32::MAX)
}

/// What the indexes and the batches after the last entry tell of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Entries in the offset index file.
    pub(crate) offset_entries: u32,
    /// Entries in the time index file.
    pub(crate) time_entries: u32,
    /// Timestamp of the last entry in the time index; -1 when it is empty.
    pub(crate) last_indexed_timestamp: Millis,
    /// Log bytes since the batch of the last offset index entry, that batch included.
    pub(crate) bytes_since_entry: u64,
    /// Largest timestamp of the first batch, what `segment.ms` counts from; -1 when it has none.
    pub(crate) first_timestamp: Millis,
    /// The first batch with the largest timestamp; -1 when no record has a timestamp.
    pub(crate) newest: TimeEntry,
}

impl Facts {
    pub(crate) const EMPTY: Facts = Facts {
        offset_entries: 0,
        time_entries: 0,
        last_indexed_timestamp: Millis::NONE,
        bytes_since_entry: 0,
        first_timestamp: Millis::NONE,
        newest: TimeEntry { timestamp: Millis::NONE, last_offset: Offset::NONE },
    };
}

/// A batch as the indexes see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexedBatch {
    pub(crate) last_offset: Offset,
    pub(crate) max_timestamp: Millis,
    pub(crate) position: u64,
    pub(crate) bytes: u64,
}

impl IndexedBatch {
    pub(crate) fn new(header: &BatchHeader, position: u64) -> Self {
        IndexedBatch {
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            position,
            bytes: header.total_bytes() as u64,
        }
    }
}

/// Makes the entries for batches that are added to a segment.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    base: Offset,
    pub(crate) facts: Facts,
    /// New entries, encoded, that belong behind those in the file.
    pub(crate) offset_entries: Vec<u8>,
    /// The same for the time index.
    pub(crate) time_entries: Vec<u8>,
}

impl IndexBuilder {
    pub(crate) fn new(base: Offset, facts: Facts) -> Self {
        IndexBuilder { base, facts, offset_entries: Vec::new(), time_entries: Vec::new() }
    }

    /// Takes the next batch of the segment.
    pub(crate) fn add(&mut self, batch: IndexedBatch, interval: u32) {
        if batch.position == 0 {
            self.facts.first_timestamp = batch.max_timestamp;
        }
        if batch.max_timestamp > self.facts.newest.timestamp {
            self.facts.newest = TimeEntry { timestamp: batch.max_timestamp, last_offset: batch.last_offset };
        }
        if self.facts.bytes_since_entry > u64::from(interval) {
            let entry = OffsetEntry { last_offset: batch.last_offset, position: batch.position };
            entry.encode(self.base, &mut self.offset_entries);
            self.facts.offset_entries += 1;
            self.add_time_entry();
            self.facts.bytes_since_entry = 0;
        }
        self.facts.bytes_since_entry += batch.bytes;
    }

    /// The segment is complete: its largest timestamp becomes the last entry, where retention and lookups find it.
    pub(crate) fn seal(&mut self) {
        self.add_time_entry();
    }

    fn add_time_entry(&mut self) {
        let newest = self.facts.newest;
        if newest.timestamp > self.facts.last_indexed_timestamp {
            newest.encode(self.base, &mut self.time_entries);
            self.facts.time_entries += 1;
            self.facts.last_indexed_timestamp = newest.timestamp;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(last_offset: i64, max_timestamp: i64, position: u64) -> IndexedBatch {
        IndexedBatch {
            last_offset: Offset(last_offset),
            max_timestamp: Millis(max_timestamp),
            position,
            bytes: 60,
        }
    }

    #[test]
    fn an_entry_follows_each_interval_and_timestamps_only_rise() {
        let mut builder = IndexBuilder::new(Offset(1000), Facts::EMPTY);
        for (number, timestamp) in [50, 70, 60, 65, 10, 90].into_iter().enumerate() {
            let number = number as i64;
            builder.add(batch(1004 + 5 * number, timestamp, 60 * number as u64), 100);
        }
        builder.seal();
        let offsets: Vec<OffsetEntry> = builder
            .offset_entries
            .as_chunks::<OFFSET_ENTRY_BYTES>()
            .0
            .iter()
            .map(|entry| OffsetEntry::decode(entry, Offset(1000)))
            .collect();
        let times: Vec<TimeEntry> = builder
            .time_entries
            .as_chunks::<TIME_ENTRY_BYTES>()
            .0
            .iter()
            .map(|entry| TimeEntry::decode(entry, Offset(1000)))
            .collect();
        let offset_entry = |last_offset, position| OffsetEntry { last_offset: Offset(last_offset), position };
        let time_entry = |timestamp, last_offset| TimeEntry {
            timestamp: Millis(timestamp),
            last_offset: Offset(last_offset),
        };
        assert_eq!(offsets, [offset_entry(1014, 120), offset_entry(1024, 240)]);
        assert_eq!(times, [time_entry(70, 1009), time_entry(90, 1029)]);
        assert_eq!(builder.facts.first_timestamp, Millis(50));
    }

    #[test]
    fn records_without_timestamps_leave_the_time_index_empty() {
        let mut builder = IndexBuilder::new(Offset(0), Facts::EMPTY);
        for number in 0..10 {
            builder.add(batch(number, -1, 60 * number as u64), 100);
        }
        builder.seal();
        assert!(builder.time_entries.is_empty());
        assert_eq!(builder.facts.offset_entries, 4);
    }
}
