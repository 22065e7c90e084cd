//! What leaders want of the controller, and what became of their in-sync replicas.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use eddy_core::IsrProposal;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::partition::PartitionKey;

/// Proposals of the partitions led here, at most one a partition: a leader makes no other before it has heard of the first.
/// Whoever takes one answers with [`Partition::isr_decided`](crate::Partition::isr_decided), always.
#[derive(Debug, Default)]
pub struct IsrProposals {
    waiting: Mutex<BTreeMap<PartitionKey, IsrProposal>>,
    some: Notify,
    shrinks: AtomicU64,
    expands: AtomicU64,
}

impl IsrProposals {
    /// Waits for proposals and takes them all. One task waits at a time; cancel-safe.
    pub async fn next(&self) -> Vec<(PartitionKey, IsrProposal)> {
        loop {
            let proposals = self.try_next();
            if !proposals.is_empty() {
                return proposals;
            }
            self.some.notified().await;
        }
    }

    /// As [`IsrProposals::next`], without waiting.
    pub fn try_next(&self) -> Vec<(PartitionKey, IsrProposal)> {
        std::mem::take(&mut *self.waiting.lock()).into_iter().collect()
    }

    pub(crate) fn push(&self, key: PartitionKey, proposal: IsrProposal) {
        self.waiting.lock().insert(key, proposal);
        self.some.notify_one();
    }

    pub(crate) fn count_change(&self, before: usize, after: usize) {
        match after.cmp(&before) {
            std::cmp::Ordering::Less => self.shrinks.fetch_add(1, Ordering::Relaxed),
            std::cmp::Ordering::Greater => self.expands.fetch_add(1, Ordering::Relaxed),
            std::cmp::Ordering::Equal => return,
        };
    }

    /// How often the ISR of a partition led here shrank and grew since the start.
    pub fn changes(&self) -> (u64, u64) {
        (self.shrinks.load(Ordering::Relaxed), self.expands.load(Ordering::Relaxed))
    }
}
