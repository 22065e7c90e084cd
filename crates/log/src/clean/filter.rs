//! What compaction leaves of a batch.

use bytes::Bytes;
use eddy_batch::{Batch, BatchBuilder, BatchError, BatchHeader, Compression, DecompressLimit, TimestampType};
use eddy_types::{Millis, Offset};

use super::key_map::KeyMap;

/// What is left of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// All of it, byte by byte.
    AsIs,
    /// A batch that takes its place.
    Changed {
        batch: Bytes,
        dropped: u64,
    },
    Nothing,
}

/// What records are held against.
pub(super) struct Filter<'a> {
    pub(super) map: &'a KeyMap,
    /// The map knows all keys of records below; what is not below stays.
    pub(super) map_end: Offset,
    pub(super) now: Millis,
    pub(super) delete_retention: Millis,
}

/// One flag for each record of a batch.
#[derive(Default)]
struct Kept {
    bits: Vec<u64>,
    records: u32,
    kept: u32,
    has_tombstone: bool,
}

impl Kept {
    fn push(&mut self, keep: bool) {
        if self.records.is_multiple_of(u64::BITS) {
            self.bits.push(0);
        }
        if keep && let Some(word) = self.bits.last_mut() {
            *word |= 1 << (self.records % u64::BITS);
            self.kept += 1;
        }
        self.records += 1;
    }

    fn contains(&self, record: u32) -> bool {
        let word = self.bits.get((record / u64::BITS) as usize);
        word.is_some_and(|word| word >> (record % u64::BITS) & 1 == 1)
    }
}

impl Filter<'_> {
    /// What is left of a batch of records: the newest of each key, without the tombstones whose time has come. With `stays` the
    /// batch holds its place even without records.
    pub(super) fn records(&self, batch: &Batch, stays: bool) -> Result<Left, BatchError> {
        if batch.header.base_offset >= self.map_end {
            return Ok(Left::AsIs);
        }
        let kept = self.judge(batch)?;
        let header = &batch.header;
        let sets_horizon = kept.has_tombstone && !header.attributes.has_delete_horizon();
        if kept.kept == 0 {
            return emptied(header, stays);
        }
        if kept.kept == kept.records && !sets_horizon {
            return Ok(Left::AsIs);
        }
        let mut builder = BatchBuilder::in_place_of(header);
        if sets_horizon {
            builder = builder.delete_horizon(self.horizon());
        }
        for (number, record) in (0..).zip(batch.records(&DecompressLimit::default())?) {
            let record = record?;
            if kept.contains(number) {
                builder.append_record(&record);
            }
        }
        Ok(Left::Changed { batch: builder.build()?, dropped: u64::from(kept.records - kept.kept) })
    }

    /// Which records stay. They are looked at twice, rather than kept in memory meanwhile: there may be millions in a batch.
    fn judge(&self, batch: &Batch) -> Result<Kept, BatchError> {
        let tombstones_expired = self.is_past_horizon(&batch.header);
        let mut kept = Kept::default();
        for record in batch.records(&DecompressLimit::default())? {
            let record = record?;
            let keep = record.offset >= self.map_end
                || record.key.as_ref().is_some_and(|key| {
                    let is_newest = self.map.newest(key).is_none_or(|newest| record.offset >= newest);
                    is_newest && (record.value.is_some() || !tombstones_expired)
                });
            kept.has_tombstone |= keep && record.value.is_none();
            kept.push(keep);
        }
        Ok(kept)
    }

    /// What is left of a marker none of whose records is left: it stays for a time, for readers that have read them.
    pub(super) fn idle_marker(&self, batch: &Batch, stays: bool) -> Result<Left, BatchError> {
        if self.is_past_horizon(&batch.header) {
            return emptied(&batch.header, stays);
        }
        if batch.header.attributes.has_delete_horizon() || batch.header.records_count == 0 {
            return if stays || batch.header.records_count > 0 { Ok(Left::AsIs) } else { Ok(Left::Nothing) };
        }
        let mut builder = BatchBuilder::in_place_of(&batch.header).delete_horizon(self.horizon());
        for record in batch.records(&DecompressLimit::default())? {
            builder.append_record(&record?);
        }
        Ok(Left::Changed { batch: builder.build()?, dropped: 0 })
    }

    fn horizon(&self) -> Millis {
        Millis(self.now.0.saturating_add(self.delete_retention.0))
    }

    fn is_past_horizon(&self, header: &BatchHeader) -> bool {
        header.attributes.has_delete_horizon() && self.now >= header.base_timestamp
    }
}

/// A batch without records goes, unless it must hold its offsets and its producer's sequence. It has no timestamp then, so
/// that no lookup by time leads to it.
pub(super) fn emptied(header: &BatchHeader, stays: bool) -> Result<Left, BatchError> {
    if !stays {
        return Ok(Left::Nothing);
    }
    if header.records_count == 0 {
        return Ok(Left::AsIs);
    }
    let attributes = header
        .attributes
        .with_compression(Compression::None)
        .with_timestamp_type(TimestampType::CreateTime)
        .with_delete_horizon(false);
    let header = BatchHeader { attributes, base_timestamp: Millis::NONE, ..*header };
    let dropped = u64::try_from(header.records_count).unwrap_or(0);
    Ok(Left::Changed { batch: BatchBuilder::in_place_of(&header).build()?, dropped })
}
