//! Making the target assignment.

use std::collections::BTreeMap;

use eddy_types::Millis;

use super::ConsumerGroup;
use super::assignor::{Assignor, GroupSpec, MemberSpec};
use super::partitions::Partitions;
use crate::group::config::ConsumerGroupConfig;
use crate::group::effects::{Note, RebalanceReason};
use crate::group::record::{ConsumerTargetValue, GroupRecord, Str};
use crate::group::shard::Context;
use crate::group::timers::Timer;

/// The assignors that are configured, the default one first.
pub(super) fn configured(config: &ConsumerGroupConfig) -> Vec<Assignor> {
    let known: Vec<Assignor> = config.assignors.iter().filter_map(|name| Assignor::from_name(name)).collect();
    if known.is_empty() { vec![Assignor::Uniform] } else { known }
}

impl ConsumerGroup {
    /// The assignor that most members want, those configured first winning a draw; the default one if none wants any.
    pub(super) fn preferred_assignor(&self, config: &ConsumerGroupConfig) -> Assignor {
        let configured = configured(config);
        let votes = |assignor: &Assignor| {
            let wants = |name: &Str| &**name == assignor.name();
            self.members.values().filter(|member| member.wishes.assignor.as_ref().is_some_and(wants)).count()
        };
        // Of equal ones `max_by_key` takes the last.
        configured.iter().rev().copied().max_by_key(votes).unwrap_or(Assignor::Uniform)
    }

    /// When the next target assignment may be made: one interval after the last, so that members that join one after the
    /// other are assigned together.
    fn next_target_at(&self, context: &Context<'_>) -> Millis {
        let interval = context.config.consumer.assignment_interval;
        let last = self.target_timestamp;
        let alone = self.members.len() == 1;
        if alone || last <= Millis(0) || interval <= Millis(0) || last > context.now {
            context.now
        } else {
            last + interval
        }
    }

    /// Makes a new target assignment if the group epoch asks for one and it may be made, or sees to it that it will be.
    pub(super) fn update_target(&mut self, context: &mut Context<'_>) {
        if self.epoch <= self.target_epoch || self.members.is_empty() {
            return;
        }
        let at = self.next_target_at(context);
        if at > context.now {
            context.timers.set(&self.id, Timer::ConsumerAssignment, at);
            return;
        }
        context.timers.cancel(&self.id, Timer::ConsumerAssignment);
        for (member, target) in self.new_targets(context) {
            self.write_target(context, &member, &target);
        }
        let value = Some(ConsumerTargetValue { epoch: self.epoch, timestamp: context.now });
        self.write(context, GroupRecord::ConsumerTarget { group: self.id.clone(), value });
    }

    /// How long the next target assignment has to wait; `None` if it is not asked for.
    pub(super) fn target_delay(&self, context: &Context<'_>) -> Option<Millis> {
        (self.epoch > self.target_epoch).then(|| self.next_target_at(context) - context.now)
    }

    /// The targets that differ from the present ones.
    fn new_targets(&self, context: &Context<'_>) -> Vec<(Str, Partitions)> {
        let topics = context.topics;
        // Most members have the same wishes: their topics are looked up once.
        let mut topic_ids = BTreeMap::new();
        for member in self.members.values() {
            let wishes = &member.wishes;
            topic_ids
                .entry((&wishes.topic_names, &wishes.topic_regex))
                .or_insert_with(|| self.subscriptions.topic_ids(wishes, topics));
        }
        let nothing = (Default::default(), Partitions::default());
        let members = self.members.iter().map(|(id, member)| MemberSpec {
            member_id: id,
            instance_id: member.wishes.instance.as_deref(),
            topics: topic_ids
                .get(&(&member.wishes.topic_names, &member.wishes.topic_regex))
                .unwrap_or(&nothing.0),
            target: self.targets.get(id).unwrap_or(&nothing.1),
        });
        let partition_counts = self.subscriptions.partition_counts(topics);
        let spec = GroupSpec { members: members.collect(), partition_counts: &partition_counts };
        let targets = self.preferred_assignor(&context.config.consumer).assign(&spec);
        let changed =
            |(id, target): &(&Str, Partitions)| self.targets.get(*id).unwrap_or(&nothing.1) != target;
        self.members.keys().zip(targets).filter(changed).map(|(id, target)| (id.clone(), target)).collect()
    }

    /// Tells that a rebalance begins, and why.
    pub(super) fn note_rebalance(&self, context: &mut Context<'_>, reason: RebalanceReason) {
        context.out.notes.push(Note::RebalanceStarted { group: self.id.clone(), reason });
    }
}
