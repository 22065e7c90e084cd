//! The way in on the leader: a producer's batch, and DeleteRecords.

use std::sync::Arc;

use bytes::BytesMut;
use eddy_batch::stamp;
use eddy_core::{Acks, Appended};
use eddy_log::TailBatch;
use eddy_types::{BrokerId, LeaderEpoch, Millis, Offset};
use eddy_wal::{Entry, Lsn, Room};

use super::role::Replica;
use super::{NewBatch, PENDING_ACKS_MAX, Partition, State};
use crate::ack::AckToken;
use crate::error::{AppendError, DeleteRecordsError};

impl Partition {
    /// Appends a batch. On success `token` completes when the batch is acknowledged as `acks` asks: on this broker's disk
    /// (acks=1), or below the high watermark (acks=all). A resent batch completes with the offsets it got the first time
    ///
    ///
    /// # Errors
    /// The batch was refused, this broker does not lead, or the partition is gone: nothing was written, and nothing comes
    /// through `token`.
    pub fn append(
        self: &Arc<Self>,
        acks: Acks,
        batch: NewBatch,
        room: Option<Room>,
        token: Option<AckToken>,
    ) -> Result<(), AppendError> {
        let NewBatch { facts, bytes, charge } = batch;
        // A copy keeps only itself in memory, not the frame it came in.
        let (mut bytes, charge) = match bytes.try_into_mut() {
            Ok(unique) => (unique, charge),
            Err(shared) => (BytesMut::from(shared.as_ref()), shared.len()),
        };
        let lease_is_held = self.shared.lease.is_held();
        let now = self.shared.clock.steady();
        let mut state = self.state.lock();
        let admitted = admit(&mut state, lease_is_held, now, acks, &facts);
        let range = match admitted {
            Err(error) => {
                // The token completes when it is dropped: not under the lock.
                drop(state);
                return Err(error);
            }
            Ok((Appended::Duplicate(range), _)) => range,
            Ok((Appended::New(range), epoch)) => {
                self.touch(&mut state);
                stamp(&mut bytes, range.start, epoch);
                let stamped = TailBatch {
                    base_offset: range.start,
                    end_offset: range.end,
                    leader_epoch: epoch,
                    max_timestamp: facts.max_timestamp,
                    bytes: bytes.freeze(),
                    charge,
                };
                self.traffic.count_produced(range, stamped.bytes.len());
                self.enqueue(stamped, None, room);
                state.sessions.push();
                range
            }
        };
        if let Some(token) = token {
            // A token that is given back completes as it is dropped.
            let _ = state.pending.push(range.end, acks, (range, token));
        }
        self.settle(state);
        self.note_append(now);
        Ok(())
    }

    /// Moves the log start (DeleteRecords, R-3.130); -1 means the high watermark. Returns the new log start and the
    /// position at which that is on disk: wait for it before answering.
    ///
    /// # Errors
    /// The offset is negative or above the high watermark, or this broker does not lead.
    pub fn delete_records(self: &Arc<Self>, before: Offset) -> Result<(Offset, Lsn), DeleteRecordsError> {
        let mut state = self.state.lock();
        let State { replica, effects, gone, .. } = &mut *state;
        let leader = match replica {
            Replica::Leader(leader) if gone.is_none() => leader,
            _ => {
                let (leader, epoch) = state.leader_hint();
                return Err(DeleteRecordsError::NotLeader { leader, epoch });
            }
        };
        let start = leader.delete_records(before, effects)?;
        let lsn = self.submit_log_start(&mut state, start);
        self.settle(state);
        Ok((start, lsn))
    }

    pub(super) fn submit_log_start(self: &Arc<Self>, state: &mut State, start: Offset) -> Lsn {
        self.touch(state);
        let entry = Entry::LogStart { partition: self.local, offset: start };
        let (lsn, _) = self.shared.milestones.submit(self, entry, None);
        state.log_start_moved = Some((lsn, start));
        lsn
    }

    /// Retention has decided that the log starts at `to`; nothing happens when it starts there or above already, or on a
    /// follower: that one takes its log start from the leader.
    pub(crate) fn raise_log_start(self: &Arc<Self>, to: Offset) {
        if self.is_leading() && to > self.offsets().log_start {
            // Retention looks only below the high watermark, which never falls: only a lost leadership can refuse it.
            let _ = self.delete_records(to);
        }
    }

    /// The newest move of the log start, and the position at which it is on disk: before that no file below it may go.
    pub(crate) fn log_start_moved(&self) -> Option<(Lsn, Offset)> {
        self.state.lock().log_start_moved
    }
}

fn admit(
    state: &mut State,
    lease_is_held: bool,
    now: Millis,
    acks: Acks,
    facts: &eddy_types::BatchFacts,
) -> Result<(Appended, LeaderEpoch), AppendError> {
    if let Some(why) = &state.gone {
        return Err(why.clone());
    }
    let State { replica, effects, pending, .. } = state;
    match replica {
        Replica::Leader(leader) if lease_is_held => {
            if pending.is_full() {
                let (queued, limit) = (pending.len() as u32, PENDING_ACKS_MAX as u32);
                return Err(AppendError::Full {
                    cause: "its followers do not keep up".to_owned(),
                    queued,
                    limit,
                });
            }
            Ok((leader.append(now, acks, facts, effects)?, leader.epoch()))
        }
        Replica::Leader(leader) => {
            Err(AppendError::NotLeader { leader: BrokerId::NONE, epoch: leader.epoch() })
        }
        Replica::Follower(_) => {
            let (leader, epoch) = state.leader_hint();
            Err(AppendError::NotLeader { leader, epoch })
        }
    }
}

impl State {
    /// Who leads as far as a follower knows, for a refusal.
    pub(super) fn leader_hint(&self) -> (BrokerId, LeaderEpoch) {
        let leader = self.adopted.and_then(|adopted| adopted.leader);
        (leader.unwrap_or(BrokerId::NONE), self.replica.epoch())
    }
}
