use std::sync::Arc;

use bytes::Bytes;
use eddy_core::group::*;
use eddy_types::{LeaderEpoch, Millis, Offset, TopicId};
use eddy_wire::stored::{self, StoredKey};

use super::{StoredRecord, decode, encode};

fn group() -> Str {
    Arc::from("g")
}

fn partitions(assignment_epochs: Option<Vec<i32>>) -> Vec<TopicPartitions> {
    vec![TopicPartitions { topic: TopicId([7; 16]), partitions: vec![0, 2], assignment_epochs }]
}

fn offset(expire_timestamp: Option<Millis>) -> GroupRecord {
    let value = CommittedOffset {
        offset: Offset(42),
        leader_epoch: if expire_timestamp.is_some() { LeaderEpoch::NONE } else { LeaderEpoch(3) },
        metadata: "md".into(),
        commit_timestamp: Millis(1000),
        expire_timestamp,
        topic_id: if expire_timestamp.is_some() { TopicId::ZERO } else { TopicId([7; 16]) },
    };
    GroupRecord::Offset { group: group(), topic: "t".into(), partition: 5, value: Some(value) }
}

fn classic_group() -> GroupRecord {
    let member = ClassicMemberValue {
        member: "m".into(),
        instance: Some("i".into()),
        client_id: "c".into(),
        client_host: "/h".into(),
        rebalance_timeout: Millis(300),
        session_timeout: Millis(100),
        subscription: Arc::from([1, 2]),
        assignment: Arc::from([3]),
    };
    let value = ClassicGroupValue {
        protocol_type: "consumer".into(),
        generation: 5,
        protocol: Some("range".into()),
        leader: Some("m".into()),
        state_timestamp: Some(Millis(1000)),
        members: vec![member],
    };
    GroupRecord::ClassicGroup { group: group(), value: Some(value) }
}

fn consumer_member(classic: Option<ConsumerClassicMember>) -> GroupRecord {
    let value = ConsumerMemberValue {
        instance: None,
        rack: Some("r".into()),
        client_id: "c".into(),
        client_host: "/h".into(),
        topic_names: vec!["t".into()],
        topic_regex: Some("t.*".into()),
        rebalance_timeout: Millis(300),
        assignor: Some("uniform".into()),
        classic,
    };
    GroupRecord::ConsumerMember { group: group(), member: "m".into(), value: Some(value) }
}

/// One record of each type and of each form that it can take.
fn records() -> Vec<GroupRecord> {
    let protocols = vec![Protocol { name: "range".into(), metadata: Arc::from([9]) }];
    let current = ConsumerCurrentValue {
        epoch: 4,
        previous_epoch: 3,
        state: 1,
        assigned: partitions(Some(vec![3, 4])),
        pending_revocation: partitions(None),
    };
    let regex = ConsumerRegexValue { topics: vec!["t".into()], version: 3, timestamp: Millis(1000) };
    vec![
        offset(None),
        offset(Some(Millis(2000))),
        classic_group(),
        GroupRecord::ConsumerGroup {
            group: group(),
            value: Some(ConsumerGroupValue { epoch: 9, metadata_hash: 77 }),
        },
        consumer_member(None),
        consumer_member(Some(ConsumerClassicMember { session_timeout: Millis(100), protocols })),
        GroupRecord::ConsumerTarget {
            group: group(),
            value: Some(ConsumerTargetValue { epoch: 4, timestamp: Millis(1000) }),
        },
        GroupRecord::ConsumerTargetMember {
            group: group(),
            member: "m".into(),
            value: Some(partitions(None)),
        },
        GroupRecord::ConsumerCurrentMember { group: group(), member: "m".into(), value: Some(current) },
        GroupRecord::ConsumerRegex { group: group(), regex: "t.*".into(), value: Some(regex) },
        GroupRecord::ConsumerGroupPartitions { group: group() },
    ]
}

fn tombstone(mut record: GroupRecord) -> GroupRecord {
    match &mut record {
        GroupRecord::Offset { value, .. } => *value = None,
        GroupRecord::ClassicGroup { value, .. } => *value = None,
        GroupRecord::ConsumerGroup { value, .. } => *value = None,
        GroupRecord::ConsumerGroupPartitions { .. } => {}
        GroupRecord::ConsumerMember { value, .. } => *value = None,
        GroupRecord::ConsumerTarget { value, .. } => *value = None,
        GroupRecord::ConsumerTargetMember { value, .. } => *value = None,
        GroupRecord::ConsumerCurrentMember { value, .. } => *value = None,
        GroupRecord::ConsumerRegex { value, .. } => *value = None,
    }
    record
}

#[test]
fn every_record_and_its_tombstone_come_back() {
    for record in records() {
        let gone = tombstone(record.clone());
        for record in [record, gone] {
            let StoredRecord { key, value } = encode(&record).unwrap();
            assert_eq!(decode(Some(key), value).unwrap(), Some(record));
        }
    }
}

#[test]
fn a_tombstone_has_the_key_of_what_it_ends_and_no_value() {
    for record in records() {
        let gone = encode(&tombstone(record.clone())).unwrap();
        assert_eq!(gone, StoredRecord { key: encode(&record).unwrap().key, value: None });
    }
}

#[test]
fn offsets_of_brokers_before_there_were_types_are_read() {
    let key = stored::legacy_offset_commit::LegacyOffsetCommitKey {
        group: "g".into(),
        topic: "t".into(),
        partition: 5,
    };
    let value = stored::legacy_offset_commit::LegacyOffsetCommitValue {
        offset: 42,
        metadata: "md".into(),
        commit_timestamp: 1000,
    };
    let (key, value) = (stored::encode_key(&key).unwrap(), stored::encode_value(&value, 0).unwrap());
    let Some(GroupRecord::Offset { value: Some(offset), .. }) = decode(Some(key), Some(value)).unwrap()
    else {
        panic!("not an offset");
    };
    assert_eq!(
        (offset.offset, offset.leader_epoch, offset.expire_timestamp),
        (Offset(42), LeaderEpoch(-1), None)
    );
}

#[test]
fn types_of_other_groups_are_passed_over_and_damage_is_an_error() {
    assert_eq!(decode(Some(Bytes::from_static(&[0, 9, 1, 2])), None).unwrap(), None);
    assert!(decode(None, None).is_err());
    assert!(decode(Some(Bytes::from_static(&[0])), None).is_err());
    let cut = Bytes::from_static(&[0, 1, 0, 9]);
    assert!(decode(Some(cut), None).is_err());
    let key = encode(&offset(None)).unwrap().key;
    assert!(decode(Some(key), Some(Bytes::from_static(&[0, 99]))).is_err());
}

/// A member as brokers wrote it that did not know of classic members in consumer groups.
#[test]
fn a_member_without_the_classic_tag_speaks_the_consumer_protocol() {
    let key = stored::encode_key(&stored::consumer_group_member_metadata::ConsumerGroupMemberMetadataKey {
        group_id: "g".into(),
        member_id: "m".into(),
    });
    let value = stored::encode_value(
        &stored::consumer_group_member_metadata::ConsumerGroupMemberMetadataValue::default(),
        0,
    );
    let Some(GroupRecord::ConsumerMember { value: Some(member), .. }) =
        decode(Some(key.unwrap()), Some(value.unwrap())).unwrap()
    else {
        panic!("not a member");
    };
    assert_eq!(member.classic, None);
    assert_eq!(stored::consumer_group_member_metadata::ConsumerGroupMemberMetadataKey::RECORD_TYPE, 5);
}
