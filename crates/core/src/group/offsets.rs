//! What groups committed.

use std::collections::BTreeMap;

use eddy_types::{Millis, TopicId};

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

    /// Takes away every offset of a group that `goes`, with tombstones; tells how many.
    pub(super) fn remove_where(
        &mut self,
        group: &Str,
        mut goes: impl FnMut(&Str, &CommittedOffset) -> bool,
        records: &mut Vec<GroupRecord>,
    ) -> usize {
        let mut gone = Vec::new();
        for (topic, partitions) in self.groups.get(group).into_iter().flatten() {
            let of_topic = partitions.iter().filter(|(_, offset)| goes(topic, offset));
            gone.extend(of_topic.map(|(partition, _)| (topic.clone(), *partition)));
        }
        let count = gone.len();
        for (topic, partition) in gone {
            self.remove(group, &topic, partition);
            records.push(GroupRecord::Offset { group: group.clone(), topic, partition, value: None });
        }
        count
    }

    /// Takes away what every group committed for a topic, with tombstones. Offsets of another topic of that name stay.
    pub(super) fn remove_topic(&mut self, name: &Str, id: TopicId, records: &mut Vec<GroupRecord>) {
        let groups: Vec<Str> = self
            .groups
            .iter()
            .filter(|(_, topics)| topics.contains_key(name))
            .map(|(group, _)| group.clone())
            .collect();
        for group in groups {
            self.remove_where(&group, |topic, offset| topic == name && is_of_topic(offset, id), records);
        }
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
