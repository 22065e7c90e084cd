//! From bytes to the machines' records, in every version that Kafka ever wrote.

use bytes::Bytes;
use eddy_core::group::{
    Blob, ClassicGroupValue, ClassicMemberValue, CommittedOffset, ConsumerClassicMember,
    ConsumerCurrentValue, ConsumerGroupValue, ConsumerMemberValue, ConsumerRegexValue, ConsumerTargetValue,
    GroupRecord, Protocol, Str, TopicPartitions,
};
use eddy_types::{LeaderEpoch, Millis, Offset, TopicId};
use eddy_wire::stored::consumer_group_current_member_assignment::{
    self as current, ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
};
use eddy_wire::stored::consumer_group_member_metadata::{
    ClassicMemberMetadata, ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue,
};
use eddy_wire::stored::consumer_group_metadata::{ConsumerGroupMetadataKey, ConsumerGroupMetadataValue};
use eddy_wire::stored::consumer_group_partition_metadata::ConsumerGroupPartitionMetadataKey;
use eddy_wire::stored::consumer_group_regular_expression::{
    ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue,
};
use eddy_wire::stored::consumer_group_target_assignment_member::{
    ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMemberValue,
};
use eddy_wire::stored::consumer_group_target_assignment_metadata::{
    ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue,
};
use eddy_wire::stored::group_metadata::{GroupMetadataKey, GroupMetadataValue, MemberMetadata};
use eddy_wire::stored::legacy_offset_commit::{LegacyOffsetCommitKey, LegacyOffsetCommitValue};
use eddy_wire::stored::offset_commit::{OffsetCommitKey, OffsetCommitValue};
use eddy_wire::stored::{self, StoredKey};
use eddy_wire::{Decode, DecodeError};

use super::{StoredError, text};

/// The record of a key and a value; `None` for a type that groups of today do not have (share groups, streams groups).
///
/// # Errors
/// The bytes are not what the key's type says.
pub(crate) fn decode(key: Option<Bytes>, value: Option<Bytes>) -> Result<Option<GroupRecord>, StoredError> {
    let key = key.ok_or(StoredError::NoKey)?;
    let Some(record_type) = stored::record_type(&key) else { return Err(StoredError::NoKey) };
    Ok(Some(match record_type {
        LegacyOffsetCommitKey::RECORD_TYPE => {
            let LegacyOffsetCommitKey { group, topic, partition } = from_key(key)?;
            let value = from_value(value)?.map(legacy_offset);
            GroupRecord::Offset { group: text(&group), topic: text(&topic), partition, value }
        }
        OffsetCommitKey::RECORD_TYPE => {
            let OffsetCommitKey { group, topic, partition } = from_key(key)?;
            let value = from_value(value)?.map(offset);
            GroupRecord::Offset { group: text(&group), topic: text(&topic), partition, value }
        }
        GroupMetadataKey::RECORD_TYPE => {
            let GroupMetadataKey { group } = from_key(key)?;
            GroupRecord::ClassicGroup { group: text(&group), value: from_value(value)?.map(classic_group) }
        }
        ConsumerGroupMetadataKey::RECORD_TYPE => {
            let ConsumerGroupMetadataKey { group_id } = from_key(key)?;
            let value = from_value::<ConsumerGroupMetadataValue>(value)?;
            let value = value
                .map(|value| ConsumerGroupValue { epoch: value.epoch, metadata_hash: value.metadata_hash });
            GroupRecord::ConsumerGroup { group: text(&group_id), value }
        }
        ConsumerGroupPartitionMetadataKey::RECORD_TYPE => {
            let ConsumerGroupPartitionMetadataKey { group_id } = from_key(key)?;
            GroupRecord::ConsumerGroupPartitions { group: text(&group_id) }
        }
        ConsumerGroupMemberMetadataKey::RECORD_TYPE => {
            let ConsumerGroupMemberMetadataKey { group_id, member_id } = from_key(key)?;
            let value = from_value(value)?.map(consumer_member);
            GroupRecord::ConsumerMember { group: text(&group_id), member: text(&member_id), value }
        }
        ConsumerGroupTargetAssignmentMetadataKey::RECORD_TYPE => {
            let ConsumerGroupTargetAssignmentMetadataKey { group_id } = from_key(key)?;
            let value = from_value::<ConsumerGroupTargetAssignmentMetadataValue>(value)?;
            let value = value.map(|value| ConsumerTargetValue {
                epoch: value.assignment_epoch,
                timestamp: Millis(value.assignment_timestamp),
            });
            GroupRecord::ConsumerTarget { group: text(&group_id), value }
        }
        ConsumerGroupTargetAssignmentMemberKey::RECORD_TYPE => {
            let ConsumerGroupTargetAssignmentMemberKey { group_id, member_id } = from_key(key)?;
            let value = from_value::<ConsumerGroupTargetAssignmentMemberValue>(value)?;
            let value = value.map(|value| value.topic_partitions.into_iter().map(target).collect());
            GroupRecord::ConsumerTargetMember { group: text(&group_id), member: text(&member_id), value }
        }
        ConsumerGroupCurrentMemberAssignmentKey::RECORD_TYPE => {
            let ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id } = from_key(key)?;
            let value = from_value(value)?.map(current_assignment);
            GroupRecord::ConsumerCurrentMember { group: text(&group_id), member: text(&member_id), value }
        }
        ConsumerGroupRegularExpressionKey::RECORD_TYPE => {
            let ConsumerGroupRegularExpressionKey { group_id, regular_expression } = from_key(key)?;
            let value = from_value::<ConsumerGroupRegularExpressionValue>(value)?;
            let value = value.map(|value| ConsumerRegexValue {
                topics: value.topics.iter().map(text).collect(),
                version: value.version,
                timestamp: Millis(value.timestamp),
            });
            GroupRecord::ConsumerRegex { group: text(&group_id), regex: text(&regular_expression), value }
        }
        _ => return Ok(None),
    }))
}

fn from_key<K: StoredKey>(bytes: Bytes) -> Result<K, StoredError> {
    stored::decode_key(bytes).map_err(StoredError::Key)
}

fn from_value<V: Decode>(bytes: Option<Bytes>) -> Result<Option<V>, StoredError> {
    let decoded: Option<Result<V, DecodeError>> = bytes.map(stored::decode_value);
    decoded.transpose().map_err(StoredError::Value)
}

fn optional(from: &Option<eddy_wire::Str>) -> Option<Str> {
    from.as_ref().map(text)
}

fn blob(bytes: &Bytes) -> Blob {
    Blob::from(&**bytes)
}

/// A time that -1 says is not known.
fn known(millis: i64) -> Option<Millis> {
    (millis >= 0).then_some(Millis(millis))
}

fn legacy_offset(value: LegacyOffsetCommitValue) -> CommittedOffset {
    CommittedOffset {
        offset: Offset(value.offset),
        leader_epoch: LeaderEpoch::NONE,
        metadata: text(&value.metadata),
        commit_timestamp: Millis(value.commit_timestamp),
        expire_timestamp: None,
        topic_id: TopicId::ZERO,
    }
}

fn offset(value: OffsetCommitValue) -> CommittedOffset {
    CommittedOffset {
        offset: Offset(value.offset),
        leader_epoch: LeaderEpoch(value.leader_epoch),
        metadata: text(&value.metadata),
        commit_timestamp: Millis(value.commit_timestamp),
        expire_timestamp: known(value.expire_timestamp),
        topic_id: value.topic_id,
    }
}

fn classic_group(value: GroupMetadataValue) -> ClassicGroupValue {
    ClassicGroupValue {
        protocol_type: text(&value.protocol_type),
        generation: value.generation,
        protocol: optional(&value.protocol),
        leader: optional(&value.leader),
        state_timestamp: known(value.current_state_timestamp),
        members: value.members.iter().map(classic_member).collect(),
    }
}

fn classic_member(member: &MemberMetadata) -> ClassicMemberValue {
    let session_timeout = Millis(i64::from(member.session_timeout));
    ClassicMemberValue {
        member: text(&member.member_id),
        instance: optional(&member.group_instance_id),
        client_id: text(&member.client_id),
        client_host: text(&member.client_host),
        // The first version had none: as long as the member may be silent.
        rebalance_timeout: known(i64::from(member.rebalance_timeout)).unwrap_or(session_timeout),
        session_timeout,
        subscription: blob(&member.subscription),
        assignment: blob(&member.assignment),
    }
}

fn consumer_member(value: ConsumerGroupMemberMetadataValue) -> ConsumerMemberValue {
    // A record from before members could speak the classic protocol reads as one that speaks it without protocols.
    let classic =
        value.classic_member_metadata.filter(|classic| *classic != ClassicMemberMetadata::default());
    let classic = classic.map(|classic| {
        let protocols = classic.supported_protocols.iter();
        ConsumerClassicMember {
            session_timeout: Millis(i64::from(classic.session_timeout_ms)),
            protocols: protocols
                .map(|protocol| Protocol { name: text(&protocol.name), metadata: blob(&protocol.metadata) })
                .collect(),
        }
    });
    ConsumerMemberValue {
        instance: optional(&value.instance_id),
        rack: optional(&value.rack_id),
        client_id: text(&value.client_id),
        client_host: text(&value.client_host),
        topic_names: value.subscribed_topic_names.iter().map(text).collect(),
        topic_regex: optional(&value.subscribed_topic_regex),
        rebalance_timeout: Millis(i64::from(value.rebalance_timeout_ms)),
        assignor: optional(&value.server_assignor),
        classic,
    }
}

fn target(
    topic: eddy_wire::stored::consumer_group_target_assignment_member::TopicPartition,
) -> TopicPartitions {
    TopicPartitions { topic: topic.topic_id, partitions: topic.partitions, assignment_epochs: None }
}

fn current_assignment(value: ConsumerGroupCurrentMemberAssignmentValue) -> ConsumerCurrentValue {
    ConsumerCurrentValue {
        epoch: value.member_epoch,
        previous_epoch: value.previous_member_epoch,
        state: value.state,
        assigned: value.assigned_partitions.into_iter().map(owned).collect(),
        pending_revocation: value.partitions_pending_revocation.into_iter().map(owned).collect(),
    }
}

fn owned(topic: current::TopicPartitions) -> TopicPartitions {
    // One epoch a partition, or the record has none.
    let epochs = topic.assignment_epochs.filter(|epochs| epochs.len() == topic.partitions.len());
    TopicPartitions {
        topic: topic.topic_id,
        partitions: topic.partitions,
        assignment_epochs: epochs.filter(|epochs| !epochs.is_empty()),
    }
}
