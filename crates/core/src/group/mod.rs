//! Consumer groups: membership, generations, assignments, committed offsets.
//!
//! A [`GroupShard`] holds the groups of one partition of `__consumer_offsets`. Its owner, the coordinator's runtime,
//! tells it what happens, one event at a time, and carries out the [`Effects`]: appends the records, and answers
//! requests once those records are durable. Replaying the records rebuilds the shard, which is how another broker takes
//! over.

mod admin;
mod classic;
mod commit;
mod config;
mod consumer;
mod effects;
mod expiry;
mod facts;
mod membership;
mod offsets;
mod record;
mod reply;
mod request;
mod shard;
mod state;
mod timers;
mod topics;

#[cfg(test)]
mod tests;

pub use config::{ConsumerGroupConfig, GroupConfig, GroupOverrides, MigrationPolicy};
pub use consumer::{
    ConsumerGroupError, ConsumerHeartbeat, ConsumerHeartbeatAnswer, DescribedConsumerGroup,
    DescribedConsumerMember, InvalidPattern, Partitions,
};
pub use effects::{Effects, ExpiryReason, Note, RebalanceReason, Reply, ReplyToken};
pub use facts::{CommittedFacts, GroupFacts};
pub use record::{
    Blob, ClassicGroupValue, ClassicMemberValue, CommittedOffset, ConsumerClassicMember,
    ConsumerCurrentValue, ConsumerGroupValue, ConsumerMemberValue, ConsumerRegexValue, ConsumerTargetValue,
    GroupRecord, Protocol, Str, TopicPartitions,
};
pub use reply::{
    CommitReply, DeleteOffsetsReply, DescribedGroup, DescribedMember, FetchReply, FetchedPartition,
    FetchedTopic, JoinReply, JoinedGroup, JoinedMember, LeaveReply, LeftMember, ListedGroup, SyncReply,
};
pub use request::{
    CommitOffsets, CommitPartition, CommitTopic, DeleteOffsets, FetchOffsets, FetchTopic, Heartbeat,
    JoinGroup, LeaveGroup, LeavingMember, ListGroups, SyncGroup,
};
pub use shard::GroupShard;
pub use state::{GroupState, GroupType};
pub use topics::{ClusterTopics, TopicFacts};
