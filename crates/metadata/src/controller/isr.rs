//! AlterPartition: a leader asks for another ISR (R-3.101, KIP-497, KIP-903).

use eddy_types::{BrokerId, ErrorCode, LeaderEpoch, PartitionEpoch, TopicId};

use crate::{Image, Record};

/// What a leader wants of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrChange {
    /// The topic.
    pub topic: TopicId,
    /// Index of the partition.
    pub partition: i32,
    /// Epoch in which the broker leads it.
    pub leader_epoch: LeaderEpoch,
    /// Version of leader and ISR that the wish is based on.
    pub partition_epoch: PartitionEpoch,
    /// The ISR wanted, each member with the broker epoch in which the leader knows it.
    pub isr: Vec<(BrokerId, i64)>,
}

/// What a partition's ISR is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrAccepted {
    /// The ISR; without members that a reassignment completed by this change has removed.
    pub isr: Vec<BrokerId>,
    /// Version of leader and ISR.
    pub partition_epoch: PartitionEpoch,
}

/// Why a partition's ISR is not changed as wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IsrRefusal {
    /// The broker is not registered.
    #[error("broker {0} is not registered")]
    NotRegistered(BrokerId),
    /// An earlier run of the broker asks.
    #[error("broker epoch {sent} is not the current one, {current}")]
    StaleBroker {
        /// Epoch it sent.
        sent: i64,
        /// Epoch it has.
        current: i64,
    },
    /// No topic has the id.
    #[error("no such topic: {0}")]
    UnknownTopic(TopicId),
    /// The topic has no such partition.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: TopicId,
        /// Index asked for.
        partition: i32,
    },
    /// The leader knows more than this image: it is asked too early.
    #[error(
        "leader epoch {leader_epoch} or partition epoch {partition_epoch} is newer than what is known here"
    )]
    AheadOfImage {
        /// Leader epoch it sent.
        leader_epoch: LeaderEpoch,
        /// Partition epoch it sent.
        partition_epoch: PartitionEpoch,
    },
    /// There is a newer leader.
    #[error("leader epoch {sent} is fenced by {current}")]
    FencedEpoch {
        /// Epoch it sent.
        sent: LeaderEpoch,
        /// Epoch of the partition.
        current: LeaderEpoch,
    },
    /// The broker does not lead the partition.
    #[error("broker {0} does not lead the partition")]
    NotLeader(BrokerId),
    /// The wish is based on an older version.
    #[error("partition epoch {sent} is not the current one, {current}")]
    StalePartition {
        /// Partition epoch it sent.
        sent: PartitionEpoch,
        /// Partition epoch there is.
        current: PartitionEpoch,
    },
    /// The ISR has no members, one twice, one that is no replica, or not the leader.
    #[error("not an ISR of the partition: {reason}")]
    InvalidIsr {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A member is fenced, about to stop, or known to the leader from an earlier run.
    #[error("broker {broker} may not be in the ISR: {reason}")]
    Ineligible {
        /// The member.
        broker: BrokerId,
        /// Why it may not.
        reason: &'static str,
    },
    /// The change was made and completed a reassignment, after which another broker leads.
    #[error("another broker leads the partition now")]
    NewLeader,
}

impl IsrRefusal {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            IsrRefusal::NotRegistered(_) => ErrorCode::BrokerIdNotRegistered,
            IsrRefusal::StaleBroker { .. } => ErrorCode::StaleBrokerEpoch,
            IsrRefusal::UnknownTopic(_) => ErrorCode::UnknownTopicId,
            IsrRefusal::UnknownPartition { .. } => ErrorCode::UnknownTopicOrPartition,
            IsrRefusal::AheadOfImage { .. } => ErrorCode::NotController,
            IsrRefusal::FencedEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            IsrRefusal::NotLeader(_) | IsrRefusal::InvalidIsr { .. } => ErrorCode::InvalidRequest,
            IsrRefusal::StalePartition { .. } => ErrorCode::InvalidUpdateVersion,
            IsrRefusal::Ineligible { .. } => ErrorCode::IneligibleReplica,
            IsrRefusal::NewLeader => ErrorCode::NewLeaderElected,
        }
    }
}

/// Decides the wishes of a leader, each by itself, in their order: the records of all that are good, and a result for each.
/// `from` asks in its `broker_epoch`.
#[must_use]
pub fn alter_partitions(
    _image: &Image,
    _from: BrokerId,
    _broker_epoch: i64,
    changes: &[IsrChange],
) -> (Vec<Record>, Vec<Result<IsrAccepted, IsrRefusal>>) {
    (Vec::new(), changes.iter().map(|change| Err(IsrRefusal::UnknownTopic(change.topic))).collect())
}
