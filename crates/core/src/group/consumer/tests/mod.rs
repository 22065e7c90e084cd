//! Groups are tested through a shard, as its owner uses it, and each event is checked: the invariants hold, and the
//! records rebuild the same groups.

mod classic;
mod epochs;
mod fleet;
mod membership;
mod random;
mod reconciling;
mod story;
mod subscriptions;
mod timeouts;

use std::collections::BTreeMap;
use std::sync::Arc;

use eddy_types::{Millis, TopicId};

use crate::group::shard::Group;
use crate::group::{
    ClusterTopics, ConsumerGroupError, ConsumerHeartbeat, ConsumerHeartbeatAnswer, Effects, GroupConfig,
    GroupRecord, GroupShard, Partitions, Reply, ReplyToken, Str, TopicFacts,
};

/// A shard, its log, its clock and the topics of its cluster.
pub(super) struct World {
    pub(super) shard: GroupShard,
    pub(super) log: Vec<GroupRecord>,
    pub(super) now: Millis,
    pub(super) config: GroupConfig,
    topics: BTreeMap<Str, TopicFacts>,
    version: i64,
    topics_made: u8,
    tokens: u64,
    /// Who asked what is not answered yet.
    asked: BTreeMap<ReplyToken, Str>,
    /// Answers to those, by name.
    pub(super) told: Vec<(Str, Reply)>,
}

impl World {
    pub(super) fn new() -> World {
        World::with(GroupConfig::default())
    }

    pub(super) fn with(config: GroupConfig) -> World {
        World {
            shard: GroupShard::new(config.clone(), Arc::default()),
            log: Vec::new(),
            now: Millis(1_000_000),
            config,
            topics: BTreeMap::new(),
            version: 0,
            topics_made: 0,
            tokens: 0,
            asked: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    fn cluster_topics(&self) -> Arc<ClusterTopics> {
        let topics = self.topics.iter().map(|(name, facts)| (name.clone(), *facts));
        Arc::new(ClusterTopics::new(self.version, topics))
    }

    /// Gives a topic so many partitions; makes it if it is not there, deletes it for 0.
    pub(super) fn set_topic(&mut self, name: &str, partitions: i32) {
        if partitions == 0 {
            self.topics.remove(name);
        } else {
            let made = &mut self.topics_made;
            let facts = self.topics.entry(name.into()).or_insert_with(|| {
                *made += 1;
                TopicFacts { id: TopicId([*made; 16]), partitions }
            });
            facts.partitions = partitions;
        }
        self.version += 1;
        let topics = self.cluster_topics();
        self.event(|shard, now, out| shard.metadata_changed(now, topics, out));
    }

    pub(super) fn topic_id(&self, name: &str) -> TopicId {
        self.topics.get(name).map_or(TopicId::ZERO, |facts| facts.id)
    }

    pub(super) fn topic_name(&self, id: TopicId) -> String {
        let name = self.topics.iter().find(|(_, facts)| facts.id == id).map(|(name, _)| name.to_string());
        name.unwrap_or_else(|| format!("gone{}", id.0[0]))
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = (&Str, &TopicFacts)> {
        self.topics.iter()
    }

    /// One event, its records and checks.
    pub(super) fn event(&mut self, event: impl FnOnce(&mut GroupShard, Millis, &mut Effects)) -> Effects {
        let mut out = Effects::default();
        event(&mut self.shard, self.now, &mut out);
        self.log.extend(out.records.iter().cloned());
        for (token, reply) in &out.replies {
            if let Some(name) = self.asked.remove(token) {
                self.told.push((name, reply.clone()));
            }
        }
        self.shard.check();
        out
    }

    /// An event whose answer may come later, with others that it brings.
    pub(super) fn send(
        &mut self,
        name: Str,
        token: ReplyToken,
        event: impl FnOnce(&mut GroupShard, Millis, &mut Effects),
    ) {
        self.asked.insert(token, name);
        self.event(event);
    }

    pub(super) fn token(&mut self) -> ReplyToken {
        self.tokens += 1;
        ReplyToken(self.tokens)
    }

    pub(super) fn heartbeat(
        &mut self,
        request: ConsumerHeartbeat,
    ) -> Result<ConsumerHeartbeatAnswer, ConsumerGroupError> {
        self.heartbeat_and_more(request).0
    }

    /// A heartbeat, and what else came of it.
    pub(super) fn heartbeat_and_more(
        &mut self,
        request: ConsumerHeartbeat,
    ) -> (Result<ConsumerHeartbeatAnswer, ConsumerGroupError>, Effects) {
        let token = self.token();
        let leaves = request.member_epoch < 0;
        let out = self.event(|shard, now, out| shard.consumer_heartbeat(now, token, request, out));
        let answer = out.replies.iter().find_map(|(to, reply)| match reply {
            Reply::ConsumerHeartbeat(answer) if *to == token => Some(answer.clone()),
            _ => None,
        });
        let answer = answer.expect("a heartbeat is answered at once");
        assert!(
            answer.is_ok() || out.records.is_empty(),
            "a refused heartbeat changes nothing: {:?}",
            out.records
        );
        assert!(leaves || answer.as_ref().map_or(true, |answer| answer.heartbeat_interval > Millis(0)));
        (answer, out)
    }

    /// Time passes, and what falls due is done.
    pub(super) fn wait(&mut self, span: Millis) -> Effects {
        self.now = self.now + span;
        self.event(|shard, now, out| shard.tick(now, out))
    }

    /// The shard as its log tells of it.
    pub(super) fn replayed(&self) -> GroupShard {
        let mut shard = GroupShard::new(self.config.clone(), self.cluster_topics());
        self.log.iter().cloned().for_each(|record| shard.replay(record));
        shard
    }

    /// Another broker takes over.
    pub(super) fn restart(&mut self) {
        self.check_replay();
        self.shard = self.replayed();
        self.event(|shard, now, out| shard.loaded(now, out));
    }

    /// G5: the records say all that there is.
    pub(super) fn check_replay(&self) {
        assert_eq!(durable(&self.replayed()), durable(&self.shard));
    }
}

/// All of the consumer groups that survives a restart.
fn durable(shard: &GroupShard) -> String {
    let groups = shard.groups.values().filter_map(|group| match group {
        Group::Consumer(group) => Some(group.durable()),
        Group::Classic(_) => None,
    });
    groups.collect::<Vec<_>>().join("\n")
}

/// A heartbeat that says nothing but that its member lives.
pub(super) fn beat(member: &str, member_epoch: i32) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        group: "g".into(),
        member: member.into(),
        new_member: None,
        member_epoch,
        instance: None,
        rack: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout: None,
        topic_names: None,
        topic_regex: None,
        assignor: None,
        owned: None,
    }
}

/// A heartbeat that joins with topics.
pub(super) fn join(member: &str, topics: &[&str]) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        rebalance_timeout: Some(Millis(60_000)),
        topic_names: Some(topics.iter().map(|&topic| topic.into()).collect()),
        owned: Some(Partitions::default()),
        ..beat(member, 0)
    }
}
