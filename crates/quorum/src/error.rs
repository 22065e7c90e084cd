//! What can go wrong, as callers see it.

use std::io;
use std::path::PathBuf;

use eddy_metadata::{ApplyError, SnapshotError};
use eddy_peer::PeerAddress;
use eddy_types::BrokerId;

/// Why the group does not start.
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    /// A thread or its runtime could not be made.
    #[error("cannot start the thread of the metadata group: {0}")]
    Thread(#[source] io::Error),
    /// The directory cannot be made or listed.
    #[error("cannot open metadata directory {dir}: {source}")]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The log cannot be opened or read.
    #[error("cannot open metadata log {path}: {reason}")]
    Log {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The snapshot cannot be read.
    #[error("cannot read metadata snapshot {path}: {source}")]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: LoadError,
    },
    /// The directory is another broker's.
    #[error("metadata directory {dir} belongs to broker {owner}, this is broker {me}")]
    OtherBroker {
        /// The directory.
        dir: PathBuf,
        /// The broker it belongs to.
        owner: BrokerId,
        /// This broker.
        me: BrokerId,
    },
    /// The machine has no random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
    /// This broker's directory is new, and a broker with its id runs elsewhere.
    #[error("a broker with id {broker} runs at {at}: two brokers have the same node.id")]
    BrokerRuns {
        /// The id.
        broker: BrokerId,
        /// Where the other one listens for its peers.
        at: PeerAddress,
    },
    /// The directory is that of a member of a cluster, and the broker is to run alone.
    #[error(
        "this broker is one of {voters} voters of a cluster and cannot run alone: say where its peers are"
    )]
    NotAlone {
        /// Voters of the cluster.
        voters: usize,
    },
    /// The group stopped while it started.
    #[error("metadata group stopped: {0}")]
    Stopped(String),
    /// The first records were refused.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// What is wrong with a snapshot file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A newer broker wrote it.
    #[error("snapshot file has version {version}, this broker reads up to {supported}")]
    NewerVersion {
        /// Version of the file.
        version: u32,
        /// Highest version this broker reads.
        supported: u32,
    },
    /// Not what was written.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The image inside.
    #[error(transparent)]
    Image(#[from] SnapshotError),
}

/// Why records are not committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// The leader of the group is not known or not reached. The records are not committed: try again later.
    #[error("no leader of the metadata group takes the change, the last one known is {}", leader.map_or("none".to_owned(), |id| id.to_string()))]
    NotLeader {
        /// The leader, when known.
        leader: Option<BrokerId>,
    },
    /// The change was not confirmed in time. Whether it is made is unknown: look, or try again later.
    #[error("metadata change was not confirmed in time by a majority of the metadata group")]
    Timeout,
    /// The records do not fit the image. None of them is applied, on any broker.
    #[error("metadata change was refused: {0}")]
    Rejected(#[from] ApplyError),
    /// The group has stopped; whether the records are committed is unknown.
    #[error("metadata group stopped: {0}")]
    Stopped(String),
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError<E: std::error::Error> {
    /// The decision was against it.
    #[error(transparent)]
    Refused(E),
    /// It could not be committed.
    #[error(transparent)]
    Propose(ProposeError),
}
