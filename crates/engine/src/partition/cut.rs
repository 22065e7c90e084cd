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
    /// Position of the entry, of the first when there are two: from there on a replay cuts too.
    at: Lsn,
    target: Target,
    /// The role that came meanwhile.
    pub(super) then: Option<Assignment>,
}

/// Partitions that want to know when an entry of theirs is durable that is no append.
#[derive(Default)]
pub(crate) struct Milestones(Mutex<Vec<(Lsn, Arc<Partition>)>>);

impl Milestones {
    /// Queues entries and notes the first of them; gives the positions of the first and the last. The list is locked
    /// around the queue: the position must be in it before it can become durable.
    pub(super) fn submit(
        &self,
        partition: &Arc<Partition>,
        first: Entry,
        second: Option<Entry>,
    ) -> (Lsn, Lsn) {
        let mut waiting = self.0.lock();
        let wal = &partition.shared.wal;
        let at = wal.submit(first, None);
        let last = second.map_or(at, |entry| wal.submit(entry, None));
        waiting.push((at, Arc::clone(partition)));
        (at, last)
    }

    /// Everything below `upto` is durable: tells those concerned. Called on the WAL's thread, before the position is
    /// published.
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
            partition.milestone(upto);
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
        let (first, second) = match &target {
            Target::Truncate { to, .. } if *to < offsets.high_watermark && !state.may_lose => {
                let error =
                    FollowerError::BelowHighWatermark { to: *to, high_watermark: offsets.high_watermark };
                return Err(error.into());
            }
            Target::Truncate { to, .. } => (truncate(*to), None),
            Target::Restart { at } => {
                let start = Entry::LogStart { partition: self.local, offset: *at };
                (truncate(offsets.log_start.min(*at)), Some(start))
            }
        };
        self.touch(&mut state);
        let (at, last) = self.shared.milestones.submit(self, first, second);
        state.cut = Some(Cut { at, target, then: None });
        Ok(last)
    }

    /// Everything below `upto` is durable, some entry of this partition among it.
    fn milestone(self: &Arc<Self>, upto: Lsn) {
        let mut state = self.state.lock();
        if state.gone.is_some() {
            return;
        }
        if let Some((_, start)) = state.log_start_moved.filter(|(at, _)| *at < upto) {
            state.durable_start = start;
            state.sessions.push();
        }
        let Some(Cut { target, then, .. }) = state.cut.take_if(|cut| cut.at < upto) else { return };
        self.apply_cut(&mut state, target);
        state.cuts += 1;
        self.touch(&mut state);
        state.sessions.push();
        let woken = state.watchers.take();
        let told = then.is_some();
        if let Some(assignment) = then {
            // Nobody: they were all taken above.
            self.adopt(&mut state, assignment).wake();
        }
        self.settle_role(state, woken);
        if told {
            self.shared.roles.tell(&[self.key]);
        }
    }

    fn apply_cut(&self, state: &mut State, target: Target) {
        let limits = self.shared.producer_limits;
        let State { replica, safe_points, durable_start, .. } = state;
        let Replica::Follower(follower) = replica else { return };
        match target {
            Target::Truncate { to, producers } => {
                self.log.truncate(to);
                *durable_start = to.min(*durable_start);
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
                *durable_start = at;
                follower.restart_at(at, ProducerWindows::new(limits));
            }
        }
    }
}
