//! Sets of partitions by topic: what a member is to have, has, or must give up.

use std::collections::btree_map::{self, BTreeMap};
use std::collections::btree_set::BTreeSet;

use eddy_types::TopicId;

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
        self.0.iter().flat_map(|(&topic, partitions)| partitions.iter().map(move |&partition| (topic, partition)))
    }

    /// Whether every partition of this set is in the other.
    #[must_use]
    pub fn is_subset_of(&self, other: &Partitions) -> bool {
        self.0.iter().all(|(topic, partitions)| other.0.get(topic).is_some_and(|more| partitions.is_subset(more)))
    }

    /// Whether some partition is in both sets.
    #[must_use]
    pub fn intersects(&self, other: &Partitions) -> bool {
        self.0.iter().any(|(topic, partitions)| other.0.get(topic).is_some_and(|more| !partitions.is_disjoint(more)))
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
