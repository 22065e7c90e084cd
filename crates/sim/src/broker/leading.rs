//! What a leader does for its followers: grants, pushes, and listens to how far they are.

use eddy_core::{Effects, EpochMatch, FetchError, FollowerFetch, divergence};
use eddy_types::{LeaderEpoch, Offset};

use super::replica::{Role, Session};
use crate::message::{Down, Up};
use crate::mutant::Mutant;
use crate::world::{World, id_of};

/// Batches of one message.
const BATCHES_MAX: usize = 8;

/// What a follower says when it begins to follow.
struct Position {
    leader_epoch: LeaderEpoch,
    last_epoch: LeaderEpoch,
    report: Report,
}

/// How far a follower is.
#[derive(Clone, Copy)]
struct Report {
    broker_epoch: i64,
    log_start: Offset,
    log_end: Offset,
    durable_end: Offset,
}

impl World {
    pub(crate) fn told_by_follower(&mut self, stream: usize, message: Up) {
        let leader = self.streams[stream].leader;
        if !self.brokers[leader].runs(self.streams[stream].leader_incarnation) {
            return;
        }
        self.trace(|| format!("    {message:?}"));
        let named = |world: &World, partition| match world.mutant {
            Some(Mutant::FollowersNameTheTopic) => world.same_name(leader, partition),
            _ => partition,
        };
        match message {
            Up::Follow {
                partition,
                leader_epoch,
                broker_epoch,
                generation,
                last_epoch,
                log_start,
                log_end,
                durable_end,
            } => {
                let report = Report { broker_epoch, log_start, log_end, durable_end };
                let at = Position { leader_epoch, last_epoch, report };
                let partition = named(self, partition);
                let answer = self.grant(stream, partition, generation, &at);
                match answer {
                    Some(answer) => self.send_down(stream, answer),
                    None => self.push_later(leader),
                }
            }
            Up::Progress { partition, generation, log_start, log_end, durable_end } => {
                let partition = named(self, partition);
                let session = self.brokers[leader].replicas[partition].sessions.get(&stream).copied();
                let Some(session) = session else { return };
                if session.generation != generation {
                    return;
                }
                // What it has said about a log that it has cut since can be any offset.
                let broker_epoch = session.broker_epoch;
                let report = Report { broker_epoch, log_start, log_end, durable_end };
                let _ = self.heard_of(stream, partition, report);
            }
        }
    }

    /// Lets a follower copy, or says why not.
    fn grant(&mut self, stream: usize, partition: usize, generation: u32, at: &Position) -> Option<Down> {
        let leader = self.streams[stream].leader;
        self.brokers[leader].replicas[partition].sessions.remove(&stream);
        let refused = Some(Down::Refused { partition, generation });
        let replica = &self.brokers[leader].replicas[partition];
        let Role::Leader(machine) = &replica.role else { return refused };
        if machine.check_epoch(at.leader_epoch).is_err() {
            return refused;
        }
        match divergence(at.last_epoch, at.report.log_end, replica.log.end_of(at.last_epoch)) {
            EpochMatch::Agrees => {}
            EpochMatch::Diverges(_) if self.mutant == Some(Mutant::NeverTruncate) => {}
            EpochMatch::Diverges(at) => {
                return Some(Down::Diverging { partition, generation, epoch: at.epoch, end: at.end_offset });
            }
            EpochMatch::OutOfRange => {
                let (log_start, log_end) = (replica.log.floor(), replica.log.end());
                return Some(Down::OutOfRange { partition, generation, log_start, log_end });
            }
        }
        let leader_epoch = machine.epoch();
        let floor = replica.log.floor();
        match self.heard_of(stream, partition, at.report) {
            Ok(()) => {
                let told = (Offset::NONE, Offset::NONE);
                let (broker_epoch, sent) = (at.report.broker_epoch, at.report.log_end);
                let session = Session { generation, leader_epoch, broker_epoch, sent, told };
                self.brokers[leader].replicas[partition].sessions.insert(stream, session);
                None
            }
            Err(Some(FetchError::OutOfRange { .. })) => {
                let log_end = self.brokers[leader].replicas[partition].log.end();
                Some(Down::OutOfRange { partition, generation, log_start: floor, log_end })
            }
            Err(_) => refused,
        }
    }

    /// A follower says how far it is. What it says counts only once this broker knows of its registration: the ISR
    /// proposal names its epoch.
    fn heard_of(
        &mut self,
        stream: usize,
        partition: usize,
        report: Report,
    ) -> Result<(), Option<FetchError>> {
        let (leader, follower) = (self.streams[stream].leader, self.streams[stream].follower);
        let from = id_of(follower);
        let incarnation = self.streams[stream].follower_incarnation;
        let known = self.image_of(leader).broker_epoch(from, incarnation) == Some(report.broker_epoch);
        if !known && self.mutant != Some(Mutant::StaleEpochJoins) {
            return Err(None);
        }
        let Report { broker_epoch, log_start, log_end, durable_end } = report;
        let now = self.machines_clock(leader);
        let mut out = Effects::new();
        let replica = &mut self.brokers[leader].replicas[partition];
        let floor = replica.log.floor();
        let Role::Leader(machine) = &mut replica.role else { return Err(None) };
        // A log that ends in the batch in which ours begins lacks nothing that may still be read.
        let lift = |end: Offset| if end >= floor { end.max(machine.offsets().log_start) } else { end };
        let (offset, durable_end) = (lift(log_end), lift(durable_end));
        let fetch = FollowerFetch { offset, durable_end, log_start, broker_epoch };
        let granted = machine.follower_fetched(now, from, fetch, &mut out);
        self.carry_out(leader, partition, out);
        granted.map(|_| ()).map_err(Some)
    }

    /// Sends every follower what it does not have yet, a bounded part at a time.
    pub(crate) fn push(&mut self, broker: usize) {
        self.brokers[broker].pushing = false;
        let mut messages = Vec::new();
        let mut more = false;
        for (partition, replica) in self.brokers[broker].replicas.iter_mut().enumerate() {
            let Role::Leader(machine) = &replica.role else { continue };
            let offsets = machine.offsets();
            for (stream, session) in &mut replica.sessions {
                if session.leader_epoch != machine.epoch() {
                    continue;
                }
                let told = (offsets.high_watermark, offsets.log_start);
                let rest = replica.log.read(session.sent, offsets.log_end);
                if rest.is_empty() && told == session.told {
                    continue;
                }
                let batches = rest.get(..rest.len().min(BATCHES_MAX)).unwrap_or(rest).to_vec();
                more |= batches.len() < rest.len();
                session.sent = batches.last().map_or(session.sent, |batch| batch.end());
                session.told = told;
                let data = Down::Data {
                    partition,
                    generation: session.generation,
                    high_watermark: told.0,
                    log_start: told.1,
                    batches,
                };
                messages.push((*stream, data));
            }
        }
        for (stream, data) in messages {
            self.send_down(stream, data);
        }
        if more {
            self.push_later(broker);
        }
    }
}
