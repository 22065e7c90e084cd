//! What a session sends: data in fair rounds, the high watermark when it moved without data, answers, signs of life.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ahash::AHashSet;
use bytes::Bytes;
use eddy_engine::{ReadError, ReplicaRead, ReplicaWatch};
use eddy_peer::StreamWriter;
use tokio::time::Instant;

use super::counters::SessionCounters;
use super::ending::Ending;
use super::rounds::Rounds;
use super::serving::{Served, Serving};
use super::wire::{DownFrame, FromLeader, Position, Refusal};

/// What one partition sends before the others have their turn.
const TURN_BYTES: usize = 1 << 20;

/// What one round sends before new answers and partitions are looked at.
const ROUND_BYTES: usize = 8 << 20;

/// A frame is closed above this, so that the follower begins to append while the rest is on the way.
const FRAME_BYTES: usize = 1 << 20;

/// How long a high watermark that moved without data waits for company. Only readers of followers and the next leader want to
/// know it, and under load every batch would otherwise cost a packet of its own.
const STATE_DELAY: Duration = Duration::from_millis(4);

/// The sending half of a session.
pub(super) struct Sender<'a> {
    serving: &'a Serving,
    watch: &'a Arc<ReplicaWatch>,
    counters: &'a SessionCounters,
    keep_alive: Duration,
    rounds: Rounds,
    /// Slots whose high watermark or log start moved without data, and when they are told at the latest.
    states: AHashSet<u32>,
    states_due: Option<Instant>,
    frame: DownFrame,
}

impl<'a> Sender<'a> {
    pub(super) fn new(
        serving: &'a Serving,
        watch: &'a Arc<ReplicaWatch>,
        counters: &'a SessionCounters,
        keep_alive: Duration,
    ) -> Sender<'a> {
        Sender {
            serving,
            watch,
            counters,
            keep_alive,
            rounds: Rounds::default(),
            states: AHashSet::new(),
            states_due: None,
            frame: DownFrame::default(),
        }
    }

    /// Sends until the stream breaks.
    pub(super) async fn run(mut self, writer: &mut StreamWriter) -> Ending {
        loop {
            if self.rounds.is_empty() {
                self.wait().await;
            }
            self.gather();
            if let Err(error) = self.round(writer).await {
                return error.into();
            }
        }
    }

    async fn wait(&mut self) {
        let due = self.states_due.unwrap_or_else(|| Instant::now() + self.keep_alive);
        tokio::select! {
            ready = self.watch.ready() => self.rounds.extend(ready),
            () = self.serving.nudged() => {}
            () = tokio::time::sleep_until(due) => {
                if self.states_due.is_none() {
                    self.frame.put(&FromLeader::Ping);
                }
            }
        }
    }

    /// Takes what else is there, without waiting.
    fn gather(&mut self) {
        self.rounds.extend(self.watch.try_ready());
        for answer in &self.serving.take_answers() {
            self.frame.put(answer);
        }
        if self.states_due.is_some_and(|due| due <= Instant::now()) {
            self.states_due = None;
            for slot in std::mem::take(&mut self.states) {
                self.tell_state(slot);
            }
        }
    }

    async fn round(&mut self, writer: &mut StreamWriter) -> io::Result<()> {
        let mut sent = 0;
        for _ in 0..self.rounds.len() {
            let Some(slot) = self.rounds.next() else { break };
            sent += self.turn(slot).await;
            if self.frame.len() >= FRAME_BYTES {
                writer.write(&self.frame.take()).await?;
            }
            if sent >= ROUND_BYTES {
                break;
            }
        }
        if !self.frame.is_empty() {
            writer.write(&self.frame.take()).await?;
        }
        writer.flush().await
    }

    /// Sends what a slot lacks, as far as its turn goes; gives the bytes.
    async fn turn(&mut self, slot: u32) -> usize {
        let Some(served) = self.serving.served(slot) else { return 0 };
        if !leads(&served) {
            self.serving.refused(slot, served.generation, Refusal::NotLeader);
            return 0;
        }
        if served.sent >= served.partition.offsets().log_end {
            self.note_state(slot, &served);
            return 0;
        }
        match served.partition.read_replica(served.sent, TURN_BYTES).await {
            // Asked again: what was read by one who leads no longer is nobody's.
            Ok(_) if !leads(&served) => {
                self.serving.refused(slot, served.generation, Refusal::NotLeader);
                0
            }
            Ok(read) => self.send_data(slot, &served, read),
            Err(ReadError::OutOfRange { start, end, .. }) => {
                let generation = served.generation;
                let answer = FromLeader::OutOfRange { slot, generation, log_start: start, log_end: end };
                self.serving.ended(slot, generation, answer);
                0
            }
            Err(ReadError::NotLeader { .. }) => {
                self.serving.refused(slot, served.generation, Refusal::NotLeader);
                0
            }
            Err(error) => {
                let partition = served.partition.key();
                tracing::error!(%partition, %error, "cannot read a partition for its follower");
                self.serving.refused(slot, served.generation, Refusal::Offline);
                0
            }
        }
    }

    fn send_data(&mut self, slot: u32, served: &Served, read: ReplicaRead) -> usize {
        let log_end = served.partition.offsets().log_end;
        let position = Position { high_watermark: read.high_watermark, log_start: read.log_start, log_end };
        if read.slices.is_empty() || !self.serving.sent(slot, served.generation, read.end, position) {
            return 0;
        }
        let bytes = read.slices.iter().map(Bytes::len).sum();
        if self.frame.data(slot, served.generation, position, read.slices).is_none() {
            // More than a frame holds cannot be read at once.
            self.serving.refused(slot, served.generation, Refusal::Offline);
            return 0;
        }
        self.states.remove(&slot);
        if read.end < log_end {
            self.rounds.extend([slot]);
        }
        self.counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        bytes
    }

    /// A slot has all data: where the leader is goes with the next states, the first time at once.
    fn note_state(&mut self, slot: u32, served: &Served) {
        let position = position(served);
        match served.told {
            None => self.tell_state(slot),
            Some(told)
                if told.high_watermark == position.high_watermark && told.log_start == position.log_start => {
            }
            Some(_) => {
                self.states.insert(slot);
                self.states_due.get_or_insert_with(|| Instant::now() + STATE_DELAY);
            }
        }
    }

    fn tell_state(&mut self, slot: u32) {
        let Some(served) = self.serving.served(slot) else { return };
        let (generation, position) = (served.generation, position(&served));
        if served.told != Some(position) && self.serving.sent(slot, generation, served.sent, position) {
            self.frame.put(&FromLeader::State { slot, generation, position });
        }
    }
}

fn position(served: &Served) -> Position {
    let offsets = served.partition.offsets();
    Position {
        high_watermark: offsets.high_watermark,
        log_start: offsets.log_start,
        log_end: offsets.log_end,
    }
}

/// Whether this broker still leads the partition in the epoch that the follower follows.
fn leads(served: &Served) -> bool {
    served.partition.is_leading() && served.partition.leader_epoch() == served.leader_epoch
}
