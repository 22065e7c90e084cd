//! Sets of partitions by topic: what a member is to have, has, or must give up.

use std::collections::btree_map::{self, BTreeMap};
use std::collections::btree_set::BTreeSet;

use eddy_types::TopicId;

use crate::group::record::TopicPartitions;

/// Partitions by topic id, ordered; a topic without partitions is never held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions(BTreeMap<TopicId, BTreeSet<i32>>);

impl Partitions {
    /// Adds one; false if it was there.
    pub fn insert(&mut self, topic: TopicId, partition: i32) -> bool {
        self.0.entry(topic).or_default().insert(partition)
    }

    /// Whether the partition is in the set.
    #[must_use]
    pub fn contains(&self, topic: TopicId, partition: i32) -> bool {
        self.0.get(&topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many partitions, over all topics.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// Topics and their partitions, ascending.
    pub fn topics(&self) -> btree_map::Iter<'_, TopicId, BTreeSet<i32>> {
        self.0.iter()
    }

    /// Every partition, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (TopicId, i32)> + '_ {
        self.0
            .iter()
            .flat_map(|(&topic, partitions)| partitions.iter().map(move |&partition| (topic, partition)))
    }

    pub(super) fn from_record(topics: &[TopicPartitions]) -> Partitions {
        topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|&partition| (topic.topic, partition)))
            .collect()
    }

    pub(super) fn to_record(&self) -> Vec<TopicPartitions> {
        let topic = |(&topic, partitions): (&TopicId, &BTreeSet<i32>)| TopicPartitions {
            topic,
            partitions: partitions.iter().copied().collect(),
            assignment_epochs: None,
        };
        self.0.iter().map(topic).collect()
    }
}

impl FromIterator<(TopicId, i32)> for Partitions {
    fn from_iter<I: IntoIterator<Item = (TopicId, i32)>>(partitions: I) -> Partitions {
        let mut set = Partitions::default();
        set.extend(partitions);
        set
    }
}

impl Extend<(TopicId, i32)> for Partitions {
    fn extend<I: IntoIterator<Item = (TopicId, i32)>>(&mut self, partitions: I) {
        for (topic, partition) in partitions {
            self.insert(topic, partition);
        }
    }
}

/// Partitions of a member, each with the member epoch at which it was assigned: commits of older epochs are stale for
/// that partition, and for that one only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnedPartitions(BTreeMap<TopicId, BTreeMap<i32, i32>>);

impl OwnedPartitions {
    pub(super) fn insert(&mut self, topic: TopicId, partition: i32, epoch: i32) {
        self.0.entry(topic).or_default().insert(partition, epoch);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, topic: TopicId, partition: i32) -> bool {
        self.epoch(topic, partition).is_some()
    }

    /// The member epoch at which the partition was assigned; `None` if it is not in the set.
    pub(super) fn epoch(&self, topic: TopicId, partition: i32) -> Option<i32> {
        self.0.get(&topic)?.get(&partition).copied()
    }

    /// Every partition with its epoch, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TopicId, i32, i32)> + '_ {
        self.0
            .iter()
            .flat_map(|(&topic, partitions)| partitions.iter().map(move |(&p, &epoch)| (topic, p, epoch)))
    }

    /// The same partitions without epochs.
    pub(super) fn partitions(&self) -> Partitions {
        self.iter().map(|(topic, partition, _)| (topic, partition)).collect()
    }

    /// Whether the other set has the same partitions, at whatever epochs.
    pub(super) fn same_partitions(&self, other: &OwnedPartitions) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|((topic, ours), (other_topic, theirs))| {
                topic == other_topic && ours.keys().eq(theirs.keys())
            })
    }

    /// Whether some partition is in both sets.
    pub(super) fn intersects(&self, other: &Partitions) -> bool {
        self.iter().any(|(topic, partition, _)| other.contains(topic, partition))
    }

    /// Whether every partition of the other set is in this one.
    pub(super) fn covers(&self, other: &Partitions) -> bool {
        other.iter().all(|(topic, partition)| self.contains(topic, partition))
    }

    /// Those for which `keep` holds, and the others.
    pub(super) fn split(&self, keep: impl Fn(TopicId, i32) -> bool) -> (OwnedPartitions, OwnedPartitions) {
        let (mut kept, mut others) = (OwnedPartitions::default(), OwnedPartitions::default());
        for (topic, partition, epoch) in self.iter() {
            let side = if keep(topic, partition) { &mut kept } else { &mut others };
            side.insert(topic, partition, epoch);
        }
        (kept, others)
    }

    /// The same partitions, all assigned at one epoch.
    pub(super) fn at_epoch(&self, epoch: i32) -> OwnedPartitions {
        self.iter().map(|(topic, partition, _)| (topic, partition, epoch)).collect()
    }

    /// Partitions without epochs in the record were assigned at `member_epoch` at the latest.
    pub(super) fn from_record(topics: &[TopicPartitions], member_epoch: i32) -> OwnedPartitions {
        let mut owned = OwnedPartitions::default();
        for topic in topics {
            let epochs =
                topic.assignment_epochs.as_deref().filter(|epochs| epochs.len() == topic.partitions.len());
            for (at, &partition) in topic.partitions.iter().enumerate() {
                let epoch = epochs.and_then(|epochs| epochs.get(at)).copied().unwrap_or(member_epoch);
                owned.insert(topic.topic, partition, epoch);
            }
        }
        owned
    }

    pub(super) fn to_record(&self) -> Vec<TopicPartitions> {
        let topic = |(&topic, partitions): (&TopicId, &BTreeMap<i32, i32>)| TopicPartitions {
            topic,
            partitions: partitions.keys().copied().collect(),
            assignment_epochs: Some(partitions.values().copied().collect()),
        };
        self.0.iter().map(topic).collect()
    }
}

impl FromIterator<(TopicId, i32, i32)> for OwnedPartitions {
    fn from_iter<I: IntoIterator<Item = (TopicId, i32, i32)>>(partitions: I) -> OwnedPartitions {
        let mut owned = OwnedPartitions::default();
        for (topic, partition, epoch) in partitions {
            owned.insert(topic, partition, epoch);
        }
        owned
    }
}

impl Extend<(TopicId, i32, i32)> for OwnedPartitions {
    fn extend<I: IntoIterator<Item = (TopicId, i32, i32)>>(&mut self, partitions: I) {
        for (topic, partition, epoch) in partitions {
            self.insert(topic, partition, epoch);
        }
    }
}
