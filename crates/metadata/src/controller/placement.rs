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

/// Spreads partitions `[first, first + count)` over the brokers that are alive: leaders go round, starting at a place that
/// the topic's id chooses, and the replicas of a partition are neighbours in an order that alternates between racks.
pub(super) fn place(
    image: &Image,
    topic: TopicId,
    first: i32,
    count: i32,
    replication_factor: i16,
) -> Result<Vec<PartitionAssignment>, PlacementError> {
    let brokers = alternate_racks(image.alive_brokers());
    let alive = brokers.len();
    let replicas = usize::try_from(replication_factor).unwrap_or(0);
    if replicas > alive || alive == 0 {
        return Err(PlacementError::TooFewBrokers { wanted: replication_factor, alive });
    }
    let seed = topic.0.iter().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let assign = |partition: i32| {
        let start = seed.wrapping_add(usize::try_from(partition).unwrap_or(0)) % alive;
        let replicas: Vec<BrokerId> = brokers.iter().cycle().skip(start).take(replicas).copied().collect();
        PartitionAssignment { leader: replicas.first().copied(), isr: replicas.clone(), replicas }
    };
    Ok((first..first.saturating_add(count)).map(assign).collect())
}

/// Checks an assignment that the client chose, and picks leader and ISR from the replicas that are alive.
pub(super) fn assign(
    image: &Image,
    partition: i32,
    replicas: &[BrokerId],
    want: Option<usize>,
) -> Result<PartitionAssignment, PlacementError> {
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
    if let Some(want) = want.filter(|want| *want != replicas.len()) {
        return Err(PlacementError::UnequalReplicas { partition, got: replicas.len(), want });
    }
    let is_alive = |id: &BrokerId| image.broker(*id).is_some_and(|broker| !broker.fenced);
    let isr: Vec<BrokerId> = replicas.iter().copied().filter(is_alive).collect();
    let leader = isr.first().copied().ok_or(PlacementError::NoneAlive { partition })?;
    Ok(PartitionAssignment { replicas: replicas.to_vec(), leader: Some(leader), isr })
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
