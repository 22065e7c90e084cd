//! Fetch without sessions.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{DeleteRecordsRequest, FetchRequest, FetchResponse};

use crate::harness::{Broker, topic_name};
use crate::records::{batch, decode};

pub(crate) fn partition(index: i32, offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_partition(index)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20)
}

/// A fetch of topics by name, outside of any session.
pub(crate) fn fetch_topics(topics: &[(&str, Vec<FetchPartition>)]) -> FetchRequest {
    let topics = topics.iter().map(|(name, partitions)| {
        FetchTopic::default().with_topic(topic_name(name)).with_partitions(partitions.clone())
    });
    FetchRequest::default().with_max_bytes(1 << 20).with_min_bytes(1).with_topics(topics.collect())
}

pub(crate) fn fetch_by_name(topic: &str, index: i32, offset: i64) -> FetchRequest {
    fetch_topics(&[(topic, vec![partition(index, offset)])])
}

/// How long to wait, and for how much.
pub(crate) fn wants(request: FetchRequest, max_wait_ms: i32, min_bytes: i32) -> FetchRequest {
    request.with_max_wait_ms(max_wait_ms).with_min_bytes(min_bytes)
}

pub(crate) fn first(response: &FetchResponse) -> &PartitionData {
    &response.responses[0].partitions[0]
}

pub(crate) fn values(data: &PartitionData) -> Vec<(i64, String)> {
    decode(data.records.as_ref().unwrap())
}

/// Three batches of two records, `a0 a1`, `b0 b1`, `c0 c1`.
async fn three_batches(broker: &Broker, topic: &str) {
    broker.topic(topic, 2, &[]).await;
    for letter in ["a", "b", "c"] {
        let answer = broker.produce(topic, 0, batch(&[&format!("{letter}0"), &format!("{letter}1")])).await;
        assert_eq!(answer.error_code, 0);
    }
}

#[tokio::test]
async fn an_offset_within_a_batch_brings_the_whole_batch_r_2_40() {
    let broker = Broker::start().await;
    three_batches(&broker, "t").await;
    for version in 4..=12 {
        let response = broker.call(version, fetch_by_name("t", 0, 3)).await;
        let offsets: Vec<i64> = values(first(&response)).into_iter().map(|(offset, _)| offset).collect();
        assert_eq!(offsets, [2, 3, 4, 5], "version {version}");
    }
}

#[tokio::test]
async fn the_first_batch_comes_whatever_the_limits_and_no_other_r_2_41() {
    let broker = Broker::start().await;
    three_batches(&broker, "t").await;
    three_batches(&broker, "u").await;
    let both =
        || fetch_topics(&[("u", vec![partition(1, 0), partition(0, 0)]), ("t", vec![partition(0, 0)])]);
    for limited in [both().with_max_bytes(1), both().with_max_bytes(0)] {
        let response = broker.call(12, limited).await;
        let bytes: Vec<usize> = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|data| data.records.as_ref().unwrap().len())
            .collect();
        assert_eq!(bytes.len(), 3);
        assert!(bytes[0] == 0 && bytes[1] > 0 && bytes[2] == 0, "{bytes:?}");
        assert_eq!(values(&response.responses[0].partitions[1]).len(), 2, "one whole batch");
    }
    let small = fetch_topics(&[("t", vec![partition(0, 0).with_partition_max_bytes(1)])]);
    assert_eq!(values(first(&broker.call(12, small).await)).len(), 2);
}

#[tokio::test]
async fn a_fetch_waits_for_its_bytes_or_its_time_r_2_42() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let begin = Instant::now();
    let empty = broker.call(12, wants(fetch_by_name("t", 0, 0), 250, 1)).await;
    assert!(begin.elapsed() >= Duration::from_millis(240));
    assert_eq!(first(&empty).records, Some(Bytes::new()), "never null (R-2.44)");
    // A write wakes it long before its time.
    let mut reader = broker.connect().await;
    reader.send(12, &wants(fetch_by_name("t", 0, 0), 15_000, 1)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begin = Instant::now();
    broker.produce("t", 0, batch(&["x"])).await;
    let (_, woken) = reader.receive::<FetchRequest>(12).await;
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(values(first(&woken)), [(0, "x".to_owned())]);
}

#[tokio::test]
async fn a_fetch_that_wants_much_collects_many_writes_r_2_42() {
    let broker = Broker::start().await;
    broker.topic("t", 2, &[]).await;
    let mut reader = broker.connect().await;
    let both = fetch_topics(&[("t", vec![partition(0, 0), partition(1, 0)])]);
    reader.send(12, &wants(both, 15_000, 5000)).await;
    let value = "v".repeat(100);
    let mut written = 0;
    let mut writer = broker.connect().await;
    while written < 5000 {
        let records = batch(&[&value]);
        written += records.len();
        let request = crate::harness::produce_request("t", &[(1, Some(records))]);
        writer.call(9, &request).await;
    }
    let (_, response) = reader.receive::<FetchRequest>(12).await;
    let bytes = response.responses[0].partitions[1].records.as_ref().unwrap().len();
    assert!((5000..=written).contains(&bytes), "{bytes} of {written}");
}

#[tokio::test]
async fn errors_and_empty_requests_are_answered_at_once_r_2_42() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let patient = |request| wants(request, 60_000, 1);
    let begin = Instant::now();
    let unknown = broker.call(12, patient(fetch_by_name("nope", 0, 0))).await;
    assert_eq!(first(&unknown).error_code, 3);
    let beside = fetch_topics(&[("t", vec![partition(0, 0), partition(9, 0)])]);
    let response = broker.call(12, patient(beside)).await;
    let codes: Vec<i16> = response.responses[0].partitions.iter().map(|data| data.error_code).collect();
    assert_eq!(codes, [0, 3]);
    assert!(broker.call(12, patient(fetch_topics(&[]))).await.responses.is_empty());
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn offsets_outside_the_log_are_out_of_range_r_2_43() {
    let broker = Broker::start().await;
    three_batches(&broker, "t").await;
    let delete = DeleteRecordsRequest::default().with_timeout_ms(5000).with_topics(vec![
        DeleteRecordsTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![DeleteRecordsPartition::default().with_partition_index(0).with_offset(2)]),
    ]);
    assert_eq!(broker.call(2, delete).await.topics[0].partitions[0].low_watermark, 2);
    for version in [4, 11, 12] {
        for offset in [-1, 0, 1, 7, i64::MAX] {
            let response = broker.call(version, fetch_by_name("t", 0, offset)).await;
            let data = first(&response);
            assert_eq!(data.error_code, 1, "offset {offset}");
            assert_eq!((data.high_watermark, data.last_stable_offset, data.log_start_offset), (-1, -1, -1));
            assert_eq!(data.records, Some(Bytes::new()));
        }
        let end = broker.call(version, fetch_by_name("t", 0, 6)).await;
        assert_eq!((first(&end).error_code, first(&end).high_watermark), (0, 6));
        let log_start = if version >= 5 { 2 } else { -1 };
        assert_eq!(first(&end).log_start_offset, log_start);
    }
}

#[tokio::test]
async fn leader_epochs_are_checked_r_2_45() {
    let broker = Broker::start().await;
    three_batches(&broker, "t").await;
    for version in 9..=12 {
        for (epoch, code) in [(-1, 0), (0, 0), (1, 75), (i32::MAX, 75), (-2, 74)] {
            let asked = partition(0, 0).with_current_leader_epoch(epoch);
            let response = broker.call(version, fetch_topics(&[("t", vec![asked])])).await;
            assert_eq!(first(&response).error_code, code, "epoch {epoch} version {version}");
        }
    }
}

#[tokio::test]
async fn a_log_that_diverged_is_told_where_r_2_46() {
    let broker = Broker::start().await;
    three_batches(&broker, "t").await;
    let asked =
        |offset, epoch| fetch_topics(&[("t", vec![partition(0, offset).with_last_fetched_epoch(epoch)])]);
    let agrees = broker.call(12, asked(3, 0)).await;
    assert_eq!((first(&agrees).error_code, first(&agrees).diverging_epoch.end_offset), (0, -1));
    let beyond = broker.call(12, asked(50, 0)).await;
    assert_eq!((first(&beyond).diverging_epoch.epoch, first(&beyond).diverging_epoch.end_offset), (0, 6));
    assert_eq!(first(&beyond).records, Some(Bytes::new()));
    let unknown = broker.call(12, asked(3, 3)).await;
    assert_eq!(first(&unknown).error_code, 1);
}

#[tokio::test]
async fn aborted_transactions_are_a_list_for_those_who_ask_for_committed_r_2_47() {
    let broker = Broker::start().await;
    three_batches(&broker, "t").await;
    for version in [4, 11, 12] {
        let everything = broker.call(version, fetch_by_name("t", 0, 0)).await;
        assert_eq!(first(&everything).aborted_transactions, None);
        let committed = broker.call(version, fetch_by_name("t", 0, 0).with_isolation_level(1)).await;
        assert_eq!(first(&committed).aborted_transactions, Some(Vec::new()));
        assert_eq!((first(&committed).last_stable_offset, values(first(&committed)).len()), (6, 6));
        assert_eq!(first(&committed).preferred_read_replica.0, -1, "R-2.48");
    }
    let nonsense = broker.call(12, fetch_by_name("t", 0, 0).with_isolation_level(2)).await;
    assert_eq!((nonsense.error_code, first(&nonsense).error_code), (42, 42));
}

#[tokio::test]
async fn nobody_fetches_as_a_follower_of_a_lone_replica() {
    let broker = Broker::start().await;
    three_batches(&broker, "t").await;
    for replica in [0, 1, 7] {
        let response = broker.call(11, fetch_by_name("t", 0, 0).with_replica_id(replica.into())).await;
        assert_eq!(first(&response).error_code, 6);
    }
    let debugging = broker.call(11, fetch_by_name("t", 0, 0).with_replica_id((-2).into())).await;
    assert_eq!(first(&debugging).error_code, 0);
}

#[tokio::test]
async fn a_partition_named_twice_is_read_once_as_named_last() {
    let broker = Broker::start().await;
    three_batches(&broker, "t").await;
    let twice = fetch_topics(&[("t", vec![partition(0, 0), partition(1, 0), partition(0, 4)])]);
    let response = broker.call(12, twice).await;
    assert_eq!(response.responses[0].partitions.len(), 2);
    assert_eq!(values(first(&response)), [(4, "c0".to_owned()), (5, "c1".to_owned())]);
}

#[tokio::test]
async fn the_high_watermark_bounds_what_readers_see_and_never_falls_x16() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let mut writer = broker.connect().await;
    let mut reader = broker.connect().await;
    let mut before = 0;
    for number in 0..200 {
        let request = crate::harness::produce_request("t", &[(0, Some(batch(&[&number.to_string()])))]);
        writer.send(9, &request).await;
        let response = reader.call(12, &fetch_by_name("t", 0, 0)).await;
        let data = first(&response);
        assert!(data.high_watermark >= before, "{} after {before}", data.high_watermark);
        let read = values(data);
        assert_eq!(read.len() as i64, data.high_watermark, "all below the high watermark, nothing above");
        before = data.high_watermark;
    }
}
