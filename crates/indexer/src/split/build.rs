//! Builds a split in memory and writes its file.

use std::path::Path;

use eddy_types::{LeaderEpoch, Offset};
use tantivy::directory::RamDirectory;
use tantivy::schema::Schema;
use tantivy::store::Compressor;
use tantivy::{Directory, Index, IndexSettings, SingleSegmentIndexWriter};

use super::bundle::BundleWriter;
use super::{Pacing, SplitError, SplitMeta, path};
use crate::fields::Fields;
use crate::mapping::MappedRecord;

/// Documents of one segment; tantivy numbers them with 32 bits.
const RECORDS_MAX: u64 = 1 << 24;

/// A split that takes records.
pub(crate) struct SplitBuilder {
    writer: SingleSegmentIndexWriter<MappedRecord>,
    directory: RamDirectory,
    records: u64,
    times: Option<(i64, i64)>,
}

/// Stored values are compressed, and so is the nothing that is stored without them.
pub(super) fn settings() -> IndexSettings {
    IndexSettings { docstore_compression: Compressor::Lz4, ..IndexSettings::default() }
}

impl SplitBuilder {
    /// An empty split. `memory` is what it is expected to grow to, in bytes: small splits get small tables.
    ///
    /// # Errors
    /// The index library refuses.
    pub(crate) fn new(schema: Schema, memory: usize) -> Result<SplitBuilder, SplitError> {
        const MEMORY_MIN: usize = 1 << 20;
        let directory = RamDirectory::create();
        let index = Index::builder().schema(schema).settings(settings()).tokenizers(Fields::tokenizers());
        let writer = index.single_segment_index_writer(directory.clone(), memory.max(MEMORY_MIN))?;
        Ok(SplitBuilder { writer, directory, records: 0, times: None })
    }

    /// Adds a record. Records come in the order of their offsets.
    ///
    /// # Errors
    /// The index library refuses.
    pub(crate) fn add(&mut self, record: MappedRecord) -> Result<(), SplitError> {
        let time = record.time();
        let (first, last) = self.times.unwrap_or((time, time));
        self.writer.add_document(record)?;
        self.times = Some((first.min(time), last.max(time)));
        self.records += 1;
        Ok(())
    }

    /// Bytes that it takes at the moment.
    pub(crate) fn memory(&self) -> usize {
        self.writer.mem_usage()
    }

    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records >= RECORDS_MAX
    }

    /// Writes the file of the split, of the offsets `start..end`, and forgets what was in memory. Nothing is synced.
    ///
    /// # Errors
    /// The file cannot be written; what there is of it is removed.
    pub(crate) fn finish(
        self,
        dir: &Path,
        id: u64,
        (start, end): (Offset, Offset),
        epoch: LeaderEpoch,
        pacing: &dyn Pacing,
    ) -> Result<SplitMeta, SplitError> {
        let index = self.writer.finalize()?;
        let path = path(dir, id);
        let written = (|| {
            let mut bundle = BundleWriter::create(&path, pacing)?;
            let mut names: Vec<_> = index.directory().list_managed_files().into_iter().collect();
            names.sort();
            for name in names {
                let contents = self.directory.open_read(&name).map_err(tantivy::TantivyError::from)?;
                let bytes = contents.read_bytes().map_err(SplitError::io(&name))?;
                bundle.add(&name, bytes.as_slice())?;
            }
            bundle.finish(false)
        })();
        let written = written.inspect_err(|_| {
            let _ = std::fs::remove_file(&path);
        })?;
        let (first_time, last_time) = self.times.unwrap_or((-1, -1));
        Ok(SplitMeta {
            id,
            start: start.0,
            end: end.0,
            records: self.records,
            bytes: written.bytes,
            first_time,
            last_time,
            epoch: epoch.0,
            crc: written.crc,
        })
    }
}
