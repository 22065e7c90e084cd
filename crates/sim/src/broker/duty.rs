//! What a broker does while it leads the metadata group: it keeps the sessions of the others, and looks after the partitions.

use eddy_metadata::controller::{self, Liveness};
use eddy_types::Millis;

use crate::message::{Call, Wish};
use crate::mutant::Mutant;
use crate::network::Node;
use crate::world::{World, id_of, index_of};

/// How often leaderless partitions are looked at.
const UPKEEP: Millis = Millis(1_000);

/// The controller's part of a broker.
#[derive(Debug)]
pub(crate) struct Duty {
    liveness: Liveness,
    upkeep_at: Millis,
    rebalance_at: Millis,
}

impl World {
    fn begin_duty(&self, broker: usize) -> Duty {
        let now = self.clock(broker);
        let liveness = Liveness::new(Millis(self.session_ms()), now, now, self.image_of(broker).image());
        let rebalance_at = now + Millis(self.scenario.rebalance_ms);
        Duty { liveness, upkeep_at: now + UPKEEP, rebalance_at }
    }

    pub(crate) fn heard(&mut self, broker: usize, from: Node, incarnation: u64, sent: Millis) {
        let image = self.image_of(broker);
        if self.raft.leader != Some(broker) || image.is_fenced(id_of(from)) {
            return;
        }
        let now = self.clock(broker);
        let Some(broker_epoch) = image.broker_epoch(id_of(from), incarnation) else { return };
        let Some(duty) = &mut self.brokers[broker].duty else { return };
        let lives = duty.liveness.heartbeat(now, id_of(from), broker_epoch);
        if lives || self.mutant == Some(Mutant::LivesAfterItsSession) {
            self.send(broker, from, Call::Alive { incarnation, sent });
        }
    }

    pub(crate) fn controller_duties(&mut self, broker: usize) {
        if self.raft.leader != Some(broker) {
            self.brokers[broker].duty = None;
            return;
        }
        let mut duty = match self.brokers[broker].duty.take() {
            Some(duty) => duty,
            None => self.begin_duty(broker),
        };
        let (now, image) = (self.clock(broker), self.image_of(broker));
        for (silent, broker_epoch) in duty.liveness.tick(now, image.image()).brokers {
            let wish = Wish::Fence { broker: index_of(silent), broker_epoch };
            if !self.is_wanted(broker, |under_way| *under_way == wish) {
                self.wish(broker, wish);
            }
        }
        if now >= duty.upkeep_at {
            duty.upkeep_at = now + UPKEEP;
            if !self.decider(broker).upkeep(&image).is_empty() {
                self.wish(broker, Wish::Upkeep);
            }
        }
        if now >= duty.rebalance_at {
            duty.rebalance_at = now + Millis(self.scenario.rebalance_ms);
            if !controller::preferred_leaders(image.image()).is_empty() {
                self.wish(broker, Wish::PreferredLeaders);
            }
        }
        self.brokers[broker].duty = Some(duty);
    }
}
