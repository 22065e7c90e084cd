//! Records of internal topics against the bytes that Kafka 4.3 writes for them, and against damage.

use bytes::Bytes;
use eddy_types::TopicId;
use eddy_wire::stored::consumer_group_current_member_assignment::*;
use eddy_wire::stored::consumer_group_member_metadata::*;
use eddy_wire::stored::consumer_group_metadata::*;
use eddy_wire::stored::consumer_group_partition_metadata::*;
use eddy_wire::stored::consumer_group_regular_expression::*;
use eddy_wire::stored::consumer_group_target_assignment_member::*;
use eddy_wire::stored::consumer_group_target_assignment_metadata::*;
use eddy_wire::stored::group_metadata::*;
use eddy_wire::stored::legacy_offset_commit::*;
use eddy_wire::stored::offset_commit::*;
use eddy_wire::stored::transaction_log::*;
use eddy_wire::stored::{self, StoredKey};
use eddy_wire::testing::{STORED, Sampler};
use eddy_wire::{Decode, Encode, Reader};

use crate::allocation::peak_of;
use crate::encode;

fn topic_id() -> TopicId {
    TopicId(std::array::from_fn(|at| at as u8 + 1))
}

fn hex(text: &str) -> Bytes {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn key<K: StoredKey + PartialEq + std::fmt::Debug>(key: &K, kafka: &str) {
    assert_eq!(stored::encode_key(key).unwrap(), hex(kafka), "{key:?}");
    assert_eq!(stored::record_type(&hex(kafka)), Some(K::RECORD_TYPE));
    assert_eq!(&stored::decode_key::<K>(hex(kafka)).unwrap(), key);
}

/// `value` is the bytes that Kafka writes, both ways.
fn value<V: Encode + Decode + PartialEq + std::fmt::Debug>(value: &V, kafka: &str) {
    let version = i16::from_be_bytes(*hex(kafka).first_chunk().unwrap());
    assert_eq!(stored::encode_value(value, version).unwrap(), hex(kafka), "{value:?}");
    assert_eq!(&stored::decode_value::<V>(hex(kafka)).unwrap(), value);
}

#[test]
fn keys_are_what_kafka_writes() {
    let (group, topic, partition) = (|| "g".into(), || "t".into(), 7);
    let (group_id, member_id) = (|| "g".into(), || "m".into());
    key(&OffsetCommitKey { group: group(), topic: topic(), partition }, "000100016700017400000007");
    key(&LegacyOffsetCommitKey { group: group(), topic: topic(), partition }, "000000016700017400000007");
    key(&GroupMetadataKey { group: group() }, "0002000167");
    key(&ConsumerGroupMetadataKey { group_id: group_id() }, "0003000167");
    key(&ConsumerGroupPartitionMetadataKey { group_id: group_id() }, "0004000167");
    key(&ConsumerGroupMemberMetadataKey { group_id: group_id(), member_id: member_id() }, "000500016700016d");
    key(&ConsumerGroupTargetAssignmentMetadataKey { group_id: group_id() }, "0006000167");
    key(
        &ConsumerGroupTargetAssignmentMemberKey { group_id: group_id(), member_id: member_id() },
        "000700016700016d",
    );
    key(
        &ConsumerGroupCurrentMemberAssignmentKey { group_id: group_id(), member_id: member_id() },
        "000800016700016d",
    );
    key(
        &ConsumerGroupRegularExpressionKey { group_id: group_id(), regular_expression: "r.*".into() },
        "00100001670003722e2a",
    );
    key(&TransactionLogKey { transactional_id: "x".into() }, "0000000178");
}

#[test]
fn committed_offsets_are_what_kafka_writes() {
    let commit = |leader_epoch, expire_timestamp, topic_id| OffsetCommitValue {
        offset: 42,
        leader_epoch,
        metadata: "md".into(),
        commit_timestamp: 1000,
        expire_timestamp,
        topic_id,
    };
    let none = TopicId::default();
    value(&commit(-1, -1, none), "0000000000000000002a00026d6400000000000003e8");
    value(&commit(-1, 2000, none), "0001000000000000002a00026d6400000000000003e800000000000007d0");
    value(&commit(-1, -1, none), "0002000000000000002a00026d6400000000000003e8");
    value(&commit(3, -1, none), "0003000000000000002a0000000300026d6400000000000003e8");
    value(
        &commit(3, -1, topic_id()),
        "0004000000000000002a00000003036d6400000000000003e80100100102030405060708090a0b0c0d0e0f10",
    );
    let plain = OffsetCommitValue { offset: 42, commit_timestamp: 1000, ..Default::default() };
    value(&plain, "0004000000000000002affffffff0100000000000003e800");
    // What a version cannot carry is left out, as the schema says.
    assert_eq!(
        stored::encode_value(&commit(3, 2000, topic_id()), 0).unwrap(),
        hex("0000000000000000002a00026d6400000000000003e8")
    );
    value(
        &LegacyOffsetCommitValue { offset: 42, metadata: "md".into(), commit_timestamp: 1000 },
        "0000000000000000002a00026d6400000000000003e8",
    );
}

#[test]
fn classic_groups_are_what_kafka_writes() {
    let group = |version: i16| GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 5,
        protocol: Some("range".into()),
        leader: Some("m".into()),
        current_state_timestamp: if version >= 2 { 1000 } else { -1 },
        members: vec![MemberMetadata {
            member_id: "m".into(),
            group_instance_id: (version >= 3).then(|| "i".into()),
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout: if version >= 1 { 300 } else { -1 },
            session_timeout: 100,
            subscription: Bytes::from_static(&[1, 2]),
            assignment: Bytes::from_static(&[3]),
        }],
    };
    for (version, kafka) in [
        "00000008636f6e73756d657200000005000572616e676500016d0000000100016d00016300022f68000000640000000201020000000103",
        "00010008636f6e73756d657200000005000572616e676500016d0000000100016d00016300022f680000012c000000640000000201020000000103",
        "00020008636f6e73756d657200000005000572616e676500016d00000000000003e80000000100016d00016300022f680000012c000000640000000201020000000103",
        "00030008636f6e73756d657200000005000572616e676500016d00000000000003e80000000100016d00016900016300022f680000012c000000640000000201020000000103",
        "000409636f6e73756d6572000000050672616e6765026d00000000000003e802026d02690263032f680000012c0000006403010202030000",
    ]
    .into_iter()
    .enumerate()
    {
        value(&group(version as i16), kafka);
    }
    let empty = GroupMetadataValue { generation: 5, protocol: None, leader: None, ..Default::default() };
    value(&empty, "0003000000000005ffffffffffffffffffffffff00000000");
}

#[test]
fn consumer_groups_are_what_kafka_writes() {
    let epoch = ConsumerGroupMetadataValue { epoch: 9, metadata_hash: 77 };
    value(&epoch, "000000000009010008000000000000004d");
    value(&ConsumerGroupMetadataValue { epoch: 9, metadata_hash: 0 }, "00000000000900");
    value(
        &ConsumerGroupPartitionMetadataValue {
            topics: vec![TopicMetadata {
                topic_id: topic_id(),
                topic_name: "t".into(),
                num_partitions: 2,
                partition_metadata: vec![PartitionMetadata { partition: 1, racks: vec!["r".into()] }],
            }],
        },
        "0000020102030405060708090a0b0c0d0e0f100274000000020200000001020272000000",
    );
    value(
        &ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch: 4, assignment_timestamp: 1000 },
        "00000000000401000800000000000003e8",
    );
    value(
        &ConsumerGroupTargetAssignmentMemberValue {
            topic_partitions: vec![TopicPartition { topic_id: topic_id(), partitions: vec![0, 2] }],
        },
        "0000020102030405060708090a0b0c0d0e0f100300000000000000020000",
    );
    value(
        &ConsumerGroupRegularExpressionValue { topics: vec!["t".into()], version: 3, timestamp: 1000 },
        "0000020274000000000000000300000000000003e800",
    );
}

/// A null struct in a tag is a zero there, and an empty one is the default, so it is not written.
#[test]
fn members_of_consumer_groups_are_what_kafka_writes() {
    let member = |classic_member_metadata| ConsumerGroupMemberMetadataValue {
        instance_id: None,
        rack_id: Some("r".into()),
        client_id: "c".into(),
        client_host: "/h".into(),
        subscribed_topic_names: vec!["t".into()],
        subscribed_topic_regex: None,
        rebalance_timeout_ms: 300,
        server_assignor: Some("uniform".into()),
        classic_member_metadata,
    };
    value(&member(None), "00000002720263032f68020274000000012c08756e69666f726d01000100");
    value(&member(Some(Default::default())), "00000002720263032f68020274000000012c08756e69666f726d00");
    let range = ClassicProtocol { name: "range".into(), metadata: Bytes::from_static(&[5]) };
    value(
        &member(Some(ClassicMemberMetadata { session_timeout_ms: 100, supported_protocols: vec![range] })),
        "00000002720263032f68020274000000012c08756e69666f726d0100100100000064020672616e676502050000",
    );

    let current = |assignment_epochs| ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: 4,
        previous_member_epoch: 3,
        state: 1,
        assigned_partitions: vec![TopicPartitions {
            topic_id: topic_id(),
            partitions: vec![0, 2],
            assignment_epochs,
        }],
        partitions_pending_revocation: vec![],
    };
    for (epochs, kafka) in [
        (Some(vec![]), "0000000000040000000301020102030405060708090a0b0c0d0e0f10030000000000000002000100"),
        (None, "0000000000040000000301020102030405060708090a0b0c0d0e0f10030000000000000002010001000100"),
        (
            Some(vec![4, 5]),
            "0000000000040000000301020102030405060708090a0b0c0d0e0f100300000000000000020100090300000004000000050100",
        ),
    ] {
        value(&current(epochs), kafka);
    }
}

#[test]
fn transactions_are_what_kafka_writes() {
    let transaction = |transaction_partitions| TransactionLogValue {
        producer_id: 8,
        producer_epoch: 2,
        transaction_timeout_ms: 60,
        transaction_status: 1,
        transaction_partitions,
        transaction_last_update_timestamp_ms: 1000,
        transaction_start_timestamp_ms: 900,
        ..Default::default()
    };
    let partitions = || Some(vec![PartitionsSchema { topic: "t".into(), partition_ids: vec![1] }]);
    value(
        &transaction(partitions()),
        "0000000000000000000800020000003c0100000001000174000000010000000100000000000003e80000000000000384",
    );
    value(
        &TransactionLogValue {
            previous_producer_id: 7,
            next_producer_id: 9,
            client_transaction_version: 2,
            next_producer_epoch: 3,
            ..transaction(partitions())
        },
        "0001000000000000000800020000003c0102027402000000010000000000000003e800000000000003840400080000000000000007010800000000000000090202000203020003",
    );
    value(
        &TransactionLogValue { producer_id: 8, transaction_partitions: None, ..Default::default() },
        "0000000000000000000800000000000000ffffffff00000000000000000000000000000000",
    );
}

#[test]
fn every_stored_message_survives_the_codec_in_every_version() {
    let mut seen = 0;
    for codec in STORED {
        for version in codec.versions.clone() {
            for seed in 0..40 {
                let message = (codec.sample)(&mut Sampler::new(seed), version);
                let mut reader = Reader::new(encode(&*message, version));
                let decoded = (codec.decode)(&mut reader, version).unwrap();
                assert_eq!(reader.remaining(), 0, "{} v{version}", codec.name);
                assert!(
                    decoded.equals(&*message),
                    "{} v{version}: {decoded:#?} was {message:#?}",
                    codec.name
                );
            }
            seen += 1;
        }
    }
    assert_eq!((STORED.len(), seen), (22, 31));
}

#[test]
fn damaged_stored_messages_are_errors_that_take_little_memory() {
    for codec in STORED {
        for version in codec.versions.clone() {
            let whole = encode(&*(codec.sample)(&mut Sampler::new(7), version), version);
            for at in 0..whole.len() {
                assert!((codec.decode)(&mut Reader::new(whole.slice(..at)), version).is_err());
                let mut bytes = whole.to_vec();
                bytes.resize(bytes.len().max(at + 5), 0);
                bytes[at..at + 5].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x0f]);
                let mut reader = Reader::new(Bytes::from(bytes));
                let (_, peak) = peak_of(|| (codec.decode)(&mut reader, version));
                assert!(peak <= (64 << 10) + 16 * (whole.len() + 5) + 1024, "{}: {peak}", codec.name);
            }
        }
    }
}

#[test]
fn a_key_of_another_type_and_a_version_of_the_future_are_refused() {
    let group = stored::encode_key(&GroupMetadataKey { group: "g".into() }).unwrap();
    assert!(stored::decode_key::<OffsetCommitKey>(group).is_err());
    assert!(stored::decode_value::<OffsetCommitValue>(hex("0005000000000000002a")).is_err());
    assert!(stored::decode_value::<OffsetCommitValue>(hex("00")).is_err());
    assert_eq!(stored::record_type(&[0]), None);
}
