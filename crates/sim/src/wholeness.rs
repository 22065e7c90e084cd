//! The end of a run: everything must be well again soon after the faults.

use eddy_metadata::Partition;

use crate::broker::{Replica, Role};
use crate::departures::is_led;
use crate::queue::MILLI;
use crate::view::View;
use crate::world::{Event, World, id_of};

impl World {
    /// Is everything well? It must be, before the deadline (B1).
    pub(crate) fn watch(&mut self) {
        match self.what_is_missing() {
            None => {
                self.statistics.recovery_ms = (self.now - self.scenario.faults_end) / MILLI;
                self.judge_end();
                self.done = true;
            }
            Some(missing) if self.now > self.scenario.deadline => self.oracle.report("B1", missing),
            Some(_) => self.queue.push(self.now + 200 * MILLI, Event::Watch),
        }
    }

    fn what_is_missing(&self) -> Option<String> {
        let head = self.raft.head();
        if head.topic().is_none() {
            return Some("the topic is not there".to_owned());
        }
        let partitions = || head.numbers().filter_map(|number| Some((number, head.partition(number)?)));
        if let Some((number, partition)) = partitions().find(|(_, partition)| !is_whole(&head, partition)) {
            return Some(format!("partition {number}: {partition:?}"));
        }
        if let Some(missing) = self.who_is_not_drained() {
            return Some(missing);
        }
        if !self.producers_went_on(self.scenario.faults_end) {
            return Some("a producer gets no acknowledgement".to_owned());
        }
        if self.now < self.scenario.faults_end + 8_000 * MILLI {
            return Some("producers have not stopped yet".to_owned());
        }
        for (broker, state) in self.brokers.iter().enumerate() {
            for (number, partition) in partitions() {
                if !partition.replicas.contains(&id_of(broker)) {
                    continue;
                }
                let replica = &state.replicas[number];
                if !self.is_filled(number, replica) {
                    return Some(format!("broker {broker} partition {number}: {:?}", replica.role));
                }
            }
        }
        if let Some((_, removed)) = head.image().removed_topics().next() {
            return Some(format!("brokers {:?} have not removed a deleted topic", removed.brokers));
        }
        (!self.consumers_are_at_the_end()).then(|| "a consumer has not read to the end".to_owned())
    }

    /// Whether a replica has everything, and knows that all have.
    fn is_filled(&self, partition: usize, replica: &Replica) -> bool {
        let offsets = match &replica.role {
            Role::None => return false,
            Role::Leader(leader) => leader.offsets(),
            Role::Follower { machine, .. } => machine.offsets(),
        };
        offsets.high_watermark == offsets.log_end && offsets.log_end == self.oracle.end(partition)
    }
}

/// Whether all replicas are in sync, and the right one leads.
fn is_whole(head: &View, partition: &Partition) -> bool {
    let mut isr = partition.isr.to_vec();
    let mut replicas = partition.replicas.to_vec();
    isr.sort_unstable();
    replicas.sort_unstable();
    is_led(head, partition) && isr == replicas && !partition.is_reassigning()
}
