//! Which brokers hold a new partition, and which of them leads it.

use std::collections::BTreeMap;

use eddy_types::{BrokerId, ErrorCode, TopicId};

use crate::{Broker, Image, PartitionAssignment};

/// Why partitions cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// More replicas than brokers.
    #[error("replication factor {wanted} is larger than the number of available brokers: {alive}")]
    TooFewBrokers {
        /// Replicas asked for.
        wanted: i16,
        /// Brokers alive.
        alive: usize,
    },
    /// A given assignment has no replicas.
    #[error("partition {partition} is assigned to no broker")]
    NoReplicas {
        /// The partition.
        partition: i32,
    },
    /// A given assignment names a broker twice.
    #[error("partition {partition} is assigned twice to broker {broker}")]
    DuplicateReplica {
        /// The partition.
        partition: i32,
        /// The broker.
        broker: BrokerId,
    },
    /// A given assignment names a broker that is not there.
    #[error("partition {partition} is assigned to broker {broker}, which is not registered")]
    UnknownBroker {
        /// The partition.
        partition: i32,
        /// The broker.
        broker: BrokerId,
    },
    /// Given assignments differ in length.
    #[error("partition {partition} is assigned to {got} brokers instead of {want}")]
    UnequalReplicas {
        /// The partition.
        partition: i32,
        /// Its replicas.
        got: usize,
        /// Replicas of the others.
        want: usize,
    },
    /// None of the brokers of a given assignment is alive.
    #[error("no broker of the assignment of partition {partition} is alive")]
    NoneAlive {
        /// The partition.
        partition: i32,
    },
    /// Given partitions are not 0, 1, 2, …, or not as many as are to be added.
    #[error("assigned partitions must be consecutive and complete: expected {want}, got {got}")]
    Incomplete {
        /// Index or count expected.
        want: i32,
        /// Index or count found.
        got: i32,
    },
}

impl PlacementError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            PlacementError::TooFewBrokers { .. } => ErrorCode::InvalidReplicationFactor,
            PlacementError::NoReplicas { .. }
            | PlacementError::DuplicateReplica { .. }
            | PlacementError::UnknownBroker { .. }
            | PlacementError::UnequalReplicas { .. }
            | PlacementError::NoneAlive { .. }
            | PlacementError::Incomplete { .. } => ErrorCode::InvalidReplicaAssignment,
        }
    }
}

/// Spreads partitions `[first, first + count)` over the brokers that take more: leaders go round, starting at a place that
/// the topic's id chooses, and the replicas of a partition are neighbours in an order that alternates between racks. Where
/// there are too few of them, brokers that are fenced get the rest, outside the ISR: they will catch up.
pub(super) fn place(
    image: &Image,
    topic: TopicId,
    first: i32,
    count: i32,
    replication_factor: i16,
) -> Result<Vec<PartitionAssignment>, PlacementError> {
    let brokers = alternate_racks(image.brokers().filter(|broker| broker.takes_more()));
    let absent = alternate_racks(image.brokers().filter(|broker| !broker.is_active() && !broker.draining));
    let alive = brokers.len();
    let replicas = usize::try_from(replication_factor).unwrap_or(0);
    if replicas > alive + absent.len() || alive == 0 {
        return Err(PlacementError::TooFewBrokers { wanted: replication_factor, alive });
    }
    let seed = topic.0.iter().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let assign = |partition: i32| {
        let start = seed.wrapping_add(usize::try_from(partition).unwrap_or(0));
        let from = |brokers: &[BrokerId], count: usize| {
            let skipped = start.checked_rem(brokers.len()).unwrap_or(0);
            brokers.iter().copied().cycle().skip(skipped).take(count).collect::<Vec<_>>()
        };
        let isr = from(&brokers, replicas.min(alive));
        let mut replicas_placed = isr.clone();
        replicas_placed.extend(from(&absent, replicas.saturating_sub(alive)));
        PartitionAssignment { leader: isr.first().copied(), isr, replicas: replicas_placed }
    };
    Ok((first..first.saturating_add(count)).map(assign).collect())
}

/// Checks replicas that the client chose: some, each once, all registered.
pub(super) fn check(image: &Image, partition: i32, replicas: &[BrokerId]) -> Result<(), PlacementError> {
    if replicas.is_empty() {
        return Err(PlacementError::NoReplicas { partition });
    }
    for (index, broker) in replicas.iter().enumerate() {
        if replicas.iter().take(index).any(|earlier| earlier == broker) {
            return Err(PlacementError::DuplicateReplica { partition, broker: *broker });
        }
        if image.broker(*broker).is_none() {
            return Err(PlacementError::UnknownBroker { partition, broker: *broker });
        }
    }
    Ok(())
}

/// Checks an assignment that the client chose, and picks leader and ISR from the replicas that are active.
pub(super) fn assign(
    image: &Image,
    partition: i32,
    replicas: &[BrokerId],
    want: Option<usize>,
) -> Result<PartitionAssignment, PlacementError> {
    check(image, partition, replicas)?;
    if let Some(want) = want.filter(|want| *want != replicas.len()) {
        return Err(PlacementError::UnequalReplicas { partition, got: replicas.len(), want });
    }
    let is_active = |id: &BrokerId| image.broker(*id).is_some_and(Broker::is_active);
    let isr: Vec<BrokerId> = replicas.iter().copied().filter(is_active).collect();
    let leader = isr.first().copied().ok_or(PlacementError::NoneAlive { partition })?;
    Ok(PartitionAssignment { replicas: replicas.to_vec(), leader: Some(leader), isr })
}

/// Finds brokers that take over replicas: those with the fewest, of a rack that the partition does not have yet if there
/// is one.
pub(super) struct Takers<'a> {
    /// Brokers that take more, with the number of replicas each has or is about to get.
    brokers: Vec<(&'a Broker, usize)>,
    image: &'a Image,
}

impl<'a> Takers<'a> {
    /// All brokers that take more, but for `leaving`.
    pub(super) fn of(image: &'a Image, leaving: Option<BrokerId>) -> Takers<'a> {
        let mut load: BTreeMap<BrokerId, usize> = BTreeMap::new();
        for placed in image.partitions() {
            for broker in placed.partition.target_replicas() {
                *load.entry(broker).or_default() += 1;
            }
        }
        let takes_more = |broker: &&Broker| broker.takes_more() && Some(broker.id) != leaving;
        let loaded = |broker: &'a Broker| (broker, load.get(&broker.id).copied().unwrap_or(0));
        Takers { brokers: image.brokers().filter(takes_more).map(loaded).collect(), image }
    }

    /// A broker for the place of `leaving` among `replicas`; it counts as having one more from now on.
    pub(super) fn take(&mut self, replicas: &[BrokerId], leaving: BrokerId) -> Option<BrokerId> {
        let staying = replicas.iter().filter(|id| **id != leaving);
        let racks: Vec<&str> = staying.filter_map(|id| self.image.broker(*id)?.rack.as_deref()).collect();
        let shares_rack = |broker: &Broker| broker.rack.as_deref().is_some_and(|rack| racks.contains(&rack));
        let free = self.brokers.iter_mut().filter(|(broker, _)| !replicas.contains(&broker.id));
        let (broker, load) = free.min_by_key(|(broker, load)| (shares_rack(broker), *load, broker.id))?;
        *load += 1;
        Some(broker.id)
    }
}

/// Brokers with the first of each rack before the second of any.
fn alternate_racks<'a>(brokers: impl Iterator<Item = &'a Broker>) -> Vec<BrokerId> {
    let mut taken: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    let mut order: Vec<(usize, BrokerId)> = brokers
        .map(|broker| {
            let turn = taken.entry(broker.rack.as_deref()).or_default();
            *turn += 1;
            (*turn, broker.id)
        })
        .collect();
    // A stable sort by turn alone: without racks every broker has a turn of its own and the order stays that of the ids.
    order.sort_by_key(|(turn, _)| *turn);
    order.into_iter().map(|(_, id)| id).collect()
}
