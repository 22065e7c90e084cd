//! A shard, the log of its records, and a follower of that log: what every test of groups tells its story with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use eddy_types::{ErrorCode, Millis};

use crate::group::shard::Group;
use crate::group::{
    ClusterTopics, CommitReply, Effects, FetchReply, GroupConfig, GroupRecord, GroupShard, GroupState,
    JoinReply, Note, Reply, ReplyToken, Str,
};

/// A live shard, and one that only replays what the live one records. After every event the live one's invariants are
/// asserted, and that the other is what a new coordinator would have to be (G5).
pub(in crate::group) struct World {
    pub(in crate::group) shard: GroupShard,
    pub(in crate::group) log: Vec<GroupRecord>,
    pub(in crate::group) now: Millis,
    pub(in crate::group) notes: Vec<Note>,
    replies: BTreeMap<ReplyToken, Reply>,
    waiting: BTreeSet<ReplyToken>,
    follower: GroupShard,
    config: GroupConfig,
    last_token: u64,
}

/// Retention in tests, shorter than Kafka's week.
pub(in crate::group) const RETENTION: Millis = Millis(24 * 3_600_000);

/// The delay of the first rebalance in tests.
pub(in crate::group) const DELAY: i64 = 3_000;

impl World {
    pub(in crate::group) fn new() -> World {
        World::with(GroupConfig { offsets_retention: RETENTION, ..GroupConfig::default() })
    }

    pub(in crate::group) fn with(config: GroupConfig) -> World {
        let empty = || GroupShard::new(config.clone(), Arc::new(ClusterTopics::default()));
        let mut world = World {
            shard: empty(),
            log: Vec::new(),
            now: Millis(1_000_000),
            notes: Vec::new(),
            replies: BTreeMap::new(),
            waiting: BTreeSet::new(),
            follower: empty(),
            config: config.clone(),
            last_token: 0,
        };
        world.event(|shard, now, out| shard.loaded(now, out));
        world
    }

    /// Lets something happen to the shard.
    pub(in crate::group) fn event(&mut self, event: impl FnOnce(&mut GroupShard, Millis, &mut Effects)) {
        let mut out = Effects::default();
        event(&mut self.shard, self.now, &mut out);
        for (token, reply) in out.replies {
            assert!(self.waiting.remove(&token), "{token:?} is answered though it does not wait: {reply:?}");
            self.replies.insert(token, reply);
        }
        for record in &out.records {
            self.follower.replay(record.clone());
        }
        self.notes.extend(out.notes);
        let recorded = !out.records.is_empty();
        self.log.extend(out.records);
        self.shard.check();
        if recorded {
            self.follower_agrees();
        }
    }

    /// Lets a request come.
    pub(in crate::group) fn ask(
        &mut self,
        request: impl FnOnce(&mut GroupShard, Millis, ReplyToken, &mut Effects),
    ) -> ReplyToken {
        self.last_token += 1;
        let token = ReplyToken(self.last_token);
        self.waiting.insert(token);
        self.event(|shard, now, out| request(shard, now, token, out));
        token
    }

    /// Lets a request come that is answered at once.
    pub(in crate::group) fn answer(
        &mut self,
        request: impl FnOnce(&mut GroupShard, Millis, ReplyToken, &mut Effects),
    ) -> Reply {
        let token = self.ask(request);
        self.reply(token)
    }

    pub(in crate::group) fn waits(&self, token: ReplyToken) -> bool {
        self.waiting.contains(&token)
    }

    pub(in crate::group) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The answer to a request, once.
    pub(in crate::group) fn reply(&mut self, token: ReplyToken) -> Reply {
        self.try_reply(token).unwrap_or_else(|| panic!("{token:?} still waits"))
    }

    pub(in crate::group) fn try_reply(&mut self, token: ReplyToken) -> Option<Reply> {
        self.replies.remove(&token)
    }

    /// Time passes; what is due happens at its time.
    pub(in crate::group) fn pass(&mut self, span: i64) {
        let end = self.now + Millis(span);
        // Every tick moves a deadline: a machine that stands still would tick for ever.
        for _ in 0..100_000 {
            match self.shard.next_deadline() {
                Some(due) if due <= end => {
                    self.now = self.now.max(due);
                    self.event(GroupShard::tick);
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("ticks without end at {}", self.now);
    }

    /// The coordinator dies, and another one loads the log. Requests that waited are never answered.
    pub(in crate::group) fn fail_over(&mut self) {
        self.waiting.clear();
        self.shard = GroupShard::new(self.config.clone(), Arc::clone(&self.shard.topics));
        for record in self.log.clone() {
            self.shard.replay(record);
        }
        self.event(|shard, now, out| shard.loaded(now, out));
    }

    /// The next coordinator is configured with smaller groups.
    pub(in crate::group) fn shrink_groups_to(&mut self, size_max: usize) {
        self.config.size_max = size_max;
    }

    /// What a new coordinator would know is what this one knows, but for rebalances under way (G5).
    pub(in crate::group) fn follower_agrees(&self) {
        agree(&self.shard, &self.follower);
    }

    /// The same of a new coordinator that finds a compacted log.
    pub(in crate::group) fn compacted_log_agrees(&self) {
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for (at, record) in self.log.iter().enumerate() {
            last.insert(key(record), at);
        }
        let mut shard = GroupShard::new(self.config.clone(), Arc::clone(&self.shard.topics));
        let mut kept: Vec<usize> = last.into_values().collect();
        kept.sort_unstable();
        for at in kept {
            shard.replay(self.log[at].clone());
        }
        // A simple group without offsets leaves no trace in a compacted log.
        for (id, group) in &self.shard.groups {
            let is_simple = matches!(group, Group::Classic(group) if group.is_simple());
            if !shard.groups.contains_key(id) && is_simple && self.shard.offsets.of_group(id).is_none() {
                shard.groups.insert(id.clone(), Group::classic(id.clone()));
            }
        }
        agree(&self.shard, &shard);
    }

    /// Whether nothing is left: no group, offset, deadline or waiting request.
    pub(in crate::group) fn is_forgotten(&self) -> bool {
        let shard = &self.shard;
        shard.groups.is_empty() && shard.offsets == Default::default() && shard.timers.next().is_none()
    }

    pub(in crate::group) fn state(&self, group: &str) -> Option<GroupState> {
        self.shard.groups.get(group).map(Group::state)
    }
}

fn agree(live: &GroupShard, replayed: &GroupShard) {
    assert_eq!(live.offsets, replayed.offsets);
    let ids = |shard: &GroupShard| shard.groups.keys().cloned().collect::<Vec<Str>>();
    assert_eq!(ids(live), ids(replayed));
    for (id, group) in &live.groups {
        match (group, &replayed.groups[id]) {
            (Group::Classic(live), Group::Classic(replayed)) => match live.state() {
                GroupState::Empty | GroupState::Stable => assert_eq!(live.value(), replayed.value()),
                // What is under way is not recorded: a new coordinator knows the generation before.
                _ => assert!(replayed.generation <= live.generation, "{replayed:?} is ahead of {live:?}"),
            },
            (Group::Consumer(live), Group::Consumer(replayed)) => {
                assert_eq!(format!("{live:?}"), format!("{replayed:?}"));
            }
            (live, replayed) => panic!("{live:?} is replayed as {replayed:?}"),
        }
    }
}

/// What compaction goes by.
fn key(record: &GroupRecord) -> String {
    match record {
        GroupRecord::Offset { group, topic, partition, .. } => format!("1 {group} {topic} {partition}"),
        GroupRecord::ClassicGroup { group, .. } => format!("2 {group}"),
        GroupRecord::ConsumerGroup { group, .. } => format!("3 {group}"),
        GroupRecord::ConsumerGroupPartitions { group } => format!("4 {group}"),
        GroupRecord::ConsumerMember { group, member, .. } => format!("5 {group} {member}"),
        GroupRecord::ConsumerTarget { group, .. } => format!("6 {group}"),
        GroupRecord::ConsumerTargetMember { group, member, .. } => format!("7 {group} {member}"),
        GroupRecord::ConsumerCurrentMember { group, member, .. } => format!("8 {group} {member}"),
        GroupRecord::ConsumerRegex { group, regex, .. } => format!("16 {group} {regex}"),
    }
}

/// An answer in a few words, for tables.
pub(in crate::group) fn brief(reply: &Reply) -> String {
    let code = |outcome: ErrorCode| outcome.code().to_string();
    let codes = |topics: &[(Str, Vec<(i32, ErrorCode)>)]| {
        let codes =
            topics.iter().flat_map(|(_, partitions)| partitions.iter().map(|(_, outcome)| code(*outcome)));
        codes.collect::<Vec<_>>().join(",")
    };
    match reply {
        Reply::Join(JoinReply::Joined(joined)) => {
            let members: Vec<&str> = joined.members.iter().map(|member| &*member.member).collect();
            let skips = if joined.skip_assignment { " skips" } else { "" };
            let leads =
                if members.is_empty() { String::new() } else { format!(" leads {}", members.join(",")) };
            format!("gen {} {} of {}{leads}{skips}", joined.generation, joined.member, joined.leader)
        }
        Reply::Join(JoinReply::Failed { error, member }) => format!("{} {member:?}", error.code()),
        Reply::Sync(sync) if sync.error == ErrorCode::None => {
            format!("gets {:?}", String::from_utf8_lossy(&sync.assignment))
        }
        Reply::Sync(sync) => code(sync.error),
        Reply::Heartbeat(outcome) | Reply::Delete(outcome) => code(outcome.err().unwrap_or(ErrorCode::None)),
        Reply::Leave(left) => {
            let members: Vec<String> = left.members.iter().map(|member| code(member.error)).collect();
            format!("{}[{}]", left.error.code(), members.join(","))
        }
        Reply::Commit(CommitReply::Failed(error)) => code(*error),
        Reply::Commit(CommitReply::Partitions(topics)) => codes(topics),
        Reply::Fetch(FetchReply::Failed(error)) => code(*error),
        Reply::Fetch(FetchReply::Topics(topics)) => {
            let partitions = topics.iter().flat_map(|topic| topic.partitions.iter());
            partitions.map(|partition| partition.offset.to_string()).collect::<Vec<_>>().join(",")
        }
        Reply::DeleteOffsets(crate::group::DeleteOffsetsReply::Failed(error)) => code(*error),
        Reply::DeleteOffsets(crate::group::DeleteOffsetsReply::Partitions(topics)) => codes(topics),
        Reply::Describe(Err(error)) => code(*error),
        Reply::Describe(Ok(group)) => format!("{} with {}", group.state, group.members.len()),
        Reply::List(groups) => groups
            .iter()
            .map(|group| format!("{}:{}", group.group, group.state))
            .collect::<Vec<_>>()
            .join(" "),
        other => format!("{other:?}"),
    }
}
