//! Why a broker did not start, as its user reads it.

use std::io;
use std::path::Path;

use eddy_cluster::RegistrationFailed;
use eddy_engine::StartError;
use eddy_metadata::controller::RegisterError;
use eddy_quorum::{ChangeError, QuorumError};
use eddy_types::BrokerId;
use eddy_wal::WalError;

use crate::boot::network;
use crate::codes::{self, Code};
use crate::failure::Problem;

/// The problem behind an error of the engine. The error's own text says what and where; the code says what to do.
pub(crate) fn problem(dir: &Path, error: &StartError) -> Problem {
    if let StartError::Quorum(QuorumError::BrokerRuns { broker, at }) = error {
        return network::duplicate(*broker, Some(at.to_string()));
    }
    let problem = Problem::new(code(error), error.to_string());
    match code(error).number {
        number if number == codes::NO_SPACE.number => problem
            .fix(format!("df -h {}", dir.display()), "see how full the disk is")
            .fix("eddy serve --set wal.profile=low", "need less space"),
        number if number == codes::NEWER_VERSION.number => {
            problem.fact("nothing was changed").fix("eddy serve --data-dir DIR", "use another directory")
        }
        _ => problem
            .fix(format!("cp -a {} COPY", dir.display()), "keep what is there before anything is tried"),
    }
}

/// The problem of a broker that the cluster does not take.
pub(crate) fn not_registered(error: &RegistrationFailed, me: BrokerId) -> Problem {
    match &error.0 {
        ChangeError::Refused(RegisterError::DuplicateBroker(_)) => network::duplicate(me, None),
        _ => Problem::new(&codes::NOT_REGISTERED, error.to_string())
            .fix("eddy cluster quorum -b HOST:PORT", "ask another broker who leads the metadata group"),
    }
}

fn code(error: &StartError) -> &'static Code {
    match error {
        StartError::Checkpoint { .. } => &codes::WAL_INCOMPLETE,
        StartError::Wal(error) => wal_code(error),
        StartError::Log { .. } => &codes::PARTITION_OFFLINE,
        StartError::Quorum(error) => match error {
            QuorumError::Thread(_) | QuorumError::Random(_) => &codes::INTERNAL,
            QuorumError::Directory { source, .. } => disk_code(source),
            QuorumError::OtherBroker { .. } => &codes::WRONG_NODE,
            QuorumError::BrokerRuns { .. } => &codes::DUPLICATE_NODE,
            QuorumError::Log { .. }
            | QuorumError::Snapshot { .. }
            | QuorumError::NotAlone { .. }
            | QuorumError::Stopped(_)
            | QuorumError::Propose(_) => &codes::METADATA_FAILED,
        },
        StartError::Disk(error) => disk_code(error),
    }
}

fn wal_code(error: &WalError) -> &'static Code {
    match error {
        WalError::Io { source, .. } => disk_code(source),
        WalError::Damaged { .. } | WalError::Senseless { .. } => &codes::WAL_DAMAGED,
        WalError::Version { .. } => &codes::NEWER_VERSION,
        WalError::Missing { .. } => &codes::WAL_INCOMPLETE,
        WalError::Replay { .. } => &codes::PARTITION_OFFLINE,
        WalError::Thread { .. } => &codes::INTERNAL,
    }
}

fn disk_code(error: &io::Error) -> &'static Code {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => &codes::NO_SPACE,
        _ => &codes::DISK_FAILED,
    }
}
