//! What is shown of a group.

use super::ConsumerGroup;
use super::request::{DescribedConsumerGroup, DescribedConsumerMember};
use crate::group::config::ConsumerGroupConfig;

impl ConsumerGroup {
    /// For ConsumerGroupDescribe.
    pub(super) fn describe(&self, config: &ConsumerGroupConfig) -> DescribedConsumerGroup {
        let members = self.members.iter().map(|(id, member)| DescribedConsumerMember {
            member: id.clone(),
            instance: member.wishes.instance.clone(),
            rack: member.wishes.rack.clone(),
            epoch: member.epoch,
            client_id: member.wishes.client_id.clone(),
            client_host: member.wishes.client_host.clone(),
            topic_names: member.wishes.topic_names.clone(),
            topic_regex: member.wishes.topic_regex.clone(),
            assignment: member.assigned.partitions(),
            target: self.target(id),
            is_classic: member.is_classic(),
        });
        DescribedConsumerGroup {
            state: self.state(),
            epoch: self.epoch,
            assignment_epoch: self.target_epoch,
            assignor: self.preferred_assignor(config).name().into(),
            members: members.collect(),
        }
    }

    /// All that survives a restart, to compare.
    #[cfg(test)]
    pub(super) fn durable(&self) -> String {
        let epochs = (self.epoch, self.metadata_hash, self.target_epoch, self.target_timestamp);
        let members = (&self.members, &self.targets, &self.instances, &self.owners);
        format!("{} {epochs:?} {members:?} {:?}", self.id, self.subscriptions.durable())
    }
}
