//! A broker is emptied, and leaves the cluster.

use eddy_types::{BrokerId, ErrorCode};

use super::change::{Change, Election, Fitness, Standing};
use super::elections::MOVES_PER_ROUND_MAX;
use super::placement::Takers;
use super::reassignments::{cancel, move_to};
use crate::{Image, PlacedPartition, Record};

/// Most partitions that a drain moves at a time; the next follow as these complete.
pub const DRAINS_AT_ONCE_MAX: usize = 32;

/// Why a broker is not drained or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// It is not registered.
    #[error("broker {0} is not registered")]
    UnknownBroker(BrokerId),
    /// It still holds partitions.
    #[error("broker {broker} still holds {partitions} partitions")]
    NotEmpty {
        /// The broker.
        broker: BrokerId,
        /// Partitions that name it as a replica.
        partitions: usize,
    },
    /// Only a dead broker can be removed with what it holds.
    #[error("broker {0} is alive")]
    Alive(BrokerId),
}

impl DrainError {
    /// Kafka's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            DrainError::UnknownBroker(_) => ErrorCode::BrokerIdNotRegistered,
            DrainError::NotEmpty { .. } | DrainError::Alive(_) => ErrorCode::InvalidRequest,
        }
    }
}

/// When a broker may leave the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// When it holds nothing.
    WhenEmpty,
    /// When it is dead: what only it held is lost unless it comes back.
    WhenDead,
}

/// How far a decommission has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decommission {
    /// The broker is being drained.
    Draining {
        /// Partitions it still holds.
        partitions: usize,
        /// Those of them that no other broker can take.
        stuck: usize,
    },
    /// The broker is removed.
    Removed,
}

/// Begins to empty a broker: it gets nothing new, its leaderships move at once, its replicas as there is room
/// ([`DRAINS_AT_ONCE_MAX`]); [`upkeep`] goes on with it. No records for a broker that is being drained already.
pub fn drain_broker(image: &Image, broker: BrokerId) -> Result<Vec<Record>, DrainError> {
    let known = image.broker(broker).ok_or(DrainError::UnknownBroker(broker))?;
    if known.draining {
        return Ok(Vec::new());
    }
    let fitness = Standing::of(image).fitness(broker).min(Fitness::Reluctant);
    let standing = Standing::with(image, broker, fitness);
    let mut records = vec![Record::BrokerDraining { broker, draining: true }];
    records.extend(go_on(image, &standing, Some(broker)));
    Ok(records)
}

/// Ends a drain: replicas that are leaving stay; those that left do not come back by themselves. No records for a broker
/// that is not being drained.
pub fn undrain_broker(image: &Image, broker: BrokerId) -> Result<Vec<Record>, DrainError> {
    let known = image.broker(broker).ok_or(DrainError::UnknownBroker(broker))?;
    if !known.draining {
        return Ok(Vec::new());
    }
    let standing = Standing::of(image);
    let leaving = image.partitions().filter(|at| at.partition.removing.contains(&broker));
    let back = leaving.filter_map(|at| cancel(at).ok()?.finish(&standing, Election::Keep));
    Ok(std::iter::once(Record::BrokerDraining { broker, draining: false }).chain(back).collect())
}

/// Takes a broker out of the cluster (UnregisterBroker).
pub fn remove_broker(image: &Image, broker: BrokerId, removal: Removal) -> Result<Vec<Record>, DrainError> {
    let known = image.broker(broker).ok_or(DrainError::UnknownBroker(broker))?;
    let partitions = image.partitions_of(broker).count();
    match removal {
        Removal::WhenEmpty if partitions > 0 => Err(DrainError::NotEmpty { broker, partitions }),
        Removal::WhenDead if !known.fenced => Err(DrainError::Alive(broker)),
        Removal::WhenEmpty | Removal::WhenDead => Ok(vec![Record::BrokerRemoved { broker }]),
    }
}

/// Drains a broker and takes it out of the cluster; to be called again until it is removed.
pub fn decommission(image: &Image, broker: BrokerId) -> Result<(Vec<Record>, Decommission), DrainError> {
    let records = drain_broker(image, broker)?;
    let takers: Vec<BrokerId> = image
        .brokers()
        .filter(|taker| taker.takes_more() && taker.id != broker)
        .map(|taker| taker.id)
        .collect();
    let (mut partitions, mut stuck) = (0, 0);
    for held in image.partitions_of(broker) {
        let stays = !held.partition.removing.contains(&broker);
        partitions += 1;
        stuck += usize::from(stays && takers.iter().all(|taker| held.partition.replicas.contains(taker)));
    }
    if partitions == 0 {
        return Ok((vec![Record::BrokerRemoved { broker }], Decommission::Removed));
    }
    Ok((records, Decommission::Draining { partitions, stuck }))
}

/// What the leader of the metadata group does from time to time (every second, say): leaderless partitions get a leader that
/// has become possible, reassignments that an election made complete end, and drains go on. Nothing to do gives no records.
#[must_use]
pub fn upkeep(image: &Image) -> Vec<Record> {
    go_on(image, &Standing::of(image), None)
}

/// One round of upkeep, with the drain of `beginning` as if it were under way.
fn go_on(image: &Image, standing: &Standing<'_>, beginning: Option<BrokerId>) -> Vec<Record> {
    let drains =
        |id: &BrokerId| Some(*id) == beginning || image.broker(*id).is_some_and(|broker| broker.draining);
    let draining: Vec<BrokerId> = image.brokers().map(|broker| broker.id).filter(drains).collect();
    let mut moves = (!draining.is_empty()).then(|| Moves::of(image, beginning));
    let mut records = Vec::new();
    for at in image.partitions() {
        let partition = at.partition;
        let leaves = |id: &BrokerId| draining.contains(id) && !partition.removing.contains(id);
        let led_elsewhere = partition.leader.is_some_and(|leader| !draining.contains(&leader));
        if led_elsewhere && !partition.replicas.iter().any(leaves) && !partition.is_reassigning() {
            continue;
        }
        let moved = moves.as_mut().and_then(|moves| moves.begin(at, leaves));
        let change = moved.unwrap_or_else(|| Change::of(at));
        let election = if led_elsewhere { Election::Keep } else { Election::Fittest };
        records.extend(change.finish(standing, election));
        if records.len() >= MOVES_PER_ROUND_MAX && beginning.is_none() {
            break;
        }
    }
    records
}

/// Replicas on their way from brokers that are being drained.
struct Moves<'a> {
    takers: Takers<'a>,
    /// Partitions that may still begin to move.
    room: usize,
}

impl<'a> Moves<'a> {
    fn of(image: &'a Image, beginning: Option<BrokerId>) -> Moves<'a> {
        let under_way = image.partitions().filter(|at| at.partition.is_reassigning()).count();
        let room = DRAINS_AT_ONCE_MAX.saturating_sub(under_way);
        Moves { takers: Takers::of(image, beginning), room }
    }

    /// Begins to move a partition, if there is room, it does not move already, and somebody can take what leaves.
    fn begin<'p>(
        &mut self,
        at: PlacedPartition<'p>,
        leaves: impl Fn(&BrokerId) -> bool,
    ) -> Option<Change<'p>> {
        if self.room == 0 || at.partition.is_reassigning() {
            return None;
        }
        let mut target = at.partition.replicas.to_vec();
        let mut moved = false;
        for leaving in at.partition.replicas.iter().copied().filter(leaves) {
            let Some(taker) = self.takers.take(&target, leaving) else { continue };
            for place in target.iter_mut().filter(|id| **id == leaving) {
                *place = taker;
            }
            moved = true;
        }
        if !moved {
            return None;
        }
        self.room -= 1;
        Some(move_to(at, &target))
    }
}
