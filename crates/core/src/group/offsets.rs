//! What groups committed.

use std::collections::BTreeMap;

use eddy_types::{Millis, TopicId};

use super::facts::CommittedFacts;
use super::record::{CommittedOffset, GroupRecord, Str};

/// Committed offsets of one group, by topic and partition.
pub(super) type GroupOffsets = BTreeMap<Str, BTreeMap<i32, CommittedOffset>>;

/// Committed offsets by group. A group or topic without any is never held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OffsetStore {
    groups: BTreeMap<Str, GroupOffsets>,
}

impl OffsetStore {
    /// What a group committed.
    pub(super) fn of_group(&self, group: &str) -> Option<&GroupOffsets> {
        self.groups.get(group)
    }

    /// Everything, by group, topic and partition.
    pub(super) fn iter(&self) -> impl Iterator<Item = CommittedFacts<'_>> {
        self.groups.iter().flat_map(|(group, topics)| {
            topics.iter().flat_map(move |(topic, partitions)| {
                partitions.iter().map(move |(&partition, committed)| CommittedFacts {
                    group,
                    topic,
                    partition,
                    committed,
                })
            })
        })
    }

    /// What a group committed for a partition.
    pub(super) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    /// Sets or takes away one offset.
    pub(super) fn apply(&mut self, group: Str, topic: Str, partition: i32, value: Option<CommittedOffset>) {
        match value {
            Some(value) => {
                self.groups.entry(group).or_default().entry(topic).or_default().insert(partition, value);
            }
            None => self.remove(&group, &topic, partition),
        }
    }

    fn remove(&mut self, group: &str, topic: &str, partition: i32) {
        let Some(topics) = self.groups.get_mut(group) else { return };
        let Some(partitions) = topics.get_mut(topic) else { return };
        partitions.remove(&partition);
        if partitions.is_empty() {
            topics.remove(topic);
        }
        if topics.is_empty() {
            self.groups.remove(group);
        }
    }

    /// Takes away the offsets of a group that `goes`, `limit` of them at most, with tombstones; tells how many.
    pub(super) fn remove_where(
        &mut self,
        group: &Str,
        limit: usize,
        mut goes: impl FnMut(&Str, &CommittedOffset) -> bool,
        records: &mut Vec<GroupRecord>,
    ) -> usize {
        let topics = self.groups.get(group).into_iter().flatten();
        let offsets =
            topics.flat_map(|(topic, partitions)| partitions.iter().map(move |it| (topic, it.0, it.1)));
        let gone = offsets.filter(|(topic, _, offset)| goes(topic, offset));
        let gone: Vec<(Str, i32)> =
            gone.map(|(topic, partition, _)| (topic.clone(), *partition)).take(limit).collect();
        let count = gone.len();
        for (topic, partition) in gone {
            self.remove(group, &topic, partition);
            records.push(GroupRecord::Offset { group: group.clone(), topic, partition, value: None });
        }
        count
    }

    /// The groups that committed for a topic.
    pub(super) fn groups_with(&self, topic: &str) -> Vec<Str> {
        let groups = self.groups.iter().filter(|(_, topics)| topics.contains_key(topic));
        groups.map(|(group, _)| group.clone()).collect()
    }
}

/// Whether the offset was committed for the topic, as far as both are known.
pub(super) fn is_of_topic(offset: &CommittedOffset, id: TopicId) -> bool {
    offset.topic_id.is_zero() || id.is_zero() || offset.topic_id == id
}

/// Whether an offset that is kept for `retention` since `since` has expired. A retention of its own goes first.
pub(super) fn has_expired(offset: &CommittedOffset, since: Millis, retention: Millis, now: Millis) -> bool {
    match offset.expire_timestamp {
        Some(expires) => now >= expires,
        None => now - since >= retention,
    }
}
