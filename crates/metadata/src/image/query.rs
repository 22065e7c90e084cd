//! What others ask of the image: who holds what, who leads what, and how well it stands.

use std::sync::Arc;

use eddy_types::{BrokerId, TopicId};

use super::{Image, Partition, Topic};
use crate::record::Endpoint;

/// A partition with its place.
#[derive(Clone, Copy, Debug)]
pub struct PlacedPartition<'a> {
    /// The topic.
    pub topic: &'a Arc<Topic>,
    /// Index of the partition in the topic.
    pub index: i32,
    /// The partition.
    pub partition: &'a Partition,
}

/// How many partitions are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionCounts {
    /// All of them.
    pub total: usize,
    /// Without a leader.
    pub leaderless: usize,
    /// With fewer members in the ISR than replicas, those that a reassignment adds left out.
    pub under_replicated: usize,
    /// With fewer members in the ISR than `min.insync.replicas`: acks=all is refused.
    pub under_min_isr: usize,
    /// With exactly as many members in the ISR as `min.insync.replicas` while there are more replicas.
    pub at_min_isr: usize,
    /// With replicas that move.
    pub reassigning: usize,
    /// Led by another than the preferred leader.
    pub not_preferred: usize,
}

impl Image {
    /// Where a broker is reached by a listener's name.
    #[must_use]
    pub fn endpoint(&self, broker: BrokerId, listener: &str) -> Option<&Endpoint> {
        self.broker(broker)?.endpoints.iter().find(|endpoint| endpoint.listener == listener)
    }

    /// All partitions, by topic name and index. Linear in their number.
    pub fn partitions(&self) -> impl Iterator<Item = PlacedPartition<'_>> {
        self.topics().flat_map(|topic| {
            (0..).zip(&topic.partitions).map(move |(index, partition)| PlacedPartition {
                topic,
                index,
                partition,
            })
        })
    }

    /// A partition of a topic by id.
    #[must_use]
    pub fn partition(&self, topic: TopicId, index: i32) -> Option<&Partition> {
        self.topic_by_id(topic)?.partitions.get(usize::try_from(index).ok()?)
    }

    /// The partitions that a broker holds, those that are being added or removed included. Linear in all partitions.
    pub fn partitions_of(&self, broker: BrokerId) -> impl Iterator<Item = PlacedPartition<'_>> {
        self.partitions().filter(move |placed| placed.partition.replicas.contains(&broker))
    }

    /// The partitions that a broker leads. Linear in all partitions.
    pub fn leads(&self, broker: BrokerId) -> impl Iterator<Item = PlacedPartition<'_>> {
        self.partitions().filter(move |placed| placed.partition.leader == Some(broker))
    }

    /// How the partitions stand, with `min.insync.replicas` as this broker sees it. Linear in all partitions.
    #[must_use]
    pub fn partition_counts(&self) -> PartitionCounts {
        let mut counts = PartitionCounts::default();
        for PlacedPartition { topic, partition, .. } in self.partitions() {
            let wanted = partition.replicas.len() - partition.adding.len();
            let in_sync = partition.isr.iter().filter(|id| !partition.adding.contains(id)).count();
            let min_isr = usize::try_from(topic.config.min_insync_replicas).unwrap_or(usize::MAX);
            let members = partition.isr.len();
            counts.total += 1;
            counts.leaderless += usize::from(partition.leader.is_none());
            counts.under_replicated += usize::from(in_sync < wanted);
            counts.under_min_isr += usize::from(members < min_isr);
            counts.at_min_isr += usize::from(members == min_isr && wanted > min_isr);
            counts.reassigning += usize::from(partition.is_reassigning());
            counts.not_preferred += usize::from(partition.leader != partition.replicas.first().copied());
        }
        counts
    }

    /// Partitions whose directory a broker still has to remove because they moved away from it, by topic and index. Only
    /// what stands here, or belongs to a [removed topic](Image::removed_topics), may be deleted from its disk.
    pub fn removed_replicas_of(&self, broker: BrokerId) -> impl Iterator<Item = (TopicId, i32)> + '_ {
        let range = (broker, TopicId([0; 16]), i32::MIN)..=(broker, TopicId([u8::MAX; 16]), i32::MAX);
        self.removed_replicas.range(range).map(|(_, topic, partition)| (*topic, *partition))
    }

    /// Whether a broker still has to remove the directory of a partition that moved away from it.
    #[must_use]
    pub fn is_removed_replica(&self, broker: BrokerId, topic: TopicId, partition: i32) -> bool {
        self.removed_replicas.contains(&(broker, topic, partition))
    }
}
