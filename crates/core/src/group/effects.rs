//! What the group machines want done by their owner.

use eddy_types::ErrorCode;

use super::consumer::{ConsumerGroupError, ConsumerHeartbeatAnswer, DescribedConsumerGroup};
use super::record::{GroupRecord, Str};
use super::reply::{
    CommitReply, DeleteOffsetsReply, DescribedGroup, FetchReply, JoinReply, LeaveReply, ListedGroup,
    SyncReply,
};

/// Names a request whose answer may come later. The owner gives a fresh one with each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyToken(pub u64);

/// What one event led to. The owner appends `records` as one batch, for which it reserved room before the event, and
/// sends `replies` once everything appended so far is durable: also those of events that appended nothing, because they
/// may tell of records that are on their way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// To append, in this order.
    pub records: Vec<GroupRecord>,
    /// To send. Each token is answered exactly once, unless the group's shard is dropped.
    pub replies: Vec<(ReplyToken, Reply)>,
    /// For metrics and logs.
    pub notes: Vec<Note>,
}

impl Effects {
    /// Answers a request.
    pub(super) fn reply(&mut self, token: ReplyToken, reply: Reply) {
        self.replies.push((token, reply));
    }
}

/// The answer to a request, by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`GroupShard::join_group`](super::GroupShard::join_group).
    Join(JoinReply),
    /// To [`GroupShard::sync_group`](super::GroupShard::sync_group).
    Sync(SyncReply),
    /// To [`GroupShard::heartbeat`](super::GroupShard::heartbeat).
    Heartbeat(Result<(), ErrorCode>),
    /// To [`GroupShard::leave_group`](super::GroupShard::leave_group).
    Leave(LeaveReply),
    /// To [`GroupShard::commit_offsets`](super::GroupShard::commit_offsets).
    Commit(CommitReply),
    /// To [`GroupShard::fetch_offsets`](super::GroupShard::fetch_offsets).
    Fetch(FetchReply),
    /// To [`GroupShard::delete_offsets`](super::GroupShard::delete_offsets).
    DeleteOffsets(DeleteOffsetsReply),
    /// To [`GroupShard::describe_group`](super::GroupShard::describe_group).
    Describe(Result<DescribedGroup, ErrorCode>),
    /// To [`GroupShard::list_groups`](super::GroupShard::list_groups).
    List(Vec<ListedGroup>),
    /// To [`GroupShard::delete_group`](super::GroupShard::delete_group).
    Delete(Result<(), ErrorCode>),
    /// To [`GroupShard::consumer_heartbeat`](super::GroupShard::consumer_heartbeat).
    ConsumerHeartbeat(Result<ConsumerHeartbeatAnswer, ConsumerGroupError>),
    /// To [`GroupShard::describe_consumer_group`](super::GroupShard::describe_consumer_group).
    DescribeConsumer(Result<DescribedConsumerGroup, ErrorCode>),
}

/// Something that happened, for metrics and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A rebalance began (classic), or a new target assignment was made (consumer).
    RebalanceStarted {
        /// The group.
        group: Str,
        /// Why.
        reason: RebalanceReason,
    },
    /// A generation began: the join phase ended.
    GenerationStarted {
        /// The group.
        group: Str,
        /// The generation.
        generation: i32,
        /// How many members it has.
        members: usize,
    },
    /// A member was removed though it did not leave by itself.
    MemberExpired {
        /// The group.
        group: Str,
        /// The member.
        member: Str,
        /// Why.
        reason: ExpiryReason,
    },
    /// Offsets were committed.
    OffsetsCommitted {
        /// How many.
        count: usize,
    },
    /// Committed offsets expired.
    OffsetsExpired {
        /// The group.
        group: Str,
        /// How many.
        count: usize,
    },
    /// A group without members and offsets was forgotten, or deleted by request.
    GroupDeleted {
        /// The group.
        group: Str,
    },
}

/// Why a rebalance began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RebalanceReason {
    /// A new member joined, or a known one joined again with other wishes.
    Join,
    /// The leader joined again, to assign anew.
    LeaderRejoin,
    /// A static member came back under a new id.
    StaticReplaced,
    /// A member left.
    Leave,
    /// A member was silent for its session timeout.
    SessionTimeout,
    /// A member did not ask for its assignment in time.
    SyncTimeout,
    /// A member did not give its partitions back in time (consumer groups).
    RebalanceTimeout,
    /// Subscribed topics changed (consumer groups).
    MetadataChange,
    /// The group was loaded, and is larger than groups may be now.
    OverCapacity,
}

/// Why a member was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpiryReason {
    /// It was silent for its session timeout.
    SessionTimeout,
    /// It did not join again within the rebalance timeout, or not give its partitions back in time.
    RebalanceTimeout,
    /// It did not ask for its assignment in time.
    SyncTimeout,
    /// It was given an id and did not come back with it (KIP-394).
    PendingTimeout,
    /// Its first JoinGroup waited for longer than a new member may.
    NewMemberTimeout,
}
