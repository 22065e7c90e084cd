//! What happens around an event of the state machine: its effects, those who wait, and the end of it all.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use eddy_core::Effect;
use eddy_log::TailBatch;
use eddy_types::Offset;
use eddy_wal::{Entry, Room};
use parking_lot::MutexGuard;

use super::role::Replica;
use super::{Partition, State};
use crate::error::AppendError;
use crate::watch::Woken;

impl Partition {
    /// Puts a batch into the tail cache and the WAL's queue. `after_gap` is where the log ended, should the batch not begin
    /// there.
    pub(super) fn enqueue(&self, batch: TailBatch, after_gap: Option<Offset>, room: Option<Room>) {
        let entry = Entry::Append {
            partition: self.local,
            base_offset: batch.base_offset,
            end_offset: batch.end_offset,
            leader_epoch: batch.leader_epoch,
            after_gap,
            batch: batch.bytes.clone(),
        };
        self.log.append(batch);
        self.shared.wal.submit(entry, room);
    }

    /// The write-ahead log has made everything below `upto` durable.
    pub(crate) fn durable(&self, upto: Offset) {
        let mut state = self.state.lock();
        let State { replica, effects, .. } = &mut *state;
        replica.durable(upto, effects);
        self.settle(state);
    }

    /// Executes what the state machine asked for, and wakes those concerned after the lock is released.
    pub(super) fn settle(&self, mut guard: MutexGuard<'_, State>) {
        let state = &mut *guard;
        if cfg!(debug_assertions) {
            state.replica.check();
        }
        let mut woken = Woken::none();
        let leads = matches!(state.replica, Replica::Leader(_));
        for effect in state.effects.drain(..) {
            match effect {
                Effect::HighWatermark(_) => {
                    woken = state.watchers.take();
                    if leads {
                        state.sessions.push_later();
                    }
                }
                Effect::LogStart(start) => {
                    self.log.set_start_offset(start);
                    if leads {
                        state.sessions.push_later();
                    }
                }
                // A leader's own disk is of no concern to its followers.
                Effect::DurableEnd(_) if !leads => state.sessions.push_durable(&self.shared.durable_news),
                Effect::ProposeIsr(proposal) => self.shared.isr.push(self.key, proposal),
                // The ends are taken from the machine below, and no transaction is admitted.
                Effect::DurableEnd(_) | Effect::TransactionEnded(_) => {}
            }
        }
        let released = if state.pending.is_empty() || !self.shared.lease.is_held() {
            // Another broker may lead by now: what was held back goes out when the lease is held again, or fails.
            Vec::new()
        } else {
            let offsets = state.replica.offsets();
            state.pending.release(offsets.durable_end, offsets.high_watermark)
        };
        drop(guard);
        for (range, token) in released {
            token.complete(Ok(range));
        }
        woken.wake();
    }

    /// The lease is held again: acknowledgements that were held back go out.
    pub(crate) fn lease_regained(&self) {
        if self.is_leading() {
            self.settle(self.state.lock());
        }
    }

    /// Time passes: idle producers expire, followers lag.
    pub(crate) fn tick(&self) {
        let mut state = self.state.lock();
        let State { replica, effects, .. } = &mut *state;
        replica.tick(self.shared.clock.steady(), effects);
        self.settle(state);
    }

    /// The topic was deleted, or this broker no longer holds a replica: everybody who waits is told `why`, and nothing is
    /// admitted any more.
    pub(crate) fn close(self: &Arc<Self>, why: &AppendError) {
        let mut state = self.state.lock();
        state.gone = Some(why.clone());
        self.shared.followed.note(self, false);
        self.leading.store(false, Ordering::Release);
        let failed = state.pending.fail_all();
        let woken = state.watchers.take();
        state.sessions.push();
        self.shared.wal.submit(Entry::Forget { partition: self.local }, None);
        drop(state);
        for (_, token) in failed {
            token.complete(Err(why.clone()));
        }
        woken.wake();
    }
}
