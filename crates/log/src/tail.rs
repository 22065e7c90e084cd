//! The newest batches as shared bytes: everything that is not flushed, and what was flushed lately.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use eddy_types::{LeaderEpoch, Millis, Offset};

use crate::TailBudget;

/// One record batch with its place in the log, as its header has them.
#[derive(Clone, Debug)]
pub struct TailBatch {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// The offset after the last record.
    pub end_offset: Offset,
    /// Epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// Largest record timestamp; -1 when there is none.
    pub max_timestamp: Millis,
    /// The batch as it is stored and sent.
    pub bytes: Bytes,
    /// Bytes of memory that `bytes` keeps alive, for the [`TailBudget`].
    pub charge: usize,
}

/// What a cached batch takes besides `charge`: its place in the queue, which has up to as many free ones, and what shares and
/// rounds up its bytes. It is a third of all memory when each record comes alone.
const OVERHEAD: usize = 2 * size_of::<TailBatch>();

/// Batches in offset order. The owner keeps the invariant that everything unflushed is here.
pub(crate) struct Tail {
    batches: VecDeque<TailBatch>,
    budget: Arc<TailBudget>,
    charged: usize,
    unflushed_bytes: usize,
}

impl Tail {
    pub(crate) fn new(budget: Arc<TailBudget>) -> Self {
        Tail { batches: VecDeque::new(), budget, charged: 0, unflushed_bytes: 0 }
    }

    pub(crate) fn push(&mut self, mut batch: TailBatch) {
        batch.charge += OVERHEAD;
        self.budget.charge(batch.charge);
        self.charged += batch.charge;
        self.unflushed_bytes += batch.bytes.len();
        self.batches.push_back(batch);
    }

    /// Offset of the first cached batch.
    pub(crate) fn first_offset(&self) -> Option<Offset> {
        self.batches.front().map(|batch| batch.base_offset)
    }

    pub(crate) fn unflushed_bytes(&self) -> usize {
        self.unflushed_bytes
    }

    /// Cached batches from the one that holds `from`, or else the next one.
    pub(crate) fn starting_at(&self, from: Offset) -> impl Iterator<Item = &TailBatch> {
        self.batches.range(self.batches.partition_point(|batch| batch.end_offset <= from)..)
    }

    /// Everything from `old` to `new` has been written to segments.
    pub(crate) fn flushed(&mut self, old: Offset, new: Offset) {
        let bytes: usize = self
            .starting_at(old)
            .take_while(|batch| batch.end_offset <= new)
            .map(|batch| batch.bytes.len())
            .sum();
        self.unflushed_bytes -= bytes;
    }

    /// Drops batches that reach above `to`.
    pub(crate) fn truncate(&mut self, to: Offset, flushed_end: Offset) {
        while let Some(batch) = self.batches.pop_back_if(|batch| batch.end_offset > to) {
            if batch.end_offset > flushed_end {
                self.unflushed_bytes -= batch.bytes.len();
            }
            self.release(batch.charge);
        }
    }

    /// Takes up to `count` flushed batches out, oldest first, while more than `keep` bytes are charged. The caller drops
    /// them, which may take a while, when it has let go of its lock.
    pub(crate) fn evict(&mut self, keep: usize, flushed_end: Offset, count: usize) -> Vec<TailBatch> {
        let mut evicted = Vec::new();
        while self.charged > keep && evicted.len() < count {
            let Some(batch) = self.batches.pop_front_if(|batch| batch.end_offset <= flushed_end) else {
                break;
            };
            self.release(batch.charge);
            evicted.push(batch);
        }
        self.give_back_room();
        evicted
    }

    /// As [`Tail::evict`], for batches below `to`: the segments no longer hold what they do.
    pub(crate) fn evict_below(&mut self, to: Offset, count: usize) -> Vec<TailBatch> {
        let mut evicted = Vec::new();
        while evicted.len() < count {
            let Some(batch) = self.batches.pop_front_if(|batch| batch.end_offset <= to) else { break };
            self.release(batch.charge);
            evicted.push(batch);
        }
        self.give_back_room();
        evicted
    }

    /// An idle partition keeps no room for batches to come.
    fn give_back_room(&mut self) {
        if self.batches.is_empty() {
            self.batches = VecDeque::new();
        }
    }

    fn release(&mut self, charge: usize) {
        self.charged -= charge;
        self.budget.release(charge);
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.budget.release(self.charged);
    }
}
