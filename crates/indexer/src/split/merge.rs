//! Makes one split of several, without the records that are gone.

use std::path::Path;
use std::sync::Arc;

use tantivy::directory::OwnedBytes;
use tantivy::fastfield::{AliveBitSet, write_alive_bitset};
use tantivy::indexer::merge_filtered_segments;
use tantivy::{BitSet, Index, Segment};

use super::build::settings;
use super::bundle::BundleWriter;
use super::staging::Staging;
use super::{Pacing, SplitError, SplitMeta, open_index, path};

/// What became of some splits.
#[derive(Debug)]
pub(crate) enum Merged {
    /// One split.
    Into(SplitMeta),
    /// Nothing: none of their records is left.
    Nothing,
}

/// Whether the split that these become is worth a sync: what is not synced, a power cut may damage, and then it is made anew.
pub(crate) fn is_synced(splits: &[SplitMeta]) -> bool {
    const BYTES: u64 = 4 << 20;
    splits.iter().map(|split| split.bytes).sum::<u64>() >= BYTES
}

/// Merges adjacent splits, in offset order, into a new one. `is_alive` says of each
/// offset whether its record is still there; `None` keeps all.
///
/// # Errors
/// A split is damaged, the disk is full, or the pace ended it. What was written is removed.
pub(crate) fn merge(
    dir: &Path,
    splits: &[SplitMeta],
    id: u64,
    is_alive: Option<&dyn Fn(i64) -> bool>,
    pacing: &Arc<dyn Pacing>,
) -> Result<Merged, SplitError> {
    let (Some(first), Some(last)) = (splits.first(), splits.last()) else { return Ok(Merged::Nothing) };
    let mut segments = Vec::with_capacity(splits.len());
    let mut filters = Vec::with_capacity(splits.len());
    let mut records = 0;
    for split in splits {
        // A power cut may have damaged it, and what is made of it would have a good checksum.
        let index = open_index(dir, split, true)?;
        let segment = only_segment(dir, split, &index)?;
        let filter = is_alive.map(|is_alive| alive(&segment, is_alive)).transpose()?;
        records += filter.as_ref().map_or(split.records, |alive| alive.num_alive_docs() as u64);
        segments.push(segment);
        filters.push(filter);
    }
    if records == 0 {
        return Ok(Merged::Nothing);
    }
    let path = path(dir, id);
    let written = (|| {
        let staging = dir.join(format!("{id:012}.merge"));
        let staging = Staging::create(staging.clone()).map_err(SplitError::io(&staging))?;
        let directory = staging.directory(Arc::clone(pacing))?;
        let merged = merge_filtered_segments(&segments, settings(), filters, directory);
        drop(merged.map_err(|error| stopped_or(error, pacing))?);
        let mut bundle = BundleWriter::create(&path, pacing.as_ref())?;
        for name in staging.files().map_err(SplitError::io(&path))? {
            bundle.add(&name, staging.file(&name).map_err(SplitError::io(&name))?)?;
        }
        bundle.finish(is_synced(splits))
    })();
    let written = written.inspect_err(|_| {
        let _ = std::fs::remove_file(&path);
    })?;
    Ok(Merged::Into(SplitMeta {
        id,
        start: first.start,
        end: last.end,
        records,
        bytes: written.bytes,
        first_time: splits.iter().map(|split| split.first_time).min().unwrap_or(-1),
        last_time: splits.iter().map(|split| split.last_time).max().unwrap_or(-1),
        epoch: last.epoch,
        crc: written.crc,
    }))
}

fn only_segment(dir: &Path, split: &SplitMeta, index: &Index) -> Result<Segment, SplitError> {
    let mut segments = index.searchable_segments()?;
    match (segments.pop(), segments.is_empty()) {
        (Some(segment), true) => Ok(segment),
        _ => Err(SplitError::damaged(&split.path(dir), "it is not of one segment")),
    }
}

fn alive(segment: &Segment, is_alive: &dyn Fn(i64) -> bool) -> Result<AliveBitSet, SplitError> {
    let reader = tantivy::SegmentReader::open(segment)?;
    let offsets = reader.fast_fields().i64("_offset")?;
    let mut bits = BitSet::with_max_value(reader.max_doc());
    for doc in 0..reader.max_doc() {
        if offsets.first(doc).is_some_and(is_alive) {
            bits.insert(doc);
        }
    }
    let mut bytes = Vec::new();
    write_alive_bitset(&bits, &mut bytes).map_err(tantivy::TantivyError::from)?;
    Ok(AliveBitSet::open(OwnedBytes::new(bytes)))
}

/// The pace ends a merge through an error of writing.
fn stopped_or(error: tantivy::TantivyError, pacing: &Arc<dyn Pacing>) -> SplitError {
    if pacing.moved(0).is_err() { SplitError::Stopped } else { error.into() }
}
