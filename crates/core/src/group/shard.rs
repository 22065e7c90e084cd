//! The groups of one partition of `__consumer_offsets`.

use std::collections::BTreeMap;
use std::sync::Arc;

use eddy_types::{ErrorCode, Millis, TopicId};

use super::classic::ClassicGroup;
use super::config::{GroupConfig, GroupOverrides};
use super::consumer::ConsumerGroup;
use super::effects::{Effects, Reply, ReplyToken};
use super::offsets::OffsetStore;
use super::record::{GroupRecord, Str};
use super::reply::{CommitReply, DeleteOffsetsReply, FetchReply, JoinReply, LeaveReply, SyncReply};
use super::request::{
    CommitOffsets, DeleteOffsets, FetchOffsets, Heartbeat, JoinGroup, LeaveGroup, ListGroups, SyncGroup,
};
use super::timers::Timers;
use super::topics::ClusterTopics;

/// The groups and committed offsets of one partition of `__consumer_offsets`.
///
/// Its owner is the leader of that partition. A shard is made empty, [replays](GroupShard::replay) the partition's
/// records, is [loaded](GroupShard::loaded), and from then on takes one event after the other. It never fails: what is
/// wrong with a request is in the reply.
#[derive(Debug)]
pub struct GroupShard {
    pub(super) config: GroupConfig,
    pub(super) overrides: BTreeMap<Str, GroupOverrides>,
    pub(super) topics: Arc<ClusterTopics>,
    pub(super) groups: BTreeMap<Str, Group>,
    pub(super) offsets: OffsetStore,
    pub(super) timers: Timers,
    /// When expired offsets are looked for next; `None` until the shard is loaded.
    pub(super) next_expiry: Option<Millis>,
}

/// A group of either type.
#[derive(Debug)]
pub(super) enum Group {
    /// Members speak JoinGroup, SyncGroup, Heartbeat; or there are none and never were: a simple group.
    Classic(Box<ClassicGroup>),
    /// Members speak ConsumerGroupHeartbeat; some may speak the classic protocol.
    Consumer(Box<ConsumerGroup>),
}

/// What an event of one group may use besides the group.
pub(super) struct Context<'a> {
    pub(super) now: Millis,
    pub(super) config: &'a GroupConfig,
    pub(super) overrides: &'a BTreeMap<Str, GroupOverrides>,
    pub(super) topics: &'a ClusterTopics,
    pub(super) timers: &'a mut Timers,
    pub(super) out: &'a mut Effects,
}

impl GroupShard {
    /// A shard without groups.
    #[must_use]
    pub fn new(config: GroupConfig, topics: Arc<ClusterTopics>) -> GroupShard {
        GroupShard {
            config,
            overrides: BTreeMap::new(),
            topics,
            groups: BTreeMap::new(),
            offsets: OffsetStore::default(),
            timers: Timers::default(),
            next_expiry: None,
        }
    }

    /// Applies a record of the partition, in log order, before [`GroupShard::loaded`].
    pub fn replay(&mut self, record: GroupRecord) {
        let _ = record;
    }

    /// Every record up to the end of the log is replayed: members have a whole session from now on.
    pub fn loaded(&mut self, now: Millis, out: &mut Effects) {
        let _ = (now, out);
    }

    /// Takes another configuration; what is under way keeps its deadlines.
    pub fn update_config(&mut self, config: GroupConfig) {
        self.config = config;
    }

    /// Takes what an operator set for one group; the default removes it.
    pub fn set_group_config(&mut self, group: &Str, overrides: GroupOverrides) {
        if overrides == GroupOverrides::default() {
            self.overrides.remove(group);
        } else {
            self.overrides.insert(group.clone(), overrides);
        }
    }

    /// The cluster's topics are others now.
    pub fn metadata_changed(&mut self, now: Millis, topics: Arc<ClusterTopics>, out: &mut Effects) {
        self.topics = topics;
        let _ = (now, out);
    }

    /// A topic is gone: what groups committed for it goes too.
    pub fn topic_deleted(&mut self, now: Millis, topic: &Str, id: TopicId, out: &mut Effects) {
        let _ = (now, topic, id, out);
    }

    /// Ends what is due: sessions, join phases, retentions.
    pub fn tick(&mut self, now: Millis, out: &mut Effects) {
        let _ = (now, out);
    }

    /// When [`GroupShard::tick`] is to be called; a tick before its time does no harm.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        [self.timers.next(), self.next_expiry].into_iter().flatten().min()
    }

    /// A member joins a group. The answer, [`Reply::Join`], comes when the join phase ends.
    pub fn join_group(&mut self, now: Millis, token: ReplyToken, request: JoinGroup, out: &mut Effects) {
        let _ = now;
        let failed = JoinReply::Failed { error: ErrorCode::CoordinatorNotAvailable, member: request.member };
        out.reply(token, Reply::Join(failed));
    }

    /// A member asks for its assignment, and the leader brings all. The answer is [`Reply::Sync`].
    pub fn sync_group(&mut self, now: Millis, token: ReplyToken, request: SyncGroup, out: &mut Effects) {
        let _ = (now, request);
        out.reply(token, Reply::Sync(SyncReply::failed(ErrorCode::CoordinatorNotAvailable)));
    }

    /// A member is alive. The answer is [`Reply::Heartbeat`].
    pub fn heartbeat(&mut self, now: Millis, token: ReplyToken, request: Heartbeat, out: &mut Effects) {
        let _ = (now, request);
        out.reply(token, Reply::Heartbeat(Err(ErrorCode::CoordinatorNotAvailable)));
    }

    /// Members leave. The answer is [`Reply::Leave`].
    pub fn leave_group(&mut self, now: Millis, token: ReplyToken, request: LeaveGroup, out: &mut Effects) {
        let _ = (now, request);
        let reply = LeaveReply { error: ErrorCode::CoordinatorNotAvailable, members: Vec::new() };
        out.reply(token, Reply::Leave(reply));
    }

    /// Commits offsets. The answer is [`Reply::Commit`].
    pub fn commit_offsets(&mut self, now: Millis, token: ReplyToken, request: CommitOffsets, out: &mut Effects) {
        let _ = (now, request);
        out.reply(token, Reply::Commit(CommitReply::Failed(ErrorCode::CoordinatorNotAvailable)));
    }

    /// Tells committed offsets. The answer is [`Reply::Fetch`].
    pub fn fetch_offsets(&mut self, token: ReplyToken, request: FetchOffsets, out: &mut Effects) {
        let _ = request;
        out.reply(token, Reply::Fetch(FetchReply::Failed(ErrorCode::CoordinatorNotAvailable)));
    }

    /// Deletes committed offsets. The answer is [`Reply::DeleteOffsets`].
    pub fn delete_offsets(&mut self, token: ReplyToken, request: DeleteOffsets, out: &mut Effects) {
        let _ = request;
        let failed = DeleteOffsetsReply::Failed(ErrorCode::CoordinatorNotAvailable);
        out.reply(token, Reply::DeleteOffsets(failed));
    }

    /// Shows a classic group. The answer is [`Reply::Describe`]: GROUP_ID_NOT_FOUND for a group that does not exist or
    /// is of the other type, which is a group in state Dead and no error below v6.
    pub fn describe_group(&mut self, token: ReplyToken, group: &str, out: &mut Effects) {
        let _ = group;
        out.reply(token, Reply::Describe(Err(ErrorCode::GroupIdNotFound)));
    }

    /// Lists groups. The answer is [`Reply::List`].
    pub fn list_groups(&mut self, token: ReplyToken, request: &ListGroups, out: &mut Effects) {
        let _ = request;
        out.reply(token, Reply::List(Vec::new()));
    }

    /// Deletes a group without members and its offsets. The answer is [`Reply::Delete`].
    pub fn delete_group(&mut self, token: ReplyToken, group: &str, out: &mut Effects) {
        let _ = group;
        out.reply(token, Reply::Delete(Err(ErrorCode::GroupIdNotFound)));
    }

    /// Asserts the invariants of the groups; see `docs/INVARIANTS.md`.
    pub fn check(&self) {}
}
