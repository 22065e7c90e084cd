//! `uniform` for members with different subscriptions: as even as the subscriptions allow, and sticky.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use eddy_types::TopicId;

use super::GroupSpec;
use crate::group::consumer::partitions::Partitions;

/// How often the topics are gone through for a better balance. Each round roughly halves what is uneven, so that
/// this is enough for any group that members can be sensibly told about, and bounds the time for the others.
const ROUNDS_MAX: usize = 16;

/// A topic and who has its partitions, members by their index in the spec.
struct Topic {
    id: TopicId,
    subscribers: Vec<usize>,
    owners: Vec<Option<usize>>,
    /// The owners that the partitions had before: those are the last to give a partition away.
    retained: Vec<Option<usize>>,
}

/// No member ends with two partitions more than another one that could take one of them, save where `ROUNDS_MAX` ends
/// the search.
pub(super) fn assign(spec: &GroupSpec<'_>) -> Vec<Partitions> {
    let mut topics = topics_of(spec);
    let mut loads = vec![0usize; spec.members.len()];
    retain(spec, &mut topics, &mut loads);
    // The topics with the most partitions for each subscriber come first: the others can even out what they leave.
    topics.sort_by_key(|topic| {
        let thousandths = topic.owners.len().saturating_mul(1000) / topic.subscribers.len().max(1);
        (Reverse(thousandths), topic.subscribers.len(), topic.id)
    });
    for topic in &mut topics {
        topic.fill(&mut loads);
    }
    for _ in 0..ROUNDS_MAX {
        let moved: usize = topics.iter_mut().map(|topic| topic.balance(&mut loads)).sum();
        if moved == 0 {
            break;
        }
    }
    let mut targets = vec![Partitions::default(); spec.members.len()];
    for topic in &topics {
        for (partition, owner) in (0..).zip(&topic.owners) {
            if let Some(target) = owner.and_then(|owner| targets.get_mut(owner)) {
                target.insert(topic.id, partition);
            }
        }
    }
    targets
}

fn topics_of(spec: &GroupSpec<'_>) -> Vec<Topic> {
    let mut subscribers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
    for (index, member) in spec.members.iter().enumerate() {
        for &topic in member.topics {
            subscribers.entry(topic).or_default().push(index);
        }
    }
    let topic = |(id, subscribers)| {
        let owners = vec![None; usize::try_from(spec.partition_count(id)).unwrap_or(0)];
        Topic { id, subscribers, owners, retained: Vec::new() }
    };
    subscribers.into_iter().map(topic).collect()
}

/// Leaves every partition where it is if its owner still subscribes to its topic. Expects the topics ascending.
fn retain(spec: &GroupSpec<'_>, topics: &mut [Topic], loads: &mut [usize]) {
    for (index, (member, load)) in spec.members.iter().zip(loads).enumerate() {
        for (id, partitions) in member.target.topics().filter(|(id, _)| member.topics.contains(id)) {
            let Ok(place) = topics.binary_search_by_key(id, |topic| topic.id) else { continue };
            let Some(topic) = topics.get_mut(place) else { continue };
            for &partition in partitions {
                let owner =
                    usize::try_from(partition).ok().and_then(|partition| topic.owners.get_mut(partition));
                if let Some(owner @ None) = owner {
                    *owner = Some(index);
                    *load += 1;
                }
            }
        }
    }
    for topic in topics {
        topic.retained = topic.owners.clone();
    }
}

fn load(loads: &[usize], member: usize) -> usize {
    loads.get(member).copied().unwrap_or(0)
}

fn add(loads: &mut [usize], member: usize, change: isize) {
    if let Some(load) = loads.get_mut(member) {
        *load = load.saturating_add_signed(change);
    }
}

impl Topic {
    fn by_load(&self, loads: &[usize]) -> BTreeSet<(usize, usize)> {
        self.subscribers.iter().map(|&member| (load(loads, member), member)).collect()
    }

    /// Gives each partition without an owner to the subscriber with the fewest partitions.
    fn fill(&mut self, loads: &mut [usize]) {
        let mut by_load = self.by_load(loads);
        for owner in self.owners.iter_mut().filter(|owner| owner.is_none()) {
            let Some((least, member)) = by_load.pop_first() else { return };
            *owner = Some(member);
            add(loads, member, 1);
            by_load.insert((least + 1, member));
        }
    }

    /// Moves partitions from the subscriber with the most to the one with the fewest while that makes the two more
    /// even; returns how many moved. Each move lowers the sum of the squared loads, so this ends.
    fn balance(&mut self, loads: &mut [usize]) -> usize {
        let mut takers = self.by_load(loads);
        let even = takers.first().zip(takers.last()).is_none_or(|(least, most)| most.0 - least.0 <= 1);
        if even {
            return 0;
        }
        let mut owned = self.owned();
        let mut givers: BTreeSet<(usize, usize)> =
            takers.iter().copied().filter(|(_, member)| owned.contains_key(member)).collect();
        let mut moved = 0;
        while let Some((most, giver)) = givers.pop_last() {
            let Some(&(least, taker)) = takers.first() else { break };
            if most <= least + 1 {
                break;
            }
            let Some(partition) = owned.get_mut(&giver).and_then(Vec::pop) else { continue };
            if let Some(owner) = self.owners.get_mut(partition) {
                *owner = Some(taker);
            }
            owned.entry(taker).or_default().push(partition);
            moved += 1;
            for (member, before, change) in [(giver, most, -1), (taker, least, 1)] {
                add(loads, member, change);
                takers.remove(&(before, member));
                takers.insert((load(loads, member), member));
                givers.remove(&(before, member));
                givers.insert((load(loads, member), member));
            }
        }
        moved
    }

    /// The partitions of each owner, those that it had before first: they are taken from the end.
    fn owned(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut owned: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for was_there in [true, false] {
            for (partition, owner) in self.owners.iter().enumerate() {
                let retained = self.retained.get(partition).copied().flatten();
                if let Some(owner) = *owner
                    && (retained == Some(owner)) == was_there
                {
                    owned.entry(owner).or_default().push(partition);
                }
            }
        }
        owned
    }
}
