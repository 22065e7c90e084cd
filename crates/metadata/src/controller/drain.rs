//! A broker is emptied, and leaves the cluster.

use eddy_types::{BrokerId, ErrorCode};

use crate::{Image, Record};

/// Most partitions that a drain moves at a time; the next follow as these complete.
pub const DRAINS_AT_ONCE_MAX: usize = 32;

/// Why a broker is not drained or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// It is not registered.
    #[error("broker {0} is not registered")]
    UnknownBroker(BrokerId),
    /// It still holds partitions.
    #[error("broker {broker} still holds {partitions} partitions")]
    NotEmpty {
        /// The broker.
        broker: BrokerId,
        /// Partitions that name it as a replica.
        partitions: usize,
    },
    /// Only a dead broker can be removed with what it holds.
    #[error("broker {0} is alive")]
    Alive(BrokerId),
}

impl DrainError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            DrainError::UnknownBroker(_) => ErrorCode::BrokerIdNotRegistered,
            DrainError::NotEmpty { .. } | DrainError::Alive(_) => ErrorCode::InvalidRequest,
        }
    }
}

/// When a broker may leave the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// When it holds nothing.
    WhenEmpty,
    /// When it is dead: what only it held is lost unless it comes back.
    WhenDead,
}

/// How far a decommission has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decommission {
    /// The broker is being drained.
    Draining {
        /// Partitions it still holds.
        partitions: usize,
    },
    /// The broker is removed.
    Removed,
}

/// Begins to empty a broker: it gets nothing new, its leaderships move at once, its replicas as [`upkeep`] finds room for them.
pub fn drain_broker(_image: &Image, broker: BrokerId) -> Result<Vec<Record>, DrainError> {
    Err(DrainError::UnknownBroker(broker))
}

/// Ends a drain: replicas that are leaving stay; those that left do not come back by themselves.
pub fn undrain_broker(_image: &Image, broker: BrokerId) -> Result<Vec<Record>, DrainError> {
    Err(DrainError::UnknownBroker(broker))
}

/// Takes a broker out of the cluster (UnregisterBroker).
pub fn remove_broker(_image: &Image, broker: BrokerId, _removal: Removal) -> Result<Vec<Record>, DrainError> {
    Err(DrainError::UnknownBroker(broker))
}

/// Drains a broker and takes it out of the cluster; to be called again until it is removed.
pub fn decommission(_image: &Image, broker: BrokerId) -> Result<(Vec<Record>, Decommission), DrainError> {
    Err(DrainError::UnknownBroker(broker))
}

/// What the leader of the metadata group does from time to time (every second, say): leaderless partitions get a leader that
/// has become possible, drains go on. Nothing to do gives no records.
#[must_use]
pub fn upkeep(_image: &Image) -> Vec<Record> {
    Vec::new()
}
