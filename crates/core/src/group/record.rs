//! The records of `__consumer_offsets`, as the machines know them: each is a key with a value, or with `None` for a
//! tombstone. Their bytes are Kafka's, and are made elsewhere.

use std::sync::Arc;

use eddy_types::{LeaderEpoch, Millis, Offset, TopicId};

/// Text that many places share: ids of groups, members and topics.
pub type Str = Arc<str>;

/// Bytes that belong to clients and pass through unread and unchanged.
pub type Blob = Arc<[u8]>;

/// One record of `__consumer_offsets`. Applied in log order they rebuild a [`GroupShard`](super::GroupShard).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRecord {
    /// What a group committed for a partition (`OffsetCommit`).
    Offset {
        /// The group.
        group: Str,
        /// Name of the topic.
        topic: Str,
        /// Index of the partition.
        partition: i32,
        /// What is committed; `None` when it expired or was deleted.
        value: Option<CommittedOffset>,
    },
    /// A classic group at the start of a generation (`GroupMetadata`).
    ClassicGroup {
        /// The group.
        group: Str,
        /// The generation; `None` when the group is gone.
        value: Option<ClassicGroupValue>,
    },
    /// The epoch of a consumer group (`ConsumerGroupMetadata`).
    ConsumerGroup {
        /// The group.
        group: Str,
        /// The epoch; `None` when the group is gone.
        value: Option<ConsumerGroupValue>,
    },
    /// The topics of a consumer group as brokers before Kafka 4.1 wrote them (`ConsumerGroupPartitionMetadata`). Only its
    /// tombstone is ever written, and reading it changes nothing.
    ConsumerGroupPartitions {
        /// The group.
        group: Str,
    },
    /// What a member of a consumer group asked for (`ConsumerGroupMemberMetadata`).
    ConsumerMember {
        /// The group.
        group: Str,
        /// The member.
        member: Str,
        /// What it asked for; `None` when it left.
        value: Option<ConsumerMemberValue>,
    },
    /// The epoch of a consumer group's target assignment (`ConsumerGroupTargetAssignmentMetadata`).
    ConsumerTarget {
        /// The group.
        group: Str,
        /// The epoch; `None` when the group is gone.
        value: Option<ConsumerTargetValue>,
    },
    /// What a member of a consumer group shall own in the end (`ConsumerGroupTargetAssignmentMember`).
    ConsumerTargetMember {
        /// The group.
        group: Str,
        /// The member.
        member: Str,
        /// The partitions; `None` when the member left.
        value: Option<Vec<TopicPartitions>>,
    },
    /// What a member of a consumer group owns now (`ConsumerGroupCurrentMemberAssignment`).
    ConsumerCurrentMember {
        /// The group.
        group: Str,
        /// The member.
        member: Str,
        /// The partitions and epochs; `None` when the member left.
        value: Option<ConsumerCurrentValue>,
    },
    /// The topics that a regular expression was found to match (`ConsumerGroupRegularExpression`).
    ConsumerRegex {
        /// The group.
        group: Str,
        /// The expression.
        regex: Str,
        /// The topics; `None` when no member subscribes to it any more.
        value: Option<ConsumerRegexValue>,
    },
}

impl GroupRecord {
    /// The group that the record is of: the first part of every key.
    #[must_use]
    pub fn group(&self) -> &Str {
        match self {
            GroupRecord::Offset { group, .. }
            | GroupRecord::ClassicGroup { group, .. }
            | GroupRecord::ConsumerGroup { group, .. }
            | GroupRecord::ConsumerGroupPartitions { group }
            | GroupRecord::ConsumerMember { group, .. }
            | GroupRecord::ConsumerTarget { group, .. }
            | GroupRecord::ConsumerTargetMember { group, .. }
            | GroupRecord::ConsumerCurrentMember { group, .. }
            | GroupRecord::ConsumerRegex { group, .. } => group,
        }
    }

    /// Whether it says that what its key names is gone.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        match self {
            GroupRecord::Offset { value, .. } => value.is_none(),
            GroupRecord::ClassicGroup { value, .. } => value.is_none(),
            GroupRecord::ConsumerGroup { value, .. } => value.is_none(),
            GroupRecord::ConsumerGroupPartitions { .. } => true,
            GroupRecord::ConsumerMember { value, .. } => value.is_none(),
            GroupRecord::ConsumerTarget { value, .. } => value.is_none(),
            GroupRecord::ConsumerTargetMember { value, .. } => value.is_none(),
            GroupRecord::ConsumerCurrentMember { value, .. } => value.is_none(),
            GroupRecord::ConsumerRegex { value, .. } => value.is_none(),
        }
    }
}

/// An offset that a group committed for a partition (`OffsetCommitValue`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// Leader epoch of the last record read, as the client said; -1 when it did not.
    pub leader_epoch: LeaderEpoch,
    /// The client's own text.
    pub metadata: Str,
    /// When it was committed.
    pub commit_timestamp: Millis,
    /// When it expires, if the client asked for a retention of its own (OffsetCommit v2-4).
    pub expire_timestamp: Option<Millis>,
    /// The topic that the name stood for, so that a topic made again under it does not inherit the offset; zero when
    /// it is not known.
    pub topic_id: TopicId,
}

/// A classic group at the start of a generation (`GroupMetadataValue`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicGroupValue {
    /// What the members are: "consumer", "connect", ….
    pub protocol_type: Str,
    /// The generation.
    pub generation: i32,
    /// The chosen protocol; `None` when the group is empty.
    pub protocol: Option<Str>,
    /// The leader; `None` when the group is empty.
    pub leader: Option<Str>,
    /// When the group entered its state, from which an empty group's offsets expire; `None` in records of brokers that
    /// did not say.
    pub state_timestamp: Option<Millis>,
    /// The members, none when the group is empty.
    pub members: Vec<ClassicMemberValue>,
}

/// A member of a classic group (`GroupMetadataValue.MemberMetadata`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMemberValue {
    /// The member.
    pub member: Str,
    /// Its static name (KIP-345).
    pub instance: Option<Str>,
    /// Name of its client.
    pub client_id: Str,
    /// Address of its client.
    pub client_host: Str,
    /// How long it may take to join again.
    pub rebalance_timeout: Millis,
    /// How long it may be silent.
    pub session_timeout: Millis,
    /// What it said under the chosen protocol.
    pub subscription: Blob,
    /// What the leader assigned to it.
    pub assignment: Blob,
}

/// `ConsumerGroupMetadataValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerGroupValue {
    /// The group epoch.
    pub epoch: i32,
    /// Hash of the subscribed topics' metadata; a change of it is a new epoch. 0 when not known.
    pub metadata_hash: i64,
}

/// `ConsumerGroupMemberMetadataValue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerMemberValue {
    /// Its static name.
    pub instance: Option<Str>,
    /// The rack of its client.
    pub rack: Option<Str>,
    /// Name of its client.
    pub client_id: Str,
    /// Address of its client.
    pub client_host: Str,
    /// The topics that it named.
    pub topic_names: Vec<Str>,
    /// The expression that its other topics match.
    pub topic_regex: Option<Str>,
    /// How long it may take to give partitions back; -1 when not known.
    pub rebalance_timeout: Millis,
    /// The assignor that it would like.
    pub assignor: Option<Str>,
    /// What a member that speaks the classic protocol said in JoinGroup.
    pub classic: Option<ConsumerClassicMember>,
}

/// `ConsumerGroupMemberMetadataValue.ClassicMemberMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerClassicMember {
    /// How long it may be silent.
    pub session_timeout: Millis,
    /// Its protocols, most wanted first.
    pub protocols: Vec<Protocol>,
}

/// A protocol that a member can follow, and what it says under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Its name, such as "range".
    pub name: Str,
    /// The member's own bytes.
    pub metadata: Blob,
}

/// `ConsumerGroupTargetAssignmentMetadataValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerTargetValue {
    /// The group epoch that the assignment was made for.
    pub epoch: i32,
    /// When it was made; 0 when not known.
    pub timestamp: Millis,
}

/// Partitions of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitions {
    /// The topic.
    pub topic: TopicId,
    /// Indexes, ascending.
    pub partitions: Vec<i32>,
    /// The member epoch at which each was assigned, in the same order; `None` where the record has none.
    pub assignment_epochs: Option<Vec<i32>>,
}

/// `ConsumerGroupCurrentMemberAssignmentValue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerCurrentValue {
    /// The member epoch.
    pub epoch: i32,
    /// The member epoch before it.
    pub previous_epoch: i32,
    /// Kafka's number of the member's state: 0 stable, 1 unrevoked partitions, 2 unreleased partitions, 127 unknown.
    pub state: i8,
    /// The partitions that it owns.
    pub assigned: Vec<TopicPartitions>,
    /// The partitions that it has to give back.
    pub pending_revocation: Vec<TopicPartitions>,
}

/// `ConsumerGroupRegularExpressionValue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerRegexValue {
    /// Names of the topics that match.
    pub topics: Vec<Str>,
    /// Version of the metadata that it was resolved against.
    pub version: i64,
    /// When it was resolved.
    pub timestamp: Millis,
}
