//! What a broker wants committed: decided on its own image, committed by the leader of the metadata group if that image is still
//! the newest, and decided anew otherwise.

use eddy_core::{Effects, IsrDecision, IsrProposal};
use eddy_metadata::controller;
use eddy_types::PartitionEpoch;

use super::Task;
use super::replica::Role;
use crate::decisions::Decider;
use crate::message::{Call, Wish};
use crate::queue::MILLI;
use crate::view::View;
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
    /// On its way, or waiting for the time to be tried again.
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

    /// Whether something like that is under way.
    pub(crate) fn is_wanted(&self, broker: usize, like: impl Fn(&Wish) -> bool) -> bool {
        self.brokers[broker].wanted.values().any(|wanted| like(&wanted.wish))
    }

    pub(crate) fn decider(&self, broker: usize) -> Decider {
        let state = &self.brokers[broker];
        let (incarnation, directory) = (state.incarnation, state.disk.directory);
        Decider { me: id_of(broker), incarnation, directory, mutant: self.mutant }
    }

    /// Decides on the image as this broker knows it, and sends the decision to be committed.
    fn decide(&mut self, broker: usize, token: u64) {
        let Some(mut wanted) = self.brokers[broker].wanted.remove(&token) else { return };
        let (image, decider) = (self.image_of(broker), self.decider(broker));
        if matches!(wanted.wish, Wish::Register) && image.is_alive(decider.me, decider.incarnation) {
            return;
        }
        let Some((records, decision)) = decided(&decider, &image, &wanted.wish) else {
            // Another broker with its id has a session that is not over.
            self.brokers[broker].wanted.insert(token, wanted);
            return self.later(broker, 100 * MILLI, Task::Unanswered(token));
        };
        if records.is_empty() {
            return self.done(broker, wanted.wish, decision);
        }
        let unclean = matches!(wanted.wish, Wish::ElectUnclean { .. });
        wanted.state = State::Sent;
        wanted.decision = decision;
        self.brokers[broker].wanted.insert(token, wanted);
        let (incarnation, version) = (decider.incarnation, image.image().version());
        self.send_to_controller(broker, Call::Propose { token, incarnation, version, records, unclean });
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
    pub(crate) fn go_on(&mut self, broker: usize) {
        let applied = self.brokers[broker].applied;
        let tokens: Vec<u64> = self.brokers[broker].wanted.keys().copied().collect();
        for token in tokens {
            let Some(wanted) = self.brokers[broker].wanted.get(&token) else { continue };
            match wanted.state {
                State::Again(end) if applied >= end => self.decide(broker, token),
                State::Committed(end) if applied >= end => {
                    let Some(wanted) = self.brokers[broker].wanted.remove(&token) else { continue };
                    self.done(broker, wanted.wish, wanted.decision);
                }
                _ => {}
            }
        }
    }

    fn done(&mut self, broker: usize, wish: Wish, decision: Option<IsrDecision>) {
        if let (Wish::Isr { partition, proposal }, Some(decision)) = (wish, decision) {
            self.isr_decided(broker, partition, proposal.partition_epoch, decision);
        }
    }

    /// No answer in time: it may be committed or not.
    pub(crate) fn unanswered(&mut self, broker: usize, token: u64) {
        let Some(wanted) = self.brokers[broker].wanted.remove(&token) else { return };
        match wanted.wish {
            Wish::Register => self.register_if_needed(broker),
            wish @ Wish::Isr { .. } => self.done(broker, wish, Some(IsrDecision::Unanswered)),
            Wish::Fence { .. }
            | Wish::BeginShutdown
            | Wish::Reassign { .. }
            | Wish::CreateTopic { .. }
            | Wish::DeleteTopic
            | Wish::ElectUnclean { .. }
            | Wish::Drain { .. }
            | Wish::Undrain { .. }
            | Wish::Decommission { .. }
            | Wish::Reclaim { .. }
            | Wish::Upkeep
            | Wish::PreferredLeaders => {}
        }
    }

    fn isr_decided(
        &mut self,
        broker: usize,
        partition: usize,
        based_on: PartitionEpoch,
        decision: IsrDecision,
    ) {
        let now = self.machines_clock(broker);
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
}

/// The records of a wish, and what a leader hears of its own; `None` when it is refused for the moment.
fn decided(
    decider: &Decider,
    view: &View,
    wish: &Wish,
) -> Option<(Vec<eddy_metadata::Record>, Option<IsrDecision>)> {
    let records = match wish {
        Wish::Register => decider.register(view).ok()?,
        Wish::Fence { broker, broker_epoch } => decider.fence(view, id_of(*broker), *broker_epoch),
        Wish::BeginShutdown => decider.begin_shutdown(view),
        Wish::Reassign { index, target } => decider.reassign(view, *index, target.as_deref()),
        Wish::CreateTopic { incarnation, topic } => decider.create_topic(view, *incarnation, topic),
        Wish::ElectUnclean { index } => decider.elect_unclean(view, *index),
        Wish::DeleteTopic => decider.delete_topic(view),
        Wish::Drain { broker, others } => decider.drain(view, id_of(*broker), *others),
        Wish::Undrain { broker } => {
            controller::undrain_broker(view.image(), id_of(*broker)).unwrap_or_default()
        }
        Wish::Decommission { broker, others } => decider.decommission(view, id_of(*broker), *others),
        Wish::Reclaim { topics } => controller::reclaim_directories(view.image(), decider.me, topics, &[]),
        Wish::Upkeep => decider.upkeep(view),
        Wish::PreferredLeaders => controller::preferred_leaders(view.image()),
        Wish::Isr { partition, proposal } => {
            let (records, decision) = decider.alter(view, *partition, proposal);
            return Some((records, Some(decision)));
        }
    };
    Some((records, None))
}
