//! Why a request did not reach its group's machine.

use eddy_types::ErrorCode;

/// The coordinator of a group cannot be asked. Nothing was changed, unless the variant says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The group's shard is being rebuilt from its partition.
    #[error("the coordinator is loading")]
    Loading,
    /// Another broker leads the group's partition.
    #[error("another broker coordinates the group")]
    NotCoordinator,
    /// `__consumer_offsets` cannot be made or read.
    #[error("the topic of committed offsets is not available")]
    NoTopic,
    /// The write-ahead log has no room, or too many requests of the shard wait already.
    #[error("the broker has no room for the request")]
    Full,
    /// Too few replicas of the group's partition are in sync: what the request changes could not be kept.
    #[error("too few replicas of the group's partition are in sync")]
    TooFewReplicas,
    /// What the request changed was written here, but the other replicas have not taken it in time: whether it stays is not known.
    #[error("the replicas of the group's partition did not answer in time")]
    NotReplicated,
    /// The shard went away while the request was under way: whether it was carried out is not known.
    #[error("the coordinator went away during the request")]
    Lost,
}

impl Unavailable {
    /// Kafka's code for it; clients try again after all of them.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            // A client that finds the broker full comes back to it later, and has nothing to look up meanwhile.
            Unavailable::Loading | Unavailable::Full => ErrorCode::CoordinatorLoadInProgress,
            Unavailable::NotCoordinator | Unavailable::Lost => ErrorCode::NotCoordinator,
            Unavailable::NoTopic | Unavailable::TooFewReplicas | Unavailable::NotReplicated => {
                ErrorCode::CoordinatorNotAvailable
            }
        }
    }
}
