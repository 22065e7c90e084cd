//! A broker's part in the cluster: its registration, its heartbeats and its lease.

use eddy_types::Millis;

use super::Task;
use crate::message::{Call, Wish};
use crate::mutant::Mutant;
use crate::queue::MILLI;
use crate::world::{World, id_of};

/// Parts of the session timeout that the lease ends earlier.
const MARGIN_PARTS: i64 = 20;

impl World {
    /// Metadata has moved at a broker.
    pub(crate) fn image_moved(&mut self, broker: usize) {
        // Who was taken out of the cluster stops by itself.
        if self.image_of(broker).is_gone(id_of(broker)) {
            return self.stop(broker, true);
        }
        self.assume_roles(broker);
        self.register_if_needed(broker);
        self.go_on(broker);
        self.connect_later(broker, 0);
    }

    pub(crate) fn register_if_needed(&mut self, broker: usize) {
        let incarnation = self.brokers[broker].incarnation;
        let registered = self.image_of(broker).is_alive(id_of(broker), incarnation);
        let leaving = self.brokers[broker].leaving;
        if !registered && !leaving && !self.is_wanted(broker, |wish| matches!(wish, Wish::Register)) {
            self.wish(broker, Wish::Register);
        }
    }

    pub(crate) fn heartbeat(&mut self, broker: usize) {
        self.later(broker, self.scenario.session_timeout / 5, Task::Heartbeat);
        let incarnation = self.brokers[broker].incarnation;
        let sent = self.lease_clock(broker);
        self.send_to_controller(broker, Call::Heartbeat { incarnation, sent });
    }

    /// The controller has answered a heartbeat: the lease is counted from when that was sent.
    pub(crate) fn alive(&mut self, broker: usize, incarnation: u64, sent: Millis) {
        if self.brokers[broker].incarnation == incarnation {
            let lasts = self.session_ms() - self.session_ms() / MARGIN_PARTS;
            self.brokers[broker].lease_until = sent + Millis(lasts);
        }
    }

    /// Whether a broker may append and acknowledge.
    pub(crate) fn holds_lease(&self, broker: usize) -> bool {
        !self.scenario.lease || self.lease_clock(broker) < self.brokers[broker].lease_until
    }

    fn lease_clock(&self, broker: usize) -> Millis {
        match self.mutant {
            Some(Mutant::LeaseByTimeOfDay) => self.time_of_day(broker),
            _ => self.clock(broker),
        }
    }

    pub(crate) fn session_ms(&self) -> i64 {
        i64::try_from(self.scenario.session_timeout / MILLI).unwrap_or(i64::MAX)
    }

    /// A controlled shutdown begins: leaderships move away while the broker still serves.
    pub(crate) fn stop_cleanly(&mut self, broker: usize, down_for: crate::queue::Micros) {
        if self.brokers[broker].up && !self.brokers[broker].leaving {
            self.brokers[broker].leaving = true;
            self.wish(broker, Wish::BeginShutdown);
            self.later(broker, 400 * MILLI, Task::Leave { down_for });
        }
    }

    /// Others lead: it is fenced at its own wish, and stops.
    pub(crate) fn leave(&mut self, broker: usize, down_for: crate::queue::Micros) {
        let incarnation = self.brokers[broker].incarnation;
        if let Some(broker_epoch) = self.image_of(broker).broker_epoch(id_of(broker), incarnation) {
            self.wish(broker, Wish::Fence { broker, broker_epoch });
        }
        self.later(broker, 100 * MILLI, Task::Stop { down_for });
    }
}
