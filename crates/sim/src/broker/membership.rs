//! A broker's part in the cluster: registration, heartbeats, proposals, and the controller's duties while it leads the
//! metadata group.

use eddy_core::{Effects, IsrDecision, IsrProposal};
use eddy_types::PartitionEpoch;

use super::Task;
use super::replica::Role;
use crate::controller::{self, Record, Refusal};
use crate::message::{Call, Wish};
use crate::queue::MILLI;
use crate::world::{World, id_of};

/// Something wanted, and how far it is.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    wish: Wish,
    state: State,
    decision: Option<IsrDecision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sent,
    /// Decided against an old image: again when this entry is applied.
    Again(usize),
    /// Committed: done when this entry is applied.
    Committed(usize),
}

impl World {
    /// Wants something committed.
    pub(crate) fn wish(&mut self, broker: usize, wish: Wish) {
        let token = self.brokers[broker].next_token;
        self.brokers[broker].next_token += 1;
        let wanted = Wanted { wish, state: State::Sent, decision: None };
        self.brokers[broker].wanted.insert(token, wanted);
        self.later(broker, 1_500 * MILLI, Task::Unanswered(token));
        self.decide(broker, token);
    }

    /// Decides on the image as this broker knows it, and sends the decision to be committed.
    fn decide(&mut self, broker: usize, token: u64) {
        let Some(mut wanted) = self.brokers[broker].wanted.remove(&token) else { return };
        let image = self.image_of(broker);
        let (me, mutant) = (id_of(broker), self.mutant);
        let incarnation = self.brokers[broker].incarnation;
        let records = match &wanted.wish {
            Wish::Register => {
                let known = image.brokers.get(&me);
                if known.is_some_and(|state| state.incarnation == incarnation && !state.fenced) {
                    return;
                }
                controller::register(&image, me, incarnation, self.brokers[broker].disk.directory, mutant)
            }
            Wish::Fence(other) => controller::fence(&image, id_of(*other), mutant),
            Wish::MoveAway => controller::move_away(&image, me, mutant),
            Wish::Reassign { partition, target } => {
                controller::reassign(&image, *partition, target.as_deref(), mutant)
            }
            Wish::Isr { partition, proposal } => {
                let (partition, based_on) = (*partition, proposal.partition_epoch);
                match controller::alter(&image, me, partition, proposal, mutant) {
                    Ok(records) => {
                        wanted.decision = accepted(&records);
                        records
                    }
                    Err(refusal) => {
                        let decision = match refusal {
                            Refusal::Superseded => IsrDecision::Superseded,
                            Refusal::Ineligible => IsrDecision::Refused,
                        };
                        return self.isr_decided(broker, partition, based_on, decision);
                    }
                }
            }
        };
        if records.is_empty() {
            return;
        }
        wanted.state = State::Sent;
        self.brokers[broker].wanted.insert(token, wanted);
        let call = Call::Propose { token, incarnation, version: image.version, records };
        self.send_to_controller(broker, call);
    }

    pub(crate) fn proposed(&mut self, broker: usize, token: u64, result: Result<usize, usize>) {
        let Some(wanted) = self.brokers[broker].wanted.get_mut(&token) else { return };
        wanted.state = match result {
            Ok(end) => State::Committed(end),
            Err(end) => State::Again(end),
        };
        self.go_on(broker);
    }

    /// Goes on with what waits for entries that are applied now.
    fn go_on(&mut self, broker: usize) {
        let applied = self.brokers[broker].applied;
        let tokens: Vec<u64> = self.brokers[broker].wanted.keys().copied().collect();
        for token in tokens {
            let Some(wanted) = self.brokers[broker].wanted.get(&token) else { continue };
            match wanted.state {
                State::Again(end) if applied >= end => self.decide(broker, token),
                State::Committed(end) if applied >= end => {
                    let Some(wanted) = self.brokers[broker].wanted.remove(&token) else { continue };
                    if let (Wish::Isr { partition, proposal }, Some(decision)) =
                        (wanted.wish, wanted.decision)
                    {
                        self.isr_decided(broker, partition, proposal.partition_epoch, decision);
                    }
                }
                _ => {}
            }
        }
    }

    /// No answer in time: it may be committed or not.
    pub(crate) fn unanswered(&mut self, broker: usize, token: u64) {
        let Some(wanted) = self.brokers[broker].wanted.remove(&token) else { return };
        match wanted.wish {
            Wish::Register => self.register_if_needed(broker),
            Wish::Isr { partition, proposal } => {
                self.isr_decided(broker, partition, proposal.partition_epoch, IsrDecision::Unanswered);
            }
            Wish::Fence(_) | Wish::MoveAway | Wish::Reassign { .. } => {}
        }
    }

    fn isr_decided(
        &mut self,
        broker: usize,
        partition: usize,
        based_on: PartitionEpoch,
        decision: IsrDecision,
    ) {
        let now = self.clock(broker);
        let mut out = Effects::new();
        if let Role::Leader(leader) = &mut self.brokers[broker].replicas[partition].role {
            leader.isr_decided(now, based_on, decision, &mut out);
        }
        self.carry_out(broker, partition, out);
    }

    /// For the mutant that does not wait for the controller.
    pub(crate) fn count_at_once(&mut self, broker: usize, partition: usize, proposal: &IsrProposal) {
        let decision = IsrDecision::Accepted {
            isr: proposal.isr.iter().map(|member| member.broker).collect(),
            partition_epoch: proposal.partition_epoch,
        };
        self.isr_decided(broker, partition, proposal.partition_epoch, decision);
    }

    /// Metadata has moved at a broker.
    pub(crate) fn image_moved(&mut self, broker: usize) {
        self.assume_roles(broker);
        self.register_if_needed(broker);
        self.go_on(broker);
        self.connect_later(broker, 0);
    }

    fn register_if_needed(&mut self, broker: usize) {
        let image = self.image_of(broker);
        let known = image.brokers.get(&id_of(broker));
        let incarnation = self.brokers[broker].incarnation;
        let registered = known.is_some_and(|state| state.incarnation == incarnation && !state.fenced);
        let under_way = self.brokers[broker].wanted.values().any(|w| matches!(w.wish, Wish::Register));
        if !registered && !under_way {
            self.wish(broker, Wish::Register);
        }
    }

    pub(crate) fn heartbeat(&mut self, broker: usize) {
        self.later(broker, self.scenario.session_timeout / 5, Task::Heartbeat);
        let incarnation = self.brokers[broker].incarnation;
        self.send_to_controller(broker, Call::Heartbeat { incarnation });
    }

    pub(crate) fn heard(&mut self, controller: usize, from: usize, incarnation: u64) {
        if self.raft.leader != Some(controller) {
            return;
        }
        self.brokers[controller].heard[from] = self.now;
        let image = self.image_of(controller);
        let known = image.brokers.get(&id_of(from));
        if known.is_some_and(|state| state.incarnation == incarnation && !state.fenced) {
            self.send(controller, from, Call::Alive { incarnation });
        }
    }

    pub(crate) fn became_controller(&mut self, broker: usize) {
        let now = self.now;
        self.brokers[broker].heard.iter_mut().for_each(|heard| *heard = now);
    }

    pub(crate) fn controller_duties(&mut self, broker: usize) {
        if self.raft.leader != Some(broker) {
            return;
        }
        for other in 0..self.brokers.len() {
            let late = self.brokers[broker].heard[other] + self.scenario.session_timeout < self.now;
            let image = self.image_of(broker);
            let alive = image.brokers.get(&id_of(other)).is_some_and(|state| !state.fenced);
            let mut wanted = self.brokers[broker].wanted.values();
            let under_way = wanted.any(|w| matches!(w.wish, Wish::Fence(of) if of == other));
            if late && alive && !under_way {
                self.wish(broker, Wish::Fence(other));
            }
        }
    }
}

/// The decision that a leader hears of when these records are committed.
fn accepted(records: &[Record]) -> Option<IsrDecision> {
    records.iter().find_map(|record| match record {
        Record::Partition(_, state) => {
            Some(IsrDecision::Accepted { isr: state.isr.clone(), partition_epoch: state.partition_epoch })
        }
        _ => None,
    })
}
