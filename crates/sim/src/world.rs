//! The simulated world: virtual time, brokers, links, clients, and the order in which things happen.

use std::collections::BTreeSet;
use std::rc::Rc;

use eddy_types::{BrokerId, Millis};

use crate::broker::{Broker, Task};
use crate::client::Clients;
use crate::message::{Answer, Call, Wish};
use crate::mutant::Mutant;
use crate::network::{Links, Node, Pipe, Stream};
use crate::oracle::{Oracle, Violation};
use crate::queue::{MILLI, Micros, Queue};
use crate::raft::Raft;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::view::View;

/// Everything that can happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// A broker does something; not if it has died since.
    Task {
        broker: usize,
        incarnation: u64,
        task: Task,
    },
    /// A call arrives at a broker.
    Call {
        from: Node,
        to: usize,
        call: Call,
    },
    /// An answer arrives at the clients.
    Answer(usize, Answer),
    /// A message of a stream may be due.
    PumpUp(usize),
    PumpDown(usize),
    /// A process starts.
    Start(usize),
    /// The decision log looks after its leader.
    Raft,
    /// A client acts.
    Client(usize),
    /// Somebody wants other replicas of a partition.
    Reassign {
        index: usize,
        target: Vec<BrokerId>,
    },
    /// Somebody creates the topic, until it is there.
    CreateTopic,
    /// Somebody takes a broker out of the cluster, until it is gone.
    Decommission(usize),
    /// A process dies.
    Crash {
        broker: usize,
        down_for: Micros,
    },
    /// Somebody wants a leader of a partition, even if records are lost.
    ElectUnclean {
        index: usize,
    },
    /// The next fault.
    Fault,
    /// Faults are over.
    Heal,
    /// Is everything well?
    Watch,
}

/// The time of day at which runs begin.
const BEGAN: Millis = Millis(1_700_000_000_000);

/// What happened in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Events handled.
    pub events: u64,
    /// Batches acknowledged.
    pub acks: u64,
    /// Leaderships begun.
    pub leaderships: u64,
    /// Logs cut because they left the leader's.
    pub truncations: u64,
    /// Logs begun anew at a leader's log start.
    pub restarts_of_logs: u64,
    /// Changes of an ISR by its leader.
    pub isr_changes: u64,
    /// Moves of replicas that came to their end.
    pub moves: u64,
    /// Replicas that left their broker.
    pub drops: u64,
    /// Topics created after one of the same name was deleted.
    pub recreations: u64,
    /// Brokers taken out of their cluster.
    pub removals: u64,
    /// Unclean elections that somebody asked for.
    pub unclean_elections: u64,
    /// Those of them that lost records.
    pub losses: u64,
    /// Records served to consumers.
    pub reads: u64,
    /// Faults.
    pub faults: u64,
    /// Virtual milliseconds from the end of the faults until everything was well.
    pub recovery_ms: u64,
}

pub(crate) struct World {
    pub(crate) now: Micros,
    pub(crate) queue: Queue<Event>,
    pub(crate) scenario: Scenario,
    pub(crate) mutant: Option<Mutant>,
    /// Draws of the network, of the faults, of the clients.
    pub(crate) network: Random,
    pub(crate) chance: Random,
    pub(crate) workload: Random,
    pub(crate) links: Links,
    pub(crate) streams: Vec<Stream>,
    pub(crate) brokers: Vec<Broker>,
    pub(crate) raft: Raft,
    pub(crate) clients: Clients,
    pub(crate) oracle: Oracle,
    pub(crate) statistics: Statistics,
    /// Brokers that somebody is taking out of the cluster.
    pub(crate) decommissioned: BTreeSet<usize>,
    pub(crate) healed: bool,
    pub(crate) done: bool,
    tracing: bool,
    hash: u64,
}

impl World {
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>, tracing: bool) -> World {
        let scenario = Scenario::draw(seed);
        let nodes = scenario.brokers + 1;
        let brokers = (0..scenario.brokers).map(|index| Broker::new(index, scenario.numbers())).collect();
        let mut world = World {
            now: 0,
            queue: Queue::new(),
            network: Random::new(seed, 2),
            chance: Random::new(seed, 3),
            workload: Random::new(seed, 4),
            links: Links::new(nodes),
            streams: Vec::new(),
            brokers,
            raft: Raft::new(&scenario, mutant),
            clients: Clients::default(),
            oracle: Oracle::new(&scenario),
            statistics: Statistics::default(),
            decommissioned: BTreeSet::new(),
            healed: false,
            done: false,
            tracing,
            hash: 0xcbf2_9ce4_8422_2325,
            scenario,
            mutant,
        };
        for broker in 0..world.scenario.brokers {
            world.queue.push(0, Event::Start(broker));
        }
        world.queue.push(0, Event::Raft);
        world.create_clients();
        world.queue.push(world.scenario.fault_pause + 500 * MILLI, Event::Fault);
        world.queue.push(world.scenario.faults_end, Event::Heal);
        world
    }

    /// Runs to the end, or to the first violation.
    pub(crate) fn run(&mut self) -> Option<Violation> {
        while let Some((at, number, event)) = self.queue.pop() {
            self.now = self.now.max(at);
            if let Some(resumed) = self.deferred(&event) {
                self.queue.defer(resumed, number, event);
                continue;
            }
            self.statistics.events += 1;
            self.note(number);
            self.trace(|| format!("{event:?}"));
            self.handle(event);
            if let Some(violation) = self.oracle.violation.take() {
                return Some(Violation { at_ms: self.now / MILLI, ..violation });
            }
            if self.done {
                return None;
            }
        }
        None
    }

    /// A process that stands still handles nothing before it goes on.
    fn deferred(&self, event: &Event) -> Option<Micros> {
        let broker = match event {
            Event::Task { broker, .. } => *broker,
            Event::Call { to, .. } => *to,
            Event::PumpUp(stream) => self.streams[*stream].leader,
            Event::PumpDown(stream) => self.streams[*stream].follower,
            _ => return None,
        };
        let until = self.brokers[broker].paused_until;
        (until > self.now).then_some(until)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Task { broker, incarnation, task } => {
                if self.brokers[broker].runs(incarnation) {
                    self.task(broker, task);
                }
            }
            Event::Call { from, to, call } => {
                if self.brokers[to].up {
                    self.called(from, to, call);
                }
            }
            Event::Answer(client, answer) => self.answered(client, answer),
            Event::PumpUp(stream) => self.pump_up(stream),
            Event::PumpDown(stream) => self.pump_down(stream),
            Event::Start(broker) => self.start(broker),
            Event::Raft => self.raft_tick(),
            Event::Client(client) => self.client_acts(client),
            Event::Reassign { index, target } => self.reassign(index, Some(target)),
            Event::CreateTopic => self.create_topic(),
            Event::Crash { broker, down_for } => {
                if !self.healed {
                    self.crash(broker, down_for);
                }
            }
            Event::ElectUnclean { index } => self.ask(Wish::ElectUnclean { index }),
            Event::Decommission(broker) => self.decommission(broker),
            Event::Fault => self.next_fault(),
            Event::Heal => self.heal(),
            Event::Watch => self.watch(),
        }
    }

    /// Schedules something at a broker as it runs now.
    pub(crate) fn later(&mut self, broker: usize, after: Micros, task: Task) {
        let incarnation = self.brokers[broker].incarnation;
        self.queue.push(self.now + after, Event::Task { broker, incarnation, task });
    }

    /// Sends a call from a node to a broker: it may be lost.
    pub(crate) fn send(&mut self, from: Node, to: usize, call: Call) {
        if from == to {
            self.queue.push(self.now, Event::Call { from, to, call });
        } else if self.links.pass(self.now, from, to) && !self.network.percent(self.loss()) {
            let delay = self.delay();
            self.queue.push(self.now + delay, Event::Call { from, to, call });
        }
    }

    /// Sends an answer to a client: it may be lost.
    pub(crate) fn reply(&mut self, from: usize, client: usize, answer: Answer) {
        let clients = self.scenario.brokers;
        if self.links.pass(self.now, from, clients) && !self.network.percent(self.loss()) {
            let delay = self.delay();
            self.queue.push(self.now + delay, Event::Answer(client, answer));
        }
    }

    fn loss(&self) -> u64 {
        if self.healed { 0 } else { self.scenario.loss }
    }

    /// A one-way delay: around the mean, sometimes much more.
    pub(crate) fn delay(&mut self) -> Micros {
        let mean = if self.healed { self.scenario.latency.min(2_000) } else { self.scenario.latency };
        let spike = if self.network.percent(2) { mean * 10 } else { 0 };
        mean / 2 + self.network.below(mean + 1) + spike
    }

    /// Opens a stream from a follower broker to a leader broker, if it can be reached.
    pub(crate) fn open_stream(&mut self, follower: usize, leader: usize) -> Option<usize> {
        if !self.brokers[leader].up || !self.links.pass_both(self.now, follower, leader) {
            return None;
        }
        self.streams.push(Stream {
            follower,
            leader,
            follower_incarnation: self.brokers[follower].incarnation,
            leader_incarnation: self.brokers[leader].incarnation,
            open: true,
            up: Pipe::new(),
            down: Pipe::new(),
        });
        Some(self.streams.len() - 1)
    }

    pub(crate) fn image_of(&self, broker: usize) -> Rc<View> {
        self.raft.image(self.brokers[broker].applied)
    }

    /// A broker's steady clock: it begins with the time of day at the start of the process, and nobody sets it.
    pub(crate) fn clock(&self, broker: usize) -> Millis {
        self.brokers[broker].clock_base + self.passed()
    }

    /// What a broker takes for the time of day.
    pub(crate) fn time_of_day(&self, broker: usize) -> Millis {
        BEGAN + self.brokers[broker].set_by + self.passed()
    }

    /// The clock that the machines of replicas are told.
    pub(crate) fn machines_clock(&self, broker: usize) -> Millis {
        match self.mutant {
            Some(Mutant::MachinesByTimeOfDay) => self.time_of_day(broker),
            _ => self.clock(broker),
        }
    }

    /// Virtual time since the run began.
    pub(crate) fn passed(&self) -> Millis {
        Millis(i64::try_from(self.now / MILLI).unwrap_or(i64::MAX))
    }

    /// Adds to the hash of the trace.
    pub(crate) fn note(&mut self, number: u64) {
        for word in [self.now, number] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn trace(&self, text: impl FnOnce() -> String) {
        if self.tracing {
            println!("{:>10}.{:03} {}", self.now / MILLI, self.now % MILLI, text());
        }
    }
}

/// The id of the broker at an index: from 1, as people count them.
pub(crate) fn id_of(index: usize) -> BrokerId {
    BrokerId(i32::try_from(index).unwrap_or(i32::MAX - 1) + 1)
}

/// The index of a broker.
pub(crate) fn index_of(broker: BrokerId) -> usize {
    usize::try_from(broker.0 - 1).unwrap_or(usize::MAX)
}
