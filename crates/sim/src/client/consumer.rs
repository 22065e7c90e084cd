//! A consumer: reads a partition from its beginning, without a gap.

use eddy_types::Offset;

use super::{Client, PATIENCE};
use crate::message::{Call, Fetched};
use crate::queue::Micros;
use crate::world::World;

#[derive(Debug)]
pub(super) struct Consumer {
    /// Index of the partition in the topic.
    pub(super) index: usize,
    /// The partition that it reads: of the newest topic that it has heard of.
    pub(super) partition: usize,
    pub(super) position: Offset,
    /// The line of the partition's history that it reads.
    pub(super) line: usize,
    request: Option<(u64, Micros)>,
}

impl Consumer {
    pub(super) fn new(index: usize) -> Consumer {
        Consumer { index, partition: index, position: Offset::ZERO, line: 0, request: None }
    }
}

impl World {
    fn consumer(&mut self, client: usize) -> Option<&mut Consumer> {
        match self.clients.clients.get_mut(client) {
            Some(Client::Consumer(consumer)) => Some(consumer),
            _ => None,
        }
    }

    pub(super) fn consumer_acts(&mut self, client: usize) {
        let (now, node) = (self.now, self.scenario.brokers);
        let Some(consumer) = self.consumer(client) else { return };
        if consumer.request.is_some_and(|(_, since)| since + PATIENCE > now) {
            return;
        }
        let index = consumer.index;
        let request = self.request_number();
        let Some((partition, leader)) = self.leader_of(index) else { return };
        let Some(consumer) = self.consumer(client) else { return };
        if partition < consumer.partition {
            return;
        }
        if partition > consumer.partition {
            (consumer.partition, consumer.position, consumer.line) = (partition, Offset::ZERO, 0);
        }
        let offset = consumer.position;
        consumer.request = Some((request, now));
        self.send(node, leader, Call::Fetch { client, request, partition, offset });
        if self.scenario.deletes && !self.healed && self.workload.percent(1) {
            let before = Offset(self.workload.below(offset.0.unsigned_abs() + 1).cast_signed());
            self.send(node, leader, Call::Delete { partition, before });
        }
    }

    pub(super) fn fetched(&mut self, client: usize, request: u64, result: Fetched) {
        let Some(consumer) = self.consumer(client) else { return };
        if consumer.request.is_none_or(|(waits, _)| waits != request) {
            return;
        }
        consumer.request = None;
        let (partition, mut position, mut line) = (consumer.partition, consumer.position, consumer.line);
        match result {
            Fetched::NotLeader => {}
            Fetched::BelowStart(start) => {
                position = start;
                self.oracle.skipped(partition, start);
            }
            Fetched::Records { epoch, .. } if self.oracle.histories[partition].line(epoch) != line => {
                // An old leader's answer is dropped; a new leader may lack what was read, and then it goes on where that begins.
                let history = &self.oracle.histories[partition];
                position = history.left_of(position, line, history.line(epoch));
                line = line.max(history.line(epoch));
            }
            Fetched::Records { high_watermark, epoch, batches } => {
                for batch in batches {
                    self.statistics.reads += batch.offsets.unsigned_abs() as u64;
                    self.oracle.read(partition, position, high_watermark, epoch, &batch);
                    position = position.max(batch.end());
                }
            }
        }
        if let Some(consumer) = self.consumer(client) {
            (consumer.position, consumer.line) = (position, line);
        }
    }
}
