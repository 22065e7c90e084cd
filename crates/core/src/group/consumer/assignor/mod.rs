//! Who is to have which partition: the two assignors of the broker (KIP-848), as pure functions.
//!
//! Both give every partition of a subscribed topic to exactly one of the topic's subscribers. `uniform` balances and
//! keeps what it can where it is; `range` gives the same stretch of every topic to a member, so that topics with the
//! same number of partitions are co-partitioned.

mod mixed;
mod range;
mod uniform;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use eddy_types::TopicId;

use super::partitions::Partitions;

/// An assignor of the broker (`group.consumer.assignors`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Assignor {
    /// Balanced within one partition, sticky.
    Uniform,
    /// Consecutive partitions of each topic, by instance id and member id.
    Range,
}

impl Assignor {
    /// Every assignor; the first is the default one.
    pub(super) const ALL: [Assignor; 2] = [Assignor::Uniform, Assignor::Range];

    /// The name in requests and descriptions.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// The assignor of a name.
    #[must_use]
    pub(super) fn from_name(name: &str) -> Option<Assignor> {
        Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// The new target of every member, in the order of the members.
    ///
    /// Costs O(partitions · log members) for members with one subscription, and a bounded number of such rounds for
    /// mixed subscriptions.
    #[must_use]
    pub(super) fn assign(self, spec: &GroupSpec<'_>) -> Vec<Partitions> {
        match (self, spec.is_homogeneous()) {
            (Assignor::Range, _) => range::assign(spec),
            (Assignor::Uniform, true) => uniform::assign(spec),
            (Assignor::Uniform, false) => mixed::assign(spec),
        }
    }
}

/// A member as an assignor sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemberSpec<'a> {
    /// Id of the member.
    pub(super) member_id: &'a str,
    /// Its static name, if it has one (KIP-345).
    pub(super) instance_id: Option<&'a str>,
    /// The topics it subscribes to.
    pub(super) topics: &'a BTreeSet<TopicId>,
    /// Its target so far. Partitions that are gone or not subscribed any more are passed over.
    pub(super) target: &'a Partitions,
}

/// What an assignor knows of the group.
#[derive(Clone, Debug)]
pub(super) struct GroupSpec<'a> {
    /// The members, ascending by id.
    pub(super) members: Vec<MemberSpec<'a>>,
    /// How many partitions each topic has. A subscribed topic that is missing has none.
    pub(super) partition_counts: &'a BTreeMap<TopicId, i32>,
}

impl GroupSpec<'_> {
    fn partition_count(&self, topic: TopicId) -> i32 {
        self.partition_counts.get(&topic).copied().unwrap_or(0)
    }

    fn is_homogeneous(&self) -> bool {
        self.members.windows(2).all(|pair| match pair {
            [one, next] => one.topics == next.topics,
            _ => true,
        })
    }
}
