//! Clients: producers whose outcomes are remembered, consumers that read along.

mod consumer;
mod producer;

use self::consumer::Consumer;
use self::producer::Producer;
use crate::message::Answer;
use crate::queue::{MILLI, Micros};
use crate::world::{Event, World, index_of};

/// How long a client waits for an answer.
const PATIENCE: Micros = 1_000 * MILLI;

#[derive(Debug)]
enum Client {
    Producer(Producer),
    Consumer(Consumer),
}

/// All clients of the run. They share one node of the network.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    clients: Vec<Client>,
    next_request: u64,
    next_value: u64,
    next_producer: i64,
}

impl World {
    pub(crate) fn create_clients(&mut self) {
        for partition in 0..self.scenario.partitions {
            // One that promises the most, one that may be anything.
            let careful = Producer::new(partition, true, eddy_core::Acks::All);
            let idempotent = self.workload.percent(50);
            let acks = if self.workload.percent(50) { eddy_core::Acks::All } else { eddy_core::Acks::Leader };
            let other = Producer::new(partition, idempotent, acks);
            for producer in [careful, other] {
                self.clients.clients.push(Client::Producer(producer));
            }
            self.clients.clients.push(Client::Consumer(Consumer::new(partition)));
        }
        for client in 0..self.clients.clients.len() {
            self.queue.push((200 + client as u64) * MILLI, Event::Client(client));
        }
    }

    pub(crate) fn client_acts(&mut self, client: usize) {
        let pace = self.scenario.pace;
        let pause = match self.clients.clients.get(client) {
            Some(Client::Producer(_)) => {
                self.producer_acts(client);
                pace / 2 + self.workload.below(pace)
            }
            Some(Client::Consumer(_)) => {
                self.consumer_acts(client);
                pace * 2
            }
            None => return,
        };
        self.queue.push(self.now + pause, Event::Client(client));
    }

    pub(crate) fn answered(&mut self, client: usize, answer: Answer) {
        match answer {
            Answer::Produced { request, result } => self.produced(client, request, result),
            Answer::Fetched { request, result } => self.fetched(client, request, result),
        }
    }

    /// Where a client takes a partition of the topic to be, and whom for its leader: what a broker that it reaches says, sometimes
    /// nonsense. `None` when there is no topic.
    fn leader_of(&mut self, index: usize) -> Option<(usize, usize)> {
        let asked = self.workload.index(self.brokers.len());
        let nonsense = self.workload.percent(2);
        let clients = self.scenario.brokers;
        let reached = self.brokers[asked].entered && self.links.pass_both(self.now, clients, asked);
        let image = if reached { self.image_of(asked) } else { self.raft.head() };
        let number = image.number_of(index)?;
        let leader = image.partition(number)?.leader.filter(|_| !nonsense);
        Some((number, leader.map_or(asked, index_of)))
    }

    fn request_number(&mut self) -> u64 {
        self.clients.next_request += 1;
        self.clients.next_request
    }

    /// Whether every careful producer has been acknowledged something it began after `since`.
    pub(crate) fn producers_went_on(&self, since: Micros) -> bool {
        self.clients.clients.iter().all(|client| match client {
            Client::Producer(producer) => !producer.is_careful() || producer.acked_since > since,
            Client::Consumer(_) => true,
        })
    }

    pub(crate) fn consumers_are_at_the_end(&self) -> bool {
        self.clients.clients.iter().all(|client| match client {
            Client::Producer(_) => true,
            Client::Consumer(consumer) => {
                let there = self.raft.head().number_of(consumer.index);
                let newest = self.oracle.histories[consumer.partition].newest_line();
                (there, newest) == (Some(consumer.partition), consumer.line)
                    && consumer.position >= self.oracle.end(consumer.partition)
            }
        })
    }
}
