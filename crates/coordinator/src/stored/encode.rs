//! From the machines' records to bytes, in the versions that Kafka 4.3 writes.

use bytes::Bytes;
use eddy_core::group::{
    Blob, ClassicGroupValue, CommittedOffset, ConsumerCurrentValue, ConsumerMemberValue, GroupRecord, Str,
    TopicPartitions,
};
use eddy_types::Millis;
use eddy_wire::stored::StoredKey;
use eddy_wire::stored::consumer_group_current_member_assignment as current;
use eddy_wire::stored::consumer_group_member_metadata as member_metadata;
use eddy_wire::stored::consumer_group_metadata::{ConsumerGroupMetadataKey, ConsumerGroupMetadataValue};
use eddy_wire::stored::consumer_group_partition_metadata::ConsumerGroupPartitionMetadataKey;
use eddy_wire::stored::consumer_group_regular_expression::{
    ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue,
};
use eddy_wire::stored::consumer_group_target_assignment_member as target_member;
use eddy_wire::stored::consumer_group_target_assignment_metadata::{
    ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue,
};
use eddy_wire::stored::group_metadata::{GroupMetadataKey, GroupMetadataValue, MemberMetadata};
use eddy_wire::stored::offset_commit::{OffsetCommitKey, OffsetCommitValue};
use eddy_wire::{Encode, EncodeError, stored};

use super::{Encoded, StoredRecord};

/// The version with topic ids, and the only one that can carry a time of expiry.
const OFFSET_VERSION: i16 = 4;
const OFFSET_WITH_EXPIRY_VERSION: i16 = 1;
const CLASSIC_GROUP_VERSION: i16 = 3;
/// All values of consumer groups have one version.
const CONSUMER_VERSION: i16 = 0;

/// The bytes of a record.
///
/// # Errors
/// A text that the format cannot hold.
pub(crate) fn encode(record: &GroupRecord) -> Encoded {
    match record {
        GroupRecord::Offset { group, topic, partition, value } => {
            let key = OffsetCommitKey { group: wire(group), topic: wire(topic), partition: *partition };
            let version = match value {
                Some(CommittedOffset { expire_timestamp: Some(_), .. }) => OFFSET_WITH_EXPIRY_VERSION,
                _ => OFFSET_VERSION,
            };
            stored(&key, value.as_ref().map(offset), version)
        }
        GroupRecord::ClassicGroup { group, value } => {
            let key = GroupMetadataKey { group: wire(group) };
            stored(&key, value.as_ref().map(classic_group), CLASSIC_GROUP_VERSION)
        }
        GroupRecord::ConsumerGroup { group, value } => {
            let key = ConsumerGroupMetadataKey { group_id: wire(group) };
            let value = value.map(|value| ConsumerGroupMetadataValue {
                epoch: value.epoch,
                metadata_hash: value.metadata_hash,
            });
            stored(&key, value, CONSUMER_VERSION)
        }
        GroupRecord::ConsumerGroupPartitions { group } => {
            let key = ConsumerGroupPartitionMetadataKey { group_id: wire(group) };
            Ok(StoredRecord { key: stored::encode_key(&key)?, value: None })
        }
        GroupRecord::ConsumerMember { group, member, value } => {
            let key = member_metadata::ConsumerGroupMemberMetadataKey {
                group_id: wire(group),
                member_id: wire(member),
            };
            stored(&key, value.as_ref().map(consumer_member), CONSUMER_VERSION)
        }
        GroupRecord::ConsumerTarget { group, value } => {
            let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: wire(group) };
            let value = value.map(|value| ConsumerGroupTargetAssignmentMetadataValue {
                assignment_epoch: value.epoch,
                assignment_timestamp: value.timestamp.0,
            });
            stored(&key, value, CONSUMER_VERSION)
        }
        GroupRecord::ConsumerTargetMember { group, member, value } => {
            let key = target_member::ConsumerGroupTargetAssignmentMemberKey {
                group_id: wire(group),
                member_id: wire(member),
            };
            stored(&key, value.as_deref().map(target), CONSUMER_VERSION)
        }
        GroupRecord::ConsumerCurrentMember { group, member, value } => {
            let key = current::ConsumerGroupCurrentMemberAssignmentKey {
                group_id: wire(group),
                member_id: wire(member),
            };
            stored(&key, value.as_ref().map(current_assignment), CONSUMER_VERSION)
        }
        GroupRecord::ConsumerRegex { group, regex, value } => {
            let key =
                ConsumerGroupRegularExpressionKey { group_id: wire(group), regular_expression: wire(regex) };
            let value = value.as_ref().map(|value| ConsumerGroupRegularExpressionValue {
                topics: value.topics.iter().map(wire).collect(),
                version: value.version,
                timestamp: value.timestamp.0,
            });
            stored(&key, value, CONSUMER_VERSION)
        }
    }
}

fn stored<K: StoredKey, V: Encode>(key: &K, value: Option<V>, version: i16) -> Encoded {
    let value = value.map(|value| stored::encode_value(&value, version)).transpose()?;
    Ok::<_, EncodeError>(StoredRecord { key: stored::encode_key(key)?, value })
}

fn wire(text: &Str) -> eddy_wire::Str {
    eddy_wire::Str::from(&**text)
}

fn optional(text: &Option<Str>) -> Option<eddy_wire::Str> {
    text.as_ref().map(wire)
}

fn blob(bytes: &Blob) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// A time span in the format's 32 bits.
fn span(millis: Millis) -> i32 {
    i32::try_from(millis.0).unwrap_or(i32::MAX)
}

fn offset(value: &CommittedOffset) -> OffsetCommitValue {
    OffsetCommitValue {
        offset: value.offset.0,
        leader_epoch: value.leader_epoch.0,
        metadata: wire(&value.metadata),
        commit_timestamp: value.commit_timestamp.0,
        expire_timestamp: value.expire_timestamp.map_or(-1, |at| at.0),
        topic_id: value.topic_id,
    }
}

fn classic_group(value: &ClassicGroupValue) -> GroupMetadataValue {
    let members = value.members.iter().map(|member| MemberMetadata {
        member_id: wire(&member.member),
        group_instance_id: optional(&member.instance),
        client_id: wire(&member.client_id),
        client_host: wire(&member.client_host),
        rebalance_timeout: span(member.rebalance_timeout),
        session_timeout: span(member.session_timeout),
        subscription: blob(&member.subscription),
        assignment: blob(&member.assignment),
    });
    GroupMetadataValue {
        protocol_type: wire(&value.protocol_type),
        generation: value.generation,
        protocol: optional(&value.protocol),
        leader: optional(&value.leader),
        current_state_timestamp: value.state_timestamp.map_or(-1, |at| at.0),
        members: members.collect(),
    }
}

fn consumer_member(value: &ConsumerMemberValue) -> member_metadata::ConsumerGroupMemberMetadataValue {
    let classic = value.classic.as_ref().map(|classic| {
        let protocols = classic.protocols.iter().map(|protocol| member_metadata::ClassicProtocol {
            name: wire(&protocol.name),
            metadata: blob(&protocol.metadata),
        });
        member_metadata::ClassicMemberMetadata {
            session_timeout_ms: span(classic.session_timeout),
            supported_protocols: protocols.collect(),
        }
    });
    member_metadata::ConsumerGroupMemberMetadataValue {
        instance_id: optional(&value.instance),
        rack_id: optional(&value.rack),
        client_id: wire(&value.client_id),
        client_host: wire(&value.client_host),
        subscribed_topic_names: value.topic_names.iter().map(wire).collect(),
        subscribed_topic_regex: optional(&value.topic_regex),
        rebalance_timeout_ms: span(value.rebalance_timeout),
        server_assignor: optional(&value.assignor),
        classic_member_metadata: classic,
    }
}

fn target(value: &[TopicPartitions]) -> target_member::ConsumerGroupTargetAssignmentMemberValue {
    let topics = value.iter().map(|topic| target_member::TopicPartition {
        topic_id: topic.topic,
        partitions: topic.partitions.clone(),
    });
    target_member::ConsumerGroupTargetAssignmentMemberValue { topic_partitions: topics.collect() }
}

fn current_assignment(value: &ConsumerCurrentValue) -> current::ConsumerGroupCurrentMemberAssignmentValue {
    current::ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: value.epoch,
        previous_member_epoch: value.previous_epoch,
        state: value.state,
        assigned_partitions: value.assigned.iter().map(owned).collect(),
        partitions_pending_revocation: value.pending_revocation.iter().map(owned).collect(),
    }
}

fn owned(topic: &TopicPartitions) -> current::TopicPartitions {
    current::TopicPartitions {
        topic_id: topic.topic,
        partitions: topic.partitions.clone(),
        // Empty is the format's default, and then takes no bytes.
        assignment_epochs: Some(topic.assignment_epochs.clone().unwrap_or_default()),
    }
}
