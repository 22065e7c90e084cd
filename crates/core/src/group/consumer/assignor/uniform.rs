//! `uniform` for members that all subscribe to the same topics: quotas make the balance exact.

use std::collections::BTreeSet;

use super::GroupSpec;
use crate::group::consumer::partitions::Partitions;

/// Every member gets the quotient of partitions and members, and as many as the remainder says get one more: first
/// those that have one more already, so that nothing moves that need not.
pub(super) fn assign(spec: &GroupSpec<'_>) -> Vec<Partitions> {
    let Some(first) = spec.members.first() else { return Vec::new() };
    let mut unassigned: BTreeSet<_> = first
        .topics
        .iter()
        .flat_map(|&topic| (0..spec.partition_count(topic)).map(move |p| (topic, p)))
        .collect();
    let quota = unassigned.len() / spec.members.len();
    let mut extras = unassigned.len() % spec.members.len();

    let mut targets = Vec::with_capacity(spec.members.len());
    for member in &spec.members {
        let mut target = Partitions::default();
        let mut kept = 0;
        for partition in member.target.iter().filter(|partition| unassigned.contains(partition)) {
            if kept == quota {
                if extras == 0 {
                    break;
                }
                extras -= 1;
            } else if kept > quota {
                break;
            }
            target.insert(partition.0, partition.1);
            kept += 1;
        }
        target.iter().for_each(|partition| {
            unassigned.remove(&partition);
        });
        targets.push((target, kept));
    }

    let mut unassigned = unassigned.into_iter();
    for (target, kept) in &mut targets {
        let mut room = quota.saturating_sub(*kept);
        if *kept <= quota && extras > 0 {
            extras -= 1;
            room += 1;
        }
        target.extend(unassigned.by_ref().take(room));
    }
    targets.into_iter().map(|(target, _)| target).collect()
}
