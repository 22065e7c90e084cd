//! A simulated broker: the machines of `core`, a disk, and the glue that a real broker has in `engine` and `cluster`.

mod duty;
mod following;
mod leading;
mod losing;
mod membership;
mod replica;
mod serving;
mod topics;
mod wishes;

use std::collections::BTreeMap;

use eddy_types::{LeaderEpoch, Millis, Offset};

use self::duty::Duty;
pub(crate) use self::replica::{Replica, Role, Token};
use self::wishes::Wanted;
use crate::disk::{Disk, Entry};
use crate::message::Call;
use crate::mutant::Mutant;
use crate::network::Node;
use crate::oracle::Reported;
use crate::queue::{MILLI, Micros};
use crate::world::{Event, World, id_of};

/// Something that a broker does later.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// The write of the disk is synced.
    Synced,
    /// Send followers what they do not have.
    Push,
    /// Open streams, follow what is not followed.
    Connect,
    Tick,
    Heartbeat,
    /// The next metadata entry arrives.
    Apply,
    /// A proposal has got no answer.
    Unanswered(u64),
    /// A start waits until the broker's metadata is as new as the group's.
    Enter,
    /// Others lead what this broker led: the end of a controlled shutdown, and how long until the next start.
    Leave {
        down_for: Micros,
    },
    Stop {
        down_for: Micros,
    },
}

#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) up: bool,
    pub(crate) paused_until: Micros,
    /// Number of this run of the process.
    pub(crate) incarnation: u64,
    pub(crate) disk: Disk,
    /// Metadata entries applied, and whether the next is on its way.
    pub(crate) applied: usize,
    pub(crate) applying: bool,
    /// Whether this run has had an image as new as the group's: it acts on none before.
    pub(crate) entered: bool,
    /// It is about to stop.
    pub(crate) leaving: bool,
    /// How far its time of day is off.
    pub(crate) set_by: Millis,
    /// What its steady clock shows when the run begins.
    pub(crate) clock_base: Millis,
    pub(crate) replicas: Vec<Replica>,
    /// The greatest high watermark that this disk's replica of each partition has ever reported.
    pub(crate) reported: Vec<Reported>,
    /// Unclean elections that this run has heard of, with their leader epochs.
    pub(crate) unclean: BTreeMap<usize, LeaderEpoch>,
    pub(crate) wanted: BTreeMap<u64, Wanted>,
    pub(crate) next_token: u64,
    pub(crate) lease_until: Millis,
    /// While it leads the metadata group.
    pub(crate) duty: Option<Duty>,
    /// Streams opened to other brokers.
    pub(crate) streams: BTreeMap<usize, usize>,
    pub(crate) connecting: bool,
    pub(crate) pushing: bool,
    pub(crate) slow_until: Micros,
}

impl Broker {
    pub(crate) fn new(index: usize, partitions: usize) -> Broker {
        Broker {
            up: false,
            paused_until: 0,
            incarnation: 0,
            disk: Disk::new(index as u64 + 1, partitions),
            applied: 0,
            applying: false,
            entered: false,
            leaving: false,
            set_by: Millis(0),
            clock_base: Millis(0),
            replicas: Vec::new(),
            reported: vec![Reported::default(); partitions],
            unclean: BTreeMap::new(),
            wanted: BTreeMap::new(),
            next_token: 0,
            lease_until: Millis(0),
            duty: None,
            streams: BTreeMap::new(),
            connecting: false,
            pushing: false,
            slow_until: 0,
        }
    }

    /// Whether this run of the process is the one that goes on.
    pub(crate) fn runs(&self, incarnation: u64) -> bool {
        self.up && self.incarnation == incarnation
    }
}

impl World {
    /// A process starts: it knows what its disk knows.
    pub(crate) fn start(&mut self, index: usize) {
        if self.brokers[index].up || self.raft.head().is_gone(id_of(index)) {
            return;
        }
        let partitions = self.scenario.numbers();
        let clock_base = self.time_of_day(index) - self.passed();
        let broker = &mut self.brokers[index];
        broker.up = true;
        broker.paused_until = 0;
        broker.incarnation += 1;
        broker.applying = false;
        broker.entered = false;
        broker.leaving = false;
        broker.clock_base = clock_base;
        let disk = &broker.disk;
        let open = |partition| Replica::open(disk.synced(partition), disk.high_watermarks[partition]);
        broker.replicas = (0..partitions).map(open).collect();
        broker.unclean.clear();
        broker.wanted.clear();
        broker.lease_until = Millis(0);
        broker.duty = None;
        broker.streams.clear();
        broker.connecting = false;
        broker.pushing = false;
        self.later(index, 0, Task::Enter);
    }

    /// Takes part from when its image has everything that the group had committed.
    fn enter(&mut self, index: usize) {
        if self.mutant == Some(Mutant::StartsWithOldMetadata) {
            // The mark of what is committed is behind what is stored.
            let behind = self.chance.index(4);
            self.brokers[index].applied = self.brokers[index].applied.saturating_sub(behind);
        } else if self.reaches_controller(index) && self.has_controller() {
            self.brokers[index].applied = self.raft.end();
        } else {
            return self.later(index, 20 * MILLI, Task::Enter);
        }
        self.brokers[index].entered = true;
        self.image_moved(index);
        self.schedule_apply(index);
        self.later(index, 100 * MILLI, Task::Tick);
        self.later(index, 0, Task::Heartbeat);
    }

    /// A process is gone, and every connection with it.
    pub(crate) fn stop(&mut self, index: usize, clean: bool) {
        if !self.brokers[index].up {
            return;
        }
        let broker = &mut self.brokers[index];
        broker.up = false;
        broker.entered = false;
        broker.paused_until = 0;
        if clean {
            broker.disk.sync_all();
        } else {
            broker.disk.crash(&mut self.chance);
        }
        if self.scenario.remembers {
            broker.disk.high_watermarks = broker.replicas.iter().map(Replica::high_watermark).collect();
        }
        broker.replicas.clear();
        for stream in 0..self.streams.len() {
            let of_this = self.streams[stream].follower == index || self.streams[stream].leader == index;
            if of_this && self.streams[stream].open {
                self.close_stream(stream);
            }
        }
    }

    pub(crate) fn task(&mut self, broker: usize, task: Task) {
        match task {
            Task::Synced => self.synced(broker),
            Task::Push => self.push(broker),
            Task::Connect => {
                self.brokers[broker].connecting = false;
                self.connect(broker);
            }
            Task::Tick => self.tick(broker),
            Task::Heartbeat => self.heartbeat(broker),
            Task::Apply => self.apply_next(broker),
            Task::Unanswered(token) => self.unanswered(broker, token),
            Task::Enter => self.enter(broker),
            Task::Leave { down_for } => self.leave(broker, down_for),
            Task::Stop { down_for } => {
                self.stop(broker, true);
                let down_for = if self.healed { 0 } else { down_for };
                self.queue.push(self.now + down_for, Event::Start(broker));
            }
        }
    }

    fn tick(&mut self, broker: usize) {
        self.later(broker, 100 * MILLI, Task::Tick);
        for partition in 0..self.scenario.numbers() {
            self.tick_replica(broker, partition);
        }
        self.reclaim(broker);
        self.controller_duties(broker);
        self.connect(broker);
    }

    pub(crate) fn called(&mut self, from: Node, broker: usize, call: Call) {
        match call {
            Call::Heartbeat { incarnation, sent } => self.heard(broker, from, incarnation, sent),
            Call::Alive { incarnation, sent } => self.alive(broker, incarnation, sent),
            Call::Propose { token, incarnation, version, records, unclean } => {
                if let Some(result) = self.propose_at(broker, version, &records, unclean) {
                    self.send(broker, from, Call::Proposed { token, incarnation, result });
                }
            }
            Call::Proposed { token, incarnation, result } => {
                if self.brokers[broker].incarnation == incarnation {
                    self.proposed(broker, token, result);
                }
            }
            Call::Produce { client, request, partition, acks, batch } => {
                let partition =
                    if self.scenario.by_name { self.same_name(broker, partition) } else { partition };
                self.produce(broker, partition, batch, Token { client, request, acks, value: batch.value });
            }
            Call::Fetch { client, request, partition, offset } => {
                self.fetch(broker, client, request, partition, offset);
            }
            Call::Delete { partition, before } => self.delete(broker, partition, before),
        }
    }

    /// Whatever waits for the disk is written, unless a write is under way: then it goes with the next.
    pub(crate) fn write(&mut self, broker: usize) {
        if self.brokers[broker].disk.begin_write() {
            let mean = self.scenario.sync;
            let slow = self.brokers[broker].slow_until > self.now;
            let factor = if slow { 50 } else { 1 };
            let after = (mean / 2 + self.network.below(mean + 1)) * factor;
            self.later(broker, after, Task::Synced);
        }
    }

    fn synced(&mut self, broker: usize) {
        let entries = self.brokers[broker].disk.finish_write();
        let partitions = self.scenario.numbers();
        let mut ends = vec![Offset::NONE; partitions];
        let mut cuts = Vec::new();
        for (number, entry) in entries {
            match entry {
                Entry::Append { partition, batch } => ends[partition] = ends[partition].max(batch.end()),
                Entry::Truncate { partition, .. } | Entry::RestartAt { partition, .. } => {
                    cuts.push((number, partition));
                }
                Entry::Trim { .. } => {}
            }
        }
        for (partition, end) in ends.into_iter().enumerate() {
            if end > Offset::NONE {
                self.durable(broker, partition, end);
            }
        }
        // Nothing is appended to a log that is being cut, so all these appends came before.
        for (number, partition) in cuts {
            self.carry_out_cut(broker, partition, number);
        }
        self.write(broker);
    }

    /// A stream breaks: both ends learn of it, the follower opens another.
    pub(crate) fn close_stream(&mut self, stream: usize) {
        let end = &mut self.streams[stream];
        if !end.open {
            return;
        }
        end.open = false;
        end.up.queue.clear();
        end.down.queue.clear();
        let (follower, leader) = (end.follower, end.leader);
        let (follower_incarnation, leader_incarnation) = (end.follower_incarnation, end.leader_incarnation);
        if self.brokers[follower].runs(follower_incarnation) {
            self.brokers[follower].streams.remove(&leader);
            for replica in &mut self.brokers[follower].replicas {
                replica.following = replica.following.filter(|following| following.stream != stream);
            }
            self.connect_later(follower, 50 * MILLI);
        }
        if self.brokers[leader].runs(leader_incarnation) {
            for replica in &mut self.brokers[leader].replicas {
                replica.sessions.remove(&stream);
            }
        }
    }

    pub(crate) fn pump_up(&mut self, stream: usize) {
        self.streams[stream].up.pumping = false;
        if let Some(message) = self.next_of(stream, true) {
            let Some(message) = message.0 else { return };
            self.told_by_follower(stream, message);
        }
    }

    pub(crate) fn pump_down(&mut self, stream: usize) {
        self.streams[stream].down.pumping = false;
        if let Some(message) = self.next_of(stream, false) {
            let Some(message) = message.1 else { return };
            self.told_by_leader(stream, message);
        }
    }

    /// The message that is due on a stream. While the link is cut everything waits, and after a while the stream breaks.
    fn next_of(
        &mut self,
        stream: usize,
        up: bool,
    ) -> Option<(Option<crate::message::Up>, Option<crate::message::Down>)> {
        let state = &self.streams[stream];
        if !state.open {
            return None;
        }
        let (from, to) = if up { (state.follower, state.leader) } else { (state.leader, state.follower) };
        if !self.links.pass(self.now, from, to) {
            let state = &mut self.streams[stream];
            let since = if up { &mut state.up.stuck_since } else { &mut state.down.stuck_since };
            let since = *since.get_or_insert(self.now);
            if self.now > since + 2_000 * MILLI {
                self.close_stream(stream);
            } else {
                self.schedule_pump(stream, up, self.now + 20 * MILLI);
            }
            return None;
        }
        let state = &mut self.streams[stream];
        let message = if up {
            state.up.stuck_since = None;
            (state.up.queue.pop_front().map(|due| due.1), None)
        } else {
            state.down.stuck_since = None;
            (None, state.down.queue.pop_front().map(|due| due.1))
        };
        let next = if up {
            state.up.queue.front().map(|due| due.0)
        } else {
            state.down.queue.front().map(|due| due.0)
        };
        if let Some(at) = next {
            self.schedule_pump(stream, up, at);
        }
        Some(message)
    }

    fn schedule_pump(&mut self, stream: usize, up: bool, at: Micros) {
        let state = &mut self.streams[stream];
        let pumping = if up { &mut state.up.pumping } else { &mut state.down.pumping };
        if !*pumping {
            *pumping = true;
            let event = if up { Event::PumpUp(stream) } else { Event::PumpDown(stream) };
            self.queue.push(at.max(self.now), event);
        }
    }

    pub(crate) fn send_up(&mut self, stream: usize, message: crate::message::Up) {
        let delay = self.delay();
        let pipe = &mut self.streams[stream].up;
        pipe.last = pipe.last.max(self.now + delay);
        let at = pipe.last;
        pipe.queue.push_back((at, message));
        self.schedule_pump(stream, true, at);
    }

    pub(crate) fn send_down(&mut self, stream: usize, message: crate::message::Down) {
        let delay = self.delay();
        let pipe = &mut self.streams[stream].down;
        pipe.last = pipe.last.max(self.now + delay);
        let at = pipe.last;
        pipe.queue.push_back((at, message));
        self.schedule_pump(stream, false, at);
    }
}
