//! Operators empty brokers, and take them out of the cluster.

use eddy_metadata::Partition;
use eddy_metadata::controller::{self, Decommission};
use eddy_types::BrokerId;

use crate::message::Wish;
use crate::queue::MILLI;
use crate::view::View;
use crate::world::{Event, World, id_of};

impl World {
    /// Empties a broker, or ends that.
    pub(crate) fn drain(&mut self, broker: usize) {
        let draining = self.raft.head().is_draining(id_of(broker));
        let wish = match draining {
            true => Wish::Undrain { broker },
            false => Wish::Drain { broker, others: self.others_needed() },
        };
        self.ask(wish);
    }

    /// Empties a broker and removes it; looks again later how far that is.
    pub(crate) fn decommission(&mut self, broker: usize) {
        let (head, me) = (self.raft.head(), id_of(broker));
        let others = head.others_than(me);
        let given_up = others.len() < self.others_needed() && !head.is_draining(me);
        if head.is_gone(me) || given_up {
            self.decommissioned.remove(&broker);
            return;
        }
        self.decommissioned.insert(broker);
        for (index, number) in head.numbers().enumerate() {
            let Some(state) = head.partition(number) else { continue };
            let target: Vec<BrokerId> = state.target_replicas().filter(|id| *id != me).collect();
            // All others have it: nobody can take this one's place.
            if state.target_replicas().any(|id| id == me) && others.iter().all(|id| target.contains(id)) {
                self.reassign(index, Some(target));
            }
        }
        self.ask(Wish::Decommission { broker, others: self.others_needed() });
        self.queue.push(self.now + 500 * MILLI, Event::Decommission(broker));
    }

    /// Who drains or removes a broker makes sure that so many others are left.
    fn others_needed(&self) -> usize {
        self.scenario.replication_factor.max(3)
    }

    /// A broker that is drained holds only what no other can take, and who is decommissioned is gone.
    pub(crate) fn who_is_not_drained(&self) -> Option<String> {
        if let Some(broker) = self.decommissioned.first() {
            return Some(format!("broker {broker} is not removed"));
        }
        let head = self.raft.head();
        let draining = head.image().brokers().filter(|broker| broker.draining);
        draining.map(|broker| broker.id).find_map(|id| match controller::decommission(head.image(), id) {
            Ok((_, Decommission::Draining { partitions, stuck })) if partitions > stuck => Some(format!(
                "broker {id} is drained and holds {partitions} partitions, {stuck} of them stuck"
            )),
            _ => None,
        })
    }
}

/// Whether the right one leads: the preferred leader, or if that is drained somebody who is not.
pub(crate) fn is_led(head: &View, partition: &Partition) -> bool {
    let Some(leader) = partition.leader else { return false };
    let fit = |id: &BrokerId| !head.is_draining(*id);
    match partition.replicas.first() {
        Some(preferred) if fit(preferred) => leader == *preferred,
        _ => fit(&leader) || !partition.replicas.iter().any(fit),
    }
}
