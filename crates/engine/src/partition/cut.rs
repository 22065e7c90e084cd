//! Cuts of a follower's log: first in the write-ahead log, then everywhere else.
//!
//! The flusher may bring a cut to the segments at any moment, and nothing there says why bytes are gone. So the log in memory
//! is cut only once the entry that tells of it is durable: after a crash the replay finds either the old log whole, or the
//! reason why it is not. Until then nothing is appended, and a new role waits; the write-ahead log's thread carries the
//! cut out before it publishes the position, so that a checkpoint above the entry sees the log cut.

use std::sync::Arc;

use eddy_core::{FollowerError, ProducerWindows, TruncationKind};
use eddy_types::{LeaderEpoch, Offset};
use eddy_wal::{Entry, Lsn};
use parking_lot::Mutex;

use super::role::{Assignment, Replica, last_epoch};
use super::{Partition, State};
use crate::error::ReplicateError;

/// What is cut.
pub(super) enum Target {
    /// Everything from `to` on; `producers` are those of what remains.
    Truncate { to: Offset, producers: ProducerWindows },
    /// Everything; the log goes on at `at`.
    Restart { at: Offset },
}

/// A cut whose entry is queued.
pub(super) struct Cut {
    target: Target,
    /// The role that came meanwhile.
    pub(super) then: Option<Assignment>,
}

/// Cuts that wait for the write-ahead log, in the order of their entries.
#[derive(Default)]
pub(crate) struct Cuts(Mutex<Vec<(Lsn, Arc<Partition>)>>);

impl Cuts {
    /// Everything below `upto` is durable: carries out the cuts among it. Called on the WAL's thread.
    pub(crate) fn durable(&self, upto: Lsn) {
        let mut due = Vec::new();
        self.0.lock().retain(|(lsn, partition)| {
            let wait = *lsn >= upto;
            if !wait {
                due.push(Arc::clone(partition));
            }
            wait
        });
        for partition in due {
            partition.carry_out_cut();
        }
    }
}

impl Partition {
    pub(super) async fn cut(
        self: &Arc<Self>,
        leader_epoch: LeaderEpoch,
        target: Target,
    ) -> Result<(), ReplicateError> {
        let lsn = self.begin_cut(leader_epoch, target)?;
        // The sink hears of a group before those do who wait for it.
        Ok(self.shared.wal.until_durable(lsn).await?)
    }

    fn begin_cut(self: &Arc<Self>, leader_epoch: LeaderEpoch, target: Target) -> Result<Lsn, ReplicateError> {
        let mut state = self.state.lock();
        let offsets = state.replica.offsets();
        state.follower_in(leader_epoch)?;
        let truncate = |to| Entry::Truncate { partition: self.local, to, leader_epoch };
        let entries = match &target {
            Target::Truncate { to, .. } if *to < offsets.high_watermark && !state.may_lose => {
                let error =
                    FollowerError::BelowHighWatermark { to: *to, high_watermark: offsets.high_watermark };
                return Err(error.into());
            }
            Target::Truncate { to, .. } => [Some(truncate(*to)), None],
            Target::Restart { at } => {
                let start = Entry::LogStart { partition: self.local, offset: *at };
                [Some(truncate(offsets.log_start.min(*at))), Some(start)]
            }
        };
        self.touch(&mut state);
        // The registry is locked around the queue: the position must be in it before it can become durable.
        let mut cuts = self.shared.cuts.0.lock();
        let mut last = Lsn(0);
        for entry in entries.into_iter().flatten() {
            last = self.shared.wal.submit(entry, None);
        }
        cuts.push((last, Arc::clone(self)));
        drop(cuts);
        state.cut = Some(Cut { target, then: None });
        Ok(last)
    }

    fn carry_out_cut(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let Some(Cut { target, then }) = state.cut.take() else { return };
        if state.gone.is_some() {
            return;
        }
        self.apply_cut(&mut state, target);
        state.cuts += 1;
        self.touch(&mut state);
        state.sessions.push();
        let mut woken = state.watchers.take();
        let told = then.is_some();
        if let Some(assignment) = then {
            let _ = std::mem::replace(&mut woken, self.adopt(&mut state, assignment)).wake();
        }
        self.settle_role(state, woken);
        if told {
            self.shared.roles.tell(&[self.key]);
        }
    }

    fn apply_cut(&self, state: &mut State, target: Target) {
        let limits = self.shared.producer_limits;
        let State { replica, safe_points, .. } = state;
        let Replica::Follower(follower) = replica else { return };
        match target {
            Target::Truncate { to, producers } => {
                self.log.truncate(to);
                safe_points.truncate(to);
                // It was judged when it began; the high watermark may have reached the end of the disk since.
                let cut = follower.truncate(to, last_epoch(&self.log), TruncationKind::Unclean, producers);
                debug_assert!(cut.is_ok(), "{cut:?}");
            }
            Target::Restart { at } => {
                // As a replay does it: first everything goes.
                self.log.truncate(self.log.start_offset().min(at));
                self.log.set_start_offset(at);
                safe_points.clear();
                follower.restart_at(at, ProducerWindows::new(limits));
            }
        }
    }
}
