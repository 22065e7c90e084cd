//! Consumer groups of the consumer protocol (KIP-848): the broker assigns, members reconcile one by one (R-3.70 to
//!
//!
//! There are three epochs. The *group epoch* rises whenever who subscribes to what changes, or the topics do. A *target
//! assignment* is made for a group epoch. Each member moves to the target by itself, and its *member epoch* says how far
//! it is. Everything but sessions is in records: an event writes records, and each of them is applied as it is written,
//! by the same code that replays them.

mod admission;
mod assignor;
mod check;
mod classic;
mod commit;
mod convert;
mod deadlines;
mod describe;
mod heartbeat;
mod leave;
mod member;
mod membership;
mod partitions;
mod protocol;
mod reconcile;
mod request;
mod shard;
mod subscription;
mod target;
mod topic_pattern;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use eddy_types::{Millis, TopicId};

use self::member::Member;
pub use self::partitions::Partitions;
pub use self::request::{
    ConsumerGroupError, ConsumerHeartbeat, ConsumerHeartbeatAnswer, DescribedConsumerGroup,
    DescribedConsumerMember,
};
use self::subscription::Subscriptions;
pub use self::topic_pattern::InvalidPattern;
use super::record::{
    ConsumerCurrentValue, ConsumerGroupValue, ConsumerMemberValue, ConsumerTargetValue, GroupRecord, Str,
};
use super::shard::Context;
use super::state::GroupState;

/// The group epoch of a new group; members that join have epoch 0 until they are answered.
const FIRST_EPOCH: i32 = 1;

/// A group whose members speak ConsumerGroupHeartbeat.
#[derive(Debug)]
pub(in crate::group) struct ConsumerGroup {
    id: Str,
    /// The group epoch.
    epoch: i32,
    /// Hash of the subscribed topics as of the group epoch.
    metadata_hash: i64,
    /// The group epoch that the target assignment was made for.
    target_epoch: i32,
    /// When the target assignment was made; 0 before the first.
    target_timestamp: Millis,
    members: BTreeMap<Str, Member>,
    /// What each member shall have in the end; nothing for those that are missing.
    targets: BTreeMap<Str, Partitions>,
    /// The member of each static name.
    instances: BTreeMap<Str, Str>,
    /// Who owns a partition: it is assigned to it, or not given back yet.
    owners: BTreeMap<TopicId, BTreeMap<i32, Str>>,
    subscriptions: Subscriptions,
}

impl ConsumerGroup {
    /// A group without members. It begins in epoch 1, so that a member whose joining changes nothing has an epoch too.
    pub(in crate::group) fn new(id: Str) -> ConsumerGroup {
        ConsumerGroup {
            id,
            epoch: FIRST_EPOCH,
            metadata_hash: 0,
            target_epoch: 0,
            target_timestamp: Millis(0),
            members: BTreeMap::new(),
            targets: BTreeMap::new(),
            instances: BTreeMap::new(),
            owners: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
        }
    }

    /// Whether it has no members.
    pub(in crate::group) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many members it has.
    pub(in crate::group) fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Its state, as it is shown.
    pub(in crate::group) fn state(&self) -> GroupState {
        if self.members.is_empty() {
            GroupState::Empty
        } else if self.epoch > self.target_epoch {
            GroupState::Assigning
        } else if self.members.values().all(|member| member.is_reconciled_to(self.target_epoch)) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// Applies a record of this group. Records of other kinds change nothing.
    pub(in crate::group) fn replay(&mut self, record: &GroupRecord) {
        match record {
            GroupRecord::ConsumerGroup { value, .. } => {
                let gone = ConsumerGroupValue { epoch: FIRST_EPOCH, metadata_hash: 0 };
                let ConsumerGroupValue { epoch, metadata_hash } = value.unwrap_or(gone);
                (self.epoch, self.metadata_hash) = (epoch, metadata_hash);
            }
            GroupRecord::ConsumerTarget { value, .. } => {
                let gone = ConsumerTargetValue { epoch: 0, timestamp: Millis(0) };
                let ConsumerTargetValue { epoch, timestamp } = value.unwrap_or(gone);
                (self.target_epoch, self.target_timestamp) = (epoch, timestamp);
            }
            GroupRecord::ConsumerTargetMember { member, value, .. } => {
                let target = value.as_deref().map(Partitions::from_record).unwrap_or_default();
                if target.is_empty() {
                    self.targets.remove(member);
                } else {
                    self.targets.insert(member.clone(), target);
                }
            }
            GroupRecord::ConsumerMember { member, value, .. } => self.set_wishes(member, value.as_ref()),
            GroupRecord::ConsumerCurrentMember { member, value, .. } => {
                self.set_current(member, value.as_ref())
            }
            GroupRecord::ConsumerRegex { regex, value, .. } => {
                self.subscriptions.set_resolved(regex, value.as_ref());
            }
            GroupRecord::ConsumerGroupPartitions { .. }
            | GroupRecord::Offset { .. }
            | GroupRecord::ClassicGroup { .. } => {}
        }
    }

    fn set_wishes(&mut self, id: &Str, wishes: Option<&ConsumerMemberValue>) {
        if let Some(member) = self.members.get(id) {
            self.subscriptions.remove(&member.wishes);
            let instance = member.wishes.instance.as_ref();
            if instance.is_some_and(|instance| self.instances.get(instance) == Some(id)) {
                instance.map(|instance| self.instances.remove(instance));
            }
        }
        let Some(wishes) = wishes else {
            self.disown(id);
            self.members.remove(id);
            return;
        };
        let mut wishes = wishes.clone();
        wishes.topic_names.sort();
        wishes.topic_names.dedup();
        wishes.topic_regex = wishes.topic_regex.filter(|regex| !regex.is_empty());
        self.subscriptions.add(&wishes);
        if let Some(instance) = &wishes.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        self.members.entry(id.clone()).or_default().wishes = wishes;
    }

    fn set_current(&mut self, id: &Str, current: Option<&ConsumerCurrentValue>) {
        self.disown(id);
        if current.is_none() && !self.members.contains_key(id) {
            return;
        }
        let member = self.members.entry(id.clone()).or_default();
        member.set_current(current);
        for (topic, partition, _) in member.assigned.iter().chain(member.revoking.iter()) {
            self.owners.entry(topic).or_default().insert(partition, id.clone());
        }
    }

    /// Takes a member's partitions out of the owners. In a log from which compaction took records, another member may
    /// have come to own one before this member is seen to lose it.
    fn disown(&mut self, id: &Str) {
        let Some(member) = self.members.get(id) else { return };
        for (topic, partition, _) in member.assigned.iter().chain(member.revoking.iter()) {
            let Some(partitions) = self.owners.get_mut(&topic) else { continue };
            if partitions.get(&partition) == Some(id) {
                partitions.remove(&partition);
            }
            if partitions.is_empty() {
                self.owners.remove(&topic);
            }
        }
    }

    /// Writes a record: it is applied here, and appended by the owner of the shard.
    fn write(&mut self, context: &mut Context<'_>, record: GroupRecord) {
        self.replay(&record);
        context.out.records.push(record);
    }

    fn write_wishes(&mut self, context: &mut Context<'_>, member: &Str, wishes: ConsumerMemberValue) {
        let (group, member) = (self.id.clone(), member.clone());
        self.write(context, GroupRecord::ConsumerMember { group, member, value: Some(wishes) });
    }

    fn write_target(&mut self, context: &mut Context<'_>, member: &Str, target: &Partitions) {
        let (group, member) = (self.id.clone(), member.clone());
        let value = Some(target.to_record());
        self.write(context, GroupRecord::ConsumerTargetMember { group, member, value });
    }

    fn write_current(&mut self, context: &mut Context<'_>, id: &Str, member: &Member) {
        let value = Some(member.current_value());
        let (group, member) = (self.id.clone(), id.clone());
        self.write(context, GroupRecord::ConsumerCurrentMember { group, member, value });
    }

    /// Writes the tombstones of a member. Its timers are the caller's to end.
    fn write_removal(&mut self, context: &mut Context<'_>, member: &Str) {
        let (group, member) = (self.id.clone(), member.clone());
        let (group2, member2) = (group.clone(), member.clone());
        let (group3, member3) = (group.clone(), member.clone());
        self.write(context, GroupRecord::ConsumerCurrentMember { group, member, value: None });
        self.write(
            context,
            GroupRecord::ConsumerTargetMember { group: group2, member: member2, value: None },
        );
        self.write(context, GroupRecord::ConsumerMember { group: group3, member: member3, value: None });
    }

    /// Who owns a partition.
    fn owner(&self, topic: TopicId, partition: i32) -> Option<&Str> {
        self.owners.get(&topic)?.get(&partition)
    }

    fn member(&self, id: &Str) -> Result<&Member, ConsumerGroupError> {
        self.members.get(id).ok_or_else(|| ConsumerGroupError::UnknownMember { member: id.clone() })
    }

    fn target(&self, member: &Str) -> Partitions {
        self.targets.get(member).cloned().unwrap_or_default()
    }
}
