//! The next state of one partition: who is in the ISR, who stays eligible, who leads.
//!
//! Every decision that touches a partition ends here, so that the rules of elections, of eligible leaders
//! and of completed reassignments stand in one place. One change is one record, with the next partition
//! epoch; the leader epoch rises when the leader changes, also to none, and when a leader must begin anew: after its restart, and when
//! a replica has left.

use eddy_types::{BrokerId, LeaderEpoch, PartitionEpoch};

use super::min_isr::MinIsr;
use crate::{Assignment, Image, PlacedPartition, Record};

/// How gladly a broker is made a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fitness {
    /// Fenced, or not registered.
    Not,
    /// About to stop: better than nobody.
    LastResort,
    /// Being emptied, or just started: somebody else would be better.
    Reluctant,
    /// Alive and well.
    Fit,
}

/// The brokers as they stand when the records of a decision are applied.
pub(super) struct Standing<'a> {
    image: &'a Image,
    min_isr: MinIsr,
    /// A broker whose standing the decision itself changes.
    changed: Option<(BrokerId, Fitness)>,
}

impl<'a> Standing<'a> {
    /// As in the image.
    pub(super) fn of(image: &'a Image) -> Standing<'a> {
        Standing { image, min_isr: MinIsr::of(image), changed: None }
    }

    /// As in the image, but for one broker.
    pub(super) fn with(image: &'a Image, broker: BrokerId, fitness: Fitness) -> Standing<'a> {
        Standing { changed: Some((broker, fitness)), ..Standing::of(image) }
    }

    /// As in the image, but for `min.insync.replicas`.
    pub(super) fn with_min_isr(image: &'a Image, min_isr: MinIsr) -> Standing<'a> {
        Standing { min_isr, ..Standing::of(image) }
    }

    pub(super) fn fitness(&self, broker: BrokerId) -> Fitness {
        if let Some((_, fitness)) = self.changed.filter(|(changed, _)| *changed == broker) {
            return fitness;
        }
        match self.image.broker(broker) {
            None => Fitness::Not,
            Some(known) if known.fenced => Fitness::Not,
            Some(known) if known.shutting_down => Fitness::LastResort,
            Some(known) if known.draining => Fitness::Reluctant,
            Some(_) => Fitness::Fit,
        }
    }

    /// The fittest of some brokers, the first among equals; `None` when none can lead.
    fn fittest(&self, brokers: impl Iterator<Item = BrokerId>) -> Option<(Fitness, BrokerId)> {
        let mut best = None;
        for broker in brokers {
            let fitness = self.fitness(broker);
            if fitness > best.map_or(Fitness::Not, |(fitness, _)| fitness) {
                best = Some((fitness, broker));
            }
        }
        best
    }
}

/// Who shall lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The leader there is, as long as it can.
    Keep,
    /// The fittest; among equals the leader there is.
    Fittest,
    /// This broker, if it can.
    Of(BrokerId),
    /// Anybody who is alive, when nobody can lead without a loss.
    Unclean,
}

/// A partition being changed.
pub(super) struct Change<'a> {
    at: PlacedPartition<'a>,
    isr: Vec<BrokerId>,
    assignment: Assignment,
    /// The broker whose copy of the partition is gone.
    lost: Option<BrokerId>,
    /// Whether the leader must have a new epoch, even when it stays.
    new_epoch: bool,
}

impl<'a> Change<'a> {
    /// Begins with the state there is.
    pub(super) fn of(at: PlacedPartition<'a>) -> Change<'a> {
        let assignment = Assignment {
            replicas: at.partition.replicas.to_vec(),
            adding: at.partition.adding.to_vec(),
            removing: at.partition.removing.to_vec(),
        };
        Change { at, isr: at.partition.isr.to_vec(), assignment, lost: None, new_epoch: false }
    }

    /// Takes a broker out of the ISR, unless it is the last member: somebody must be known to hold the records.
    pub(super) fn leave_isr(&mut self, broker: BrokerId) {
        if self.isr.len() > 1 {
            self.isr.retain(|member| *member != broker);
        }
    }

    /// A broker's copy is gone: whatever it was, it is no longer.
    pub(super) fn lose(&mut self, broker: BrokerId) {
        self.isr.retain(|member| *member != broker);
        self.lost = Some(broker);
    }

    /// Whoever leads begins a new epoch.
    pub(super) fn begin_epoch(&mut self) {
        self.new_epoch = true;
    }

    /// Sets the ISR; its members stand in the order of the replicas from now on.
    pub(super) fn set_isr(&mut self, isr: &[BrokerId]) {
        self.isr = self.assignment.replicas.iter().copied().filter(|id| isr.contains(id)).collect();
    }

    /// Sets the replicas; who is none of them leaves the ISR.
    pub(super) fn assign(&mut self, assignment: Assignment) {
        self.isr.retain(|member| assignment.replicas.contains(member));
        self.assignment = assignment;
    }

    /// The record of the change, `None` when it changes nothing.
    pub(super) fn finish(mut self, standing: &Standing<'_>, election: Election) -> Option<Record> {
        self.complete_reassignment();
        let (leader, clean) = self.elect(standing, election);
        let elr = if clean { self.eligible(standing) } else { Vec::new() };
        self.record(leader, elr)
    }

    /// A reassignment is complete when every replica that shall stay is in the ISR.
    fn complete_reassignment(&mut self) {
        let Assignment { replicas, adding, removing } = &mut self.assignment;
        if adding.is_empty() && removing.is_empty() {
            return;
        }
        let stays = |id: &BrokerId| !removing.contains(id);
        if replicas.iter().filter(|id| stays(id)).all(|id| self.isr.contains(id)) {
            replicas.retain(stays);
            self.isr.retain(stays);
            adding.clear();
            removing.clear();
        }
    }

    /// Elects a leader, and tells whether nothing committed was given up for it.
    fn elect(&mut self, standing: &Standing<'_>, election: Election) -> (Option<BrokerId>, bool) {
        let in_order = self.assignment.replicas.iter().copied();
        let best = standing.fittest(in_order.clone().filter(|id| self.isr.contains(id)));
        if let Some(best) = best {
            return (Some(self.choose(standing, election, best)), true);
        }
        let old = self.at.partition;
        let eligible = |id: &BrokerId| old.elr.contains(id) && self.lost != Some(*id);
        if let Some((_, elected)) = standing.fittest(in_order.clone().filter(eligible)) {
            self.isr = vec![elected];
            return (Some(elected), true);
        }
        if election == Election::Unclean || self.at.topic.config.unclean_leader_election_enable {
            // The copy that is gone is the worst of all, and still better than nobody for who asked for this.
            let has_copy = |id: &BrokerId| self.lost != Some(*id);
            let elected = standing.fittest(in_order.clone().filter(has_copy));
            if let Some((_, elected)) = elected.or_else(|| standing.fittest(in_order.clone())) {
                self.isr = vec![elected];
                return (Some(elected), false);
            }
        }
        if self.isr.is_empty() {
            // An eligible leader holds as much as a member of the ISR while nobody leads.
            self.isr.extend(in_order.clone().find(eligible));
        }
        (None, true)
    }

    /// One of the members of the ISR that can lead, of which `best` is the fittest.
    fn choose(
        &self,
        standing: &Standing<'_>,
        election: Election,
        (best_fitness, best): (Fitness, BrokerId),
    ) -> BrokerId {
        if let Election::Of(wanted) = election
            && self.isr.contains(&wanted)
            && standing.fitness(wanted) > Fitness::Not
        {
            return wanted;
        }
        let current = self.at.partition.leader.filter(|leader| self.isr.contains(leader));
        let Some(current) = current else { return best };
        match standing.fitness(current) {
            Fitness::Not => best,
            fitness if election == Election::Fittest && fitness < best_fitness => best,
            _ => current,
        }
    }

    /// Replicas outside the ISR that hold everything below the high watermark. It stands still while the ISR is below
    /// `min.insync.replicas`, so whoever was in the ISR or eligible before stays so (KIP-966).
    fn eligible(&self, standing: &Standing<'_>) -> Vec<BrokerId> {
        let old = self.at.partition;
        if self.isr.len() >= standing.min_isr.for_topic(self.at.topic) {
            return Vec::new();
        }
        let holds = |id: &BrokerId| {
            (old.isr.contains(id) || old.elr.contains(id)) && !self.isr.contains(id) && self.lost != Some(*id)
        };
        self.assignment.replicas.iter().copied().filter(holds).collect()
    }

    fn record(self, leader: Option<BrokerId>, elr: Vec<BrokerId>) -> Option<Record> {
        let old = self.at.partition;
        let next = self.assignment;
        let moved =
            *next.replicas != *old.replicas || *next.adding != *old.adding || *next.removing != *old.removing;
        // A replica that left may be given back before the leader has read what it said in its former life, of a log that is
        // gone: in another epoch that does not count (KIP-903 tells apart the lives of a broker, not those of a replica).
        let left = old.replicas.iter().any(|id| !next.replicas.contains(id));
        let elected = leader != old.leader || ((self.new_epoch || left) && leader.is_some());
        if !moved && !elected && *self.isr == *old.isr && *elr == *old.elr {
            return None;
        }
        Some(Record::PartitionChanged {
            topic_id: self.at.topic.id,
            partition: self.at.index,
            leader,
            leader_epoch: LeaderEpoch(old.leader_epoch.0.saturating_add(i32::from(elected))),
            isr: self.isr,
            elr,
            assignment: moved.then_some(next),
            partition_epoch: PartitionEpoch(old.partition_epoch.0.saturating_add(1)),
        })
    }
}
