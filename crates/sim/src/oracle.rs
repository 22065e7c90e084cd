//! What must hold after every event: the properties of logs, replicas and metadata, compared with what was promised.
//!
//! There is one truth for each partition: the batches that some leader's high watermark has ever covered. Every replica's
//! log below its own high watermark, every answer to a producer and every record served must agree with it.

use std::collections::{BTreeMap, BTreeSet};

use eddy_core::Acks;
use eddy_metadata::Partition;
use eddy_types::{BrokerId, LeaderEpoch, Offset};

use crate::broker::{Role, Token};
use crate::log::Batch;
use crate::message::Written;
use crate::scenario::Scenario;
use crate::view::View;
use crate::world::{World, id_of, index_of};

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which: L, R, M, B as in the list of properties, or the id of a machine's invariant.
    pub property: String,
    /// When, in virtual milliseconds.
    pub at_ms: u64,
    /// What was seen.
    pub seen: String,
}

#[derive(Debug, Default)]
struct Truth {
    batches: Vec<Batch>,
    end: Offset,
    /// Where each value is.
    places: BTreeMap<u64, Offset>,
    /// End of what producers were promised with acks=all.
    acked_end: Offset,
    /// The log may begin here at most.
    deleted: Offset,
}

impl Truth {
    fn at(&self, base: Offset) -> Option<&Batch> {
        let index = self.batches.partition_point(|batch| batch.base < base);
        self.batches.get(index).filter(|batch| batch.base == base)
    }
}

#[derive(Debug)]
pub(crate) struct Oracle {
    pub(crate) violation: Option<Violation>,
    truths: Vec<Truth>,
    /// Values that were certainly not written.
    rejected: BTreeSet<u64>,
    /// Who led each partition in each epoch: broker and run.
    leaders: BTreeMap<(usize, i32), (usize, u64)>,
    /// Replicas whose disk was replaced, until they are in sync again.
    wiped: BTreeSet<(usize, usize)>,
    /// Replicas that left their broker, until they are in sync there again.
    dropped: BTreeSet<(usize, usize)>,
}

impl Oracle {
    pub(crate) fn new(scenario: &Scenario) -> Oracle {
        Oracle {
            violation: None,
            truths: (0..scenario.numbers()).map(|_| Truth::default()).collect(),
            rejected: BTreeSet::new(),
            leaders: BTreeMap::new(),
            wiped: BTreeSet::new(),
            dropped: BTreeSet::new(),
        }
    }

    /// The first violation counts.
    pub(crate) fn report(&mut self, property: &str, seen: String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { property: property.to_owned(), at_ms: 0, seen });
        }
    }

    pub(crate) fn end(&self, partition: usize) -> Offset {
        self.truths[partition].end
    }

    pub(crate) fn acked_end(&self, partition: usize) -> Offset {
        self.truths[partition].acked_end
    }

    /// Somebody may move the log start up to here (L11).
    pub(crate) fn deleted(&mut self, partition: usize, before: Offset) {
        let deleted = &mut self.truths[partition].deleted;
        *deleted = (*deleted).max(before);
    }

    pub(crate) fn wipe(&mut self, broker: usize, partition: usize) {
        self.wiped.insert((broker, partition));
    }

    pub(crate) fn dropped(&mut self, broker: usize, partition: usize) {
        self.dropped.insert((broker, partition));
    }

    /// Whether it can lack what it promised without anybody being to blame.
    fn may_lack(&self, broker: usize, partition: usize) -> bool {
        self.is_wiped(broker, partition) || self.dropped.contains(&(broker, partition))
    }

    pub(crate) fn is_wiped(&self, broker: usize, partition: usize) -> bool {
        self.wiped.contains(&(broker, partition))
    }

    /// A producer learned that its batch was not written.
    pub(crate) fn rejected(&mut self, batch: &Batch) {
        if self.truths.iter().any(|truth| truth.places.contains_key(&batch.value)) {
            self.report("L9", format!("value {} was refused and is in the log", batch.value));
        }
        self.rejected.insert(batch.value);
    }

    /// A producer with acks=all got its answer.
    pub(crate) fn acknowledged(&mut self, batch: &Batch, written: Written, floor: (usize, Offset)) {
        let Written { partition, base } = written;
        let (floor_of, floor) = floor;
        if floor_of == partition && base < floor {
            let value = batch.value;
            self.report("L5", format!("value {value} at {base}, acknowledged before it began: {floor}"));
        }
        let end = base + i64::from(batch.offsets);
        let truth = &mut self.truths[partition];
        truth.acked_end = truth.acked_end.max(end);
    }

    /// A consumer passes over deleted records.
    pub(crate) fn skipped(&mut self, partition: usize, start: Offset) {
        if start > self.truths[partition].deleted {
            self.report("L11", format!("partition {partition} begins at {start}, nobody deleted that much"));
        }
    }

    /// A consumer at `position` was served a batch.
    pub(crate) fn read(
        &mut self,
        partition: usize,
        position: Offset,
        high_watermark: Offset,
        epoch: LeaderEpoch,
        batch: &Batch,
    ) {
        let truth = &self.truths[partition];
        let place = format!("partition {partition}, leader epoch {epoch}, at {position}: {batch:?}");
        if batch.base > position {
            self.report("L8", format!("a gap: {place}"));
        } else if batch.end() > high_watermark || batch.end() > truth.end {
            self.report("L7", format!("beyond what is replicated ({}): {place}", truth.end));
        } else if truth.at(batch.base) != Some(batch) {
            self.report("L2", format!("two histories, {:?} and {place}", truth.at(batch.base)));
        }
    }
}

impl World {
    /// The high watermark of a replica has moved: what it covers is the truth, or becomes it.
    pub(crate) fn judge_high_watermark(&mut self, broker: usize, partition: usize) {
        let replica = &mut self.brokers[broker].replicas[partition];
        let (leads, high_watermark) = match &replica.role {
            Role::None => return,
            Role::Leader(leader) => (true, leader.offsets().high_watermark),
            Role::Follower { machine, .. } => (false, machine.offsets().high_watermark),
        };
        let from = replica.verified.max(replica.log.start);
        replica.verified = high_watermark.max(from);
        let covered = replica.log.read(from, high_watermark).to_vec();
        let reported = &mut self.brokers[broker].reported[partition];
        *reported = (*reported).max(high_watermark);
        let grew = self.oracle.truths[partition].end < high_watermark;
        for batch in &covered {
            self.compare(broker, partition, leads, batch);
        }
        if leads && grew {
            self.judge_copies(broker, partition, high_watermark);
        }
    }

    fn compare(&mut self, broker: usize, partition: usize, leads: bool, batch: &Batch) {
        let refused = self.oracle.rejected.contains(&batch.value);
        let truth = &mut self.oracle.truths[partition];
        let who = format!("broker {broker} partition {partition}: {batch:?}");
        if batch.partition != partition {
            return self.oracle.report("a deleted topic is seen again", who);
        }
        if batch.end() <= truth.end {
            if truth.at(batch.base) != Some(batch) {
                let property = if leads { "L1" } else { "R1" };
                let other = format!("{:?}", truth.at(batch.base));
                self.oracle.report(property, format!("the log was {other}, now {who}"));
            }
            return;
        }
        if batch.base != truth.end || !leads {
            let end = truth.end;
            self.oracle.report("L4", format!("the log ends at {end}, then {who}"));
            return;
        }
        let earlier = truth.places.insert(batch.value, batch.base);
        let falls = truth.batches.last().is_some_and(|last| last.epoch > batch.epoch);
        // A replica that was filled again after a deletion does not know the producers of what is deleted.
        let deleted = truth.deleted;
        truth.end = batch.end();
        truth.batches.push(*batch);
        if let Some(earlier) = earlier.filter(|earlier| *earlier >= deleted && batch.producer.is_some()) {
            self.oracle.report("L3", format!("value at {earlier} again: {who}"));
        }
        if refused {
            self.oracle.report("L9", format!("was refused: {who}"));
        }
        if falls {
            self.oracle.report("L4", format!("leader epochs fall: {who}"));
        }
    }

    /// What the high watermark covers is on the disks of the whole ISR as its leader sees it, and of enough brokers (R5).
    fn judge_copies(&mut self, broker: usize, partition: usize, high_watermark: Offset) {
        let Role::Leader(leader) = &self.brokers[broker].replicas[partition].role else { return };
        if self.raft.head().partition(partition).is_none() {
            return;
        }
        let members: Vec<usize> = leader.isr().map(index_of).collect();
        let required = self.scenario.min_insync.min(self.scenario.replication_factor.min(self.brokers.len()));
        if members.len() < required {
            self.oracle.report("R5", format!("high watermark {high_watermark} moves with ISR {members:?}"));
        }
        for member in members {
            let on_disk = self.brokers[member].disk.synced(partition).end();
            if on_disk < high_watermark && !self.oracle.may_lack(member, partition) {
                let seen = format!("high watermark {high_watermark}, broker {member} has {on_disk} on disk");
                self.oracle.report("R5", format!("partition {partition} led by {broker}: {seen}"));
            }
        }
    }

    /// A new leader has everything that was ever promised, and nobody else leads in its epoch.
    pub(crate) fn judge_leader(&mut self, broker: usize, partition: usize, epoch: LeaderEpoch) {
        let run = (broker, self.brokers[broker].incarnation);
        let alone = self.scenario.replication_factor == 1;
        let other = *self.oracle.leaders.entry((partition, epoch.0)).or_insert(run);
        if other != run && !(alone && other.0 == broker) {
            self.oracle.report("R3", format!("partition {partition} epoch {epoch}: {other:?} and {run:?}"));
        }
        if self.raft.head().partition(partition).is_none_or(|state| epoch < state.leader_epoch) {
            // It learns late of a leadership that has ended: it can neither acknowledge nor serve what matters.
            return;
        }
        let log = &self.brokers[broker].replicas[partition].log;
        let (end, promised) = (log.end(), self.oracle.truths[partition].end);
        if end < promised {
            let seen = format!("leader {broker} of epoch {epoch} ends at {end}, promised {promised}");
            self.oracle.report("L1", format!("partition {partition}: {seen}"));
        }
        let known = log.read(log.start, promised).to_vec();
        for batch in &known {
            self.compare(broker, partition, true, batch);
        }
    }

    /// An answer leaves: what it promises is so.
    pub(crate) fn judge_ack(&mut self, broker: usize, partition: usize, token: &Token, base: Offset) {
        let truth = &self.oracle.truths[partition];
        if token.acks == Acks::All && truth.at(base).is_none_or(|batch| batch.value != token.value) {
            let (value, end) = (token.value, truth.end);
            let near: Vec<_> =
                truth.batches.iter().filter(|batch| (batch.base.0 - base.0).abs() < 4).collect();
            let seen = format!("value {value} acknowledged at {base} of {end}, there is {near:?}");
            self.oracle.report("L1", seen);
        }
        // With a lease it falls silent before others can have taken its place. Who leaves is fenced at its own wish, and who is taken
        // out of the cluster has given up its leaderships before.
        let (state, head) = (&self.brokers[broker], self.raft.head());
        let may = state.leaving || head.is_gone(id_of(broker));
        if self.scenario.lease && !may && !head.is_alive(id_of(broker), state.incarnation) {
            self.oracle.report("lease", format!("broker {broker} acknowledges and is fenced"));
        }
    }

    pub(crate) fn judge_truncation(&mut self, broker: usize, partition: usize, to: Offset) {
        let reported = self.brokers[broker].reported[partition];
        if to < reported {
            let seen = format!("broker {broker} partition {partition} cut to {to}, had reported {reported}");
            self.oracle.report("R2", seen);
        }
    }

    pub(crate) fn judge_log_start(&mut self, partition: usize, to: Offset) {
        if to > self.oracle.truths[partition].deleted {
            self.oracle
                .report("L11", format!("partition {partition} begins at {to}, nobody deleted that much"));
        }
    }

    /// The metadata group commits: elections are clean (R4), members of the ISR hold what was promised (R6), epochs rise.
    pub(crate) fn judge_commit(&mut self, before: &View, after: &View) {
        for partition in after.numbers() {
            let Some(is) = after.partition(partition) else { continue };
            self.judge_members(after, is);
            let Some(was) = before.partition(partition).filter(|was| *was != is) else { continue };
            let place = format!("partition {partition}: {was:?}, then {is:?}");
            if is.leader_epoch < was.leader_epoch || is.partition_epoch <= was.partition_epoch {
                self.oracle.report("EP-1", place.clone());
            }
            let parts = [&is.isr, &is.elr, &is.adding, &is.removing];
            if parts.into_iter().flat_map(|part| part.iter()).any(|id| !is.replicas.contains(id))
                || is.replicas.is_empty()
            {
                self.oracle.report("a stranger among the replicas", place.clone());
            }
            if is.leader != was.leader && is.leader_epoch == was.leader_epoch {
                self.oracle.report("R3", format!("another leader in the same epoch: {place}"));
            }
            // The last of the new replicas joins, and the old ones leave: any of the new ones has everything (R6).
            let complete = was.is_reassigning() && !is.is_reassigning();
            self.statistics.moves += u64::from(complete);
            let joined = |leader| complete && is.isr.contains(&leader);
            let clean = |leader| was.isr.contains(&leader) || was.elr.contains(&leader) || joined(leader);
            if is.leader != was.leader && is.leader.is_some_and(|leader| !clean(leader)) {
                self.oracle.report("R4", place.clone());
            }
            let promised = self.oracle.truths[partition].end;
            for member in is.isr.iter().map(|id| index_of(*id)) {
                let disk = &self.brokers[member].disk;
                let noticed = after.has_directory(id_of(member), disk.directory);
                let end = disk.synced(partition).end();
                if noticed && end < promised {
                    let seen = format!("broker {member} has {end} of {promised} on disk");
                    self.oracle.report("R6", format!("{seen}; {place}"));
                } else if noticed && end >= promised {
                    self.oracle.wiped.remove(&(member, partition));
                    self.oracle.dropped.remove(&(member, partition));
                }
            }
        }
    }

    /// The leader is in sync, nobody who is fenced is while there is a leader, and there is one when somebody can lead.
    fn judge_members(&mut self, image: &View, partition: &Partition) {
        let Partition { leader, isr, elr, .. } = partition;
        let led = leader.is_some_and(|leader| isr.contains(&leader));
        let fenced = |id: &BrokerId| image.is_fenced(*id);
        let sound = match leader {
            Some(_) => led && !isr.iter().any(fenced),
            None => isr.len() <= 1 && isr.iter().chain(elr.iter()).all(fenced),
        };
        if partition.replicas.iter().any(|id| image.is_gone(*id)) {
            self.oracle.report("a removed broker among the replicas", format!("{partition:?}"));
        }
        if !sound || elr.iter().any(|id| isr.contains(id)) {
            self.oracle.report(
                "ISR-1",
                format!("{partition:?} of {:?}", image.image().brokers().collect::<Vec<_>>()),
            );
        }
    }

    /// Everything is well: the same log on every replica, known to be replicated to its end (R1).
    pub(crate) fn judge_end(&mut self) {
        let head = self.raft.head();
        for partition in head.numbers() {
            let replicas = head.partition(partition).into_iter().flat_map(|state| state.replicas.iter());
            for broker in replicas.map(|id| index_of(*id)) {
                let log = self.brokers[broker].disk.synced(partition).clone();
                for batch in log.read(log.start, log.end()) {
                    self.compare(broker, partition, false, batch);
                }
                if log.batches().len() as u64 > 0 && log.end() != self.oracle.end(partition) {
                    let seen = format!("broker {broker} partition {partition} ends at {}", log.end());
                    self.oracle.report("R1", seen);
                }
            }
        }
    }
}
