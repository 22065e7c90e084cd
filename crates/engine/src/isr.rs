//! What leaders want of the controller, and what became of their in-sync replicas.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use eddy_core::IsrProposal;
use eddy_metadata::Image;
use eddy_types::BrokerId;
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

/// How the replicas of a broker stand, as the metadata has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicationStatus {
    /// Partitions led here.
    pub leaders: usize,
    /// Partitions held here and led elsewhere, or by nobody.
    pub followers: usize,
    /// Of those led here: some replica is not in sync, those left out that are just being added.
    pub under_replicated: usize,
    /// Of those led here: fewer in sync than `min.insync.replicas`, so that acks=all is refused.
    pub under_min_isr: usize,
    /// Of those led here: exactly as many in sync as `min.insync.replicas`.
    pub at_min_isr: usize,
    /// How often an ISR shrank here since the start.
    pub isr_shrinks: u64,
    /// How often one grew.
    pub isr_expands: u64,
}

impl ReplicationStatus {
    pub(crate) fn of(image: &Image, me: BrokerId, proposals: &IsrProposals) -> ReplicationStatus {
        let (isr_shrinks, isr_expands) = proposals.changes();
        let mut status = ReplicationStatus { isr_shrinks, isr_expands, ..ReplicationStatus::default() };
        for placed in image.partitions_of(me) {
            let partition = placed.partition;
            if partition.leader != Some(me) {
                status.followers += 1;
                continue;
            }
            status.leaders += 1;
            let settled =
                |brokers: &[BrokerId]| brokers.iter().filter(|id| !partition.adding.contains(id)).count();
            let (in_sync, replicas) = (partition.isr.len(), partition.replicas.len());
            let wanted = usize::try_from(placed.topic.config.min_insync_replicas).unwrap_or(1);
            let required = wanted.min(replicas);
            status.under_replicated += usize::from(settled(&partition.isr) < settled(&partition.replicas));
            status.under_min_isr += usize::from(in_sync < required);
            status.at_min_isr += usize::from(in_sync == required);
        }
        status
    }
}
