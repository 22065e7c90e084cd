//! The invariants of a consumer group, by the ids of `docs/INVARIANTS.md`.

use std::collections::BTreeMap;

use super::ConsumerGroup;
use super::member::MemberState;
use super::subscription::Subscriptions;
use crate::group::record::Str;
use crate::invariant::check;

impl ConsumerGroup {
    /// Asserts them. Costs as much as the group has partitions and members.
    pub(in crate::group) fn check(&self) {
        self.check_owners();
        self.check_targets();
        let mut instances = BTreeMap::new();
        let mut subscriptions = Subscriptions::default();
        for (id, member) in &self.members {
            check!(CGR_2, member.epoch <= self.target_epoch, "{id} of {} at {}", self.id, member.epoch);
            let gives_back = member.state == MemberState::UnrevokedPartitions;
            check!(CGR_2, gives_back || member.revoking.is_empty(), "{id} of {}", self.id);
            subscriptions.add(&member.wishes);
            if let Some(instance) = &member.wishes.instance {
                let other = instances.insert(instance, id);
                check!(CGR_4, other.is_none(), "{instance} of {} is {other:?} and {id}", self.id);
            }
        }
        check!(CGR_2, self.target_epoch <= self.epoch, "{}: {} > {}", self.id, self.target_epoch, self.epoch);
        check!(CGR_4, self.instances.iter().eq(instances), "{}: {:?}", self.id, self.instances);
        check!(
            CGR_4,
            self.subscriptions.same_counts(&subscriptions),
            "{}: {:?}",
            self.id,
            self.subscriptions
        );
    }

    fn check_owners(&self) {
        let mut owned = 0;
        for (id, member) in &self.members {
            for (topic, partition, _) in member.assigned.iter().chain(member.revoking.iter()) {
                owned += 1;
                let owner = self.owner(topic, partition);
                check!(
                    CGR_1,
                    owner == Some(id),
                    "{topic}-{partition} of {} is {owner:?}'s and {id}'s",
                    self.id
                );
            }
        }
        let known: usize = self.owners.values().map(BTreeMap::len).sum();
        check!(CGR_1, owned == known, "{}: {owned} owned, {known} known", self.id);
    }

    fn check_targets(&self) {
        let mut targets: BTreeMap<_, &Str> = BTreeMap::new();
        for (id, target) in &self.targets {
            check!(CGR_3, self.members.contains_key(id), "{id} of {}", self.id);
            for partition in target.iter() {
                let other = targets.insert(partition, id);
                check!(CGR_3, other.is_none(), "{partition:?} of {} is for {other:?} and {id}", self.id);
            }
        }
    }
}
