//! Groups and offsets at a glance, for metrics: nothing is copied, and nothing is changed.

use super::record::{CommittedOffset, Str};
use super::shard::{Group, GroupShard};
use super::state::{GroupState, GroupType};

/// A group at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupFacts<'a> {
    /// The group.
    pub group: &'a Str,
    /// Its type.
    pub group_type: GroupType,
    /// Its state.
    pub state: GroupState,
    /// How many members it has.
    pub members: usize,
}

/// What a group committed for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittedFacts<'a> {
    /// The group.
    pub group: &'a Str,
    /// Name of the topic.
    pub topic: &'a Str,
    /// Index of the partition.
    pub partition: i32,
    /// What is committed.
    pub committed: &'a CommittedOffset,
}

impl GroupShard {
    /// Every group, by id.
    pub fn groups(&self) -> impl Iterator<Item = GroupFacts<'_>> {
        self.groups.iter().map(|(id, group)| GroupFacts {
            group: id,
            group_type: group.group_type(),
            state: group.state(),
            members: match group {
                Group::Classic(group) => group.members.len(),
                Group::Consumer(group) => group.member_count(),
            },
        })
    }

    /// Every committed offset, by group, topic and partition.
    pub fn committed(&self) -> impl Iterator<Item = CommittedFacts<'_>> {
        self.offsets.iter()
    }
}
