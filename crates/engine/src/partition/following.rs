//! The way in on a follower: what the leader's session brings.

use std::sync::Arc;

use bytes::Bytes;
use eddy_batch::{Batch, batches};
use eddy_core::{Diverging, Effect, Follower, FollowerError};
use eddy_log::TailBatch;
use eddy_types::{LeaderEpoch, Offset};
use eddy_wal::Room;

use super::cut::Target;
use super::role::Replica;
use super::{Partition, State};
use crate::error::{ReplicateError, ReplicateError::OtherRole};

/// No batch reaches this: the offset after it must still be one.
const OFFSET_MAX: Offset = Offset(i64::MAX - 1);

/// Where a follower is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerPosition {
    /// Epoch of the leader it follows.
    pub leader_epoch: LeaderEpoch,
    /// Epoch of its last batch, [`LeaderEpoch::NONE`] when its log is empty.
    pub last_epoch: LeaderEpoch,
    /// First offset of its log, as it is on disk: what was deleted below stays deleted.
    pub log_start: Offset,
    /// End of its log: the offset it wants next.
    pub log_end: Offset,
    /// End of what is on its disk.
    pub durable_end: Offset,
    /// The high watermark as far as it knows.
    pub high_watermark: Offset,
}

impl Partition {
    /// Where this follower is; `None` when this broker leads or the partition is gone.
    pub fn position(&self) -> Option<FollowerPosition> {
        let state = self.state.lock();
        match &state.replica {
            Replica::Follower(follower) if state.gone.is_none() => {
                Some(position(follower, state.durable_start))
            }
            _ => None,
        }
    }

    /// Takes whole batches from the leader, as they are: offsets and epochs are the leader's. The durable end follows when the
    /// write-ahead log has them; [`Partition::watch_replica`] tells.
    ///
    /// # Errors
    /// A bad or misplaced batch, or another role meanwhile; whole batches before it were taken.
    pub fn append_replicated(
        self: &Arc<Self>,
        leader_epoch: LeaderEpoch,
        bytes: Bytes,
        room: Option<Room>,
    ) -> Result<(), ReplicateError> {
        let mut room = room;
        let mut checked: Vec<Batch> = Vec::new();
        let mut bad = None;
        for batch in batches(bytes) {
            // Checked before the lock is taken.
            match batch.and_then(|batch| batch.verify_crc().map(|()| batch)) {
                Ok(batch) => checked.push(batch),
                Err(source) => {
                    bad = Some(source);
                    break;
                }
            }
        }
        let mut state = self.state.lock();
        for batch in checked {
            let room = room.as_mut().map(|room| room.take_one(batch.bytes.len()));
            if let Err(error) = self.append_one(&mut state, leader_epoch, &batch, room) {
                self.settle(state);
                return Err(error);
            }
        }
        self.settle(state);
        self.note_append(self.shared.clock.steady());
        match bad {
            Some(source) => Err(ReplicateError::Batch { at: self.offsets().log_end, source }),
            None => Ok(()),
        }
    }

    fn append_one(
        self: &Arc<Self>,
        state: &mut State,
        leader_epoch: LeaderEpoch,
        batch: &Batch,
        room: Option<Room>,
    ) -> Result<(), ReplicateError> {
        let (base_offset, epoch) = (batch.header.base_offset, batch.header.leader_epoch);
        let log_end = state.replica.offsets().log_end;
        // The base offset is not under the checksum.
        if base_offset < Offset::ZERO
            || batch.header.last_offset_delta < 0
            || batch.header.last_offset() >= OFFSET_MAX
        {
            return Err(FollowerError::NotContiguous { base: base_offset, log_end }.into());
        }
        let (follower, effects) = state.follower_in(leader_epoch)?;
        follower.append(self.shared.clock.steady(), &batch.facts(), base_offset, epoch, effects)?;
        self.touch(state);
        let tail = TailBatch {
            base_offset,
            end_offset: batch.header.last_offset().next(),
            leader_epoch: epoch,
            max_timestamp: batch.header.max_timestamp,
            charge: batch.bytes.len(),
            bytes: batch.bytes.clone(),
        };
        self.enqueue(tail, (base_offset > log_end).then_some(log_end), room);
        Ok(())
    }

    /// The leader's high watermark and log start, as far as they are ahead of ours.
    pub fn leader_told(
        self: &Arc<Self>,
        leader_epoch: LeaderEpoch,
        high_watermark: Offset,
        log_start: Offset,
    ) {
        let mut state = self.state.lock();
        let Ok((follower, effects)) = state.follower_in(leader_epoch) else { return };
        follower.leader_told(high_watermark, log_start, effects);
        let moved = effects.iter().find_map(|effect| match effect {
            Effect::LogStart(start) => Some(*start),
            _ => None,
        });
        if let Some(start) = moved {
            self.submit_log_start(&mut state, start);
        }
        self.settle(state);
    }

    /// Up to where this log can be equal to the leader's, given where that says they part: what to truncate to. Of the epochs
    /// above the leader's nothing is shared, and of its own not more than both have (KIP-279).
    pub fn shared_end(&self, diverging: Diverging) -> Offset {
        let (_, own_end) = self.log.epoch_end(diverging.epoch);
        let own_end = if own_end == Offset::NONE { self.log.end_offset() } else { own_end };
        own_end.min(diverging.end_offset)
    }

    /// Cuts the log to `to`, where it leaves the leader's, and returns when the cut is on disk. Once begun it is carried out
    /// though the caller goes away.
    ///
    /// # Errors
    /// Another role, a cut below the high watermark (LOG-2), or a log that cannot be read: nothing has changed.
    pub async fn truncate(
        self: &Arc<Self>,
        leader_epoch: LeaderEpoch,
        to: Offset,
    ) -> Result<(), ReplicateError> {
        if to >= self.offsets().log_end {
            return self.state.lock().follower_in(leader_epoch).map(|_| ());
        }
        let producers = self.producers_at(to).await?;
        self.cut(leader_epoch, Target::Truncate { to, producers }).await
    }

    /// Drops the whole log and begins anew at the leader's log start; returns when that is on disk.
    ///
    /// # Errors
    /// Another role: nothing has changed.
    pub async fn restart_at(
        self: &Arc<Self>,
        leader_epoch: LeaderEpoch,
        log_start: Offset,
    ) -> Result<(), ReplicateError> {
        self.cut(leader_epoch, Target::Restart { at: log_start }).await
    }
}

fn position(follower: &Follower, durable_start: Offset) -> FollowerPosition {
    let offsets = follower.offsets();
    FollowerPosition {
        leader_epoch: follower.epoch(),
        last_epoch: follower.last_epoch(),
        log_start: durable_start.min(offsets.log_start),
        log_end: offsets.log_end,
        durable_end: offsets.durable_end,
        high_watermark: offsets.high_watermark,
    }
}

impl State {
    /// The follower, if it follows in that epoch and its log is not being cut.
    pub(super) fn follower_in(
        &mut self,
        leader_epoch: LeaderEpoch,
    ) -> Result<(&mut Follower, &mut eddy_core::Effects), ReplicateError> {
        if self.gone.is_some() {
            return Err(ReplicateError::PartitionGone);
        }
        if self.cut.is_some() {
            return Err(ReplicateError::Cutting);
        }
        let epoch = self.replica.epoch();
        match &mut self.replica {
            Replica::Follower(follower) if epoch == leader_epoch => Ok((follower, &mut self.effects)),
            _ => Err(OtherRole(epoch)),
        }
    }
}
