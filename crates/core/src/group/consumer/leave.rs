//! Members that leave, by themselves or because they were silent.

use super::ConsumerGroup;
use super::member::{LEFT_FOR_A_TIME, Member};
use super::partitions::OwnedPartitions;
use super::request::ConsumerGroupError;
use crate::group::effects::RebalanceReason;
use crate::group::record::{GroupRecord, Str};
use crate::group::shard::Context;
use crate::group::timers::Timer;

impl ConsumerGroup {
    /// The member of an id, and of a static name if there is one: then both have to be the same member's.
    pub(super) fn named(&self, id: &Str, instance: Option<&Str>) -> Result<&Member, ConsumerGroupError> {
        let Some(instance) = instance else { return self.member(id) };
        match self.instances.get(instance) {
            Some(owner) if owner == id => self.member(id),
            Some(owner) => {
                let (instance, owner) = (instance.clone(), owner.clone());
                Err(ConsumerGroupError::FencedInstance { instance, owner })
            }
            None => Err(ConsumerGroupError::UnknownMember { member: instance.clone() }),
        }
    }

    /// A static member leaves for a time: it keeps its partitions until its session ends, and whoever comes back under
    /// its name gets them.
    pub(super) fn leave_for_a_time(&mut self, context: &mut Context<'_>, id: &Str) {
        let Some(member) = self.members.get(id) else { return };
        let left = Member {
            epoch: LEFT_FOR_A_TIME,
            // Whatever epoch it comes back with may commit for what it kept.
            assigned: member.assigned.at_epoch(0),
            revoking: OwnedPartitions::default(),
            ..member.clone()
        };
        self.write_current(context, id, &left);
        context.timers.cancel(&self.id, Timer::ConsumerRebalance(id.clone()));
    }

    /// Takes members out of the group, for which it gets a new epoch, and a new target if anyone remains.
    pub(super) fn remove(&mut self, context: &mut Context<'_>, ids: &[Str], reason: RebalanceReason) {
        for id in ids {
            self.end_timers(context, id);
            self.write_removal(context, id);
        }
        self.update_regexes(context);
        self.next_epoch(context);
        if !self.members.is_empty() {
            self.note_rebalance(context, reason);
        }
        self.update_target(context);
    }

    /// The tombstones of everything that was written of the group.
    pub(in crate::group) fn tombstones(&self) -> Vec<GroupRecord> {
        let group = || self.id.clone();
        let members = || self.members.keys().cloned();
        let mut records: Vec<GroupRecord> = Vec::new();
        records.extend(members().map(|member| GroupRecord::ConsumerCurrentMember {
            group: group(),
            member,
            value: None,
        }));
        records.extend(members().map(|member| GroupRecord::ConsumerTargetMember {
            group: group(),
            member,
            value: None,
        }));
        records.push(GroupRecord::ConsumerTarget { group: group(), value: None });
        records.extend(members().map(|member| GroupRecord::ConsumerMember {
            group: group(),
            member,
            value: None,
        }));
        let regexes = self.subscriptions.resolved().cloned();
        records.extend(regexes.map(|regex| GroupRecord::ConsumerRegex {
            group: group(),
            regex,
            value: None,
        }));
        records.push(GroupRecord::ConsumerGroup { group: group(), value: None });
        records
    }
}
