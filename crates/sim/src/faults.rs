//! Faults: when they come, what they do, and the end of them.

use eddy_metadata::Partition;
use eddy_types::{BrokerId, Millis};

use crate::broker::Role;
use crate::disk::Disk;
use crate::message::Wish;
use crate::queue::{MILLI, Micros};
use crate::scenario::Fault;
use crate::world::{Event, World, id_of, index_of};

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
                self.brokers[target].paused_until = until;
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
            Fault::SetClock => self.set_clock(target),
        }
    }

    /// A partition is to have other replicas; often the old ones again after a while, or what is under way is taken back.
    fn move_something(&mut self, span: Micros) {
        let partition = self.chance.index(self.scenario.partitions);
        let state = self.raft.head().partition(partition).clone();
        if state.is_reassigning() && self.chance.percent(30) {
            return self.reassign(partition, None);
        }
        if self.chance.percent(25) && self.take_away_for_a_moment(partition, &state) {
            return;
        }
        let before: Vec<BrokerId> = state.target_replicas().collect();
        let target = self.draw_replicas(&before);
        if self.chance.percent(50) {
            self.queue.push(self.now + span, Event::Reassign { partition, target: before });
        }
        self.reassign(partition, Some(target));
    }

    /// A follower loses its replica and gets it back while what it says to the leader is stuck on the way. False when nobody can be
    /// spared.
    fn take_away_for_a_moment(&mut self, partition: usize, state: &Partition) -> bool {
        let Some(leader) = state.leader.filter(|_| state.replicas.len() > 2 && !state.is_reassigning())
        else {
            return false;
        };
        let followers: Vec<BrokerId> = state.isr.iter().copied().filter(|id| *id != leader).collect();
        let Some(follower) = self.chance.pick(&followers) else { return false };
        let target = state.replicas.iter().copied().filter(|id| *id != follower).collect();
        let (taken, given) = (self.now + 100 * MILLI, self.now + 400 * MILLI);
        let cut_until = given + self.chance.between(10, 1_000) * MILLI;
        self.links.cut(index_of(follower), index_of(leader), cut_until);
        self.queue.push(taken, Event::Reassign { partition, target });
        self.queue.push(given, Event::Reassign { partition, target: state.replicas.to_vec() });
        true
    }

    /// One replica more, one fewer, one on another broker, or all of them anew and in another order. Partitions of a single replica
    /// keep to one: what it loses with its broker's last moments is not to be found elsewhere.
    fn draw_replicas(&mut self, before: &[BrokerId]) -> Vec<BrokerId> {
        let mut others: Vec<BrokerId> = (0..self.brokers.len()).map(id_of).collect();
        others.retain(|id| !before.contains(id));
        let mut target = before.to_vec();
        let place = self.chance.index(target.len());
        let other = self.chance.pick(&others);
        let alone = self.scenario.replication_factor == 1;
        match (self.chance.below(4), other) {
            (0, Some(other)) if !alone => target.insert(place, other),
            (1, _) if target.len() > 2 => drop(target.remove(place)),
            (2, Some(other)) => target[place] = other,
            _ => {
                target.extend(others);
                for at in (1..target.len()).rev() {
                    target.swap(at, self.chance.index(at + 1));
                }
                target.truncate(before.len());
            }
        }
        target
    }

    /// Asks any broker that runs.
    pub(crate) fn reassign(&mut self, partition: usize, target: Option<Vec<BrokerId>>) {
        let up: Vec<usize> = (0..self.brokers.len()).filter(|broker| self.brokers[*broker].up).collect();
        if let Some(broker) = self.chance.pick(&up) {
            self.trace(|| format!("partition {partition} is to have {target:?}"));
            self.wish(broker, Wish::Reassign { partition, target });
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

    fn crash(&mut self, broker: usize, down_for: Micros) {
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

    /// One lost disk at a time is what the replication factor of these topics can bear.
    fn may_wipe(&self, broker: usize) -> bool {
        (0..self.scenario.partitions).all(|partition| {
            let image = self.raft.head();
            let replicas = &image.partition(partition).replicas;
            let required = self.scenario.min_insync.min(replicas.len());
            let nobody = (0..self.brokers.len()).all(|other| !self.oracle.is_wiped(other, partition));
            !replicas.contains(&id_of(broker)) || (required >= 2 && nobody)
        })
    }

    fn wipe(&mut self, broker: usize) {
        let partitions = self.scenario.partitions;
        let directory = self.chance.bits();
        let state = &mut self.brokers[broker];
        state.disk = Disk::new(directory, partitions);
        state.applied = 0;
        state.reported.iter_mut().for_each(|end| *end = eddy_types::Offset::ZERO);
        for partition in 0..partitions {
            let image = self.raft.head();
            if image.partition(partition).replicas.contains(&id_of(broker)) {
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
        for (index, partition) in head.partitions().iter().enumerate() {
            let mut isr = partition.isr.to_vec();
            let mut replicas = partition.replicas.to_vec();
            isr.sort_unstable();
            replicas.sort_unstable();
            let preferred =
                partition.leader.is_some() && partition.leader == partition.replicas.first().copied();
            if !preferred || isr != replicas || partition.is_reassigning() {
                return Some(format!("partition {index}: {partition:?}"));
            }
        }
        if !self.producers_went_on(self.scenario.faults_end) {
            return Some("a producer gets no acknowledgement".to_owned());
        }
        if self.now < self.scenario.faults_end + 8_000 * MILLI {
            return Some("producers have not stopped yet".to_owned());
        }
        for (broker, state) in self.brokers.iter().enumerate() {
            for (partition, replica) in state.replicas.iter().enumerate() {
                if !head.partition(partition).replicas.contains(&id_of(broker)) {
                    continue;
                }
                let offsets = match &replica.role {
                    Role::None => {
                        return Some(format!("broker {broker} has no role in partition {partition}"));
                    }
                    Role::Leader(leader) => leader.offsets(),
                    Role::Follower { machine, .. } => machine.offsets(),
                };
                if offsets.high_watermark != offsets.log_end || offsets.log_end != self.oracle.end(partition)
                {
                    return Some(format!("broker {broker} partition {partition}: {:?}", replica.role));
                }
            }
        }
        (!self.consumers_are_at_the_end()).then(|| "a consumer has not read to the end".to_owned())
    }
}
