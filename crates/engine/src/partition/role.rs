//! Leader or follower: which one a replica is, and how it changes from one to the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use eddy_core::{
    Effects, EpochError, Follower, FollowerStart, Leader, LeaderStart, Offsets, PartitionChange,
    ProducerSnapshot, ProducerWindows,
};
use eddy_log::Log;
use eddy_types::{BrokerId, LeaderEpoch, Millis, Offset, PartitionEpoch};

use super::{Adopted, Partition, State};
use crate::error::AppendError;
use crate::watch::Woken;

/// The part that a replica plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes appends.
    Leader,
    /// It copies.
    Follower {
        /// Whom it copies; `None` while nobody leads, or none is known yet.
        leader: Option<BrokerId>,
    },
}

/// What the metadata says of a partition.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) leader: Option<BrokerId>,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) partition_epoch: PartitionEpoch,
    pub(crate) replicas: Vec<BrokerId>,
    pub(crate) isr: Vec<BrokerId>,
    pub(crate) min_insync: usize,
    pub(crate) replica_lag_max: Millis,
    /// The leader was elected from outside ISR and ELR, or the topic allows that: what was promised may be lost.
    pub(crate) may_lose: bool,
}

/// The state machine of the role.
pub(crate) enum Replica {
    Leader(Box<Leader>),
    Follower(Box<Follower>),
}

impl Replica {
    /// A follower of nobody: what a replica is before the metadata has said more.
    pub(super) fn of_nobody(log: &Log, high_watermark: Offset, producers: ProducerWindows) -> Replica {
        let (log_start, log_end) = (log.start_offset(), log.end_offset());
        let last_epoch = last_epoch(log);
        Replica::Follower(Box::new(Follower::new(FollowerStart {
            epoch: last_epoch,
            last_epoch,
            log_start,
            log_end,
            durable_end: log_end,
            high_watermark: high_watermark.max(log_start).min(log_end),
            producers,
        })))
    }

    pub(super) fn offsets(&self) -> Offsets {
        match self {
            Replica::Leader(leader) => leader.offsets(),
            Replica::Follower(follower) => follower.offsets(),
        }
    }

    pub(super) fn epoch(&self) -> LeaderEpoch {
        match self {
            Replica::Leader(leader) => leader.epoch(),
            Replica::Follower(follower) => follower.epoch(),
        }
    }

    pub(super) fn check_epoch(&self, asked: LeaderEpoch) -> Result<(), EpochError> {
        match self {
            Replica::Leader(leader) => leader.check_epoch(asked),
            Replica::Follower(follower) => follower.check_epoch(asked),
        }
    }

    pub(super) fn durable(&mut self, upto: Offset, out: &mut Effects) {
        match self {
            Replica::Leader(leader) => leader.durable(upto, out),
            Replica::Follower(follower) => follower.durable(upto, out),
        }
    }

    pub(super) fn tick(&mut self, now: Millis, out: &mut Effects) {
        match self {
            Replica::Leader(leader) => leader.tick(now, out),
            Replica::Follower(follower) => follower.tick(now),
        }
    }

    pub(super) fn producers(&self) -> Vec<ProducerSnapshot> {
        match self {
            Replica::Leader(leader) => leader.producers().collect(),
            Replica::Follower(follower) => follower.producers().collect(),
        }
    }

    pub(super) fn check(&mut self) {
        match self {
            Replica::Leader(leader) => leader.check(),
            Replica::Follower(follower) => follower.check(),
        }
    }

    /// Takes the producers out; the machine is about to be replaced.
    fn take_producers(&mut self) -> ProducerWindows {
        let nobody = FollowerStart {
            epoch: LeaderEpoch::NONE,
            last_epoch: LeaderEpoch::NONE,
            log_start: Offset::ZERO,
            log_end: Offset::ZERO,
            durable_end: Offset::ZERO,
            high_watermark: Offset::ZERO,
            producers: ProducerWindows::default(),
        };
        match std::mem::replace(self, Replica::Follower(Box::new(Follower::new(nobody)))) {
            Replica::Leader(leader) => leader.into_producers(),
            Replica::Follower(follower) => follower.into_producers(),
        }
    }
}

/// Epoch of the last batch of a log. An epoch that began at its end has written nothing.
pub(super) fn last_epoch(log: &Log) -> LeaderEpoch {
    let (start, end) = (log.start_offset(), log.end_offset());
    if start == end {
        return LeaderEpoch::NONE;
    }
    log.epoch_at(Offset(end.0 - 1)).unwrap_or(LeaderEpoch::NONE)
}

impl Partition {
    /// The part that this broker plays at this moment.
    pub fn role(&self) -> Role {
        self.state.lock().role()
    }

    /// Whether this broker leads. Takes no lock.
    pub fn is_leading(&self) -> bool {
        self.leading.load(Ordering::Acquire)
    }

    /// Who leads, [`BrokerId::NONE`] when nobody does as far as this replica knows, and in which epoch.
    pub fn leader(&self) -> (BrokerId, LeaderEpoch) {
        let state = self.state.lock();
        let leader = match state.role() {
            Role::Leader => Some(self.shared.me),
            Role::Follower { leader } => leader,
        };
        (leader.unwrap_or(BrokerId::NONE), state.replica.epoch())
    }

    /// Takes over what the metadata says. News of an older leader epoch is passed over, so that it may come twice or late.
    /// While a cut of the log waits for the disk, a new role waits for the cut.
    pub(crate) fn assign(self: &Arc<Self>, assignment: Assignment) {
        let mut state = self.state.lock();
        if state.gone.is_some() {
            return;
        }
        if let Some(cut) = &mut state.cut {
            let epochs = |known: &Assignment| (known.leader_epoch, known.partition_epoch);
            if cut.then.as_ref().is_none_or(|then| epochs(then) <= epochs(&assignment)) {
                cut.then = Some(assignment);
            }
            return;
        }
        let woken = self.adopt(&mut state, assignment);
        self.settle_role(state, woken);
    }

    /// Ends a change of roles: tells those whose answers will not come.
    pub(super) fn settle_role(&self, mut state: parking_lot::MutexGuard<'_, State>, woken: Woken) {
        let failed = if self.is_leading() { Vec::new() } else { state.pending.fail_all() };
        let (leader, epoch) = (state.adopted.and_then(|adopted| adopted.leader), state.replica.epoch());
        self.settle(state);
        let refused = AppendError::NotLeader { leader: leader.unwrap_or(BrokerId::NONE), epoch };
        for (_, token) in failed {
            token.complete(Err(refused.clone()));
        }
        woken.wake();
    }

    pub(super) fn adopt(self: &Arc<Self>, state: &mut State, assignment: Assignment) -> Woken {
        state.may_lose = assignment.may_lose;
        let next = Adopted { leader: assignment.leader, epoch: assignment.leader_epoch };
        match state.adopted {
            Some(known) if next.epoch < known.epoch => return Woken::none(),
            Some(known) if next == known => {
                self.reconfigure(state, assignment);
                return Woken::none();
            }
            _ => {}
        }
        if next.epoch < state.replica.epoch() && next.leader.is_some() {
            tracing::error!(topic = %self.topic, partition = self.key.index, epoch = next.epoch.0,
                log_epoch = state.replica.epoch().0, "the log knows a newer leader epoch than the metadata");
            return Woken::none();
        }
        let lead = next.leader == Some(self.shared.me);
        let offsets = state.replica.offsets();
        let last_epoch = match &state.replica {
            Replica::Leader(_) => last_epoch(&self.log),
            Replica::Follower(follower) => follower.last_epoch(),
        };
        let producers = state.replica.take_producers();
        state.replica = if lead {
            self.log.assign_epoch(next.epoch, offsets.log_end);
            Replica::Leader(Box::new(Leader::new(LeaderStart {
                me: self.shared.me,
                epoch: next.epoch,
                partition_epoch: assignment.partition_epoch,
                replicas: assignment.replicas,
                isr: assignment.isr,
                min_insync: assignment.min_insync,
                replica_lag_max: assignment.replica_lag_max,
                log_start: offsets.log_start,
                log_end: offsets.log_end,
                durable_end: offsets.durable_end,
                high_watermark: offsets.high_watermark,
                producers,
            })))
        } else {
            self.log.forget_empty_epochs();
            Replica::Follower(Box::new(Follower::new(FollowerStart {
                epoch: next.epoch.max(last_epoch),
                last_epoch,
                log_start: offsets.log_start,
                log_end: offsets.log_end,
                durable_end: offsets.durable_end,
                high_watermark: offsets.high_watermark,
                producers,
            })))
        };
        state.adopted = Some(next);
        self.leading.store(lead, Ordering::Release);
        self.note_followers(state);
        state.sessions.push();
        state.watchers.take()
    }

    /// News in the same leader epoch.
    fn reconfigure(self: &Arc<Self>, state: &mut State, assignment: Assignment) {
        let State { replica, effects, .. } = state;
        if let Replica::Leader(leader) = replica {
            let (before, _) = leader.in_sync();
            let change = PartitionChange {
                partition_epoch: assignment.partition_epoch,
                replicas: assignment.replicas,
                isr: assignment.isr,
                min_insync: assignment.min_insync,
            };
            leader.reconfigure(change, effects);
            self.shared.isr.count_change(before, leader.in_sync().0);
        }
        self.note_followers(state);
    }
}

impl State {
    pub(super) fn role(&self) -> Role {
        match self.replica {
            Replica::Leader(_) => Role::Leader,
            Replica::Follower(_) => {
                Role::Follower { leader: self.adopted.and_then(|adopted| adopted.leader) }
            }
        }
    }
}
