//! Where replicas should go: pure plans, from what the cluster is like.

use std::collections::{BTreeMap, BTreeSet};

use crate::brokers::Cluster;
use crate::positions::Place;

/// New replicas of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) place: Place,
    pub(super) from: Vec<i32>,
    pub(super) to: Vec<i32>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PlanError {
    #[error(
        "{place} has {replicas} replicas, and without broker {leaving} there are {left} brokers for them"
    )]
    TooFewBrokers { place: Place, replicas: usize, leaving: i32, left: usize },
}

/// Brokers that can take replicas, with how many they have.
struct Room<'a> {
    racks: BTreeMap<i32, Option<&'a str>>,
    load: BTreeMap<i32, usize>,
}

impl<'a> Room<'a> {
    fn new(cluster: &'a Cluster, without: Option<i32>) -> Room<'a> {
        let racks: BTreeMap<i32, Option<&str>> = cluster
            .nodes
            .iter()
            .filter(|node| Some(node.id.0) != without)
            .map(|node| (node.id.0, node.rack.as_deref()))
            .collect();
        let mut load: BTreeMap<i32, usize> = racks.keys().map(|&id| (id, 0)).collect();
        for replica in cluster.topics.iter().flat_map(|topic| &topic.partitions).flat_map(|p| &p.replicas) {
            if let Some(count) = load.get_mut(&replica.0) {
                *count += 1;
            }
        }
        Room { racks, load }
    }

    /// The best broker for one more replica beside `others`: one in a rack of its own before one with fewer replicas.
    fn best(&self, others: &[i32]) -> Option<i32> {
        let used: BTreeSet<Option<&str>> = others
            .iter()
            .filter_map(|id| self.racks.get(id))
            .filter(|rack| rack.is_some())
            .copied()
            .collect();
        let free = self.load.iter().filter(|(id, _)| !others.contains(id));
        let rank = |(id, load): &(&i32, &usize)| {
            let rack = self.racks.get(*id).copied().flatten();
            (rack.is_some() && used.contains(&rack), **load, **id)
        };
        free.min_by_key(rank).map(|(id, _)| *id)
    }

    fn moved(&mut self, from: i32, to: i32) {
        if let Some(load) = self.load.get_mut(&from) {
            *load = load.saturating_sub(1);
        }
        if let Some(load) = self.load.get_mut(&to) {
            *load += 1;
        }
    }
}

fn places(cluster: &Cluster) -> impl Iterator<Item = (Place, Vec<i32>)> + '_ {
    cluster.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            let place = Place { topic: topic.name.clone(), partition: partition.index };
            (place, partition.replicas.iter().map(|id| id.0).collect())
        })
    })
}

/// Every replica of `broker` goes to the best of the others, in its place: who was first stays first.
pub(super) fn away_from(cluster: &Cluster, broker: i32) -> Result<Vec<Move>, PlanError> {
    let mut room = Room::new(cluster, Some(broker));
    let mut moves = Vec::new();
    for (place, from) in places(cluster).filter(|(_, replicas)| replicas.contains(&broker)) {
        let others: Vec<i32> = from.iter().copied().filter(|id| *id != broker).collect();
        let Some(target) = room.best(&others) else {
            let (replicas, left) = (from.len(), room.racks.len());
            return Err(PlanError::TooFewBrokers { place, replicas, leaving: broker, left });
        };
        room.moved(broker, target);
        let to = from.iter().map(|&id| if id == broker { target } else { id }).collect();
        moves.push(Move { place, from, to });
    }
    Ok(moves)
}

/// Moves replicas from the brokers with most to those with fewest until they differ by one at most. Every partition moves
/// once at most, and no rack gets two replicas of a partition that had one.
pub(super) fn balance(cluster: &Cluster) -> Vec<Move> {
    let mut room = Room::new(cluster, None);
    let mut moves = Vec::new();
    for (place, from) in places(cluster) {
        let most =
            from.iter().copied().filter(|id| room.load.contains_key(id)).max_by_key(|id| room.load.get(id));
        let Some(most) = most else { continue };
        let others: Vec<i32> = from.iter().copied().filter(|id| *id != most).collect();
        let Some(target) = room.best(&others).filter(|target| *target != most) else { continue };
        let load = |id| room.load.get(&id).copied().unwrap_or_default();
        if load(most) <= load(target) + 1 {
            continue;
        }
        room.moved(most, target);
        let to = from.iter().map(|&id| if id == most { target } else { id }).collect();
        moves.push(Move { place, from, to });
    }
    moves
}

#[cfg(test)]
mod tests {
    use eddy_types::{BrokerId, TopicId};

    use super::*;
    use crate::Address;
    use crate::brokers::{Node, Partition, Topic};

    fn cluster(nodes: &[(i32, Option<&str>)], replicas: &[&[i32]]) -> Cluster {
        let node = |&(id, rack): &(i32, Option<&str>)| Node {
            id: BrokerId(id),
            address: Address { host: "h".to_owned(), port: 9092 },
            rack: rack.map(str::to_owned),
        };
        let partition = |(index, replicas): (i32, &&[i32])| Partition {
            index,
            leader: BrokerId::NONE,
            leader_epoch: 0,
            replicas: replicas.iter().map(|&id| BrokerId(id)).collect(),
            isr: Vec::new(),
            offline: Vec::new(),
        };
        let topic = Topic {
            name: "t".to_owned(),
            id: TopicId::ZERO,
            is_internal: false,
            error: 0,
            partitions: (0..).zip(replicas).map(partition).collect(),
        };
        Cluster { id: None, controller: None, nodes: nodes.iter().map(node).collect(), topics: vec![topic] }
    }

    fn to(moves: &[Move]) -> Vec<(i32, Vec<i32>)> {
        moves.iter().map(|one| (one.place.partition, one.to.clone())).collect()
    }

    #[test]
    fn a_drained_broker_s_replicas_go_where_there_are_fewest_and_keep_their_rank() {
        let nodes = [(1, None), (2, None), (3, None), (4, None)];
        let cluster = cluster(&nodes, &[&[1, 2], &[2, 1], &[3, 2]]);
        let moves = away_from(&cluster, 1).unwrap();
        assert_eq!(to(&moves), [(0, vec![4, 2]), (1, vec![2, 3])]);
    }

    #[test]
    fn a_drain_keeps_racks_apart_while_it_can() {
        let nodes = [(1, Some("a")), (2, Some("b")), (3, Some("b")), (4, Some("a"))];
        let moves = away_from(&cluster(&nodes, &[&[1, 2], &[4, 3], &[4, 2]]), 1).unwrap();
        assert_eq!(to(&moves), [(0, vec![4, 2])]);
    }

    #[test]
    fn a_drain_that_would_leave_too_few_brokers_is_refused() {
        let error = away_from(&cluster(&[(1, None), (2, None)], &[&[1, 2]]), 1).unwrap_err();
        assert!(matches!(error, PlanError::TooFewBrokers { replicas: 2, left: 1, .. }), "{error}");
    }

    #[test]
    fn balance_ends_when_brokers_differ_by_one_at_most() {
        let nodes = [(1, None), (2, None), (3, None)];
        let moves = balance(&cluster(&nodes, &[&[1, 2], &[1, 2], &[1, 2]]));
        assert_eq!(to(&moves), [(0, vec![1, 3]), (1, vec![3, 2])]);
        let even = cluster(&nodes, &[&[1, 2], &[2, 3], &[3, 1]]);
        assert_eq!(balance(&even), []);
    }
}
