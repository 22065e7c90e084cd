//! What groups know of the cluster's topics.

use std::collections::{BTreeMap, BTreeSet};

use eddy_types::TopicId;

use super::record::Str;

/// The cluster's topics at one version of its metadata. Built once by the owner and shared by its shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterTopics {
    /// Version of the metadata (its offset): a newer one is greater.
    pub version: i64,
    by_name: BTreeMap<Str, TopicFacts>,
    by_id: BTreeMap<TopicId, Str>,
}

/// What groups know of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// Its identity.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
}

impl ClusterTopics {
    /// The topics at `version` of the metadata.
    #[must_use]
    pub fn new(version: i64, topics: impl IntoIterator<Item = (Str, TopicFacts)>) -> ClusterTopics {
        let by_name: BTreeMap<Str, TopicFacts> = topics.into_iter().collect();
        let by_id = by_name.iter().map(|(name, facts)| (facts.id, name.clone())).collect();
        ClusterTopics { version, by_name, by_id }
    }

    /// The topic of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<TopicFacts> {
        self.by_name.get(name).copied()
    }

    /// The name of a topic.
    #[must_use]
    pub fn name(&self, id: TopicId) -> Option<&Str> {
        self.by_id.get(&id)
    }

    /// Names of the topics that are not here as they are there: they came, went, or changed.
    #[must_use]
    pub fn differences(&self, other: &ClusterTopics) -> BTreeSet<Str> {
        let differ = |name: &&Str| self.by_name.get(*name) != other.by_name.get(*name);
        self.by_name.keys().chain(other.by_name.keys()).filter(differ).cloned().collect()
    }

    /// Every topic, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Str, TopicFacts)> {
        self.by_name.iter().map(|(name, facts)| (name, *facts))
    }
}
