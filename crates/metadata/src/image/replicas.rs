//! Partitions change hands, and brokers clean up what they no longer hold.

use std::sync::Arc;

use eddy_types::{BrokerId, TopicId};

use super::{ApplyError, Image};
use crate::record::Record;

impl Image {
    pub(super) fn change_partition(&mut self, record: &Record) -> Result<(), ApplyError> {
        let Record::PartitionChanged {
            topic_id,
            partition,
            leader,
            leader_epoch,
            isr,
            elr,
            assignment,
            partition_epoch,
        } = record
        else {
            return Ok(());
        };
        let unknown = ApplyError::UnknownPartition { topic_id: *topic_id, partition: *partition };
        let index = usize::try_from(*partition).map_err(|_| unknown.clone())?;
        let current = self.topic_mut(*topic_id)?.partitions.get_mut(index).ok_or(unknown)?;
        let follows = Some(partition_epoch.0) == current.partition_epoch.0.checked_add(1);
        // clients drop answers of an older epoch, so one that fell would leave them stuck for ever.
        if *leader_epoch < current.leader_epoch || !follows {
            return Err(ApplyError::StaleEpoch {
                topic_id: *topic_id,
                partition: *partition,
                leader_epoch: *leader_epoch,
                partition_epoch: *partition_epoch,
            });
        }
        current.leader = *leader;
        current.leader_epoch = *leader_epoch;
        current.isr = isr.as_slice().into();
        current.elr = elr.as_slice().into();
        current.partition_epoch = *partition_epoch;
        let Some(assignment) = assignment else { return Ok(()) };
        let before = std::mem::replace(&mut current.replicas, assignment.replicas.as_slice().into());
        current.adding = assignment.adding.as_slice().into();
        current.removing = assignment.removing.as_slice().into();
        self.replicas_moved(*topic_id, *partition, &before, &assignment.replicas);
        Ok(())
    }

    /// Brokers that no longer hold the partition owe the removal of its directory; one that holds it again owes nothing:
    /// what it still has is the log of a replica that lags behind.
    fn replicas_moved(&mut self, topic: TopicId, partition: i32, before: &[BrokerId], now: &[BrokerId]) {
        let left = before.iter().filter(|id| !now.contains(id) && self.brokers.contains_key(id));
        let left: Vec<BrokerId> = left.copied().collect();
        let back = now.iter().filter(|id| self.removed_replicas.contains(&(**id, topic, partition)));
        let back: Vec<BrokerId> = back.copied().collect();
        if left.is_empty() && back.is_empty() {
            return;
        }
        let owed = Arc::make_mut(&mut self.removed_replicas);
        owed.extend(left.into_iter().map(|broker| (broker, topic, partition)));
        for broker in back {
            owed.remove(&(broker, topic, partition));
        }
    }

    pub(super) fn reclaim(&mut self, broker: BrokerId, topic_ids: &[TopicId]) {
        let removed = Arc::make_mut(&mut self.removed);
        for topic_id in topic_ids {
            // Told twice is no harm: the proposer may not have seen that its first attempt was committed.
            if let Some(topic) = removed.get_mut(topic_id) {
                topic.brokers.remove(&broker);
                if topic.brokers.is_empty() {
                    removed.remove(topic_id);
                }
            }
        }
    }

    pub(super) fn reclaim_replicas(&mut self, broker: BrokerId, partitions: &[(TopicId, i32)]) {
        if partitions.is_empty() {
            return;
        }
        let owed = Arc::make_mut(&mut self.removed_replicas);
        for (topic, partition) in partitions {
            owed.remove(&(broker, *topic, *partition));
        }
    }
}
