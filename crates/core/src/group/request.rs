//! The requests of group members and of those who look at groups, free of versions: what a version changes is a field.

use eddy_types::{LeaderEpoch, Millis, Offset, TopicId};

use super::record::{Blob, Protocol, Str};
use super::state::{GroupState, GroupType};

/// JoinGroup (key 11). The answer comes when the join phase ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinGroup {
    /// The group.
    pub group: Str,
    /// The member's id; empty when it has none yet.
    pub member: Str,
    /// The id that it gets if it has none: the instance id if there is one, else the client id, then "-" and a UUID.
    pub new_member: Str,
    /// Its static name (KIP-345).
    pub instance: Option<Str>,
    /// Name of its client.
    pub client_id: Str,
    /// Address of its client.
    pub client_host: Str,
    /// How long it may be silent.
    pub session_timeout: Millis,
    /// How long it may take to join again; the session timeout in v0, where it cannot be said.
    pub rebalance_timeout: Millis,
    /// What it is: "consumer", "connect", ….
    pub protocol_type: Str,
    /// What it can follow, most wanted first.
    pub protocols: Vec<Protocol>,
    /// Whether a member without an id has to come back with the one it is given (v4+, KIP-394).
    pub id_required: bool,
    /// Whether the client understands that it is the leader and yet has nothing to assign (v9+, KIP-814).
    pub can_skip_assignment: bool,
}

/// SyncGroup (key 14). The answer comes when the leader has sent the assignments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroup {
    /// The group.
    pub group: Str,
    /// The member.
    pub member: Str,
    /// Its static name.
    pub instance: Option<Str>,
    /// The generation that it joined.
    pub generation: i32,
    /// What it believes to be (v5+).
    pub protocol_type: Option<Str>,
    /// The protocol that it believes was chosen (v5+).
    pub protocol: Option<Str>,
    /// From the leader: each member's assignment.
    pub assignments: Vec<(Str, Blob)>,
}

/// Heartbeat (key 12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The group.
    pub group: Str,
    /// The member.
    pub member: Str,
    /// Its static name.
    pub instance: Option<Str>,
    /// The generation that it lives in.
    pub generation: i32,
}

/// LeaveGroup (key 13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveGroup {
    /// The group.
    pub group: Str,
    /// Who leaves; one member before v3.
    pub members: Vec<LeavingMember>,
}

/// A member that leaves, or is made to by an administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingMember {
    /// Its id; empty when it is named by its static name alone.
    pub member: Str,
    /// Its static name.
    pub instance: Option<Str>,
}

/// OffsetCommit (key 8), without the partitions that the caller refused already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitOffsets {
    /// The group.
    pub group: Str,
    /// The member; empty when the client does without membership.
    pub member: Str,
    /// Its static name.
    pub instance: Option<Str>,
    /// The generation, or the member epoch in a consumer group; -1 when the client does without membership.
    pub generation: i32,
    /// Whether the client knows member epochs (v9+, KIP-848).
    pub knows_epochs: bool,
    /// A retention of its own (v2-4).
    pub retention: Option<Millis>,
    /// What to commit, by topic.
    pub topics: Vec<CommitTopic>,
}

/// A topic of [`CommitOffsets`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitTopic {
    /// Its name.
    pub name: Str,
    /// What the name stands for at the moment; zero when not known.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: Vec<CommitPartition>,
}

/// A partition of [`CommitOffsets`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPartition {
    /// Its index.
    pub index: i32,
    /// The next offset to read.
    pub offset: Offset,
    /// Leader epoch of the last record read; -1 when not known.
    pub leader_epoch: LeaderEpoch,
    /// The client's own text.
    pub metadata: Str,
}

/// OffsetFetch (key 9) for one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOffsets {
    /// The group.
    pub group: Str,
    /// The member; `None` when the client does without membership (v9+).
    pub member: Option<Str>,
    /// The member epoch in a consumer group; -1 when there is none.
    pub member_epoch: i32,
    /// What to fetch; `None` for everything.
    pub topics: Option<Vec<FetchTopic>>,
}

/// A topic of [`FetchOffsets`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTopic {
    /// Its name.
    pub name: Str,
    /// What the name stands for at the moment; zero when not known. Offsets of another topic of this name stay hidden.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

/// OffsetDelete (key 47).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOffsets {
    /// The group.
    pub group: Str,
    /// What to delete, by topic.
    pub topics: Vec<(Str, Vec<i32>)>,
}

/// ListGroups (key 16).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListGroups {
    /// Only groups in these states; all when empty. A name that is no state matches nothing: leave it out and, if none
    /// remains, do not ask.
    pub states: Vec<GroupState>,
    /// Only groups of these types; all when empty.
    pub types: Vec<GroupType>,
}
