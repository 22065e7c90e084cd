//! The requests, one method a kind: each is put before its group's machine, which answers in its own kind.

use eddy_core::group::{
    Blob, CommitOffsets, CommitReply, CommitTopic, ConsumerGroupError, ConsumerHeartbeat,
    ConsumerHeartbeatAnswer, DeleteOffsets, DeleteOffsetsReply, DescribedConsumerGroup, DescribedGroup,
    FetchOffsets, FetchReply, Heartbeat, JoinGroup, JoinReply, LeaveGroup, LeaveReply, Reply, Str, SyncGroup,
    SyncReply,
};
use eddy_types::ErrorCode;

use crate::asked::Asked;
use crate::coordinator::GroupCoordinator;
use crate::error::Unavailable;

type Answer<R> = Result<Asked<R>, Unavailable>;

/// What a group's record says of one member besides its own bytes, about.
const MEMBER_BYTES: usize = 256;
/// What the record of a committed offset takes besides its texts.
const OFFSET_BYTES: usize = 64;

/// Takes a reply of one kind out of [`Reply`].
macro_rules! only {
    ($kind:ident) => {
        |reply| match reply {
            Reply::$kind(reply) => Some(reply),
            _ => None,
        }
    };
}

/// The group's shard cannot be asked, for any of these: nothing was changed.
impl GroupCoordinator {
    /// A member joins. The answer comes when the join phase ends.
    pub async fn join_group(&self, request: JoinGroup) -> Answer<JoinReply> {
        let group = Str::clone(&request.group);
        let said: usize = request.protocols.iter().map(|protocol| protocol.metadata.len()).sum();
        let bytes = Some(said + MEMBER_BYTES);
        self.ask(
            &group,
            bytes,
            |groups, now, token, out| groups.join_group(now, token, request, out),
            only!(Join),
        )
        .await
    }

    /// A member asks for its assignment. The answer comes when the leader has brought all.
    pub async fn sync_group(&self, request: SyncGroup) -> Answer<SyncReply> {
        let group = Str::clone(&request.group);
        let member = |(_, assignment): &(Str, Blob)| 2 * assignment.len() + MEMBER_BYTES;
        let bytes = Some(request.assignments.iter().map(member).sum());
        self.ask(
            &group,
            bytes,
            |groups, now, token, out| groups.sync_group(now, token, request, out),
            only!(Sync),
        )
        .await
    }

    /// A member is alive.
    pub async fn heartbeat(&self, request: Heartbeat) -> Answer<Result<(), ErrorCode>> {
        let group = Str::clone(&request.group);
        self.ask(
            &group,
            None,
            |groups, now, token, out| groups.heartbeat(now, token, request, out),
            only!(Heartbeat),
        )
        .await
    }

    /// Members leave.
    pub async fn leave_group(&self, request: LeaveGroup) -> Answer<LeaveReply> {
        let group = Str::clone(&request.group);
        let bytes = Some(request.members.len() * MEMBER_BYTES);
        self.ask(
            &group,
            bytes,
            |groups, now, token, out| groups.leave_group(now, token, request, out),
            only!(Leave),
        )
        .await
    }

    /// Commits offsets.
    pub async fn commit_offsets(&self, request: CommitOffsets) -> Answer<CommitReply> {
        let group = Str::clone(&request.group);
        let topic = |topic: &CommitTopic| -> usize {
            let texts: usize = topic.partitions.iter().map(|partition| partition.metadata.len()).sum();
            texts + topic.partitions.len() * (group.len() + topic.name.len() + OFFSET_BYTES)
        };
        let bytes = Some(request.topics.iter().map(topic).sum());
        self.ask(
            &group,
            bytes,
            |groups, now, token, out| groups.commit_offsets(now, token, request, out),
            only!(Commit),
        )
        .await
    }

    /// Tells committed offsets.
    pub async fn fetch_offsets(&self, request: FetchOffsets) -> Answer<FetchReply> {
        let group = Str::clone(&request.group);
        self.ask(
            &group,
            None,
            |groups, _, token, out| groups.fetch_offsets(token, request, out),
            only!(Fetch),
        )
        .await
    }

    /// Deletes committed offsets.
    pub async fn delete_offsets(&self, request: DeleteOffsets) -> Answer<DeleteOffsetsReply> {
        let group = Str::clone(&request.group);
        let bytes = Some(
            request
                .topics
                .iter()
                .map(|(name, partitions)| partitions.len() * (name.len() + OFFSET_BYTES))
                .sum(),
        );
        self.ask(
            &group,
            bytes,
            |groups, _, token, out| groups.delete_offsets(token, request, out),
            only!(DeleteOffsets),
        )
        .await
    }

    /// Shows a classic group.
    pub async fn describe_group(&self, group: &str) -> Answer<Result<DescribedGroup, ErrorCode>> {
        self.ask(
            group,
            None,
            |groups, _, token, out| groups.describe_group(token, group, out),
            only!(Describe),
        )
        .await
    }

    /// Deletes a group without members, and its offsets.
    pub async fn delete_group(&self, group: &str) -> Answer<Result<(), ErrorCode>> {
        let id = Str::from(group);
        self.ask(
            group,
            Some(MEMBER_BYTES),
            |groups, _, token, out| groups.delete_group(token, &id, out),
            only!(Delete),
        )
        .await
    }

    /// A member of a consumer group joins, lives or leaves.
    pub async fn consumer_heartbeat(
        &self,
        request: ConsumerHeartbeat,
    ) -> Answer<Result<ConsumerHeartbeatAnswer, ConsumerGroupError>> {
        let group = Str::clone(&request.group);
        self.ask(
            &group,
            Some(MEMBER_BYTES),
            |groups, now, token, out| groups.consumer_heartbeat(now, token, request, out),
            only!(ConsumerHeartbeat),
        )
        .await
    }

    /// Shows a consumer group.
    pub async fn describe_consumer_group(
        &self,
        group: &str,
    ) -> Answer<Result<DescribedConsumerGroup, ErrorCode>> {
        self.ask(
            group,
            None,
            |groups, _, token, out| groups.describe_consumer_group(token, group, out),
            only!(DescribeConsumer),
        )
        .await
    }
}
