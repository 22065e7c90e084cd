//! What can go wrong with a log on disk.

use std::io;
use std::path::{Path, PathBuf};

use eddy_batch::BatchError;
use eddy_types::Offset;

/// A log could not be opened, written or searched.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that were written and synced are not what was written.
    #[error("{} is damaged at byte {position}: {damage}", path.display())]
    Damaged {
        /// The segment's file.
        path: PathBuf,
        /// Where in the file.
        position: u64,
        /// What is wrong there.
        damage: Damage,
    },
    /// The segment was truncated or deleted while it was read: ask the log again.
    #[error("segment {base} was cut or deleted while it was read")]
    Moved {
        /// Base offset of the segment.
        base: Offset,
    },
}

/// What is wrong with a segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// No batch can be read where one must start.
    #[error("{0}")]
    Batch(#[from] BatchError),
    /// A batch does not start after the one before it.
    #[error("batch starts at offset {got}, not at {expected} or later")]
    Order {
        /// The least offset that could follow.
        expected: Offset,
        /// The offset in the batch.
        got: Offset,
    },
    /// An index entry leads to another batch, or to none.
    #[error("index has an entry for offset {entry} where the batch ends with {batch}")]
    Index {
        /// Offset in the index.
        entry: Offset,
        /// Last offset of the batch that the entry leads to, -1 when there is none.
        batch: Offset,
    },
    /// An offset that the log holds is in none of its files.
    #[error("no batch holds offset {0}")]
    Missing(Offset),
}

impl LogError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> LogError {
        LogError::Io { action, path: path.to_owned(), source }
    }
}

/// A read that the log cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is not in the log.
    #[error("offset is outside the log, which holds {start} to {end}")]
    OutOfRange {
        /// First offset of the log.
        start: Offset,
        /// Log end offset; reading there is in range.
        end: Offset,
    },
    /// The segment could not be read. [`LogError::Moved`] goes away when the read is made again.
    #[error(transparent)]
    Log(#[from] LogError),
}
