//! ListOffsets, OffsetForLeaderEpoch and DeleteRecords.

use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{DeleteRecordsRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest};

use crate::harness::{Broker, topic_name};
use crate::records::{batch, batch_at};

/// Code, offset, timestamp and epoch.
type Listed = (i16, i64, i64, i32);

async fn list(broker: &Broker, version: i16, asked: &[(i32, i64)]) -> Vec<Listed> {
    let partitions = asked.iter().map(|(index, timestamp)| {
        ListOffsetsPartition::default().with_partition_index(*index).with_timestamp(*timestamp)
    });
    let topic = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(partitions.collect());
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let response = broker.call(version, request).await;
    let listed = response.topics[0].partitions.iter();
    listed.map(|one| (one.error_code, one.offset, one.timestamp, one.leader_epoch)).collect()
}

const NOTHING: Listed = (0, -1, -1, -1);

#[tokio::test]
async fn special_timestamps_mean_places_r_2_70() {
    let broker = Broker::start().await;
    broker.topic("t", 2, &[]).await;
    for timestamp in [1000, 3000, 2000] {
        broker.produce("t", 0, batch_at(timestamp)).await;
    }
    for version in 1..=10 {
        let epoch = if version >= 4 { 0 } else { -1 };
        assert_eq!(list(&broker, version, &[(0, -1)]).await, [(0, 3, -1, epoch)], "version {version}");
        assert_eq!(list(&broker, version, &[(0, -2)]).await, [(0, 0, -1, epoch)]);
        let refused = (35, -1, -1, -1);
        let largest = if version >= 7 { (0, 1, 3000, epoch) } else { refused };
        assert_eq!(list(&broker, version, &[(0, -3)]).await, [largest]);
        let local = if version >= 8 { (0, 0, -1, epoch) } else { refused };
        assert_eq!(list(&broker, version, &[(0, -4)]).await, [local]);
        let tiered = if version >= 9 { NOTHING } else { refused };
        assert_eq!(list(&broker, version, &[(0, -5)]).await, [tiered]);
        assert_eq!(list(&broker, version, &[(0, -6), (0, -7)]).await.len(), 2);
    }
    assert_eq!(list(&broker, 9, &[(1, -3)]).await, [NOTHING], "an empty partition");
    assert_eq!(list(&broker, 9, &[(1, -1)]).await, [(0, 0, -1, 0)]);
}

#[tokio::test]
async fn a_time_gives_the_first_record_at_or_after_it_r_2_71() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    // Out of order, as clocks are.
    for timestamp in [1000, 5000, 2000, 6000] {
        broker.produce("t", 0, batch_at(timestamp)).await;
    }
    for (at, found) in [
        (0, (0, 0, 1000, 0)),
        (1000, (0, 0, 1000, 0)),
        (1001, (0, 1, 5000, 0)),
        (5001, (0, 3, 6000, 0)),
        (6001, NOTHING),
        (i64::MAX, NOTHING),
    ] {
        assert_eq!(list(&broker, 7, &[(0, at)]).await, [found], "at {at}");
    }
}

#[tokio::test]
async fn unknown_and_repeated_partitions_are_refused_r_2_72() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    assert_eq!(list(&broker, 7, &[(9, -1), (-1, -2)]).await, [(3, -1, -1, -1); 2]);
    assert!(list(&broker, 7, &[(0, -1), (0, -2)]).await.iter().all(|listed| listed.0 == 42));
}

#[tokio::test]
async fn the_end_is_right_at_once_after_a_write_x16() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    for end in 1..=50 {
        broker.produce("t", 0, batch(&["x"])).await;
        assert_eq!(list(&broker, 7, &[(0, -1)]).await, [(0, end, -1, 0)]);
    }
}

async fn end_of_epoch(broker: &Broker, version: i16, current: i32, asked: i32) -> (i16, i32, i64) {
    let partition = OffsetForLeaderPartition::default()
        .with_partition(0)
        .with_current_leader_epoch(current)
        .with_leader_epoch(asked);
    let topic = OffsetForLeaderTopic::default().with_topic(topic_name("t")).with_partitions(vec![partition]);
    let mut request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
    if version >= 3 {
        request.replica_id = (-1).into();
    }
    let response = broker.call(version, request).await;
    let found = &response.topics[0].partitions[0];
    (found.error_code, found.leader_epoch, found.end_offset)
}

#[tokio::test]
async fn epochs_end_where_they_end_r_2_73() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    broker.produce("t", 0, batch(&["a", "b"])).await;
    for version in 2..=4 {
        assert_eq!(end_of_epoch(&broker, version, -1, 0).await, (0, 0, 2));
        assert_eq!(end_of_epoch(&broker, version, 0, 0).await, (0, 0, 2));
        assert_eq!(end_of_epoch(&broker, version, -1, 3).await, (0, -1, -1), "not known yet");
        assert_eq!(end_of_epoch(&broker, version, -1, -1).await, (0, -1, -1));
        assert_eq!(end_of_epoch(&broker, version, 4, 0).await, (75, -1, -1));
        assert_eq!(end_of_epoch(&broker, version, -2, 0).await, (74, -1, -1));
    }
}

async fn delete_before(broker: &Broker, topic: &str, index: i32, offset: i64) -> (i16, i64) {
    let partition = DeleteRecordsPartition::default().with_partition_index(index).with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_timeout_ms(5000).with_topics(vec![topic]);
    let response = broker.call(2, request).await;
    let result = &response.topics[0].partitions[0];
    (result.error_code, result.low_watermark)
}

#[tokio::test]
async fn records_are_deleted_up_to_the_high_watermark_r_3_130() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    broker.topic("compacted", 1, &[("cleanup.policy", "compact")]).await;
    broker.produce("t", 0, batch(&["a", "b", "c"])).await;
    assert_eq!(delete_before(&broker, "t", 0, 4).await, (1, -1));
    assert_eq!(delete_before(&broker, "t", 0, -2).await, (1, -1));
    assert_eq!(delete_before(&broker, "t", 9, 0).await, (3, -1));
    assert_eq!(delete_before(&broker, "nope", 0, 0).await, (3, -1));
    assert_eq!(delete_before(&broker, "compacted", 0, 0).await, (44, -1));
    assert_eq!(delete_before(&broker, "t", 0, 2).await, (0, 2));
    assert_eq!(delete_before(&broker, "t", 0, 1).await, (0, 2), "the start never falls");
    assert_eq!(list(&broker, 7, &[(0, -2)]).await, [(0, 2, -1, 0)]);
    assert_eq!(delete_before(&broker, "t", 0, -1).await, (0, 3));
    assert_eq!(broker.produce("t", 0, batch(&["d"])).await.base_offset, 3);
}
