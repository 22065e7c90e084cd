//! One split: an immutable tantivy index of one segment, in one file.

mod build;
mod bundle;
mod merge;
mod staging;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eddy_types::{Millis, Offset, OffsetRange};
use serde::{Deserialize, Serialize};
use tantivy::directory::error::OpenReadError;
use tantivy::{Index, ReloadPolicy, TantivyError};

pub(crate) use self::build::SplitBuilder;
use self::bundle::BundleDirectory;
pub(crate) use self::merge::{Merged, is_synced, merge};
pub(crate) use self::staging::Pacing;
use crate::fields::Fields;
use crate::view::SearchableSplit;

/// Ends the name of a split's file.
pub(crate) const EXTENSION: &str = "split";

/// What a manifest knows of a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SplitMeta {
    /// Its number: splits of a partition never have the same.
    pub(crate) id: u64,
    /// Offsets it covers: `start..end`. Those of records that are gone, and of control records, are among them.
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Records in it.
    pub(crate) records: u64,
    /// Size of its file.
    pub(crate) bytes: u64,
    /// Least and greatest timestamp.
    pub(crate) first_time: i64,
    pub(crate) last_time: i64,
    /// Leader epoch of the last batch in it.
    pub(crate) epoch: i32,
    /// CRC-32C of its file.
    pub(crate) crc: u32,
}

impl SplitMeta {
    pub(crate) fn offsets(&self) -> OffsetRange {
        OffsetRange { start: Offset(self.start), end: Offset(self.end) }
    }

    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        path(dir, self.id)
    }
}

/// The file of a split.
pub(crate) fn path(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:012}.{EXTENSION}"))
}

/// What goes wrong with a split.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SplitError {
    /// The file is not what was written.
    #[error("{path}: {reason}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// In what way.
        reason: String,
    },
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The index library refuses.
    #[error("tantivy: {0}")]
    Tantivy(#[from] TantivyError),
    /// The broker stops, or the partition is no longer indexed.
    #[error("stopped")]
    Stopped,
}

impl SplitError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> SplitError {
        let path = path.to_owned();
        move |source| SplitError::Io { path, source }
    }

    fn damaged(path: &Path, reason: impl Into<String>) -> SplitError {
        SplitError::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    /// Whether the index is not what was written, or not by this version: to be built anew, not to be tried again.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            SplitError::Damaged { .. } => true,
            SplitError::Io { source, .. } => is_of_contents(source),
            SplitError::Tantivy(error) => match error {
                TantivyError::DataCorruption(_)
                | TantivyError::IncompatibleIndex(_)
                | TantivyError::SchemaError(_)
                | TantivyError::OpenReadError(
                    OpenReadError::FileDoesNotExist(_) | OpenReadError::IncompatibleIndex(_),
                ) => true,
                TantivyError::IoError(source)
                | TantivyError::OpenReadError(OpenReadError::IoError { io_error: source, .. }) => {
                    is_of_contents(source)
                }
                _ => false,
            },
            SplitError::Stopped => false,
        }
    }
}

/// Whether an error is about what is in a file, or that it is not there, and not about the disk.
fn is_of_contents(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), InvalidData | NotFound | UnexpectedEof)
}

/// Opens a split. `verify` reads all of it and compares the checksum.
///
/// # Errors
/// The file is missing or damaged, or of another version.
pub(crate) fn open(dir: &Path, meta: &SplitMeta, verify: bool) -> Result<SearchableSplit, SplitError> {
    let index = open_index(dir, meta, verify)?;
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).doc_store_cache_num_blocks(2);
    let reader: tantivy::IndexReader = reader.try_into()?;
    let searcher = reader.searcher();
    let [segment] = searcher.segment_readers() else {
        return Err(SplitError::damaged(&meta.path(dir), "it is not of one segment"));
    };
    if u64::from(segment.num_docs()) != meta.records {
        return Err(SplitError::damaged(&meta.path(dir), "it has another number of records"));
    }
    Ok(SearchableSplit {
        searcher,
        offsets: meta.offsets(),
        timestamps: (Millis(meta.first_time), Millis(meta.last_time)),
    })
}

fn open_index(dir: &Path, meta: &SplitMeta, verify: bool) -> Result<Index, SplitError> {
    let path = meta.path(dir);
    if verify {
        bundle::verify(&path, meta)?;
    }
    let directory = BundleDirectory::open(dir, meta)?;
    // What is damaged in a way that no checksum knows may be anything to the library.
    let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Index::open(directory)));
    let mut index = opened.map_err(|_| SplitError::damaged(&path, "it cannot be opened"))??;
    index.set_tokenizers(Fields::tokenizers());
    Ok(index)
}

/// As [`open`], shared.
pub(crate) fn open_shared(
    dir: &Path,
    meta: &SplitMeta,
    verify: bool,
) -> Result<Arc<SearchableSplit>, SplitError> {
    open(dir, meta, verify).map(Arc::new)
}
