//! What a follower is sent: batches go to their partitions' logs, in order, as there is room for them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use eddy_core::{FollowerError, straddled};
use eddy_engine::{AppendError, Partition, ReplicateError, Room};
use eddy_peer::StreamReader;
use eddy_types::Offset;
use tokio::time::Instant;

use super::ending::Ending;
use super::next_within;
use super::runs::{Run, Runs};
use super::stream::Stream;
use super::wire::{FromLeader, Position, messages};

/// How long one attempt to get room in the write-ahead log takes; there are as many as it takes.
const ROOM_WITHIN: Duration = Duration::from_secs(5);

/// Pause before the next attempt.
const ROOM_PAUSE: Duration = Duration::from_millis(20);

/// Pause before the next look at a disk that is full.
const DISK_FULL_PAUSE: Duration = Duration::from_millis(250);

impl Stream<'_> {
    /// Takes what comes until the stream ends.
    pub(super) async fn receive(&self, reader: &mut StreamReader) -> Ending {
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
            FromLeader::Data { slot, generation, position, charged, batches } => {
                if charged {
                    self.charged(batches.len());
                }
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

    async fn data(&self, slot: u32, generation: u32, position: Position, batches: Bytes) {
        for Run { batches, bytes } in Runs(batches) {
            let length = bytes.len();
            let room = self.room(batches, length).await;
            // Looked up again each time: the wait may have been long.
            let Some((partition, epoch)) = self.current(slot, generation) else { return };
            let mut appended = partition.append_replicated(epoch, bytes.clone(), Some(room));
            if let Err(error) = &appended
                && let Some(base) = begins_within(&partition, error)
            {
                appended = match partition.restart_at(epoch, base).await {
                    Ok(()) => partition.append_replicated(epoch, bytes, None),
                    Err(error) => Err(error),
                };
            }
            if let Err(error) = appended {
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

    pub(super) fn state(&self, slot: u32, generation: u32, position: Position) {
        let Some((partition, epoch)) = self.current(slot, generation) else { return };
        partition.leader_told(epoch, position.high_watermark, position.log_start);
        self.fetcher.following.lock().served(slot, generation, position);
    }
}

/// Where the leader's first batch for us begins, when ours is empty and begins within that batch: the leader's log begins there too
/// (DeleteRecords, R-3.130), or we copy it anew from where ours began. The leader's log start follows with its position.
fn begins_within(partition: &Partition, error: &ReplicateError) -> Option<Offset> {
    let ReplicateError::Refused(FollowerError::NotContiguous { base, log_end }) = error else { return None };
    straddled(partition.offsets().log_start..*log_end, *base)
}
