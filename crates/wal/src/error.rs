//! What can go wrong with the log.

use std::io;
use std::path::{Path, PathBuf};

use crate::Lsn;

/// Why the caller could not replay an entry.
pub type ReplayError = Box<dyn std::error::Error + Send + Sync>;

/// The log can not be opened, or not be written any more.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The system refused to read, write or sync.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that were durable are not what was written. Nothing was changed.
    #[error(
        "write-ahead log is damaged in {} at byte {position}, and whole groups follow in {} at byte {whole_position}; \
         nothing was changed: restore the file from a copy, or, when other brokers hold this broker's partitions, move \
         its data directory aside and let it copy them again",
        file.display(), whole_file.display()
    )]
    Damaged {
        /// The file with the damage.
        file: PathBuf,
        /// Where the damage begins, in bytes.
        position: u64,
        /// Where the first whole group after it is: what proves that this is not the end of the log.
        whole_file: PathBuf,
        /// Its position, in bytes.
        whole_position: u64,
    },
    /// A group has a good checksum and no sense: another program wrote it, or a defect of this one.
    #[error("write-ahead log has a group that makes no sense in {} at byte {position}: {reason}", file.display())]
    Senseless {
        /// The file.
        file: PathBuf,
        /// Position of the group, in bytes.
        position: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was written by a version of this program that this one does not know.
    #[error("write-ahead log {} has format {version}, newer than this program's {known}: start the newer one", file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// Its format.
        version: u16,
        /// The newest format that is known here.
        known: u16,
    },
    /// The log does not reach as far back, or not as far on, as the checkpoint needs.
    #[error(
        "write-ahead log in {} holds entries {first} to {end}, but the checkpoint needs them from {from} on; nothing was \
         changed: checkpoint and write-ahead log are not of the same moment, or files were removed",
        dir.display()
    )]
    Missing {
        /// The log's directory.
        dir: PathBuf,
        /// The first entry that is needed.
        from: Lsn,
        /// The first entry that is there.
        first: Lsn,
        /// The position after the last entry that is there.
        end: Lsn,
    },
    /// The caller could not replay an entry.
    #[error("cannot replay entry {lsn} of the write-ahead log: {source}")]
    Replay {
        /// The entry.
        lsn: Lsn,
        /// What the caller said.
        source: ReplayError,
    },
    /// A thread of the log could not be started.
    #[error("cannot start thread {name}: {source}")]
    Thread {
        /// The thread.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl WalError {
    /// For `map_err`: an error of the system while doing `action` to `path`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WalError {
        move |source| WalError::Io { action, path: path.to_owned(), source }
    }

    /// Whether the disk was full: space may come back, a broken disk does not.
    pub(crate) fn is_no_space(&self) -> bool {
        matches!(self, WalError::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// The log is closed or has failed: what was waited for will not become durable in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write-ahead log is stopped")]
pub struct Stopped;
