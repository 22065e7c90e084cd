//! The answers of groups.

use eddy_types::{ErrorCode, LeaderEpoch, Offset, TopicId};

use super::record::{Blob, Str};
use super::state::{GroupState, GroupType};

/// Answer to JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinReply {
    /// The member is in a generation.
    Joined(JoinedGroup),
    /// The member is not.
    Failed {
        /// Why.
        error: ErrorCode,
        /// The id to show: the one to come back with for MEMBER_ID_REQUIRED, else the one sent or empty.
        member: Str,
    },
}

/// The generation that a member joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedGroup {
    /// The generation.
    pub generation: i32,
    /// What the members are.
    pub protocol_type: Option<Str>,
    /// The chosen protocol.
    pub protocol: Option<Str>,
    /// The leader. An old static leader's former id when the new one shall not assign.
    pub leader: Str,
    /// The member's id.
    pub member: Str,
    /// Every member and what it said; only for the leader, else empty.
    pub members: Vec<JoinedMember>,
    /// The leader need not assign: nothing changed (KIP-814).
    pub skip_assignment: bool,
}

/// A member as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// The member.
    pub member: Str,
    /// Its static name.
    pub instance: Option<Str>,
    /// What it said under the chosen protocol, bit for bit.
    pub metadata: Blob,
}

/// Answer to SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncReply {
    /// NONE, or why there is no assignment.
    pub error: ErrorCode,
    /// What the members are.
    pub protocol_type: Option<Str>,
    /// The chosen protocol.
    pub protocol: Option<Str>,
    /// What the leader assigned; empty with an error.
    pub assignment: Blob,
}

impl SyncReply {
    /// No assignment.
    pub(super) fn failed(error: ErrorCode) -> SyncReply {
        SyncReply { error, protocol_type: None, protocol: None, assignment: Blob::from([]) }
    }
}

/// Answer to LeaveGroup: a code for the whole, or one for each member in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveReply {
    /// NONE, or why nothing was looked at.
    pub error: ErrorCode,
    /// The members as they were named, each with its outcome.
    pub members: Vec<LeftMember>,
}

/// A member of [`LeaveReply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftMember {
    /// Its id as it was named.
    pub member: Str,
    /// Its static name.
    pub instance: Option<Str>,
    /// NONE, UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID.
    pub error: ErrorCode,
}

/// Answer to OffsetCommit: one code for all partitions, or one each, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitReply {
    /// Nothing was committed.
    Failed(ErrorCode),
    /// Each topic of the request with its partitions and their codes.
    Partitions(Vec<(Str, Vec<(i32, ErrorCode)>)>),
}

/// Answer to OffsetFetch for one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchReply {
    /// Nothing can be said.
    Failed(ErrorCode),
    /// Each topic asked for with its partitions.
    Topics(Vec<FetchedTopic>),
}

/// A topic of [`FetchReply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// Its name.
    pub name: Str,
    /// The id that was asked for, or that the offsets were committed for; zero when not known.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: Vec<FetchedPartition>,
}

/// A partition of [`FetchReply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// Its index.
    pub index: i32,
    /// What is committed; -1 when nothing is.
    pub offset: Offset,
    /// Leader epoch of the last record read; -1 when not known.
    pub leader_epoch: LeaderEpoch,
    /// The client's own text.
    pub metadata: Str,
}

/// Answer to OffsetDelete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteOffsetsReply {
    /// Nothing was deleted.
    Failed(ErrorCode),
    /// Each topic of the request with its partitions and their codes.
    Partitions(Vec<(Str, Vec<(i32, ErrorCode)>)>),
}

/// A classic group as DescribeGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Its state.
    pub state: GroupState,
    /// What the members are; empty in a simple group.
    pub protocol_type: Str,
    /// The chosen protocol; empty unless the group is stable.
    pub protocol: Str,
    /// The members.
    pub members: Vec<DescribedMember>,
}

/// A member of [`DescribedGroup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// The member.
    pub member: Str,
    /// Its static name.
    pub instance: Option<Str>,
    /// Name of its client.
    pub client_id: Str,
    /// Address of its client.
    pub client_host: Str,
    /// What it said under the chosen protocol; empty unless the group is stable.
    pub metadata: Blob,
    /// What it was assigned; empty unless the group is stable.
    pub assignment: Blob,
}

/// A group as ListGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group.
    pub group: Str,
    /// What the members are; empty in a simple group.
    pub protocol_type: Str,
    /// Its state.
    pub state: GroupState,
    /// Its type.
    pub group_type: GroupType,
}
