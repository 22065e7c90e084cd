//! The controller's decisions: who leads, who is in sync, who may be elected.

use std::collections::BTreeMap;

use eddy_core::IsrProposal;
use eddy_types::{BrokerId, LeaderEpoch, PartitionEpoch};

use crate::mutant::Mutant;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokerState {
    pub(crate) incarnation: u64,
    pub(crate) epoch: i64,
    pub(crate) directory: u64,
    pub(crate) fenced: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionState {
    pub(crate) replicas: Vec<BrokerId>,
    pub(crate) leader: Option<BrokerId>,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) isr: Vec<BrokerId>,
    pub(crate) elr: Vec<BrokerId>,
    pub(crate) partition_epoch: PartitionEpoch,
    /// Of the replicas: who only just comes, and who leaves when all others are in sync.
    pub(crate) adding: Vec<BrokerId>,
    pub(crate) removing: Vec<BrokerId>,
}

impl PartitionState {
    pub(crate) fn is_moving(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// The replicas that it will have.
    pub(crate) fn target(&self) -> Vec<BrokerId> {
        self.replicas.iter().copied().filter(|id| !self.removing.contains(id)).collect()
    }
}

/// What has been committed, applied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) version: u64,
    pub(crate) brokers: BTreeMap<BrokerId, BrokerState>,
    pub(crate) partitions: Vec<PartitionState>,
    pub(crate) min_insync: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Record {
    Registered { broker: BrokerId, incarnation: u64, directory: u64 },
    Fenced(BrokerId),
    Partition(usize, PartitionState),
}

/// Why an ISR is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The state has moved on.
    Superseded,
    /// A member may not be one.
    Ineligible,
}

impl Image {
    pub(crate) fn apply(&mut self, record: &Record) {
        self.version += 1;
        match record {
            Record::Registered { broker, incarnation, directory } => {
                let epoch = i64::try_from(self.version).unwrap_or(i64::MAX);
                let state =
                    BrokerState { incarnation: *incarnation, epoch, directory: *directory, fenced: false };
                self.brokers.insert(*broker, state);
            }
            Record::Fenced(broker) => {
                if let Some(state) = self.brokers.get_mut(broker) {
                    state.fenced = true;
                }
            }
            Record::Partition(index, state) => self.partitions[*index] = state.clone(),
        }
    }

    fn is_alive(&self, broker: BrokerId) -> bool {
        self.brokers.get(&broker).is_some_and(|state| !state.fenced)
    }

    /// The broker epoch of a run of a broker, if it is the registered one.
    pub(crate) fn broker_epoch(&self, broker: BrokerId, incarnation: u64) -> Option<i64> {
        let state = self.brokers.get(&broker)?;
        (state.incarnation == incarnation).then_some(state.epoch)
    }
}

/// A partition without some members or with other replicas, with another leader if need be.
struct Change<'a> {
    image: &'a Image,
    before: &'a PartitionState,
    /// Replicas that are to come and to go.
    moves: Moves,
    mutant: Option<Mutant>,
}

/// All replicas, and of them who comes and who leaves.
#[derive(Clone, Debug)]
struct Moves {
    replicas: Vec<BrokerId>,
    adding: Vec<BrokerId>,
    removing: Vec<BrokerId>,
}

impl Moves {
    fn of(state: &PartitionState) -> Moves {
        Moves {
            replicas: state.replicas.clone(),
            adding: state.adding.clone(),
            removing: state.removing.clone(),
        }
    }

    /// Whoever leaves has left when all others are in sync.
    fn complete(&mut self, isr: &mut Vec<BrokerId>) {
        let stays = |id: &BrokerId| !self.removing.contains(id);
        let moving = !self.adding.is_empty() || !self.removing.is_empty();
        if moving && self.replicas.iter().filter(|id| stays(id)).all(|id| isr.contains(id)) {
            isr.retain(stays);
            self.replicas.retain(|id| !self.removing.contains(id));
            self.adding.clear();
            self.removing.clear();
        }
    }
}

impl Change<'_> {
    /// `isr` is who remains in sync; `lost` has lost its disk; `alive` says who can lead now.
    fn decide(
        &self,
        mut isr: Vec<BrokerId>,
        lost: Option<BrokerId>,
        renew: bool,
        alive: impl Fn(BrokerId) -> bool,
    ) -> Option<PartitionState> {
        let before = self.before;
        let mut moves = self.moves.clone();
        isr.retain(|member| moves.replicas.contains(member));
        moves.complete(&mut isr);
        let mut candidates: Vec<BrokerId> = before.elr.clone();
        candidates.extend(before.isr.iter().filter(|broker| !before.elr.contains(broker)));
        candidates.retain(|broker| Some(*broker) != lost && moves.replicas.contains(broker));
        let keeps = before.leader.filter(|leader| isr.contains(leader) && alive(*leader) && !renew);
        let in_isr = moves.replicas.iter().copied().find(|b| isr.contains(b) && alive(*b));
        let in_elr = moves.replicas.iter().copied().find(|b| candidates.contains(b) && alive(*b));
        let mut leader = keeps.or(in_isr).or(in_elr);
        if self.mutant == Some(Mutant::UncleanElection) {
            leader = leader.or(moves.replicas.iter().copied().find(|b| alive(*b)));
        }
        if let Some(leader) = leader.filter(|leader| !isr.contains(leader)) {
            isr = vec![leader];
        }
        if isr.is_empty() {
            // The last one stays: nobody else has everything.
            let last = |broker: &BrokerId| Some(*broker) != lost && moves.replicas.contains(broker);
            isr = before.isr.iter().copied().filter(last).collect();
        }
        let required = self.image.min_insync.min(moves.replicas.len());
        let elr = match isr.len() < required {
            true => candidates.into_iter().filter(|broker| !isr.contains(broker)).collect(),
            false => Vec::new(),
        };
        // What a replica that left had said before may still be on its way when it is given back.
        let left = before.replicas.iter().any(|id| !moves.replicas.contains(id));
        let renew = renew || (left && self.mutant != Some(Mutant::ReplicaLeavesInTheSameEpoch));
        let epoch_rises = leader != before.leader || (renew && leader.is_some());
        let after = PartitionState {
            leader,
            leader_epoch: LeaderEpoch(before.leader_epoch.0 + i32::from(epoch_rises)),
            isr,
            elr,
            partition_epoch: PartitionEpoch(before.partition_epoch.0 + 1),
            replicas: moves.replicas,
            adding: moves.adding,
            removing: moves.removing,
        };
        let same = after.replicas == before.replicas
            && after.adding == before.adding
            && after.removing == before.removing
            && after.leader_epoch == before.leader_epoch
            && after.isr == before.isr
            && after.elr == before.elr
            && after.leader == before.leader;
        (!same).then_some(after)
    }
}

/// A broker starts, or comes back after it was fenced.
pub(crate) fn register(
    image: &Image,
    broker: BrokerId,
    incarnation: u64,
    directory: u64,
    mutant: Option<Mutant>,
) -> Vec<Record> {
    let known = image.brokers.get(&broker);
    let mut records = vec![Record::Registered { broker, incarnation, directory }];
    let other_run = known.is_some_and(|state| state.incarnation != incarnation);
    let other_disk = known.is_some_and(|state| state.directory != directory)
        && mutant != Some(Mutant::WipedDiskStaysInSync);
    for (index, before) in image.partitions.iter().enumerate() {
        if !before.replicas.contains(&broker) {
            continue;
        }
        let led = before.leader == Some(broker);
        let renew = led && other_run && before.replicas.len() > 1;
        let renew = renew && mutant != Some(Mutant::LeadsAgainInTheSameEpoch);
        let isr = match other_disk {
            true => before.isr.iter().copied().filter(|member| *member != broker).collect(),
            false => before.isr.clone(),
        };
        let lost = other_disk.then_some(broker);
        let change = Change { image, before, moves: Moves::of(before), mutant };
        let alive = |other: BrokerId| other == broker || image.is_alive(other);
        records.extend(change.decide(isr, lost, renew, alive).map(|after| Record::Partition(index, after)));
    }
    records
}

/// A broker does not answer any more.
pub(crate) fn fence(image: &Image, broker: BrokerId, mutant: Option<Mutant>) -> Vec<Record> {
    if !image.is_alive(broker) {
        return Vec::new();
    }
    let mut records = move_away(image, broker, mutant);
    records.push(Record::Fenced(broker));
    records
}

/// Leaderships and ISR places leave a broker, as far as there is somebody else.
pub(crate) fn move_away(image: &Image, broker: BrokerId, mutant: Option<Mutant>) -> Vec<Record> {
    let mut records = Vec::new();
    for (index, before) in image.partitions.iter().enumerate() {
        if !before.isr.contains(&broker) && before.leader != Some(broker) {
            continue;
        }
        let isr = before.isr.iter().copied().filter(|member| *member != broker).collect();
        let change = Change { image, before, moves: Moves::of(before), mutant };
        let alive = |other: BrokerId| other != broker && image.is_alive(other);
        records.extend(change.decide(isr, None, false, alive).map(|after| Record::Partition(index, after)));
    }
    records
}

/// A leader asks for another ISR (KIP-497).
pub(crate) fn alter(
    image: &Image,
    from: BrokerId,
    index: usize,
    proposal: &IsrProposal,
    mutant: Option<Mutant>,
) -> Result<Vec<Record>, Refusal> {
    let before = &image.partitions[index];
    let based_on_this = before.leader == Some(from)
        && before.leader_epoch == proposal.leader_epoch
        && before.partition_epoch == proposal.partition_epoch;
    if !based_on_this && mutant != Some(Mutant::NoCompareAndSet) {
        return Err(Refusal::Superseded);
    }
    for member in proposal.isr.iter().filter(|member| member.broker != from) {
        let current = image.brokers.get(&member.broker);
        let eligible = current.is_some_and(|state| !state.fenced && state.epoch == member.broker_epoch);
        let unheard_of = member.broker_epoch < 0 && before.isr.contains(&member.broker);
        if !eligible && !unheard_of && mutant != Some(Mutant::StaleEpochJoins) {
            return Err(Refusal::Ineligible);
        }
    }
    let isr: Vec<BrokerId> = proposal.isr.iter().map(|member| member.broker).collect();
    let change = Change { image, before, moves: Moves::of(before), mutant };
    let after =
        change.decide(isr, None, false, |broker| Some(broker) == before.leader || image.is_alive(broker));
    let after = after.map(|after| Record::Partition(index, after));
    Ok(after.into_iter().collect())
}

/// Somebody wants other replicas of a partition, or to go back to those there were (`None`); new ones join before old ones leave.
pub(crate) fn reassign(
    image: &Image,
    index: usize,
    target: Option<&[BrokerId]>,
    mutant: Option<Mutant>,
) -> Vec<Record> {
    let before = &image.partitions[index];
    let moves = match target {
        Some(target) => move_to(before, target),
        None => {
            let stays = |id: &BrokerId| !before.adding.contains(id);
            let holds = before.isr.iter().chain(&before.elr).any(stays);
            if !before.is_moving() || !holds {
                return Vec::new();
            }
            let replicas = before.replicas.iter().copied().filter(stays).collect();
            Moves { replicas, adding: Vec::new(), removing: Vec::new() }
        }
    };
    let change = Change { image, before, moves, mutant };
    let after = change.decide(before.isr.clone(), None, false, |broker| image.is_alive(broker));
    after.map(|after| Record::Partition(index, after)).into_iter().collect()
}

/// What an earlier wish was adding and this one does not want leaves at once, unless nobody else holds the records.
fn move_to(before: &PartitionState, target: &[BrokerId]) -> Moves {
    let unwanted = |id: &BrokerId| before.adding.contains(id) && !target.contains(id);
    let last = before.isr.iter().all(unwanted);
    let stays = |id: &BrokerId| !unwanted(id) || (last && before.isr.contains(id));
    let held: Vec<BrokerId> = before.replicas.iter().copied().filter(stays).collect();
    let has = |id: &BrokerId| held.contains(id) && !before.adding.contains(id);
    let removing: Vec<BrokerId> = held.iter().copied().filter(|id| !target.contains(id)).collect();
    let adding = target.iter().copied().filter(|id| !has(id)).collect();
    let replicas = target.iter().chain(&removing).copied().collect();
    Moves { replicas, adding, removing }
}
