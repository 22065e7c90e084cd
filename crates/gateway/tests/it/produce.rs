//! Produce and InitProducerId.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    DescribeProducersRequest, InitProducerIdRequest, ProduceRequest, TransactionalId,
};
use kafka_protocol::records::Record;

use crate::fetch::{fetch_by_name, first, values};
use crate::harness::{Broker, produce_request, text, topic_name};
use crate::records::{batch, batch_at, encode, record, sequenced};

async fn answer(broker: &Broker, version: i16, request: ProduceRequest) -> Vec<PartitionProduceResponse> {
    let response = broker.call(version, request).await;
    response.responses.into_iter().flat_map(|topic| topic.partition_responses).collect()
}

async fn code(broker: &Broker, version: i16, request: ProduceRequest) -> i16 {
    answer(broker, version, request).await[0].error_code
}

fn one(records: Bytes) -> ProduceRequest {
    produce_request("t", &[(0, Some(records))])
}

/// A batch with some bits of its attributes set, and its checksum right.
fn with_attributes(records: &Bytes, bits: u8) -> Bytes {
    let mut bytes = BytesMut::from(records.as_ref());
    bytes[22] |= bits;
    reseal(bytes)
}

fn reseal(mut bytes: BytesMut) -> Bytes {
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}

/// CRC-32C, bit by bit: a third implementation (R-2.62, trap X1).
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

#[tokio::test]
async fn a_batch_is_answered_with_its_place_r_2_60() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    for (version, base) in (3..=12).zip((0..).step_by(2)) {
        for acks in [1, -1] {
            let request = one(batch(&["x"])).with_acks(acks);
            let answers = answer(&broker, version, request).await;
            let offset = if acks == 1 { base } else { base + 1 };
            assert_eq!((answers[0].error_code, answers[0].base_offset), (0, offset), "version {version}");
            assert_eq!(answers[0].log_append_time_ms, -1);
            assert_eq!(answers[0].log_start_offset, if version >= 5 { 0 } else { -1 });
            assert!(answers[0].record_errors.is_empty() && answers[0].error_message.is_none());
        }
    }
}

#[tokio::test]
async fn topics_are_named_by_id_from_version_13_on() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let known = crate::metadata::topic(&broker, "t").await.topic_id;
    let unknown = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
    for (id, code) in [(known, 0), (unknown, 100)] {
        let data = PartitionProduceData::default().with_index(0).with_records(Some(batch(&["x"])));
        let topic = TopicProduceData::default().with_topic_id(id).with_partition_data(vec![data]);
        let request =
            ProduceRequest::default().with_acks(1).with_timeout_ms(1000).with_topic_data(vec![topic]);
        let response = broker.call(13, request).await;
        assert_eq!(response.responses[0].topic_id, id);
        assert_eq!(response.responses[0].partition_responses[0].error_code, code);
    }
}

#[tokio::test]
async fn stored_bytes_are_the_producers_but_for_offset_and_epoch_x1() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    broker.produce("t", 0, batch(&["before"])).await;
    let sent = batch(&["one", "two", "three"]);
    broker.produce("t", 0, sent.clone()).await;
    let response = broker.call(12, fetch_by_name("t", 0, 1)).await;
    let stored = first(&response).records.clone().unwrap();
    assert_eq!(stored[..8], 1_i64.to_be_bytes());
    assert_eq!(stored[8..12], sent[8..12]);
    assert_eq!(stored[12..16], 0_i32.to_be_bytes());
    assert_eq!(stored[16..], sent[16..]);
    assert_eq!(crc32c(&stored[21..]).to_be_bytes(), stored[17..21]);
}

#[tokio::test]
async fn single_and_batched_records_are_all_there_x2() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let names: Vec<String> = (0..60).map(|number| format!("v{number}")).collect();
    for name in &names[..20] {
        broker.produce("t", 0, batch(&[name])).await;
    }
    let together: Vec<&str> = names[20..40].iter().map(String::as_str).collect();
    broker.produce("t", 0, batch(&together)).await;
    for pair in names[40..].chunks(2) {
        broker.produce("t", 0, batch(&[&pair[0], &pair[1]])).await;
    }
    let read = values(first(&broker.call(12, fetch_by_name("t", 0, 0)).await));
    assert_eq!(read, (0..).zip(names).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_producers_share_a_partition_without_gaps_x17() {
    const PRODUCERS: usize = 128;
    const EACH: usize = 10;
    let broker = Arc::new(Broker::start().await);
    broker.topic("t", 1, &[]).await;
    let tasks: Vec<_> = (0..PRODUCERS)
        .map(|_| {
            let broker = Arc::clone(&broker);
            tokio::spawn(async move {
                let mut client = broker.connect().await;
                let mut offsets = Vec::new();
                for _ in 0..EACH {
                    let response = client.call(9, &one(batch(&["x"]))).await;
                    offsets.push(response.responses[0].partition_responses[0].base_offset);
                }
                assert!(offsets.is_sorted());
                offsets
            })
        })
        .collect();
    let mut offsets = Vec::new();
    for task in tasks {
        offsets.extend(task.await.unwrap());
    }
    offsets.sort_unstable();
    assert_eq!(offsets, (0..(PRODUCERS * EACH) as i64).collect::<Vec<_>>());
}

#[tokio::test]
async fn acks_are_0_1_or_all_r_3_1() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    for acks in [2, -2, i16::MAX, i16::MIN] {
        assert_eq!(code(&broker, 9, one(batch(&["x"])).with_acks(acks)).await, 21);
        let unknown = produce_request("nope", &[(0, Some(batch(&["x"])))]).with_acks(acks);
        assert_eq!(code(&broker, 9, unknown).await, 3, "what is not there is said first");
    }
    assert_eq!(broker.produce("t", 0, batch(&["x"])).await.base_offset, 0, "nothing was written");
}

#[tokio::test]
async fn an_entry_holds_one_batch_and_a_partition_one_entry_r_3_1() {
    let broker = Broker::start().await;
    broker.topic("t", 2, &[]).await;
    let (good, nothing) = (batch(&["x"]), Bytes::new());
    let two = Bytes::from([good.as_ref(), good.as_ref()].concat());
    for records in [None, Some(nothing), Some(two), Some(good.slice(..40))] {
        assert_eq!(code(&broker, 9, produce_request("t", &[(0, records)])).await, 87);
    }
    let twice = produce_request("t", &[(0, Some(good.clone())), (1, Some(good.clone())), (0, Some(good))]);
    let codes: Vec<i16> = answer(&broker, 9, twice).await.iter().map(|one| one.error_code).collect();
    assert_eq!(codes, [87, 0, 87]);
    assert_eq!(broker.produce("t", 0, batch(&["x"])).await.base_offset, 0, "nothing of them was written");
}

#[tokio::test]
async fn unknown_places_fail_alone_r_3_2_r_3_13() {
    let broker = Broker::start().await;
    broker.topic("t", 2, &[]).await;
    let entries = [9, 1, -1, 0].map(|index| (index, Some(batch(&["x"]))));
    let answers = answer(&broker, 9, produce_request("t", &entries)).await;
    let told: Vec<(i32, i16, i64)> =
        answers.iter().map(|one| (one.index, one.error_code, one.base_offset)).collect();
    assert_eq!(told, [(9, 3, -1), (1, 0, 0), (-1, 3, -1), (0, 0, 0)]);
    assert_eq!((answers[0].log_append_time_ms, answers[0].log_start_offset), (-1, -1), "R-2.61");
    assert_eq!(code(&broker, 9, produce_request("nope", &[(0, Some(batch(&["x"])))])).await, 3);
}

#[tokio::test]
async fn internal_topics_are_for_the_brokers_own_tools_r_3_2() {
    let broker = Broker::start().await;
    broker.topic("__consumer_offsets", 1, &[]).await;
    let request = || produce_request("__consumer_offsets", &[(0, Some(batch(&["x"])))]);
    assert_eq!(code(&broker, 9, request()).await, 17);
    let mut tool = broker.connect().await;
    tool.send_as("__admin_client", 9, &request()).await;
    let (_, response) = tool.receive::<ProduceRequest>(9).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test]
async fn damaged_batches_are_refused_r_3_5_r_3_6() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let good = batch(&["x", "y"]);
    let flip = |at: usize| {
        let mut bytes = BytesMut::from(good.as_ref());
        bytes[at] ^= 1;
        bytes
    };
    for (what, records, expected) in [
        ("a wrong checksum", flip(20).freeze(), 2),
        ("a changed record", flip(good.len() - 1).freeze(), 2),
        ("magic 3", flip(16).freeze(), 2),
        ("a base offset", flip(7).freeze(), 87),
        ("a count that is wrong", reseal(flip(60)), 87),
        ("a last offset delta that is wrong", reseal(flip(26)), 87),
        ("a control batch", with_attributes(&good, 0x20), 87),
        ("an unknown codec", with_attributes(&good, 7), 76),
    ] {
        let answers = answer(&broker, 9, one(records)).await;
        assert_eq!(answers[0].error_code, expected, "{what}");
        let log_start = if expected == 87 { 0 } else { -1 };
        assert_eq!((answers[0].base_offset, answers[0].log_start_offset), (-1, log_start), "{what}");
        assert!(answers[0].error_message.as_ref().is_some_and(|message| !message.is_empty()), "{what}");
    }
    assert_eq!(broker.produce("t", 0, good).await.base_offset, 0, "nothing was written");
}

#[tokio::test]
async fn batches_above_max_message_bytes_are_too_large_r_3_5() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[("max.message.bytes", "200")]).await;
    assert_eq!(code(&broker, 9, one(batch(&["x"]))).await, 0);
    assert_eq!(code(&broker, 9, one(batch(&["x".repeat(200).as_str()]))).await, 10);
}

#[tokio::test]
async fn compacted_topics_need_keys_and_say_which_records_lack_them_r_3_7() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[("cleanup.policy", "compact")]).await;
    let keyed = |offset, key: Option<&'static str>| Record {
        key: key.map(|key| Bytes::from_static(key.as_bytes())),
        ..record(offset, "v", 1000)
    };
    let some = encode(&[keyed(0, Some("a")), keyed(1, None), keyed(2, None)]);
    for version in 3..=12 {
        let answers = answer(&broker, version, one(some.clone())).await;
        assert_eq!(answers[0].error_code, 87);
        let at: Vec<i32> = answers[0].record_errors.iter().map(|error| error.batch_index).collect();
        assert_eq!(at, if version >= 8 { vec![1, 2] } else { vec![] });
        assert_eq!(answers[0].error_message.is_some(), version >= 8);
    }
    assert_eq!(code(&broker, 9, one(encode(&[keyed(0, Some("a"))]))).await, 0);
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[tokio::test]
async fn timestamps_keep_the_topics_bounds_r_3_8() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[("message.timestamp.before.max.ms", "60000")]).await;
    for (timestamp, expected) in [(now(), 0), (now() + 7_200_000, 32), (now() - 120_000, 32), (-1, 0)] {
        let answers = answer(&broker, 9, one(batch_at(timestamp))).await;
        assert_eq!(answers[0].error_code, expected, "{timestamp}");
        assert_eq!(answers[0].record_errors.len(), usize::from(expected == 32));
    }
}

#[tokio::test]
async fn the_broker_stamps_the_time_when_the_topic_says_so_r_3_9() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    let before = now();
    let stamped = broker.produce("t", 0, batch_at(5)).await.log_append_time_ms;
    assert!((before..=now()).contains(&stamped));
    let response = broker.call(12, fetch_by_name("t", 0, 0)).await;
    let stored = first(&response).records.clone().unwrap();
    assert_eq!(stored[35..43], stamped.to_be_bytes());
    assert_eq!(crc32c(&stored[21..]).to_be_bytes(), stored[17..21]);
}

#[tokio::test]
async fn a_timeout_of_nothing_is_time_enough_for_a_lone_replica_r_3_13() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    for timeout in [0, -1, i32::MIN] {
        for acks in [1, -1] {
            let request = one(batch(&["x"])).with_timeout_ms(timeout).with_acks(acks);
            assert_eq!(code(&broker, 9, request).await, 0);
        }
    }
}

#[tokio::test]
async fn a_batch_sent_again_keeps_its_first_offset_r_3_20_r_3_26() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    for sequence in 0..6 {
        let answer = broker.produce("t", 0, sequenced(9, 0, sequence, &["x"])).await;
        assert_eq!((answer.error_code, answer.base_offset), (0, i64::from(sequence)));
    }
    for (sequence, expected) in [(5, (0, 5)), (1, (0, 1)), (0, (45, -1))] {
        let again = broker.produce("t", 0, sequenced(9, 0, sequence, &["x"])).await;
        assert_eq!((again.error_code, again.base_offset), expected, "sequence {sequence}");
    }
    assert_eq!(broker.produce("t", 0, batch(&["end"])).await.base_offset, 6);
}

#[tokio::test]
async fn sequences_and_epochs_only_go_on_r_3_21_r_3_22() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let send = async |epoch, sequence| {
        let answer = broker.produce("t", 0, sequenced(9, epoch, sequence, &["x"])).await;
        assert_eq!(answer.log_start_offset, 0, "it is told with these codes too");
        answer.error_code
    };
    assert_eq!(send(3, 17).await, 0, "an unknown producer may begin anywhere");
    assert_eq!(send(3, 19).await, 45);
    assert_eq!(send(3, 18).await, 0);
    assert_eq!(send(2, 19).await, 47);
    assert_eq!(send(4, 19).await, 45, "a new epoch begins at 0");
    assert_eq!(send(4, 0).await, 0);
    assert_eq!(send(3, 19).await, 47);
    let without = broker.produce("t", 0, sequenced(9, 4, -1, &["x"])).await;
    assert_eq!(without.error_code, 87, "R-3.6");
}

#[tokio::test]
async fn producer_ids_are_never_given_twice_r_3_24() {
    let broker = Broker::start().await;
    let mut ids = Vec::new();
    for version in 0..=5 {
        for _ in 0..3 {
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            let response = broker.call(version, request).await;
            assert_eq!((response.error_code, response.producer_epoch), (0, 0));
            ids.push(response.producer_id.0);
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() == count && ids[0] >= 0);
    for (id, epoch, expected) in [(5, 1, 0), (5, -1, 42), (-1, 5, 42)] {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_producer_id(id.into())
            .with_producer_epoch(epoch);
        assert_eq!(broker.call(5, request).await.error_code, expected);
    }
}

#[tokio::test]
async fn transactions_have_no_coordinator_and_are_told_so() {
    let broker = Broker::start().await;
    broker.topic("t", 2, &[]).await;
    let init =
        |id: &str| InitProducerIdRequest::default().with_transactional_id(Some(TransactionalId(text(id))));
    assert_eq!(broker.call(4, init("")).await.error_code, 42, "R-3.32");
    assert_eq!(broker.call(4, init("tx")).await.error_code, 15);
    let plain = sequenced(9, 0, 0, &["x"]);
    let transactional = with_attributes(&plain, 0x10);
    let both = || produce_request("t", &[(0, Some(transactional.clone())), (1, Some(plain.clone()))]);
    let named = both().with_transactional_id(Some(TransactionalId(text("tx"))));
    let codes = async |request| {
        let answers = answer(&broker, 9, request).await;
        answers.iter().map(|one| one.error_code).collect::<Vec<i16>>()
    };
    assert_eq!(codes(named).await, [49, 0]);
    assert_eq!(codes(both()).await, [53, 53], "without an id nothing of the request is written (R-3.1)");
    let only_named = one(batch(&["x"])).with_transactional_id(Some(TransactionalId(text("tx"))));
    assert_eq!(codes(only_named).await, [0]);
}

#[tokio::test]
async fn remembered_producers_are_described() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    broker.produce("t", 0, sequenced(9, 2, 4, &["x", "y"])).await;
    let topic = |name: &str, indexes: Vec<i32>| {
        TopicRequest::default().with_name(topic_name(name)).with_partition_indexes(indexes)
    };
    let request = DescribeProducersRequest::default().with_topics(vec![
        topic("t", vec![0, 9]),
        topic("nope", vec![0]),
        topic("a b", vec![0]),
    ]);
    let response = broker.call(0, request).await;
    let producer = &response.topics[0].partitions[0].active_producers[0];
    assert_eq!((producer.producer_id.0, producer.producer_epoch, producer.last_sequence), (9, 2, 5));
    assert_eq!(producer.current_txn_start_offset, -1);
    let codes: Vec<i16> =
        response.topics.iter().map(|topic| topic.partitions.last().unwrap().error_code).collect();
    assert_eq!(codes, [3, 3, 17]);
}

#[tokio::test]
async fn a_broker_without_memory_for_requests_lets_them_wait() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let all = broker.engine.request_budget().take(usize::MAX).await;
    let mut client = broker.connect().await;
    client.send(9, &one(batch(&["x"]))).await;
    let waits = tokio::time::timeout(Duration::from_millis(100), client.stream.readable()).await;
    assert!(waits.is_err(), "no answer while there is no memory");
    drop(all);
    let (_, response) = client.receive::<ProduceRequest>(9).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}
