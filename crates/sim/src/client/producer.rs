//! A producer: unique values, retries in order, and a memory of what was promised to it.

use std::collections::VecDeque;

use eddy_core::Acks;
use eddy_types::{LeaderEpoch, Millis, Offset};

use super::{Client, PATIENCE};
use crate::log::Batch;
use crate::message::{Call, ProduceError, Written};
use crate::oracle::Floor;
use crate::queue::{MILLI, Micros};
use crate::world::World;

/// Attempts at one batch before the producer gives up.
const ATTEMPTS_MAX: u32 = 12;

#[derive(Debug)]
pub(super) struct Producer {
    /// Index of the partition in the topic.
    index: usize,
    idempotent: bool,
    acks: Acks,
    id: i64,
    next_sequence: i32,
    /// Batches without an outcome, in order.
    open: VecDeque<Open>,
    /// Where batches go: partition and leader.
    target: Option<(usize, usize)>,
    /// When the newest acknowledged batch was begun.
    pub(super) acked_since: Micros,
}

#[derive(Debug)]
struct Open {
    batch: Batch,
    /// Every request that carried it.
    requests: Vec<u64>,
    /// When the last one was sent, unless it has been answered.
    waiting_since: Option<Micros>,
    /// Some attempt may have been written.
    ambiguous: bool,
    begun: Micros,
    /// What was acknowledged of the partition when it began: it must come later (L5).
    floor: Floor,
}

impl Producer {
    pub(super) fn new(index: usize, idempotent: bool, acks: Acks) -> Producer {
        Producer {
            index,
            idempotent,
            acks,
            id: -1,
            next_sequence: 0,
            open: VecDeque::new(),
            target: None,
            acked_since: 0,
        }
    }

    pub(super) fn is_careful(&self) -> bool {
        self.idempotent && self.acks == Acks::All
    }
}

impl World {
    fn producer(&mut self, client: usize) -> Option<&mut Producer> {
        match self.clients.clients.get_mut(client) {
            Some(Client::Producer(producer)) => Some(producer),
            _ => None,
        }
    }

    pub(super) fn producer_acts(&mut self, client: usize) {
        let (now, in_flight) = (self.now, self.scenario.in_flight);
        let ends = self.load_ends();
        let Some(producer) = self.producer(client) else { return };
        let mut late = false;
        for open in &mut producer.open {
            if open.waiting_since.is_some_and(|since| since + PATIENCE < now) {
                open.waiting_since = None;
                open.ambiguous = true;
                late = true;
            }
        }
        if late {
            producer.target = None;
        }
        let gave_up = producer.open.iter().any(|open| {
            let attempts = open.requests.len() as u32;
            let enough = if producer.idempotent { ATTEMPTS_MAX } else { 1 };
            open.waiting_since.is_none() && attempts >= enough
        });
        if gave_up {
            self.give_up(client);
        }
        let Some(producer) = self.producer(client) else { return };
        let limit = if producer.idempotent { in_flight } else { 1 };
        let new = producer.open.len() < limit && now < ends;
        if new {
            self.begin_batch(client);
        }
        self.send_open(client);
    }

    /// Producers stop some seconds after the faults.
    fn load_ends(&self) -> Micros {
        self.scenario.faults_end + 6_000 * MILLI
    }

    fn begin_batch(&mut self, client: usize) {
        let offsets = i32::try_from(self.workload.between(1, 3)).unwrap_or(1);
        let value = self.clients.next_value;
        self.clients.next_value += 10;
        let (now, next_id) = (self.now, self.clients.next_producer);
        let mut new_id = false;
        let index = match self.producer(client) {
            Some(producer) => producer.index,
            None => return,
        };
        let floor = match self.raft.head().number_of(index) {
            Some(partition) => self.oracle.floor(partition),
            None => return,
        };
        let Some(producer) = self.producer(client) else { return };
        if producer.idempotent && producer.id < 0 {
            producer.id = next_id;
            producer.next_sequence = 0;
            new_id = true;
        }
        let identity = producer.idempotent.then_some((producer.id, producer.next_sequence));
        producer.next_sequence += offsets;
        let batch = Batch {
            partition: index,
            base: Offset::NONE,
            offsets,
            epoch: LeaderEpoch::NONE,
            value,
            timestamp: Millis::NONE,
            producer: identity,
        };
        producer.open.push_back(Open {
            batch,
            requests: Vec::new(),
            waiting_since: None,
            ambiguous: false,
            begun: now,
            floor,
        });
        if new_id {
            self.clients.next_producer += 1;
        }
    }

    /// Sends what is not on its way: in order, so that a batch never overtakes one before it that is to be sent again.
    fn send_open(&mut self, client: usize) {
        let node = self.scenario.brokers;
        let Some(producer) = self.producer(client) else { return };
        let (index, acks, target) = (producer.index, producer.acks, producer.target);
        let first = producer.open.iter().position(|open| open.waiting_since.is_none());
        let Some(first) = first else { return };
        let count = producer.open.len();
        let Some((partition, leader)) = target.or_else(|| self.leader_of(index)) else { return };
        for index in first..count {
            let request = self.request_number();
            let now = self.now;
            let Some(producer) = self.producer(client) else { return };
            producer.target = Some((partition, leader));
            let Some(open) = producer.open.get_mut(index) else { return };
            open.requests.push(request);
            // It goes again after one before it, whatever may become of the attempt that is on its way.
            open.ambiguous |= open.waiting_since.is_some();
            open.waiting_since = Some(now);
            let batch = open.batch;
            self.send(node, leader, Call::Produce { client, request, partition, acks, batch });
        }
    }

    pub(super) fn produced(&mut self, client: usize, request: u64, result: Result<Written, ProduceError>) {
        let Some(producer) = self.producer(client) else { return };
        let acks = producer.acks;
        let Some(index) = producer.open.iter().position(|open| open.requests.contains(&request)) else {
            return;
        };
        let newest = producer.open.get(index).and_then(|open| open.requests.last().copied());
        match result {
            Ok(written) => {
                let Some(open) = producer.open.remove(index) else { return };
                if acks == Acks::All {
                    producer.acked_since = producer.acked_since.max(open.begun);
                    self.oracle.acknowledged(&open.batch, written, open.floor);
                }
            }
            Err(error) => {
                let definite = error == ProduceError::NotEnoughReplicas;
                if let Some(open) = producer.open.get_mut(index) {
                    open.ambiguous |= !definite;
                    if newest == Some(request) {
                        open.waiting_since = None;
                    }
                }
                producer.target = None;
            }
        }
    }

    /// The producer drops what is open and begins anew under another id, as clients do.
    fn give_up(&mut self, client: usize) {
        let Some(producer) = self.producer(client) else { return };
        producer.id = -1;
        producer.target = None;
        let open = std::mem::take(&mut producer.open);
        for open in open {
            if !open.ambiguous && open.waiting_since.is_none() {
                self.oracle.rejected(&open.batch);
            }
        }
    }
}
