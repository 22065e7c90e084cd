//! Faults: when they come, what they do, and the end of them.

use eddy_metadata::Partition;
use eddy_types::Millis;

use crate::broker::Role;
use crate::disk::Disk;
use crate::message::Wish;
use crate::oracle::Reported;
use crate::queue::{MILLI, Micros};
use crate::scenario::Fault;
use crate::world::{Event, World, id_of};

impl World {
    pub(crate) fn next_fault(&mut self) {
        if self.healed {
            return;
        }
        let faults = self.scenario.faults.clone();
        if let Some(fault) = self.chance.pick(&faults) {
            self.statistics.faults += 1;
            self.strike(fault);
        }
        let pause = self.scenario.fault_pause;
        let pause = pause / 4 + self.chance.below(pause * 3 / 2);
        self.queue.push(self.now + pause, Event::Fault);
    }

    fn strike(&mut self, fault: Fault) {
        let nodes = self.brokers.len();
        let target = self.target();
        let other = (target + 1 + self.chance.index(nodes - 1)) % nodes;
        let span = self.span();
        let until = self.now + span;
        self.trace(|| format!("fault {fault:?} of broker {target} (other {other}) for {} ms", span / MILLI));
        match fault {
            Fault::Crash => self.crash(target, span),
            Fault::CrashAll => {
                for broker in 0..nodes {
                    let span = self.span();
                    self.crash(broker, span);
                }
            }
            Fault::CleanRestart => self.stop_cleanly(target, span),
            Fault::Pause => {
                // What it puts off until then is not brought forward.
                self.brokers[target].paused_until = until.min(self.scenario.faults_end);
            }
            Fault::Isolate => {
                let with_clients = self.chance.percent(50);
                for node in 0..nodes + usize::from(with_clients) {
                    if node != target {
                        self.links.cut(target, node, until);
                        self.links.cut(node, target, until);
                    }
                }
            }
            Fault::OneWay => {
                if self.chance.percent(50) {
                    self.links.cut(target, other, until);
                } else {
                    // Deaf: hears nobody, is heard by all.
                    (0..nodes)
                        .filter(|node| *node != target)
                        .for_each(|node| self.links.cut(node, target, until));
                }
            }
            Fault::Bridge => {
                self.links.cut(target, other, until);
                self.links.cut(other, target, until);
            }
            Fault::ClientsCut => {
                self.links.cut(target, nodes, until);
                self.links.cut(nodes, target, until);
            }
            Fault::Reset => {
                for stream in 0..self.streams.len() {
                    if self.streams[stream].open && self.chance.percent(50) {
                        self.close_stream(stream);
                    }
                }
            }
            Fault::SlowDisk => self.brokers[target].slow_until = until,
            Fault::Wipe => {
                if self.may_wipe(target) {
                    // Back at once, the cluster may not have noticed that it was away (KIP-903).
                    let down_for = if self.chance.percent(50) { span % (20 * MILLI) } else { span };
                    self.crash(target, down_for);
                    self.wipe(target);
                }
            }
            Fault::Reassign => self.move_something(span),
            Fault::SetClock => {
                self.set_clock(target);
                if self.chance.percent(30) {
                    self.cut_from_controller(target, until);
                }
            }
            Fault::Recreate => self.delete_topic(),
            Fault::Drain => self.drain(target),
            Fault::Decommission => self.decommission(target),
            Fault::ElectUnclean => self.strand(),
        }
    }

    /// A broker; mostly one that leads something.
    fn target(&mut self) -> usize {
        let leads = |broker: &usize| {
            self.brokers[*broker].replicas.iter().any(|replica| matches!(replica.role, Role::Leader(_)))
        };
        let leaders: Vec<usize> = (0..self.brokers.len()).filter(leads).collect();
        let any = self.chance.index(self.brokers.len());
        if self.chance.percent(70) { self.chance.pick(&leaders).unwrap_or(any) } else { any }
    }

    /// How long a fault lasts: mostly short, sometimes longer than a session.
    fn span(&mut self) -> Micros {
        match self.chance.below(4) {
            0 => self.chance.between(1, 100) * MILLI,
            1 | 2 => self.chance.between(100, 1_500) * MILLI,
            _ => self.chance.between(1_500, 6_000) * MILLI,
        }
    }

    pub(crate) fn crash(&mut self, broker: usize, down_for: Micros) {
        self.stop(broker, false);
        self.queue.push(self.now + down_for, Event::Start(broker));
    }

    /// Mostly by some minutes or hours; sometimes somebody puts it right.
    fn set_clock(&mut self, broker: usize) {
        let most = if self.chance.percent(50) { 30 * 60_000 } else { 3 * 24 * 3_600_000 };
        let by = i64::try_from(self.chance.between(60_000, most)).unwrap_or(0);
        let set_by = &mut self.brokers[broker].set_by;
        *set_by = match self.chance.below(5) {
            0 => Millis(0),
            1 | 2 => *set_by + Millis(by),
            _ => *set_by - Millis(by),
        };
    }

    /// Nobody hears of a broker that it lives but those that follow it.
    fn cut_from_controller(&mut self, broker: usize, until: Micros) {
        if let Some(leader) = self.raft.leader.filter(|leader| *leader != broker) {
            self.links.cut(broker, leader, until);
            self.links.cut(leader, broker, until);
        }
    }

    /// One lost disk at a time is what the replication factor of these topics can bear.
    fn may_wipe(&self, broker: usize) -> bool {
        let mut all = 0..self.brokers.len();
        let image = self.raft.head();
        let is_move = |wish: &Wish| matches!(wish, Wish::Reassign { .. });
        image.topic().is_some()
            && !all.any(|other| self.is_wanted(other, is_move))
            && image.numbers().all(|number| {
                image.partition(number).is_none_or(|state| self.bears_a_wipe(number, state, broker))
            })
    }

    /// Whether the cluster knows of every disk that was replaced. A new topic may be placed on a broker whose disk is gone, before
    /// anybody notices that.
    pub(crate) fn wipes_are_noticed(&self) -> bool {
        let head = self.raft.head();
        (0..self.brokers.len()).all(|broker| {
            let directory = self.brokers[broker].disk.directory;
            head.is_gone(id_of(broker)) || head.has_directory(id_of(broker), directory)
        })
    }

    fn bears_a_wipe(&self, number: usize, state: &Partition, broker: usize) -> bool {
        let me = id_of(broker);
        let required = self.scenario.min_insync.min(state.replicas.len());
        let nobody = (0..self.brokers.len()).all(|other| !self.oracle.is_wiped(other, number));
        // Created while most brokers were down, or not moved after all, it may be held by one of them alone.
        let others = state.isr.iter().chain(state.elr.iter()).any(|id| *id != me);
        !state.replicas.contains(&me) || (required >= 2 && nobody && others)
    }

    fn wipe(&mut self, broker: usize) {
        let partitions = self.scenario.numbers();
        let directory = self.chance.bits();
        let state = &mut self.brokers[broker];
        state.disk = Disk::new(directory, partitions);
        state.applied = 0;
        state.reported.iter_mut().for_each(|end| *end = Reported::default());
        let image = self.raft.head();
        for partition in image.numbers() {
            if image.partition(partition).is_some_and(|state| state.replicas.contains(&id_of(broker))) {
                self.oracle.wipe(broker, partition);
            }
        }
    }

    /// Faults are over: links pass, everybody runs.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
        self.links.heal();
        for broker in 0..self.brokers.len() {
            self.brokers[broker].paused_until = 0;
            self.brokers[broker].slow_until = 0;
            self.queue.push(self.now, Event::Start(broker));
        }
        self.queue.push(self.now + 200 * MILLI, Event::Watch);
    }
}
