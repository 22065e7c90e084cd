//! The next step of a member towards its target assignment, as a pure function.
//!
//! First it gives back what it is not to have and keeps its epoch meanwhile; then it takes the target's epoch and gets
//! what no other member owns. So a partition never has two owners, and a member never waits for one that waits for it.

use std::collections::BTreeSet;

use eddy_types::TopicId;

use super::member::{Member, MemberState};
use super::partitions::{OwnedPartitions, Partitions};

/// What a step depends on.
pub(super) struct Reconciliation<'a, F> {
    /// The member as it is.
    pub(super) member: &'a Member,
    /// The epoch of the target assignment.
    pub(super) target_epoch: i32,
    /// What the member shall have in the end.
    pub(super) target: &'a Partitions,
    /// The topics that it subscribes to now. The target may be older than the subscription.
    pub(super) subscribed: &'a BTreeSet<TopicId>,
    /// Whether this request changed the subscription.
    pub(super) subscription_changed: bool,
    /// What the member says it owns; `None` when it did not say, so that nothing is known to be given back.
    pub(super) owned: Option<&'a Partitions>,
    /// Whether another member owns a partition.
    pub(super) is_taken: F,
}

impl<F: Fn(TopicId, i32) -> bool> Reconciliation<'_, F> {
    /// The member after the step; equal to the one before if there is none to take.
    pub(super) fn step(&self) -> Member {
        let member = self.member;
        match member.state {
            MemberState::Stable if member.epoch != self.target_epoch => self.towards_target(),
            MemberState::UnrevokedPartitions if !self.owns(&member.revoking) => self.towards_target(),
            MemberState::Stable | MemberState::UnrevokedPartitions if self.subscription_changed => {
                self.without_unsubscribed()
            }
            MemberState::Stable | MemberState::UnrevokedPartitions => member.clone(),
            MemberState::UnreleasedPartitions | MemberState::Unknown => self.towards_target(),
        }
    }

    fn owns(&self, partitions: &OwnedPartitions) -> bool {
        !partitions.is_empty() && self.owned.is_none_or(|owned| partitions.intersects(owned))
    }

    fn wants(&self, topic: TopicId, partition: i32) -> bool {
        self.subscribed.contains(&topic) && self.target.contains(topic, partition)
    }

    fn towards_target(&self) -> Member {
        let member = self.member;
        let (mut assigned, revoking) = member.assigned.split(|topic, partition| self.wants(topic, partition));
        if self.owns(&revoking) {
            let state = MemberState::UnrevokedPartitions;
            return Member { state, assigned, revoking, ..member.clone() };
        }
        let mut state = MemberState::Stable;
        for (topic, partition) in self.target.iter().filter(|&(topic, _)| self.subscribed.contains(&topic)) {
            if assigned.contains(topic, partition) {
                continue;
            }
            if (self.is_taken)(topic, partition) {
                state = MemberState::UnreleasedPartitions;
            } else {
                assigned.insert(topic, partition, self.target_epoch);
            }
        }
        let previous_epoch =
            if member.epoch == self.target_epoch { member.previous_epoch } else { member.epoch };
        Member {
            wishes: member.wishes.clone(),
            epoch: self.target_epoch,
            previous_epoch,
            state,
            assigned,
            revoking: OwnedPartitions::default(),
        }
    }

    /// The target may lag behind a subscription, as long as the next one must not be made yet. What the member does
    /// not subscribe to any more is taken back at once.
    fn without_unsubscribed(&self) -> Member {
        let member = self.member;
        let (assigned, unsubscribed) = member.assigned.split(|topic, _| self.subscribed.contains(&topic));
        if unsubscribed.is_empty() {
            return member.clone();
        }
        let mut revoking = member.revoking.clone();
        revoking.extend(unsubscribed.iter());
        if self.owns(&revoking) {
            return Member { state: MemberState::UnrevokedPartitions, assigned, revoking, ..member.clone() };
        }
        Member { assigned, ..member.clone() }
    }
}
