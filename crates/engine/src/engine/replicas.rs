//! What the engine says of its replicas: which it holds, which it leads, and how they stand.

use std::sync::Arc;

use eddy_metadata::Image;
use eddy_types::{BrokerId, Offset};
use tokio::time::Instant;

use super::Engine;
use crate::error::{DeleteRecordsError, PartitionError};
use crate::housekeeping;
use crate::isr::{IsrProposals, ReplicationStatus};
use crate::lease::Lease;
use crate::partition::{Partition, PartitionKey};
use crate::role_changes::RoleChanges;

impl Engine {
    /// The partition, if this broker leads it.
    ///
    /// # Errors
    /// Unknown, led elsewhere, or offline.
    pub async fn partition(
        &self,
        image: &Image,
        key: PartitionKey,
    ) -> Result<Arc<Partition>, PartitionError> {
        if let Some(open) = self.partitions.get_open(key).filter(|open| open.is_leading()) {
            return Ok(open);
        }
        let state = state_of(image, key)?;
        if state.leader != Some(self.me) {
            return Err(not_leader(state));
        }
        let partition = self.partitions.get(image, key).await?;
        if partition.is_leading() {
            return Ok(partition);
        }
        let (leader, epoch) = partition.leader();
        Err(PartitionError::NotLeader { leader, epoch })
    }

    /// The partition, if this broker holds a replica of it, whatever its role.
    ///
    /// # Errors
    /// Unknown, held elsewhere only, or offline.
    pub async fn replica(&self, image: &Image, key: PartitionKey) -> Result<Arc<Partition>, PartitionError> {
        if let Some(open) = self.partitions.get_open(key) {
            return Ok(open);
        }
        let state = state_of(image, key)?;
        if !state.replicas.contains(&self.me) {
            return Err(not_leader(state));
        }
        self.partitions.get(image, key).await
    }

    /// Subscribes to the partitions whose leader, leader epoch or replicas change; all that are held here are listed first.
    pub fn role_changes(&self) -> RoleChanges {
        self.partitions.role_changes()
    }

    /// The ISR changes that leaders here want of the controller.
    pub fn isr_proposals(&self) -> &Arc<IsrProposals> {
        self.partitions.isr_proposals()
    }

    /// How the replicas stand that this broker holds. Linear in all partitions of the cluster.
    pub fn replication(&self) -> ReplicationStatus {
        ReplicationStatus::of(&self.image(), self.me, self.isr_proposals())
    }

    /// This broker's right to lead.
    pub fn lease(&self) -> &Arc<Lease> {
        self.partitions.lease()
    }

    /// Moves the log start of a partition and waits until that is on disk and all in-sync replicas have followed, at most
    /// until `deadline`; -1 means the high watermark.
    ///
    /// # Errors
    /// The offset is negative or above the high watermark, this broker does not lead, or the time is over.
    pub async fn delete_records(
        &self,
        partition: &Arc<Partition>,
        before: Offset,
        deadline: Instant,
    ) -> Result<Offset, DeleteRecordsError> {
        let (start, lsn) = partition.delete_records(before)?;
        if self.wal.until_durable(lsn).await.is_err() {
            // The process is about to end: the files stay as they are.
            return Ok(start);
        }
        let partition = Arc::clone(partition);
        // The answer does not depend on the files below: whether they went shows at the next retention check.
        let this = Arc::clone(&partition);
        let wal = self.wal.clone();
        let _ = tokio::task::spawn_blocking(move || housekeeping::remove_below_start(&wal, &this)).await;
        let everywhere = housekeeping::until_low_watermark(&partition, start);
        match tokio::time::timeout_at(deadline, everywhere).await {
            Ok(reached) => reached.map(|()| start),
            Err(_) => Err(DeleteRecordsError::TimedOut { start }),
        }
    }
}

fn state_of(image: &Image, key: PartitionKey) -> Result<&eddy_metadata::Partition, PartitionError> {
    let topic = image.topic_by_id(key.topic).ok_or(PartitionError::Unknown)?;
    let index = usize::try_from(key.index).map_err(|_| PartitionError::Unknown)?;
    topic.partitions.get(index).ok_or(PartitionError::Unknown)
}

fn not_leader(state: &eddy_metadata::Partition) -> PartitionError {
    PartitionError::NotLeader { leader: state.leader.unwrap_or(BrokerId::NONE), epoch: state.leader_epoch }
}
