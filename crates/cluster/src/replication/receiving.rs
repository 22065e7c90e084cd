//! The follower's end of a stream.
//!
//! Two halves in one task: one reads what the leader sends and appends it, and waits when the write-ahead log has no room,
//! which in the end makes the leader wait; the other says what is to be followed, and how far this broker is as soon as its
//! write-ahead log has synced.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use eddy_core::{Diverging, FollowerError};
use eddy_engine::{AppendError, Engine, Partition, PartitionKey, ReplicaWatch, ReplicateError, Role, Room};
use eddy_peer::{PeerStream, StreamReader, StreamWriter};
use eddy_types::{LeaderEpoch, Offset};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ending::Ending;
use super::fetcher::Fetcher;
use super::runs::{Run, Runs};
use super::wire::{FromFollower, FromLeader, Position, Refusal, UpFrame, messages};
use super::{keep_alive, next_within};

/// A frame to the leader is closed above this.
const FRAME_BYTES: usize = 256 << 10;

/// How long one attempt to get room in the write-ahead log takes; there are as many as it takes.
const ROOM_WITHIN: Duration = Duration::from_secs(5);

/// Pause before the next attempt.
const ROOM_PAUSE: Duration = Duration::from_millis(20);

/// Pause before the next look at a disk that is full.
const DISK_FULL_PAUSE: Duration = Duration::from_millis(250);

/// A stream to the leader while it lasts.
pub(super) struct Stream<'a> {
    fetcher: &'a Fetcher,
    watch: Arc<ReplicaWatch>,
    /// A request has to be made again.
    again: Notify,
}

impl<'a> Stream<'a> {
    pub(super) fn new(fetcher: &'a Fetcher) -> Stream<'a> {
        Stream { fetcher, watch: ReplicaWatch::new(), again: Notify::new() }
    }

    /// Follows until the stream ends.
    pub(super) async fn run(self, stream: PeerStream) -> Ending {
        let (mut reader, mut writer) = stream.split();
        tokio::select! {
            ending = self.receive(&mut reader) => ending,
            ending = self.report(&mut writer) => ending,
        }
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.fetcher.engine
    }

    async fn report(&self, writer: &mut StreamWriter) -> Ending {
        let mut frame = UpFrame::default();
        loop {
            if let Err(error) = self.requests(&mut frame, writer).await {
                return error.into();
            }
            if self.fetcher.is_idle() {
                return Ending::Idle;
            }
            let ready = match self.wait().await {
                Wake::Ready(ready) => ready,
                Wake::Requests => continue,
                Wake::Silence => {
                    frame.put(&FromFollower::Ping);
                    Vec::new()
                }
            };
            {
                let mut following = self.fetcher.following.lock();
                for slot in ready {
                    if let Some(progress) = following.progress(slot) {
                        frame.put(&FromFollower::Progress(progress));
                    }
                }
            }
            if let Err(error) = send(&mut frame, writer).await {
                return error.into();
            }
        }
    }

    async fn wait(&self) -> Wake {
        let now = Instant::now();
        let pause_end = self.fetcher.following.lock().next_pause_end();
        let silence = now + keep_alive(self.fetcher.silence);
        tokio::select! {
            ready = self.watch.ready() => Wake::Ready(ready),
            () = self.fetcher.changed() => Wake::Requests,
            () = self.again.notified() => Wake::Requests,
            () = tokio::time::sleep_until(pause_end.unwrap_or(silence).min(silence)) => {
                if pause_end.is_some_and(|end| end <= silence) { Wake::Requests } else { Wake::Silence }
            }
        }
    }

    /// Says what is followed from now on, and what no longer.
    async fn requests(&self, frame: &mut UpFrame, writer: &mut StreamWriter) -> std::io::Result<()> {
        for (key, wanted) in self.fetcher.take_changed() {
            match wanted {
                Some(partition) => self.begin(key, &partition, frame),
                None => self.end(key, frame),
            }
            if frame.len() >= FRAME_BYTES {
                send(frame, writer).await?;
            }
        }
        let due = self.fetcher.following.lock().take_due(Instant::now());
        for key in due {
            if let Some(partition) = self.fetcher.wanted(key) {
                self.begin(key, &partition, frame);
            }
        }
        send(frame, writer).await
    }

    fn begin(&self, key: PartitionKey, partition: &Arc<Partition>, frame: &mut UpFrame) {
        let follows = Role::Follower { leader: Some(self.fetcher.leader) };
        let position = partition.position().filter(|_| partition.role() == follows);
        // Another leader, or none: the roles say so to whom it concerns.
        let Some(position) = position else { return self.end(key, frame) };
        let image = self.engine().image();
        let broker_epoch = image.broker(self.engine().me()).map_or(-1, |broker| broker.epoch);
        let mut following = self.fetcher.following.lock();
        let Some(follow) = following.begin(key, partition, &position, broker_epoch) else { return };
        drop(following);
        partition.watch_replica(&self.watch, follow.slot);
        frame.put(&FromFollower::Follow(follow));
    }

    fn end(&self, key: PartitionKey, frame: &mut UpFrame) {
        let ended = self.fetcher.following.lock().end(key);
        if let Some((slot, followed)) = ended {
            followed.partition.unwatch_replica(&self.watch, slot);
            frame.put(&FromFollower::Unfollow { slot, generation: followed.generation });
        }
    }

    async fn receive(&self, reader: &mut StreamReader) -> Ending {
        loop {
            let frame = match next_within(reader, self.fetcher.silence).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ending::Closed,
                Err(error) => return error.into(),
            };
            let told = match messages::<FromLeader>(frame) {
                Ok(told) => told,
                Err(error) => return error.into(),
            };
            for message in told {
                match message {
                    Ok(message) => self.take(message).await,
                    Err(error) => return error.into(),
                }
            }
        }
    }

    async fn take(&self, message: FromLeader) {
        match message {
            FromLeader::Data { slot, generation, position, batches } => {
                self.data(slot, generation, position, batches).await;
            }
            FromLeader::State { slot, generation, position } => self.state(slot, generation, position),
            FromLeader::Diverging { slot, generation, diverging } => {
                self.diverging(slot, generation, diverging).await
            }
            FromLeader::OutOfRange { slot, generation, log_start, log_end } => {
                self.out_of_range(slot, generation, log_start, log_end).await;
            }
            FromLeader::Refused { slot, generation, refusal } => self.refused(slot, generation, refusal),
            FromLeader::Ping => {}
        }
    }

    /// The partition that a message is about and the epoch of its leader.
    fn current(&self, slot: u32, generation: u32) -> Option<(Arc<Partition>, LeaderEpoch)> {
        let mut following = self.fetcher.following.lock();
        let followed = following.current(slot, generation)?;
        Some((Arc::clone(&followed.partition), followed.leader_epoch))
    }

    async fn data(&self, slot: u32, generation: u32, position: Position, batches: Bytes) {
        for Run { batches, bytes } in Runs(batches) {
            let length = bytes.len();
            let room = self.room(batches, length).await;
            // Looked up again each time: the wait may have been long.
            let Some((partition, epoch)) = self.current(slot, generation) else { return };
            if let Err(error) = partition.append_replicated(self.engine().now(), epoch, bytes, Some(room)) {
                return self.failed(slot, generation, &partition, &error);
            }
            self.fetcher.counters.bytes.fetch_add(length as u64, Ordering::Relaxed);
        }
        self.state(slot, generation, position);
    }

    /// Room in the write-ahead log, however long that takes: what the leader sends meanwhile stays on its way.
    async fn room(&self, batches: u32, bytes: usize) -> Room {
        loop {
            match self.engine().admit(batches, bytes, Instant::now() + ROOM_WITHIN).await {
                Ok(room) => return room,
                Err(AppendError::DiskFull { .. }) => tokio::time::sleep(DISK_FULL_PAUSE).await,
                // It has waited, or the log is stopped and this task will be.
                Err(_) => tokio::time::sleep(ROOM_PAUSE).await,
            }
        }
    }

    fn state(&self, slot: u32, generation: u32, position: Position) {
        let Some((partition, epoch)) = self.current(slot, generation) else { return };
        partition.leader_told(epoch, position.high_watermark, position.log_start);
        self.fetcher.following.lock().served(slot, generation, position);
    }

    /// Our log leaves the leader's: what it does not have goes, and we ask again from there.
    async fn diverging(&self, slot: u32, generation: u32, diverging: Diverging) {
        let Some((partition, epoch)) = self.current(slot, generation) else { return };
        let (_, ours) = partition.log().epoch_end(diverging.epoch);
        let to = if ours == Offset::NONE { diverging.end_offset } else { ours.min(diverging.end_offset) };
        match partition.truncate(self.engine().now(), epoch, to).await {
            Ok(()) => {
                self.fetcher.counters.truncations.fetch_add(1, Ordering::Relaxed);
                let (partition, leader) = (partition.key(), self.fetcher.leader);
                tracing::info!(%partition, %leader, %epoch, %to, "truncated a log that left its leader's");
                self.follow_again(slot, generation, true);
            }
            Err(ReplicateError::Refused(FollowerError::BelowHighWatermark { high_watermark, .. }))
                if !self.is_in_sync(partition.key()) =>
            {
                self.start_over(slot, generation, &partition, high_watermark).await;
            }
            Err(error) => self.failed(slot, generation, &partition, &error),
        }
    }

    /// Whether this broker is in the ISR of a partition: it may be asked to lead it, and keeps what it has promised.
    fn is_in_sync(&self, key: PartitionKey) -> bool {
        let image = self.engine().image();
        image.partition(key.topic, key.index).is_none_or(|known| known.isr.contains(&self.engine().me()))
    }

    /// The leader lacks what was committed here, and this broker is outside the ISR: an operator has accepted that loss with an
    /// unclean election. The leader's log is the log now, from where ours begins.
    async fn start_over(
        &self,
        slot: u32,
        generation: u32,
        partition: &Arc<Partition>,
        high_watermark: Offset,
    ) {
        let Some((_, epoch)) = self.current(slot, generation) else { return };
        let at = partition.offsets().log_start;
        match partition.restart_at(epoch, at).await {
            Ok(()) => {
                self.fetcher.counters.truncations.fetch_add(1, Ordering::Relaxed);
                let (partition, leader) = (partition.key(), self.fetcher.leader);
                tracing::error!(%partition, %leader, %epoch, %high_watermark,
                    "the leader lacks committed records after an unclean election: copying its log anew");
                self.follow_again(slot, generation, true);
            }
            Err(error) => self.failed(slot, generation, partition, &error),
        }
    }

    /// The leader's log does not reach ours: one of the two has lost its beginning or its end.
    async fn out_of_range(&self, slot: u32, generation: u32, log_start: Offset, log_end: Offset) {
        let Some((partition, epoch)) = self.current(slot, generation) else { return };
        let Some(position) = partition.position() else { return };
        let done = if position.log_end > log_end {
            let to = log_end.max(position.log_start);
            partition.truncate(self.engine().now(), epoch, to).await
        } else {
            partition.restart_at(epoch, log_start).await
        };
        match done {
            Ok(()) => {
                let (partition, leader) = (partition.key(), self.fetcher.leader);
                tracing::warn!(%partition, %leader, %epoch, ends = %position.log_end, leader_starts = %log_start,
                    leader_ends = %log_end, "the leader's log does not reach ours: going on where it is");
                self.follow_again(slot, generation, true);
            }
            Err(error) => self.failed(slot, generation, &partition, &error),
        }
    }

    fn failed(&self, slot: u32, generation: u32, partition: &Arc<Partition>, error: &ReplicateError) {
        let (partition, leader) = (partition.key(), self.fetcher.leader);
        match error {
            // News of the metadata has come in between, and more of it follows.
            ReplicateError::OtherRole(_) | ReplicateError::PartitionGone | ReplicateError::Cutting => {
                tracing::debug!(%partition, %leader, %error, "no longer followed like this");
            }
            _ => {
                self.fetcher.counters.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%partition, %leader, %error, "cannot do what the leader's log says");
            }
        }
        self.follow_again(slot, generation, false);
    }

    fn follow_again(&self, slot: u32, generation: u32, at_once: bool) {
        self.fetcher.following.lock().pause(slot, generation, at_once);
        self.again.notify_one();
    }

    fn refused(&self, slot: u32, generation: u32, refusal: Refusal) {
        if let Some((partition, epoch)) = self.current(slot, generation) {
            let (partition, leader) = (partition.key(), self.fetcher.leader);
            tracing::debug!(%partition, %leader, %epoch, ?refusal, "the leader does not serve a follower");
        }
        self.follow_again(slot, generation, false);
    }
}

enum Wake {
    Ready(Vec<u32>),
    Requests,
    Silence,
}

async fn send(frame: &mut UpFrame, writer: &mut StreamWriter) -> std::io::Result<()> {
    if frame.is_empty() {
        return Ok(());
    }
    writer.write(&[frame.take()]).await?;
    writer.flush().await
}
