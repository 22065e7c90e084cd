//! Directories and logs of partitions: where they are, and how they are opened and removed.

use std::path::PathBuf;
use std::sync::Arc;

use eddy_core::ProducerLimits;
use eddy_disk::Disk;
use eddy_log::{FileCache, Log, LogCheckpoint, LogError, TailBudget};
use eddy_metadata::Topic;
use eddy_types::Offset;

use crate::fatal::OnFatal;
use crate::log_config::log_config;
use crate::partition::{Partition, PartitionKey};

/// What all logs of a data directory share.
#[derive(Clone)]
pub(crate) struct Storage {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) data_dir: PathBuf,
    pub(crate) tail: Arc<TailBudget>,
    pub(crate) producer_limits: ProducerLimits,
    pub(crate) on_fatal: OnFatal,
    pub(crate) files: Arc<FileCache>,
}

impl Storage {
    /// Directory of a partition, named by topic id: what a client calls a topic never becomes a path.
    pub(crate) fn partition_dir(&self, key: PartitionKey) -> PathBuf {
        self.partitions_dir().join(key.to_string())
    }

    pub(crate) fn partitions_dir(&self) -> PathBuf {
        self.data_dir.join("partitions")
    }

    /// Opens a partition's log where the checkpoint says it stood; [`serve_log`] comes before the first read. A partition that
    /// the checkpoint does not name began after it: the WAL holds all of it.
    pub(crate) fn open_log(
        &self,
        key: PartitionKey,
        topic: &Topic,
        at: Option<&LogCheckpoint>,
    ) -> Result<Log, LogError> {
        Log::open(
            Arc::clone(&self.files),
            self.partition_dir(key),
            Arc::new(log_config(&topic.config)),
            Arc::clone(&self.tail),
            Some(at.unwrap_or(&LogCheckpoint::default())),
        )
    }
}

/// Ends the replay of a log: from here on it may be read, and what its files lack is known.
pub(crate) fn serve_log(log: &Log) -> Result<(), OpenError> {
    log.finish_replay()?;
    match log.missing() {
        None => Ok(()),
        Some(lost) => Err(OpenError::Missing { dir: log.dir().to_owned(), lost }),
    }
}

/// Why a partition's log cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed, or a file is damaged.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Files hold less than was made durable: what is left is kept as it is.
    #[error("offsets {lost} are missing in {}; its files are left as they are", dir.display())]
    Missing {
        /// Directory of the log.
        dir: PathBuf,
        /// What is not there.
        lost: eddy_types::OffsetRange,
    },
    /// The log could not be read.
    #[error(transparent)]
    Read(Box<crate::error::ReadError>),
    /// The write-ahead log goes on behind the end of the log.
    #[error("the log ends at {end}, the write-ahead log goes on at {next}")]
    Gap {
        /// End of the log.
        end: Offset,
        /// First offset of the entry that comes next.
        next: Offset,
    },
}

impl Storage {
    /// Removes the files of a deleted partition.
    pub(crate) fn remove_partition(
        &self,
        key: PartitionKey,
        open: Option<&Partition>,
    ) -> Result<(), LogError> {
        if let Some(partition) = open {
            partition.log().destroy()?;
        }
        let dir = self.partition_dir(key);
        self.disk.remove_dir_all(&dir).map_err(|source| LogError::Io { action: "remove", path: dir, source })
    }
}
