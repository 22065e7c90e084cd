//! What a follower does: opens a stream to each leader, copies, cuts its log where it leaves the leader's.

use eddy_core::{Effects, straddled};
use eddy_types::{LeaderEpoch, Offset};

use super::Task;
use super::replica::{Cut, Following, Replica, Role};
use crate::disk::Entry;
use crate::log::{Batch, Log};
use crate::message::{Down, Up};
use crate::mutant::Mutant;
use crate::oracle::Reported;
use crate::queue::{MILLI, Micros};
use crate::world::{World, id_of, index_of};

impl World {
    pub(crate) fn connect_later(&mut self, broker: usize, after: Micros) {
        if !self.brokers[broker].connecting {
            self.brokers[broker].connecting = true;
            self.later(broker, after, Task::Connect);
        }
    }

    /// Follows every partition that shall be followed and is not, over one stream to each leader.
    pub(crate) fn connect(&mut self, broker: usize) {
        let image = self.image_of(broker);
        let Some(broker_epoch) = image.broker_epoch(id_of(broker), self.brokers[broker].incarnation) else {
            return;
        };
        for partition in 0..self.scenario.numbers() {
            let replica = &self.brokers[broker].replicas[partition];
            if replica.cutting.is_some() {
                continue;
            }
            let Role::Follower { leader: Some(leader), epoch, .. } = &replica.role else { continue };
            let (leader, leader_epoch) = (index_of(*leader), *epoch);
            let following = replica.following;
            let current = following.is_some_and(|at| {
                at.leader_epoch == leader_epoch
                    && at.broker_epoch == broker_epoch
                    && self.streams[at.stream].open
                    && self.streams[at.stream].leader == leader
            });
            if current {
                continue;
            }
            let open = self.brokers[broker].streams.get(&leader).copied();
            let Some(stream) = open.or_else(|| self.open_stream(broker, leader)) else {
                self.connect_later(broker, 50 * MILLI);
                continue;
            };
            self.brokers[broker].streams.insert(leader, stream);
            let following = Following { stream, leader_epoch, broker_epoch };
            self.brokers[broker].replicas[partition].following = Some(following);
            self.send_follow(broker, partition);
        }
    }

    /// Begins to follow, or begins anew: what was sent before does not count any more.
    fn send_follow(&mut self, broker: usize, partition: usize) {
        let replica = &mut self.brokers[broker].replicas[partition];
        let Some(following) = replica.following else { return };
        let Role::Follower { machine, .. } = &replica.role else { return };
        replica.generation += 1;
        let offsets = machine.offsets();
        let message = Up::Follow {
            partition,
            leader_epoch: following.leader_epoch,
            broker_epoch: following.broker_epoch,
            generation: replica.generation,
            last_epoch: replica.log.last_epoch(),
            log_start: offsets.log_start,
            log_end: offsets.log_end,
            durable_end: offsets.durable_end,
        };
        self.send_up(following.stream, message);
    }

    pub(crate) fn report_progress(&mut self, broker: usize, partition: usize) {
        let replica = &self.brokers[broker].replicas[partition];
        let Some(following) = replica.following else { return };
        let Role::Follower { machine, .. } = &replica.role else { return };
        let offsets = machine.offsets();
        let message = Up::Progress {
            partition,
            generation: replica.generation,
            log_start: offsets.log_start,
            log_end: offsets.log_end,
            durable_end: offsets.durable_end,
        };
        self.send_up(following.stream, message);
    }

    pub(crate) fn told_by_leader(&mut self, stream: usize, message: Down) {
        let broker = self.streams[stream].follower;
        if !self.brokers[broker].runs(self.streams[stream].follower_incarnation) {
            return;
        }
        self.trace(|| format!("    {message:?}"));
        let (partition, generation) = match &message {
            Down::Data { partition, generation, .. }
            | Down::Diverging { partition, generation, .. }
            | Down::OutOfRange { partition, generation, .. }
            | Down::Refused { partition, generation } => (*partition, *generation),
        };
        let replica = &self.brokers[broker].replicas[partition];
        let of_this_stream = replica.following.is_some_and(|following| following.stream == stream);
        let stale = replica.generation != generation;
        let is_data = matches!(message, Down::Data { .. });
        if replica.cutting.is_some()
            || !of_this_stream
            || (stale && !(is_data && self.mutant == Some(Mutant::StaleDataCounts)))
        {
            return;
        }
        match message {
            Down::Data { high_watermark, log_start, batches, .. } => {
                let log = &self.brokers[broker].replicas[partition].log;
                let begins_at = batches.first().and_then(|first| straddled(log.start..log.end(), first.base));
                if let Some(at) = begins_at {
                    return self.cut(broker, partition, Cut::Restart(at));
                }
                self.copy(broker, partition, &batches);
                let mut out = Effects::new();
                if let Role::Follower { machine, .. } = &mut self.brokers[broker].replicas[partition].role {
                    machine.leader_told(high_watermark, log_start, &mut out);
                }
                self.carry_out(broker, partition, out);
            }
            Down::Diverging { epoch, end, .. } => self.diverged(broker, partition, epoch, end),
            Down::OutOfRange { log_start, log_end, .. } => {
                self.out_of_range(broker, partition, log_start..log_end);
            }
            Down::Refused { .. } => {
                // One of the two has old metadata: it will have newer soon.
                self.brokers[broker].replicas[partition].following = None;
                self.connect_later(broker, 50 * MILLI);
            }
        }
    }

    fn copy(&mut self, broker: usize, partition: usize, batches: &[Batch]) {
        let now = self.machines_clock(broker);
        let mut out = Effects::new();
        for batch in batches {
            let replica = &mut self.brokers[broker].replicas[partition];
            let Role::Follower { machine, .. } = &mut replica.role else { return };
            if let Err(error) = machine.append(now, &batch.facts(), batch.base, batch.epoch, &mut out) {
                if self.mutant.is_none() {
                    self.oracle.report("protocol", format!("broker {broker} partition {partition}: {error}"));
                }
                self.brokers[broker].replicas[partition].following = None;
                self.connect_later(broker, 50 * MILLI);
                break;
            }
            replica.log.append(*batch);
            self.brokers[broker].disk.push(Entry::Append { partition, batch: *batch });
            if self.mutant == Some(Mutant::FollowerReportsBeforeSync) {
                machine_durable(&mut self.brokers[broker].replicas[partition].role, batch.end(), &mut out);
            }
        }
        self.carry_out(broker, partition, out);
        if self.mutant == Some(Mutant::FollowerReportsBeforeSync) {
            self.report_progress(broker, partition);
        }
        self.write(broker);
    }

    /// The leader's log leaves this one in an epoch of at most `epoch`, which ends at `end` there.
    fn diverged(&mut self, broker: usize, partition: usize, epoch: LeaderEpoch, end: Offset) {
        let log = &self.brokers[broker].replicas[partition].log;
        let (own, own_end) = log.end_of(epoch);
        let start = log.start;
        let to = match own == epoch {
            true => own_end.min(end),
            // The epoch is not in this log: the leader is asked again about the one before.
            false if own != LeaderEpoch::NONE => own_end,
            // Everything here is of epochs that the leader never had.
            false => end.min(log.start),
        };
        if to < log.start {
            self.cut(broker, partition, Cut::Restart(to));
        } else if to < log.end() {
            self.truncate(broker, partition, to, start);
        } else {
            self.send_follow(broker, partition);
        }
    }

    /// Begins to cut a log: first in the write-ahead log. Until that is synced nothing is appended.
    pub(crate) fn cut(&mut self, broker: usize, partition: usize, cut: Cut) {
        let entry = match cut {
            Cut::Truncate(to) => Entry::Truncate { partition, to },
            Cut::Restart(at) => Entry::RestartAt { partition, at },
            Cut::Drop => Entry::RestartAt { partition, at: Offset::ZERO },
        };
        let number = self.brokers[broker].disk.push(entry);
        self.brokers[broker].replicas[partition].cutting = Some((number, cut));
        if self.mutant == Some(Mutant::SyncOfWhatWasCutOff) {
            self.carry_out_cut(broker, partition, number);
        }
        self.write(broker);
    }

    /// The entry of a cut is synced.
    pub(crate) fn carry_out_cut(&mut self, broker: usize, partition: usize, number: u64) {
        let now = self.machines_clock(broker);
        let kind = self.kind_of_truncation(broker, partition);
        let replica = &mut self.brokers[broker].replicas[partition];
        let Some((_, cut)) = replica.cutting.take_if(|(cutting, _)| *cutting == number) else { return };
        if cut == Cut::Drop {
            let generation = replica.generation;
            *replica = Replica { generation, ..Replica::open(&Log::default(), Offset::ZERO) };
            self.brokers[broker].reported[partition] = Reported::default();
            self.oracle.dropped(broker, partition);
            self.statistics.drops += 1;
            return self.assume_roles(broker);
        }
        let Role::Follower { machine, .. } = &mut replica.role else { return };
        match cut {
            Cut::Truncate(to) => {
                replica.log.truncate(to);
                let (last, producers) = (replica.log.last_epoch(), replica.log.producers(now));
                let done = machine.truncate(to, last, kind, producers);
                self.statistics.truncations += 1;
                if let Err(error) = done {
                    self.oracle.report("R2", format!("broker {broker} partition {partition}: {error}"));
                    return;
                }
                replica.verified = replica.verified.min(to);
                self.judge_truncation(broker, partition, to);
            }
            Cut::Restart(at) => {
                machine.restart_at(at, eddy_core::ProducerWindows::default());
                replica.log.restart_at(at);
                replica.verified = at;
                self.statistics.restarts_of_logs += 1;
            }
            Cut::Drop => {}
        }
        // Another role may have come meanwhile.
        self.assume_roles(broker);
        if self.brokers[broker].replicas[partition].following.is_some() {
            self.send_follow(broker, partition);
        } else {
            self.connect_later(broker, 0);
        }
    }
}

fn machine_durable(role: &mut Role, upto: Offset, out: &mut Effects) {
    if let Role::Follower { machine, .. } = role {
        machine.durable(upto, out);
    }
}
