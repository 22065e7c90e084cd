//! Requests of the consumer protocol and their answers, free of versions.

use eddy_types::{ErrorCode, Millis};

use super::partitions::Partitions;
use super::topic_pattern::InvalidPattern;
use crate::group::record::Str;
use crate::group::state::GroupState;

/// ConsumerGroupHeartbeat (key 68): a member joins, lives, or leaves. What did not change may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    /// The group.
    pub group: Str,
    /// The member's id. Empty only in v0, when it joins.
    pub member: Str,
    /// The id that it gets if it may join without one (v0): a fresh UUID; `None` where the client has to make it (v1+).
    pub new_member: Option<Str>,
    /// The member epoch: 0 to join, -1 to leave, -2 to leave for a time only (static members).
    pub member_epoch: i32,
    /// Its static name (KIP-345).
    pub instance: Option<Str>,
    /// The rack of its client.
    pub rack: Option<Str>,
    /// Name of its client.
    pub client_id: Str,
    /// Address of its client.
    pub client_host: Str,
    /// How long it may take to give partitions back; `None` for -1.
    pub rebalance_timeout: Option<Millis>,
    /// The topics that it names.
    pub topic_names: Option<Vec<Str>>,
    /// The expression that its other topics match; empty for none any more.
    pub topic_regex: Option<Str>,
    /// The assignor that it would like.
    pub assignor: Option<Str>,
    /// The partitions that it owns.
    pub owned: Option<Partitions>,
}

/// Answer to ConsumerGroupHeartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeatAnswer {
    /// The member's id.
    pub member: Str,
    /// Its epoch from now on; what was sent when it left.
    pub member_epoch: i32,
    /// How long it waits until the next heartbeat; zero when it left.
    pub heartbeat_interval: Millis,
    /// What it is to own from now on; `None` when that is what it knows.
    pub assignment: Option<Partitions>,
}

impl ConsumerHeartbeatAnswer {
    /// To a member that left, with the epoch that it sent.
    pub(super) fn left(member: &Str, epoch: i32) -> ConsumerHeartbeatAnswer {
        ConsumerHeartbeatAnswer {
            member: member.clone(),
            member_epoch: epoch,
            heartbeat_interval: Millis(0),
            assignment: None,
        }
    }
}

/// Why a request of a member was refused. The text goes to the client with the code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumerGroupError {
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
    /// No such assignor here.
    #[error("server assignor {name} is not supported, supported are {supported}")]
    UnsupportedAssignor {
        /// What was asked for.
        name: Str,
        /// What there is.
        supported: String,
    },
    /// The expression cannot be used.
    #[error("subscribed topic regex is {0}")]
    InvalidPattern(#[from] InvalidPattern),
    /// There is no such group, or it is of another type.
    #[error("group {group} is not a consumer group: {reason}")]
    GroupNotFound {
        /// The group.
        group: Str,
        /// What it is instead.
        reason: &'static str,
    },
    /// The group has no such member.
    #[error("member {member:?} is not in the group")]
    UnknownMember {
        /// The member, or its static name.
        member: Str,
    },
    /// The member is behind, or ahead of what was ever handed out: it has to give up its partitions and rejoin.
    #[error("member epoch {received} is not the current one, {current}: give up all partitions and rejoin")]
    FencedEpoch {
        /// What was sent.
        received: i32,
        /// What is known.
        current: i32,
    },
    /// Another member lives under the static name.
    #[error("instance id {instance} is owned by member {owner}")]
    UnreleasedInstance {
        /// The static name.
        instance: Str,
        /// Who has it.
        owner: Str,
    },
    /// Another member took over the static name.
    #[error("instance id {instance} was taken over by member {owner}")]
    FencedInstance {
        /// The static name.
        instance: Str,
        /// Who has it.
        owner: Str,
    },
    /// The group has as many members as it may.
    #[error("the group has reached its limit of members, {limit}")]
    GroupFull {
        /// The limit (`group.consumer.max.size`).
        limit: usize,
    },
}

impl ConsumerGroupError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            ConsumerGroupError::Invalid(_) => ErrorCode::InvalidRequest,
            ConsumerGroupError::UnsupportedAssignor { .. } => ErrorCode::UnsupportedAssignor,
            ConsumerGroupError::InvalidPattern(_) => ErrorCode::InvalidRegularExpression,
            ConsumerGroupError::GroupNotFound { .. } => ErrorCode::GroupIdNotFound,
            ConsumerGroupError::UnknownMember { .. } => ErrorCode::UnknownMemberId,
            ConsumerGroupError::FencedEpoch { .. } => ErrorCode::FencedMemberEpoch,
            ConsumerGroupError::UnreleasedInstance { .. } => ErrorCode::UnreleasedInstanceId,
            ConsumerGroupError::FencedInstance { .. } => ErrorCode::FencedInstanceId,
            ConsumerGroupError::GroupFull { .. } => ErrorCode::GroupMaxSizeReached,
        }
    }
}

/// A consumer group as ConsumerGroupDescribe (key 69) shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumerGroup {
    /// Its state.
    pub state: GroupState,
    /// The group epoch.
    pub epoch: i32,
    /// The group epoch that the target assignment was made for.
    pub assignment_epoch: i32,
    /// Name of the assignor that most members want, or the default one.
    pub assignor: Str,
    /// The members, by id.
    pub members: Vec<DescribedConsumerMember>,
}

/// A member of [`DescribedConsumerGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumerMember {
    /// The member.
    pub member: Str,
    /// Its static name.
    pub instance: Option<Str>,
    /// The rack of its client.
    pub rack: Option<Str>,
    /// Its epoch.
    pub epoch: i32,
    /// Name of its client.
    pub client_id: Str,
    /// Address of its client.
    pub client_host: Str,
    /// The topics that it named.
    pub topic_names: Vec<Str>,
    /// The expression that its other topics match.
    pub topic_regex: Option<Str>,
    /// What it owns.
    pub assignment: Partitions,
    /// What it shall own in the end.
    pub target: Partitions,
    /// Whether it speaks the classic protocol.
    pub is_classic: bool,
}
