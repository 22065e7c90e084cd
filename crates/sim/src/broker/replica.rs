//! One replica of a partition on one broker: its role, its log, what waits for it.

use std::collections::BTreeMap;

use eddy_core::{
    Acks, Effect, Effects, Follower, FollowerStart, Leader, LeaderStart, PartitionChange, PendingAcks,
    ProducerWindows,
};
use eddy_metadata::Partition;
use eddy_types::{BrokerId, LeaderEpoch, Millis, Offset};

use crate::disk::Entry;
use crate::log::Log;
use crate::message::{Answer, ProduceError, Wish, Written};
use crate::mutant::Mutant;
use crate::queue::MILLI;
use crate::world::{World, id_of};

use super::Task;

pub(crate) enum Role {
    /// Nothing is known yet, or this run of the broker is not registered.
    None,
    Leader(Box<Leader>),
    Follower {
        machine: Box<Follower>,
        leader: Option<BrokerId>,
        epoch: LeaderEpoch,
    },
}

impl Role {
    /// Epoch of the leader, also of one that is followed.
    pub(crate) fn epoch(&self) -> LeaderEpoch {
        match self {
            Role::None => LeaderEpoch::NONE,
            Role::Leader(leader) => leader.epoch(),
            Role::Follower { epoch, .. } => *epoch,
        }
    }
}

impl std::fmt::Debug for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Role::None => write!(f, "no role"),
            Role::Leader(leader) => write!(f, "leader in {}: {:?}", leader.epoch(), leader.offsets()),
            Role::Follower { machine, leader, epoch } => {
                write!(f, "follower of {leader:?} in {epoch}: {:?}", machine.offsets())
            }
        }
    }
}

/// A produce answer that waits.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) client: usize,
    pub(crate) request: u64,
    pub(crate) acks: Acks,
    pub(crate) value: u64,
}

/// Where a follower copies from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Following {
    pub(crate) stream: usize,
    pub(crate) leader_epoch: LeaderEpoch,
    /// Epoch of the follower's registration when it began.
    pub(crate) broker_epoch: i64,
}

/// What a leader sends to one follower.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) generation: u32,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) broker_epoch: i64,
    pub(crate) sent: Offset,
    pub(crate) told: (Offset, Offset),
}

/// A cut of a follower's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Everything from here on goes.
    Truncate(Offset),
    /// Everything goes, the log begins anew here.
    Restart(Offset),
    /// Everything goes: the replica has moved to another broker.
    Drop,
}

#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) role: Role,
    pub(crate) log: Log,
    pub(crate) durable_end: Offset,
    pub(crate) high_watermark: Offset,
    /// A cut that is not carried out before its entry, of this number, is synced.
    pub(crate) cutting: Option<(u64, Cut)>,
    pub(crate) pending: PendingAcks<(Token, Offset)>,
    pub(crate) generation: u32,
    pub(crate) following: Option<Following>,
    pub(crate) sessions: BTreeMap<usize, Session>,
    /// Compared with what everybody agrees on, up to here.
    pub(crate) verified: Offset,
}

impl Replica {
    /// A replica as a start finds it, with the high watermark of a checkpoint.
    pub(crate) fn open(synced: &Log, high_watermark: Offset) -> Replica {
        Replica {
            role: Role::None,
            log: synced.clone(),
            durable_end: synced.end(),
            high_watermark: high_watermark.min(synced.end()).max(synced.start),
            cutting: None,
            pending: PendingAcks::new(10_000),
            generation: 0,
            following: None,
            sessions: BTreeMap::new(),
            verified: synced.start,
        }
    }

    pub(crate) fn high_watermark(&self) -> Offset {
        match &self.role {
            Role::None => self.high_watermark,
            Role::Leader(leader) => leader.offsets().high_watermark,
            Role::Follower { machine, .. } => machine.offsets().high_watermark,
        }
    }

    fn producers(&mut self, now: Millis, mutant: Option<Mutant>) -> ProducerWindows {
        let role = std::mem::replace(&mut self.role, Role::None);
        if mutant == Some(Mutant::ForgetsProducers) {
            return ProducerWindows::default();
        }
        match role {
            Role::None => self.log.producers(now),
            Role::Leader(leader) => leader.into_producers(),
            Role::Follower { machine, .. } => machine.into_producers(),
        }
    }
}

impl World {
    /// The image of a broker has moved: its replicas take the roles that it says.
    pub(crate) fn assume_roles(&mut self, broker: usize) {
        let image = self.image_of(broker);
        let me = id_of(broker);
        let registered = image.broker_epoch(me, self.brokers[broker].incarnation).is_some();
        for partition in 0..self.scenario.numbers() {
            // A new role waits for the end of a cut.
            if self.brokers[broker].replicas[partition].cutting.is_some() {
                continue;
            }
            let Some(state) = image.partition(partition) else {
                // That a topic is not there is no proof that it was deleted.
                if image.is_removed(partition) {
                    self.drop_replica(broker, partition);
                }
                continue;
            };
            if self.mutant == Some(Mutant::DirectoriesByName) {
                self.find_old_log(broker, partition);
            }
            if !state.replicas.contains(&me) {
                self.drop_replica(broker, partition);
                continue;
            }
            let leads = state.leader == Some(me);
            if leads && !registered && self.mutant != Some(Mutant::LeadsAgainInTheSameEpoch) {
                // A former run led: in this run another leadership is needed.
                continue;
            }
            match &self.brokers[broker].replicas[partition].role {
                Role::Leader(leader) if leads && leader.epoch() == state.leader_epoch => {
                    self.reconfigure(broker, partition, state);
                }
                Role::Follower { leader, epoch, .. }
                    if *epoch == state.leader_epoch && *leader == state.leader => {}
                _ if leads => self.lead(broker, partition, state),
                _ => self.follow(broker, partition, state),
            }
        }
    }

    /// The replica is not held here any more: its log goes, and may come back only when it is gone.
    fn drop_replica(&mut self, broker: usize, partition: usize) {
        let replica = &self.brokers[broker].replicas[partition];
        if matches!(replica.role, Role::None) && replica.log.is_empty() {
            return;
        }
        self.leave_role(broker, partition);
        self.brokers[broker].replicas[partition].role = Role::None;
        self.cut(broker, partition, Cut::Drop);
    }

    fn change_of(&self, broker: usize, state: &Partition) -> PartitionChange {
        let min_insync = match self.mutant {
            Some(Mutant::NoMinInSyncFreeze) => 1,
            _ => self.image_of(broker).min_insync(),
        };
        PartitionChange {
            partition_epoch: state.partition_epoch,
            replicas: state.replicas.to_vec(),
            isr: state.isr.to_vec(),
            min_insync,
        }
    }

    fn reconfigure(&mut self, broker: usize, partition: usize, state: &Partition) {
        let change = self.change_of(broker, state);
        let mut out = Effects::new();
        if let Role::Leader(leader) = &mut self.brokers[broker].replicas[partition].role {
            leader.reconfigure(change, &mut out);
        }
        self.carry_out(broker, partition, out);
    }

    fn lead(&mut self, broker: usize, partition: usize, state: &Partition) {
        let change = self.change_of(broker, state);
        let epoch = state.leader_epoch;
        self.leave_role(broker, partition);
        let lag_max = Millis(self.scenario.lag_max_ms);
        let (now, mutant) = (self.machines_clock(broker), self.mutant);
        let replica = &mut self.brokers[broker].replicas[partition];
        let start = LeaderStart {
            me: id_of(broker),
            epoch,
            partition_epoch: change.partition_epoch,
            replicas: change.replicas,
            isr: change.isr,
            min_insync: change.min_insync,
            replica_lag_max: lag_max,
            log_start: replica.log.start,
            log_end: replica.log.end(),
            durable_end: replica.durable_end,
            high_watermark: replica.high_watermark,
            producers: replica.producers(now, mutant),
        };
        let leader = Leader::new(start);
        let high_watermark = leader.offsets().high_watermark;
        replica.role = Role::Leader(Box::new(leader));
        self.statistics.leaderships += 1;
        self.judge_leader(broker, partition, epoch);
        // It may have risen at once.
        self.carry_out(broker, partition, vec![Effect::HighWatermark(high_watermark)]);
    }

    fn follow(&mut self, broker: usize, partition: usize, state: &Partition) {
        self.leave_role(broker, partition);
        let (now, mutant) = (self.machines_clock(broker), self.mutant);
        let replica = &mut self.brokers[broker].replicas[partition];
        let start = FollowerStart {
            epoch: state.leader_epoch,
            last_epoch: replica.log.last_epoch(),
            log_start: replica.log.start,
            log_end: replica.log.end(),
            durable_end: replica.durable_end,
            high_watermark: replica.high_watermark,
            producers: replica.producers(now, mutant),
        };
        let machine = Box::new(Follower::new(start));
        replica.role = Role::Follower { machine, leader: state.leader, epoch: state.leader_epoch };
        if mutant == Some(Mutant::TruncateAtHighWatermark) {
            let to = self.brokers[broker].replicas[partition].high_watermark;
            if to < self.brokers[broker].replicas[partition].log.end() {
                self.cut(broker, partition, Cut::Truncate(to));
            }
        }
        self.connect_later(broker, 0);
    }

    /// Ends a role: who waits for it is told, followers and leaders of it are forgotten.
    fn leave_role(&mut self, broker: usize, partition: usize) {
        let replica = &mut self.brokers[broker].replicas[partition];
        replica.sessions.clear();
        replica.following = None;
        let offsets = match &replica.role {
            Role::None => None,
            Role::Leader(leader) => Some(leader.offsets()),
            Role::Follower { machine, .. } => Some(machine.offsets()),
        };
        if let Some(offsets) = offsets {
            replica.high_watermark = offsets.high_watermark;
            replica.durable_end = offsets.durable_end;
        }
        for (token, _) in replica.pending.fail_all() {
            self.answer_produce(broker, &token, Err(ProduceError::NotLeader));
        }
    }

    pub(crate) fn answer_produce(
        &mut self,
        broker: usize,
        token: &Token,
        result: Result<Written, ProduceError>,
    ) {
        let answer = Answer::Produced { request: token.request, result };
        self.reply(broker, token.client, answer);
    }

    /// The disk has everything below `upto`.
    pub(crate) fn durable(&mut self, broker: usize, partition: usize, upto: Offset) {
        let mut out = Effects::new();
        let replica = &mut self.brokers[broker].replicas[partition];
        match &mut replica.role {
            Role::None => replica.durable_end = replica.durable_end.max(upto.min(replica.log.end())),
            Role::Leader(leader) => leader.durable(upto, &mut out),
            Role::Follower { machine, .. } => machine.durable(upto, &mut out),
        }
        let moved = !out.is_empty();
        self.carry_out(broker, partition, out);
        if moved {
            self.report_progress(broker, partition);
        }
    }

    pub(crate) fn tick_replica(&mut self, broker: usize, partition: usize) {
        let now = self.machines_clock(broker);
        let mut out = Effects::new();
        if let Role::Leader(leader) = &mut self.brokers[broker].replicas[partition].role {
            leader.tick(now, &mut out);
            self.carry_out(broker, partition, out);
        }
    }

    /// Does what a machine asks for, then lets go the answers that are due, and checks the machine.
    pub(crate) fn carry_out(&mut self, broker: usize, partition: usize, out: Effects) {
        let mut proposed = None;
        for effect in out {
            match effect {
                Effect::DurableEnd(_) | Effect::TransactionEnded(_) => {}
                Effect::HighWatermark(_) => {
                    self.judge_high_watermark(broker, partition);
                    self.push_later(broker);
                }
                Effect::LogStart(to) => {
                    self.brokers[broker].replicas[partition].log.trim(to);
                    self.brokers[broker].disk.push(Entry::Trim { partition, to });
                    self.judge_log_start(partition, to);
                    self.write(broker);
                    self.push_later(broker);
                }
                Effect::ProposeIsr(proposal) => proposed = Some(proposal),
            }
        }
        self.release(broker, partition);
        match &mut self.brokers[broker].replicas[partition].role {
            Role::None => {}
            Role::Leader(leader) => leader.check(),
            Role::Follower { machine, .. } => machine.check(),
        }
        // Last: it may be decided at once.
        if let Some(proposal) = proposed {
            self.statistics.isr_changes += 1;
            self.wish(broker, Wish::Isr { partition, proposal: proposal.clone() });
            if self.mutant == Some(Mutant::ProposalCountsAtOnce) {
                self.count_at_once(broker, partition, &proposal);
            }
        }
    }

    fn release(&mut self, broker: usize, partition: usize) {
        if !self.holds_lease(broker) {
            return;
        }
        let replica = &mut self.brokers[broker].replicas[partition];
        let Role::Leader(leader) = &replica.role else { return };
        let offsets = leader.offsets();
        let epoch = leader.epoch();
        let released = replica.pending.release(offsets.durable_end, offsets.high_watermark);
        replica.pending.check();
        for (token, base) in released {
            self.judge_ack(broker, partition, &token, base);
            self.statistics.acks += 1;
            self.answer_produce(broker, &token, Ok(Written { partition, epoch, base }));
        }
    }

    pub(crate) fn push_later(&mut self, broker: usize) {
        if !self.brokers[broker].pushing {
            self.brokers[broker].pushing = true;
            let delay = self.network.below(MILLI);
            self.later(broker, delay, Task::Push);
        }
    }
}
