//! What a partition's index consists of: one small file, replaced in one step.
//!
//! It is a line of JSON and a line with its checksum. An index is derived from the log, so that nothing waits for the disk here:
//! after a power cut the file may be an older one, or damaged, and then the log is indexed again from where it says, or all of it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use eddy_types::{LeaderEpoch, Offset};
use serde::{Deserialize, Serialize};

use crate::mapping::KnownPaths;
use crate::split::SplitMeta;

const FILE: &str = "manifest.json";
const TEMPORARY: &str = "manifest.tmp";

/// Version of the manifest, of the split's file and of the schema: an index of another one is built anew.
const FORMAT: u32 = 1;

/// Far above any manifest: a split has a line of 200 bytes.
const BYTES_MAX: u64 = 64 << 20;

/// What is indexed, and up to where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    /// Version of the index library's files.
    library: u32,
    /// How records were mapped.
    pub(crate) mapping: String,
    /// The first offset that is not indexed.
    pub(crate) next: i64,
    /// Leader epoch of the batch before; -1 when nothing is known of it.
    pub(crate) last_epoch: i32,
    /// Timestamp of the last record that was indexed; -1 for none.
    pub(crate) last_time: i64,
    /// Records that compaction removed from the log below this offset are not in the splits.
    pub(crate) cleaned_to: i64,
    /// The next split's number.
    pub(crate) next_id: u64,
    /// Paths of the JSON values in the splits.
    pub(crate) paths: KnownPaths,
    /// In the order of their offsets, without overlap.
    pub(crate) splits: Vec<SplitMeta>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    /// There is none.
    #[error("there is no manifest")]
    Missing,
    /// It is not what was written.
    #[error("the manifest is damaged: {0}")]
    Damaged(String),
    /// It is of another version of this program.
    #[error("the index is of another version")]
    OtherVersion,
    /// The topic's `search.*` configuration was another one.
    #[error("the topic's search configuration has changed")]
    OtherMapping,
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl Manifest {
    /// Of an index of nothing, which begins at an offset.
    pub(crate) fn empty(mapping: String, at: Offset) -> Manifest {
        Manifest {
            format: FORMAT,
            library: library(),
            mapping,
            next: at.0,
            last_epoch: LeaderEpoch::NONE.0,
            last_time: -1,
            cleaned_to: 0,
            next_id: 1,
            paths: KnownPaths::default(),
            splits: Vec::new(),
        }
    }

    /// Reads the manifest of the index in `dir`, which must be of this `mapping`.
    ///
    /// # Errors
    /// It is missing, damaged, of another version or mapping, or cannot be read.
    pub(crate) fn load(dir: &Path, mapping: &str) -> Result<Manifest, ManifestError> {
        let path = dir.join(FILE);
        let io = |source| ManifestError::Io { path: path.clone(), source };
        let damaged = |reason: &str| ManifestError::Damaged(reason.to_owned());
        let text = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ManifestError::Missing),
            Err(error) => return Err(io(error)),
            Ok(metadata) if metadata.len() > BYTES_MAX => return Err(damaged("it is too large")),
            Ok(_) => fs::read(&path).map_err(io)?,
        };
        let text = String::from_utf8(text).map_err(|_| damaged("it is not text"))?;
        let (json, rest) = text.split_once('\n').ok_or_else(|| damaged("it is cut short"))?;
        if rest.trim_end() != checksum(json) {
            return Err(damaged("its checksum is wrong"));
        }
        let version: Version = serde_json::from_str(json).map_err(|error| damaged(&error.to_string()))?;
        if version != (Version { format: FORMAT, library: library() }) {
            return Err(ManifestError::OtherVersion);
        }
        let manifest: Manifest = serde_json::from_str(json).map_err(|error| damaged(&error.to_string()))?;
        if !manifest.is_sound() {
            return Err(damaged("its splits overlap"));
        }
        if manifest.mapping != mapping {
            return Err(ManifestError::OtherMapping);
        }
        Ok(manifest)
    }

    /// Puts this manifest in the place of the one in `dir`. `sync` waits until it is on the disk.
    ///
    /// # Errors
    /// The file system refuses; the old one stays.
    pub(crate) fn store(&self, dir: &Path, sync: bool) -> Result<(), ManifestError> {
        debug_assert!(self.is_sound(), "{self:?}");
        let temporary = dir.join(TEMPORARY);
        let io = |source| ManifestError::Io { path: temporary.clone(), source };
        let json = serde_json::to_string(self).map_err(|error| io(error.into()))?;
        let mut file = File::create(&temporary).map_err(io)?;
        file.write_all(format!("{json}\n{}\n", checksum(&json)).as_bytes()).map_err(io)?;
        if sync {
            file.sync_data().map_err(io)?;
        }
        fs::rename(&temporary, dir.join(FILE)).map_err(io)?;
        if sync {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)?;
        }
        Ok(())
    }

    fn is_sound(&self) -> bool {
        let mut at = 0;
        self.splits.iter().all(|split| {
            let follows = split.start >= at && split.end > split.start && split.id < self.next_id;
            at = split.end;
            follows
        }) && self.next >= at
    }

    /// Forgets what is indexed from `to` on, by whole splits.
    pub(crate) fn truncate(&mut self, to: i64) {
        if to >= self.next {
            return;
        }
        let kept = self.splits.partition_point(|split| split.end <= to);
        let cut = self.splits.get(kept).map_or(to, |split| split.start.min(to));
        self.splits.truncate(kept);
        self.next = cut;
        // If its epoch ended before the cut, the log says where.
        let last = self.splits.last();
        self.last_epoch = last.map_or(LeaderEpoch::NONE.0, |split| split.epoch);
        self.last_time = self.splits.last().map_or(-1, |split| split.last_time);
    }

    /// Forgets the splits that lie below `start` as a whole.
    pub(crate) fn drop_below(&mut self, start: i64) {
        self.splits.retain(|split| split.end > start);
        if self.next < start {
            self.next = start;
            self.last_epoch = LeaderEpoch::NONE.0;
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.splits.iter().map(|split| split.bytes).sum()
    }

    pub(crate) fn records(&self) -> u64 {
        self.splits.iter().map(|split| split.records).sum()
    }
}

/// What every version of a manifest has.
#[derive(PartialEq, Eq, Deserialize)]
struct Version {
    format: u32,
    library: u32,
}

fn library() -> u32 {
    tantivy::INDEX_FORMAT_VERSION
}

fn checksum(json: &str) -> String {
    format!("{:08x}", crc32c::crc32c(json.as_bytes()))
}
