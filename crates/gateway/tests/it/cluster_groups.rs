//! Groups of a cluster: who coordinates them, and what becomes of them when that broker dies.

use std::time::Duration;

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{
    FindCoordinatorRequest, ListGroupsRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
};

use crate::brokers::{Brokers, group};
use crate::group_members::{beat, lone_member};
use crate::harness::{Broker, text, topic_name};

async fn coordinator(broker: &Broker, name: &str) -> Coordinator {
    let request = FindCoordinatorRequest::default().with_key_type(0).with_coordinator_keys(vec![text(name)]);
    broker.call(4, request).await.coordinators.remove(0)
}

async fn commit(broker: &Broker, name: &str, offset: i64) -> i16 {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic =
        OffsetCommitRequestTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(group(name))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    broker.call(8, request).await.topics[0].partitions[0].error_code
}

/// The committed offset, or the error.
async fn committed(broker: &Broker, name: &str) -> Result<i64, i16> {
    let topic = OffsetFetchRequestTopic::default().with_name(topic_name("t")).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default().with_group_id(group(name)).with_topics(Some(vec![topic]));
    let response = broker.call(5, request).await;
    if response.error_code != 0 {
        return Err(response.error_code);
    }
    Ok(response.topics[0].partitions[0].committed_offset)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_on_at_another_broker_when_its_coordinator_dies() {
    let config = [("group.initial.rebalance.delay.ms", "0"), ("offsets.topic.num.partitions", "6")];
    let mut brokers = Brokers::start(&config).await;
    brokers.topic("t", &[&[1, 2, 3]]).await;
    let found = coordinator(brokers.broker(1), "g").await;
    assert_eq!(found.error_code, 0, "{:?}", found.error_message);
    let first = found.node_id.0;
    for broker in brokers.running() {
        let again = coordinator(broker, "g").await;
        assert_eq!((again.error_code, again.node_id, again.port), (0, found.node_id, found.port));
    }
    assert_eq!(found.port, i32::from(brokers.broker(first).address.port()), "R-2.29");
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name("__consumer_offsets")));
    let offsets = brokers.any().call(9, MetadataRequest::default().with_topics(Some(vec![topic]))).await;
    let replicas = offsets.topics[0].partitions.iter().map(|one| one.replica_nodes.len()).collect::<Vec<_>>();
    assert_eq!(replicas, [3; 6]);
    let image = brokers.any().engine.image();
    assert_eq!(image.topic("__consumer_offsets").unwrap().config.min_insync_replicas, 2);

    let mut member = brokers.broker(first).connect().await;
    let joined = lone_member(&mut member, "g").await;
    assert_eq!(commit(brokers.broker(first), "offsets of g", 1).await, {
        let other = coordinator(brokers.any(), "offsets of g").await.node_id.0;
        if other == first { 0 } else { 16 }
    });
    for broker in brokers.running() {
        let listed = broker.call(3, ListGroupsRequest::default()).await;
        let has_it = listed.groups.iter().any(|one| one.group_id == group("g"));
        assert_eq!((listed.error_code, has_it), (0, std::ptr::eq(broker, brokers.broker(first))));
    }
    let wrong = brokers.running().find(|one| !std::ptr::eq(*one, brokers.broker(first))).unwrap();
    assert_eq!(beat(&mut wrong.connect().await, "g", &joined.member_id, joined.generation_id).await, 16);
    drop(member);

    brokers.kill(first).await;
    let (mut code, mut tries) = (-1, 0);
    while code != 0 {
        tries += 1;
        assert!(tries < 600, "no coordinator answers: {code}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let found = coordinator(brokers.any(), "g").await;
        if found.error_code != 0 {
            assert_eq!(found.error_code, 15);
            continue;
        }
        assert_ne!(found.node_id.0, first);
        let mut client = brokers.broker(found.node_id.0).connect().await;
        code = beat(&mut client, "g", &joined.member_id, joined.generation_id).await;
        // Loading, or moved again; never a member that is not known or a generation that is over.
        assert!(matches!(code, 0 | 14 | 15 | 16), "{code}");
    }
    brokers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_were_answered_are_there_whoever_coordinates() {
    let mut brokers = Brokers::start(&[("offsets.topic.num.partitions", "6")]).await;
    brokers.topic("t", &[&[1, 2, 3]]).await;
    let groups: Vec<String> = (0..12).map(|number| format!("group {number}")).collect();
    for name in &groups {
        let found = coordinator(brokers.any(), name).await;
        assert_eq!(found.error_code, 0);
        assert_eq!(commit(brokers.broker(found.node_id.0), name, 42).await, 0);
    }
    brokers.kill(2).await;
    for name in &groups {
        let mut tries = 0;
        loop {
            let found = coordinator(brokers.any(), name).await;
            if found.error_code == 0 {
                match committed(brokers.broker(found.node_id.0), name).await {
                    Ok(offset) => break assert_eq!(offset, 42, "{name}"),
                    Err(code) => assert!(matches!(code, 14..=16), "{code}"),
                }
            }
            tries += 1;
            assert!(tries < 600, "{name} is not found: {}", found.error_code);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let found = coordinator(brokers.any(), name).await;
        assert_eq!(
            commit(brokers.broker(found.node_id.0), name, 43).await,
            0,
            "two of three replicas are enough"
        );
    }
    brokers.stop().await;
}
