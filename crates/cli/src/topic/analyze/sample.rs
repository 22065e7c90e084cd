//! What is kept of a sample.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use eddy_batch::{Batch, BatchBuilder, Compression, DecompressLimit};
use serde::Serialize;

use crate::record::Record;

/// Records of a sample, at most.
const RECORDS_MAX: usize = 1_000_000;
/// Bytes on which zstd is tried.
const TRIAL_BYTES: usize = 1 << 20;

/// Numbers about sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Sizes {
    pub(super) average: f64,
    pub(super) p50: u64,
    pub(super) p99: u64,
    pub(super) max: u64,
}

/// Sizes as they were seen.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<u32>);

impl Seen {
    fn add(&mut self, size: usize) {
        self.0.push(u32::try_from(size).unwrap_or(u32::MAX));
    }

    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|size| u64::from(*size)).sum()
    }

    pub(super) fn sizes(&self) -> Sizes {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let Some(max) = sorted.last() else { return Sizes::default() };
        // Nearest rank: the least size that so many per cent do not exceed.
        let rank = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(index).copied().unwrap_or_default().into()
        };
        Sizes {
            average: self.total() as f64 / sorted.len() as f64,
            p50: rank(50),
            p99: rank(99),
            max: (*max).into(),
        }
    }
}

/// What is kept of the batches and records that were looked at.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) records_per_batch: Seen,
    pub(super) batch_bytes: Seen,
    pub(super) key_bytes: Seen,
    pub(super) value_bytes: Seen,
    pub(super) codecs: BTreeMap<String, u64>,
    pub(super) tombstones: u64,
    pub(super) with_headers: u64,
    pub(super) transactional_batches: u64,
    /// Hashes of the keys.
    keys: HashSet<u64>,
    hasher: RandomState,
    by_partition: BTreeMap<i32, u64>,
    records: usize,
    /// Of keys, values and headers.
    data_bytes: u64,
    oldest: Option<i64>,
    newest: Option<i64>,
    /// The first batches as they were sent, and what zstd makes of each.
    trial_bytes: usize,
    trial_packed_bytes: usize,
}

impl Sample {
    pub(super) fn batch(&mut self, batch: &Batch) {
        let header = &batch.header;
        if header.attributes.is_control() {
            return;
        }
        self.records_per_batch.add(usize::try_from(header.records_count).unwrap_or(0));
        self.batch_bytes.add(header.total_bytes());
        self.transactional_batches += u64::from(header.attributes.is_transactional());
        let codec = header.attributes.compression().map_or("unknown", Compression::name);
        *self.codecs.entry(codec.to_owned()).or_default() += 1;
        if self.trial_bytes < TRIAL_BYTES
            && let Some(packed) = packed(batch)
        {
            self.trial_bytes += header.total_bytes();
            self.trial_packed_bytes += packed;
        }
    }

    /// Whether there is room for more.
    pub(super) fn record(&mut self, record: &Record) -> bool {
        self.records += 1;
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        if let Some(key) = key {
            self.key_bytes.add(key.len());
            self.keys.insert(self.hasher.hash_one(key));
        }
        match value {
            Some(value) => self.value_bytes.add(value.len()),
            None => self.tombstones += 1,
        }
        self.with_headers += u64::from(!record.headers.is_empty());
        let headers: usize = record
            .headers
            .iter()
            .map(|header| header.key.len() + header.value.as_ref().map_or(0, bytes::Bytes::len))
            .sum();
        self.data_bytes += (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers) as u64;
        *self.by_partition.entry(record.partition).or_default() += 1;
        if record.timestamp >= 0 {
            self.oldest = Some(self.oldest.map_or(record.timestamp, |oldest| oldest.min(record.timestamp)));
            self.newest = Some(self.newest.map_or(record.timestamp, |newest| newest.max(record.timestamp)));
        }
        self.records < RECORDS_MAX
    }

    pub(super) fn records(&self) -> u64 {
        self.records as u64
    }

    pub(super) fn batches(&self) -> u64 {
        self.batch_bytes.0.len() as u64
    }

    pub(super) fn keyed(&self) -> u64 {
        self.key_bytes.0.len() as u64
    }

    /// Different keys.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn span_ms(&self) -> i64 {
        self.newest.unwrap_or(0).saturating_sub(self.oldest.unwrap_or(0))
    }

    pub(super) fn compression_ratio(&self) -> f64 {
        match self.batch_bytes.total() {
            0 => 0.0,
            sent => self.data_bytes as f64 / sent as f64,
        }
    }

    /// The partition with the most records, and its share.
    pub(super) fn busiest(&self) -> Option<(i32, f64)> {
        let (partition, records) = self.by_partition.iter().max_by_key(|(_, records)| **records)?;
        Some((*partition, *records as f64 / self.records.max(1) as f64))
    }

    /// What zstd makes of batches as they are, for each byte that was sent; none for an empty sample.
    pub(super) fn zstd_share(&self) -> Option<f64> {
        (self.trial_bytes > 0).then(|| self.trial_packed_bytes as f64 / self.trial_bytes as f64)
    }
}

/// Bytes of a batch with zstd; none for one that cannot be read.
fn packed(batch: &Batch) -> Option<usize> {
    let mut builder = BatchBuilder::in_place_of(&batch.header).compression(Compression::Zstd);
    for record in batch.records(&DecompressLimit::default()).ok()? {
        builder.append_record(&record.ok()?);
    }
    Some(builder.build().ok()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_sizes_that_were_seen() {
        let mut seen = Seen::default();
        assert_eq!(seen.sizes(), Sizes::default());
        (1..=200).rev().for_each(|size| seen.add(size));
        assert_eq!(seen.sizes(), Sizes { average: 100.5, p50: 100, p99: 198, max: 200 });
    }

    #[test]
    fn zstd_gains_nothing_on_what_is_compressed_already() {
        let mut builder = BatchBuilder::default();
        (0..1000).for_each(|number| builder.append(eddy_types::Millis(number), None, Some(b"some value")));
        let share = |codec| {
            let bytes = builder.clone().compression(codec).build().unwrap();
            let mut sample = Sample::default();
            assert_eq!(sample.zstd_share(), None);
            sample.batch(&Batch::parse(&bytes).unwrap());
            sample.zstd_share().unwrap()
        };
        assert!(share(Compression::None) < 0.5, "{}", share(Compression::None));
        assert!((0.99..1.01).contains(&share(Compression::Zstd)), "{}", share(Compression::Zstd));
    }
}
