//! `range`: each topic is cut into consecutive stretches, one for each subscriber.

use std::collections::BTreeMap;

use eddy_types::TopicId;

use super::{GroupSpec, MemberSpec};
use crate::group::consumer::partitions::Partitions;

/// Static members come first, by instance id: they get the same stretch after a restart, whatever member id they come
/// back with. The others follow by member id.
fn order(member: &MemberSpec<'_>) -> (bool, String) {
    match member.instance_id {
        Some(instance_id) => (false, instance_id.to_owned()),
        None => (true, member.member_id.to_owned()),
    }
}

/// What is left of a topic, and of the members that are to share it.
struct Remainder {
    next: i32,
    partitions: i32,
    subscribers: i32,
}

impl Remainder {
    /// The next stretch. Those in front get one more where the partitions do not divide evenly.
    fn take(&mut self) -> std::ops::Range<i32> {
        let share = (self.partitions + self.subscribers - 1) / self.subscribers;
        let stretch = self.next..self.next + share;
        self.next += share;
        self.partitions -= share;
        self.subscribers -= 1;
        stretch
    }
}

pub(super) fn assign(spec: &GroupSpec<'_>) -> Vec<Partitions> {
    let mut remainders: BTreeMap<TopicId, Remainder> = BTreeMap::new();
    for &topic in spec.members.iter().flat_map(|member| member.topics) {
        let partitions = spec.partition_count(topic);
        remainders.entry(topic).or_insert(Remainder { next: 0, partitions, subscribers: 0 }).subscribers += 1;
    }
    let mut members: Vec<(usize, &MemberSpec<'_>)> = spec.members.iter().enumerate().collect();
    members.sort_by_cached_key(|(_, member)| order(member));

    let mut targets = vec![Partitions::default(); spec.members.len()];
    for (index, member) in members {
        let Some(target) = targets.get_mut(index) else { continue };
        for topic in member.topics {
            let stretch = remainders.get_mut(topic).map(Remainder::take).unwrap_or_default();
            target.extend(stretch.map(|partition| (*topic, partition)));
        }
    }
    targets
}
