//! What must hold after every event: the properties of logs, replicas and metadata, compared with what was promised.
//!
//! There is one truth for each partition (see [`truth`](crate::truth)): the batches that some leader's high watermark has ever covered.
//! Every replica's log below its own high watermark, every answer to a producer and every record served must agree with it.

use std::collections::{BTreeMap, BTreeSet};

use eddy_core::Acks;
use eddy_types::{LeaderEpoch, Offset};

use crate::broker::{Replica, Role, Token};
use crate::log::Batch;
use crate::message::Written;
use crate::scenario::Scenario;
use crate::truth::History;
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

/// The greatest high watermark that a disk's replica has reported, and on which line of the history.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reported {
    line: usize,
    upto: Offset,
}

/// What was acknowledged of a partition when something began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    partition: usize,
    line: usize,
    end: Offset,
}

#[derive(Debug)]
pub(crate) struct Oracle {
    pub(crate) violation: Option<Violation>,
    pub(crate) histories: Vec<History>,
    /// Values that were certainly not written.
    rejected: BTreeSet<u64>,
    /// Who led each partition in each epoch: broker and run.
    leaders: BTreeMap<(usize, i32), (usize, u64)>,
    /// Replicas whose disk was replaced, until they are in sync again.
    pub(crate) wiped: BTreeSet<(usize, usize)>,
    /// Replicas that left their broker, until they are in sync there again.
    pub(crate) dropped: BTreeSet<(usize, usize)>,
}

impl Oracle {
    pub(crate) fn new(scenario: &Scenario) -> Oracle {
        Oracle {
            violation: None,
            histories: (0..scenario.numbers()).map(|_| History::new()).collect(),
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
        self.histories[partition].newest().end
    }

    /// What was acknowledged of a partition up to now.
    pub(crate) fn floor(&self, partition: usize) -> Floor {
        let history = &self.histories[partition];
        Floor { partition, line: history.newest_line(), end: history.newest().acked_end }
    }

    /// Somebody may move the log start up to here (L11).
    pub(crate) fn deleted(&mut self, partition: usize, before: Offset) {
        let deleted = &mut self.histories[partition].deleted;
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
        let holds = |history: &History| history.all().any(|truth| truth.places.contains_key(&batch.value));
        if self.histories.iter().any(holds) {
            self.report("L9", format!("value {} was refused and is in the log", batch.value));
        }
        self.rejected.insert(batch.value);
    }

    /// A producer with acks=all got its answer.
    pub(crate) fn acknowledged(&mut self, batch: &Batch, written: Written, floor: Floor) {
        let Written { partition, epoch, base } = written;
        let line = self.histories[partition].line(epoch);
        if (floor.partition, floor.line) == (partition, line) && base < floor.end {
            let value = batch.value;
            self.report("L5", format!("value {value} at {base}, acknowledged before it began: {floor:?}"));
        }
        let end = base + i64::from(batch.offsets);
        let truth = self.histories[partition].of_mut(epoch);
        truth.acked_end = truth.acked_end.max(end);
    }

    /// A consumer passes over deleted records.
    pub(crate) fn skipped(&mut self, partition: usize, start: Offset) {
        if start > self.histories[partition].deleted {
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
        let truth = self.histories[partition].of(epoch);
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
        let epoch = replica.role.epoch();
        let from = replica.verified.max(replica.log.start);
        replica.verified = high_watermark.max(from);
        let covered = replica.log.read(from, high_watermark).to_vec();
        let line = self.oracle.histories[partition].line(epoch);
        let reported = &mut self.brokers[broker].reported[partition];
        let so_far = if reported.line == line { reported.upto } else { Offset::ZERO };
        *reported = Reported { line, upto: so_far.max(high_watermark) };
        let grew = self.oracle.histories[partition].of(epoch).end < high_watermark;
        for batch in &covered {
            self.compare(broker, partition, epoch, leads, batch);
        }
        if leads && grew {
            self.judge_copies(broker, partition, high_watermark);
        }
    }

    fn compare(&mut self, broker: usize, partition: usize, epoch: LeaderEpoch, leads: bool, batch: &Batch) {
        let refused = self.oracle.rejected.contains(&batch.value);
        let history = &mut self.oracle.histories[partition];
        // A replica that was filled again after a deletion does not know the producers of what is deleted.
        let deleted = history.deleted;
        let truth = history.of_mut(epoch);
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
        let history = &self.oracle.histories[partition];
        let is_past = history.line(leader.epoch()) < history.newest_line();
        if is_past || self.raft.head().partition(partition).is_none() {
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
        let replica = &self.brokers[broker].replicas[partition];
        let Replica { log, durable_end, .. } = replica;
        let lost =
            self.oracle.histories[partition].led_by(epoch, log, *durable_end, replica.high_watermark());
        self.statistics.losses += u64::from(lost);
        if self.raft.head().partition(partition).is_none_or(|state| epoch < state.leader_epoch) {
            // It learns late of a leadership that has ended: it can neither acknowledge nor serve what matters.
            return;
        }
        let (end, promised) = (log.end(), self.oracle.histories[partition].of(epoch).end);
        if end < promised {
            let seen = format!("leader {broker} of epoch {epoch} ends at {end}, promised {promised}");
            self.oracle.report("L1", format!("partition {partition}: {seen}"));
        }
        let known = log.read(log.start, promised).to_vec();
        for batch in &known {
            self.compare(broker, partition, epoch, true, batch);
        }
    }

    /// An answer leaves: what it promises is so.
    pub(crate) fn judge_ack(&mut self, broker: usize, partition: usize, token: &Token, base: Offset) {
        let epoch = self.brokers[broker].replicas[partition].role.epoch();
        let truth = self.oracle.histories[partition].of(epoch);
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
        let Reported { line, upto } = self.brokers[broker].reported[partition];
        let history = &self.oracle.histories[partition];
        let now = history.line(self.brokers[broker].replicas[partition].role.epoch());
        let reported = history.left_of(upto, line, now);
        if to < reported {
            let seen = format!("broker {broker} partition {partition} cut to {to}, had reported {reported}");
            self.oracle.report("R2", seen);
        }
    }

    pub(crate) fn judge_log_start(&mut self, partition: usize, to: Offset) {
        if to > self.oracle.histories[partition].deleted {
            self.oracle
                .report("L11", format!("partition {partition} begins at {to}, nobody deleted that much"));
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
                    let epoch = self.brokers[broker].replicas[partition].role.epoch();
                    self.compare(broker, partition, epoch, false, batch);
                }
                if log.batches().len() as u64 > 0 && log.end() != self.oracle.end(partition) {
                    let seen = format!("broker {broker} partition {partition} ends at {}", log.end());
                    self.oracle.report("R1", seen);
                }
            }
        }
    }
}
