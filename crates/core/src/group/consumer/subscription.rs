//! What the members of a group subscribe to, and when that makes a new group epoch.

use std::collections::{BTreeMap, BTreeSet};

use eddy_types::{Millis, TopicId};

use super::ConsumerGroup;
use super::topic_pattern::TopicPattern;
use crate::group::effects::RebalanceReason;
use crate::group::record::{ConsumerGroupValue, ConsumerMemberValue, ConsumerRegexValue, GroupRecord, Str};
use crate::group::shard::Context;
use crate::group::topics::ClusterTopics;

/// Names and expressions that members subscribe to, and the topics that the expressions match.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// How many members name a topic.
    names: BTreeMap<Str, usize>,
    /// How many members subscribe to an expression.
    regexes: BTreeMap<Str, usize>,
    /// The topics that an expression matched when it was last looked at. Kept up to date with the cluster's topics, so
    /// that there is nothing to refresh by time.
    resolved: BTreeMap<Str, BTreeSet<Str>>,
    /// Compiled expressions.
    patterns: BTreeMap<Str, TopicPattern>,
}

fn count(counts: &mut BTreeMap<Str, usize>, name: &Str) {
    *counts.entry(name.clone()).or_default() += 1;
}

fn uncount(counts: &mut BTreeMap<Str, usize>, name: &Str) {
    if let Some(count) = counts.get_mut(name) {
        *count -= 1;
        if *count == 0 {
            counts.remove(name);
        }
    }
}

impl Subscriptions {
    pub(super) fn add(&mut self, wishes: &ConsumerMemberValue) {
        wishes.topic_names.iter().for_each(|name| count(&mut self.names, name));
        wishes.topic_regex.iter().for_each(|regex| count(&mut self.regexes, regex));
    }

    pub(super) fn remove(&mut self, wishes: &ConsumerMemberValue) {
        wishes.topic_names.iter().for_each(|name| uncount(&mut self.names, name));
        wishes.topic_regex.iter().for_each(|regex| uncount(&mut self.regexes, regex));
    }

    pub(super) fn set_resolved(&mut self, regex: &Str, value: Option<&ConsumerRegexValue>) {
        match value {
            Some(value) => {
                self.resolved.insert(regex.clone(), value.topics.iter().cloned().collect());
            }
            None => {
                self.resolved.remove(regex);
                self.patterns.remove(regex);
            }
        }
    }

    /// Whether the expression is one that members subscribe to already, so that it is known to be good.
    pub(super) fn knows(&self, regex: &Str) -> bool {
        self.regexes.contains_key(regex)
    }

    /// Whether some member subscribes to the topic.
    pub(super) fn contains(&self, topic: &str) -> bool {
        self.names.contains_key(topic) || self.resolved.values().any(|topics| topics.contains(topic))
    }

    /// Whether the same is counted in both.
    pub(super) fn same_counts(&self, other: &Subscriptions) -> bool {
        self.names == other.names && self.regexes == other.regexes
    }

    /// All that survives a restart, to compare.
    #[cfg(test)]
    pub(super) fn durable(&self) -> impl std::fmt::Debug + '_ {
        (&self.names, &self.regexes, &self.resolved)
    }

    /// The expressions that are resolved.
    pub(super) fn resolved(&self) -> impl Iterator<Item = &Str> {
        self.resolved.keys()
    }

    /// The names of everything that is subscribed to, whether it exists or not.
    fn topic_names(&self) -> BTreeSet<&Str> {
        self.names.keys().chain(self.resolved.values().flatten()).collect()
    }

    /// The topics of a member that exist.
    pub(super) fn topic_ids(
        &self,
        wishes: &ConsumerMemberValue,
        topics: &ClusterTopics,
    ) -> BTreeSet<TopicId> {
        let matched = wishes.topic_regex.as_ref().and_then(|regex| self.resolved.get(regex));
        let names = wishes.topic_names.iter().chain(matched.into_iter().flatten());
        names.filter_map(|name| topics.get(name)).map(|facts| facts.id).collect()
    }

    /// Partition counts of everything that is subscribed to and exists.
    pub(super) fn partition_counts(&self, topics: &ClusterTopics) -> BTreeMap<TopicId, i32> {
        let facts = self.topic_names().into_iter().filter_map(|name| topics.get(name));
        facts.map(|facts| (facts.id, facts.partitions)).collect()
    }

    /// A number that changes when a subscribed topic comes, goes, is made anew or gets more partitions; 0 when none of
    /// them exists.
    pub(super) fn metadata_hash(&self, topics: &ClusterTopics) -> i64 {
        const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        let mut hash = OFFSET_BASIS;
        for name in self.topic_names() {
            let Some(facts) = topics.get(name) else { continue };
            let bytes = name.bytes().chain([0]).chain(facts.id.0).chain(facts.partitions.to_be_bytes());
            for byte in bytes {
                // FNV-1a: it only has to differ, not to resist anyone.
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        if hash == OFFSET_BASIS { 0 } else { hash.cast_signed() }
    }

    /// Keeps an expression that was compiled already.
    pub(super) fn add_pattern(&mut self, regex: &Str, pattern: TopicPattern) {
        self.patterns.insert(regex.clone(), pattern);
    }

    fn pattern(&mut self, regex: &Str) -> Option<&TopicPattern> {
        if !self.patterns.contains_key(regex) {
            let pattern = TopicPattern::compile(regex).ok()?;
            self.patterns.insert(regex.clone(), pattern);
        }
        self.patterns.get(regex)
    }

    /// The topics that an expression matches: those from before that still exist, and those of `candidates`. `None` if
    /// the expression cannot be used here, which leaves what another broker found.
    fn resolve<'a>(
        &mut self,
        regex: &Str,
        candidates: impl Iterator<Item = &'a Str>,
        topics: &ClusterTopics,
    ) -> Option<BTreeSet<Str>> {
        let mut matched = self.resolved.get(regex).cloned().unwrap_or_default();
        matched.retain(|name| topics.get(name).is_some());
        let pattern = self.pattern(regex)?;
        let found = candidates.filter(|name| topics.get(name).is_some() && pattern.matches(name));
        matched.extend(found.cloned());
        Some(matched)
    }
}

impl ConsumerGroup {
    /// Whether some member subscribes to the topic.
    pub(in crate::group) fn is_subscribed(&self, topic: &str) -> bool {
        self.subscriptions.contains(topic)
    }

    /// Resolves expressions that are new in the group, and forgets those that nobody uses any more.
    pub(super) fn update_regexes(&mut self, context: &mut Context<'_>) {
        let topics = context.topics;
        let known = |regex: &&Str| self.subscriptions.resolved.contains_key(*regex);
        let new: Vec<Str> =
            self.subscriptions.regexes.keys().filter(|regex| !known(regex)).cloned().collect();
        for regex in new {
            let names = topics.iter().map(|(name, _)| name);
            let matched = self.subscriptions.resolve(&regex, names, topics).unwrap_or_default();
            self.write_regex(context, regex, Some(matched));
        }
        let unused = |regex: &&Str| !self.subscriptions.regexes.contains_key(*regex);
        let unused: Vec<Str> = self.subscriptions.resolved.keys().filter(unused).cloned().collect();
        for regex in unused {
            self.write_regex(context, regex, None);
        }
    }

    fn write_regex(&mut self, context: &mut Context<'_>, regex: Str, matched: Option<BTreeSet<Str>>) {
        let (version, timestamp) = (context.topics.version, context.now);
        let value = matched.map(|topics| ConsumerRegexValue {
            topics: topics.into_iter().collect(),
            version,
            timestamp: Millis(timestamp.0.max(0)),
        });
        self.write(context, GroupRecord::ConsumerRegex { group: self.id.clone(), regex, value });
    }

    /// Topics came, went or changed: expressions match anew, and the group gets a new epoch and target if that touches
    /// it. Kafka waits for the next heartbeat here.
    pub(in crate::group) fn topics_changed(&mut self, context: &mut Context<'_>, changed: &BTreeSet<Str>) {
        let regexes: Vec<Str> = self.subscriptions.resolved.keys().cloned().collect();
        for regex in regexes {
            let Some(matched) = self.subscriptions.resolve(&regex, changed.iter(), context.topics) else {
                continue;
            };
            if self.subscriptions.resolved.get(&regex) != Some(&matched) {
                self.write_regex(context, regex, Some(matched));
            }
        }
        let is_other = || self.subscriptions.metadata_hash(context.topics) != self.metadata_hash;
        if !self.members.is_empty() && is_other() {
            self.note_rebalance(context, RebalanceReason::MetadataChange);
            self.next_epoch(context);
        }
        self.update_target(context);
    }

    /// Raises the group epoch: who subscribes to what is new, or what there is to subscribe to.
    pub(super) fn next_epoch(&mut self, context: &mut Context<'_>) {
        let metadata_hash = self.subscriptions.metadata_hash(context.topics);
        let epoch = self.epoch.saturating_add(1);
        let value = Some(ConsumerGroupValue { epoch, metadata_hash });
        self.write(context, GroupRecord::ConsumerGroup { group: self.id.clone(), value });
    }
}
