//! What a session sends: data in fair rounds, the high watermark when it moved without data, answers, signs of life.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ahash::AHashSet;
use bytes::Bytes;
use eddy_engine::{ReadError, ReplicaRead, ReplicaReading};
use eddy_peer::StreamWriter;
use tokio::time::Instant;

use super::cold::{ColdReads, Done, Turn};
use super::ending::Ending;
use super::held::Held;
use super::rounds::Rounds;
use super::serving::Served;
use super::session::Session;
use super::throttle::LOOK_AGAIN;
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
    session: &'a Session,
    keep_alive: Duration,
    /// When something was written last.
    wrote: Instant,
    rounds: Rounds,
    /// Slots that a throttle holds back.
    held: Held,
    /// Reads that wait for the disk, and those that are done and not sent.
    cold: ColdReads,
    done: Vec<Done>,
    /// Slots whose high watermark or log start moved without data, and when they are told at the latest.
    states: AHashSet<u32>,
    states_due: Option<Instant>,
    frame: DownFrame,
}

impl<'a> Sender<'a> {
    pub(super) fn new(session: &'a Session, keep_alive: Duration) -> Sender<'a> {
        Sender {
            session,
            keep_alive,
            wrote: Instant::now(),
            rounds: Rounds::default(),
            held: Held::default(),
            cold: ColdReads::default(),
            done: Vec::new(),
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
        let ping_due = self.wrote + self.keep_alive;
        let due = self.states_due.into_iter().chain(self.held.until()).fold(ping_due, Instant::min);
        tokio::select! {
            ready = self.session.watch.ready() => self.rounds.extend(ready),
            () = self.session.watch.some_later(), if self.states_due.is_none() => self.states_are_due(),
            done = self.cold.next() => self.done.push(done),
            // The follower may have allowed more.
            () = self.session.serving.nudged() => self.rounds.extend(self.held.release()),
            () = tokio::time::sleep_until(due) => {}
        }
    }

    /// Takes what else is there, without waiting.
    fn gather(&mut self) {
        self.rounds.extend(self.session.watch.try_ready());
        self.rounds.extend(self.held.release_due());
        while let Some(done) = self.cold.try_next() {
            self.done.push(done);
        }
        for answer in &self.session.serving.take_answers() {
            self.frame.put(answer);
        }
        if self.states_due.is_some_and(|due| due <= Instant::now()) {
            self.states_due = None;
            self.states.extend(self.session.watch.take_later());
            for slot in std::mem::take(&mut self.states) {
                self.tell_state(slot);
            }
        }
        if self.wrote.elapsed() >= self.keep_alive {
            self.frame.put(&FromLeader::Ping);
        }
    }

    async fn round(&mut self, writer: &mut StreamWriter) -> io::Result<()> {
        let mut sent = 0;
        for done in std::mem::take(&mut self.done) {
            let (turn, read) = done?;
            self.rounds.extend(self.cold.finished(turn.slot));
            sent += self.end_turn(&turn, read);
            self.send(writer, FRAME_BYTES).await?;
        }
        for _ in 0..self.rounds.len() {
            let Some(slot) = self.rounds.next() else { break };
            sent += self.turn(slot);
            self.send(writer, FRAME_BYTES).await?;
            if sent >= ROUND_BYTES {
                break;
            }
        }
        self.session.counters.held.store(self.held.len(), Ordering::Relaxed);
        self.send(writer, 1).await?;
        writer.flush().await
    }

    /// Closes and writes the frame if it holds at least so many bytes.
    async fn send(&mut self, writer: &mut StreamWriter, bytes_min: usize) -> io::Result<()> {
        if self.frame.len() >= bytes_min {
            writer.write(&self.frame.take()).await?;
            self.wrote = Instant::now();
        }
        Ok(())
    }

    /// Sends what a slot lacks, as far as its turn goes; gives the bytes.
    fn turn(&mut self, slot: u32) -> usize {
        // Its turn goes on when the disk has answered.
        if self.cold.has(slot) {
            return 0;
        }
        let Some(served) = self.session.serving.served(slot) else { return 0 };
        if !leads(&served) {
            self.session.serving.refused(slot, served.generation, Refusal::NotLeader);
            return 0;
        }
        if served.sent >= served.partition.offsets().log_end {
            self.note_state(slot, &served);
            return 0;
        }
        let throttled = self.session.throttle.holds(served.partition.key(), self.session.follower);
        let bytes = match self.turn_bytes(&served, throttled) {
            Ok(bytes) => bytes,
            Err(pause) => {
                self.held.put(slot, pause);
                return 0;
            }
        };
        let read = served.partition.begin_read_replica(served.sent, bytes);
        let turn = Turn { slot, served, throttled };
        match read {
            Ok(ReplicaReading::Done(read)) => self.end_turn(&turn, Ok(read)),
            Ok(ReplicaReading::Disk(cold)) => {
                if self.cold.has_room(slot) {
                    self.cold.begin(turn, cold);
                }
                0
            }
            Err(error) => self.end_turn(&turn, Err(error)),
        }
    }

    /// Bytes of a turn, as throttles have it here and at the follower.
    ///
    /// # Errors
    /// None; when to ask again.
    fn turn_bytes(&self, served: &Served, throttled: bool) -> Result<usize, Duration> {
        let mut bytes = TURN_BYTES;
        if throttled {
            let piece = self.session.throttle.piece()?;
            bytes = bytes.min(usize::try_from(piece).unwrap_or(usize::MAX));
        }
        if served.limited {
            bytes = bytes.min(self.session.serving.allowance().ok_or(LOOK_AGAIN)?);
        }
        Ok(bytes)
    }

    fn end_turn(&mut self, turn: &Turn, read: Result<ReplicaRead, ReadError>) -> usize {
        let Turn { slot, served, .. } = turn;
        let (slot, generation, serving) = (*slot, served.generation, &self.session.serving);
        match read {
            // Asked again: what was read by one who leads no longer is nobody's.
            Ok(_) if !leads(served) => serving.refused(slot, generation, Refusal::NotLeader),
            Ok(read) => return self.send_data(turn, read),
            Err(ReadError::OutOfRange { start, end, .. }) => {
                let answer = FromLeader::OutOfRange { slot, generation, log_start: start, log_end: end };
                serving.ended(slot, generation, answer);
            }
            Err(ReadError::NotLeader { .. }) => serving.refused(slot, generation, Refusal::NotLeader),
            Err(error) => {
                let partition = served.partition.key();
                tracing::error!(%partition, %error, "cannot read a partition for its follower");
                serving.refused(slot, generation, Refusal::Offline);
            }
        }
        0
    }

    fn send_data(&mut self, turn: &Turn, read: ReplicaRead) -> usize {
        let Turn { slot, served, throttled } = turn;
        let (slot, serving, counters) = (*slot, &self.session.serving, &self.session.counters);
        let log_end = served.partition.offsets().log_end;
        let position = Position { high_watermark: read.high_watermark, log_start: read.log_start, log_end };
        if read.slices.is_empty() || !serving.sent(slot, served.generation, read.end, position) {
            return 0;
        }
        let bytes = read.slices.iter().map(Bytes::len).sum();
        if self.frame.data(slot, served.generation, position, served.limited, read.slices).is_none() {
            // More than a frame holds cannot be read at once.
            serving.refused(slot, served.generation, Refusal::Offline);
            return 0;
        }
        if served.limited {
            serving.charge(bytes);
        }
        if *throttled {
            self.session.throttle.took(bytes as u64);
            counters.throttled_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        self.states.remove(&slot);
        if read.end < log_end {
            self.rounds.extend([slot]);
        }
        counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
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
                self.states_are_due();
            }
        }
    }

    fn states_are_due(&mut self) {
        self.states_due.get_or_insert_with(|| Instant::now() + STATE_DELAY);
    }

    fn tell_state(&mut self, slot: u32) {
        let Some(served) = self.session.serving.served(slot) else { return };
        let (generation, position) = (served.generation, position(&served));
        if served.told != Some(position) && self.session.serving.sent(slot, generation, served.sent, position)
        {
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
