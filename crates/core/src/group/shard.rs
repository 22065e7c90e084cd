//! The groups of one partition of `__consumer_offsets`.

use std::collections::BTreeMap;
use std::sync::Arc;

use eddy_types::Millis;

use super::classic::ClassicGroup;
use super::config::{GroupConfig, GroupOverrides};
use super::consumer::ConsumerGroup;
use super::effects::Effects;
use super::expiry::Cleanup;
use super::offsets::OffsetStore;
use super::record::{GroupRecord, Str};
use super::state::{GroupState, GroupType};
use super::timers::{Timer, Timers};
use super::topics::ClusterTopics;

/// Records of one tick after which the rest is left to the next: a batch has to stay far below what a log takes.
pub(super) const RECORDS_PER_TICK: usize = 2_000;

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
    pub(super) cleanup: Cleanup,
}

/// A group of either type.
#[derive(Debug)]
pub(super) enum Group {
    /// Members speak JoinGroup, SyncGroup, Heartbeat; or there are none and never were: a simple group.
    Classic(Box<ClassicGroup>),
    /// Members speak ConsumerGroupHeartbeat; some may speak the classic protocol.
    Consumer(Box<ConsumerGroup>),
}

impl Group {
    /// A classic group without members.
    pub(super) fn classic(id: Str) -> Group {
        Group::Classic(Box::new(ClassicGroup::new(id)))
    }

    pub(super) fn group_type(&self) -> GroupType {
        match self {
            Group::Classic(_) => GroupType::Classic,
            Group::Consumer(_) => GroupType::Consumer,
        }
    }

    pub(super) fn state(&self) -> GroupState {
        match self {
            Group::Classic(group) => group.state(),
            Group::Consumer(group) => group.state(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state() == GroupState::Empty
    }

    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        match self {
            Group::Classic(group) => group.is_subscribed(topic),
            Group::Consumer(group) => group.is_subscribed(topic),
        }
    }
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
            cleanup: Cleanup::default(),
        }
    }

    /// Applies a record of the partition, in log order, before [`GroupShard::loaded`].
    pub fn replay(&mut self, record: GroupRecord) {
        match record {
            GroupRecord::Offset { group, topic, partition, value } => {
                if value.is_some() {
                    self.groups.entry(group.clone()).or_insert_with(|| Group::classic(group.clone()));
                }
                self.offsets.apply(group, topic, partition, value);
            }
            GroupRecord::ClassicGroup { group, value: Some(value) } => {
                let classic = ClassicGroup::from_value(group.clone(), value);
                self.groups.insert(group, Group::Classic(Box::new(classic)));
            }
            GroupRecord::ClassicGroup { group, value: None } => {
                self.forget(&group, GroupType::Classic);
            }
            GroupRecord::ConsumerGroup { group, value: None } => {
                self.forget(&group, GroupType::Consumer);
            }
            record => self.replay_consumer(record),
        }
    }

    /// A group that a tombstone ends; one of the other type has taken its name before.
    fn forget(&mut self, group: &Str, group_type: GroupType) {
        if self.groups.get(group).is_some_and(|known| known.group_type() == group_type) {
            self.groups.remove(group);
        }
    }

    fn replay_consumer(&mut self, record: GroupRecord) {
        let id = record.group().clone();
        if let Some(Group::Consumer(group)) = self.groups.get_mut(&id) {
            return group.replay(&record);
        }
        if record.is_tombstone() {
            return;
        }
        // A simple group, made by offsets that were committed before, becomes what the record says.
        let mut group = ConsumerGroup::new(id.clone());
        group.replay(&record);
        self.groups.insert(id, Group::Consumer(Box::new(group)));
    }

    /// Every record up to the end of the log is replayed: members have a whole session from now on.
    pub fn loaded(&mut self, now: Millis, out: &mut Effects) {
        let (groups, mut cx) = self.split(now, out);
        for group in groups.values_mut() {
            match group {
                Group::Classic(group) => group.loaded(&mut cx),
                Group::Consumer(group) => group.loaded(&mut cx),
            }
        }
        self.cleanup.loaded(now + self.config.offsets_retention_check_interval);
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
        let changed = topics.differences(&self.topics);
        self.topics = topics;
        self.consumer_topics_changed(now, &changed, out);
    }

    /// Ends what is due: sessions, join phases, retentions. What is more than one batch should hold stays due.
    pub fn tick(&mut self, now: Millis, out: &mut Effects) {
        while out.records.len() < RECORDS_PER_TICK
            && let Some((group, timer)) = self.timers.pop_due(now)
        {
            self.timeout(now, &group, &timer, out);
        }
        self.clean_up(now, out);
    }

    fn timeout(&mut self, now: Millis, group: &Str, timer: &Timer, out: &mut Effects) {
        let (groups, mut cx) = self.split(now, out);
        match groups.get_mut(group) {
            Some(Group::Classic(group)) => group.timeout(&mut cx, timer),
            Some(Group::Consumer(_)) => self.consumer_timeout(now, group, timer, out),
            None => {}
        }
    }

    /// When [`GroupShard::tick`] is to be called; a tick before its time does no harm.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        [self.timers.next(), self.cleanup.next()].into_iter().flatten().min()
    }

    /// The groups, and what their events may use.
    pub(super) fn split<'a>(
        &'a mut self,
        now: Millis,
        out: &'a mut Effects,
    ) -> (&'a mut BTreeMap<Str, Group>, Context<'a>) {
        let cx = Context {
            now,
            config: &self.config,
            overrides: &self.overrides,
            topics: &self.topics,
            timers: &mut self.timers,
            out,
        };
        (&mut self.groups, cx)
    }

    /// Asserts the invariants of the groups; see `docs/INVARIANTS.md`.
    pub fn check(&self) {
        for group in self.groups.values() {
            match group {
                Group::Classic(group) => group.check(|member| {
                    self.timers.deadline(&group.id, Timer::Session(member.clone())).is_some()
                }),
                Group::Consumer(group) => group.check(),
            }
        }
    }
}
