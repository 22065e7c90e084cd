//! Metadata, DescribeCluster and DescribeTopicPartitions.

use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeTopicPartitionsRequest, MetadataRequest};

use crate::harness::{Broker, settings, topic_name};

fn asking(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    MetadataRequest::default()
        .with_topics(Some(names.iter().map(topic).collect()))
        .with_allow_auto_topic_creation(false)
}

/// Name and code of each topic.
fn codes(topics: &[MetadataResponseTopic]) -> Vec<(&str, i16)> {
    topics
        .iter()
        .map(|topic| (topic.name.as_ref().map_or("", |name| name.as_str()), topic.error_code))
        .collect()
}

/// What the metadata says of a topic.
pub(crate) async fn topic(broker: &Broker, name: &str) -> MetadataResponseTopic {
    broker.call(12, asking(&[name])).await.topics.remove(0)
}

#[tokio::test]
async fn all_topics_are_null_and_in_version_0_an_empty_list_r_2_20() {
    let broker = Broker::start().await;
    broker.topic("a", 1, &[]).await;
    broker.topic("b", 2, &[]).await;
    for version in 0..=13 {
        let none = MetadataRequest::default().with_topics(Some(Vec::new()));
        let all = MetadataRequest::default().with_topics(None);
        let of_none = broker.call(version, none.clone()).await;
        assert_eq!(of_none.topics.len(), if version == 0 { 2 } else { 0 }, "version {version}");
        assert_eq!(of_none.brokers.len(), 1);
        if version > 0 {
            assert_eq!(codes(&broker.call(version, all).await.topics), [("a", 0), ("b", 0)]);
        }
    }
}

#[tokio::test]
async fn a_topic_by_id_from_version_12_on_r_2_20() {
    let broker = Broker::start().await;
    broker.topic("a", 1, &[]).await;
    broker.topic("b", 1, &[]).await;
    let known = broker.call(12, asking(&["a"])).await.topics[0].topic_id;
    let unknown = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
    let by_id = |id| MetadataRequestTopic::default().with_name(None).with_topic_id(id);
    for version in [10, 11] {
        let request = MetadataRequest::default().with_topics(Some(vec![by_id(known)]));
        let response = broker.call(version, request).await;
        assert_eq!(codes(&response.topics), [("", 42)]);
        assert!(response.brokers.is_empty(), "nothing else is told");
    }
    for version in [12, 13] {
        let by_name = MetadataRequestTopic::default().with_name(Some(topic_name("b")));
        let request = MetadataRequest::default().with_topics(Some(vec![
            by_id(known),
            by_id(unknown),
            by_id(known),
            by_name,
        ]));
        let response = broker.call(version, request).await;
        assert_eq!(codes(&response.topics), [("a", 0), ("", 100)], "names do not count beside ids");
        assert_eq!((&response.topics[1].name, response.topics[1].topic_id), (&None, unknown));
    }
}

#[tokio::test]
async fn operations_are_told_when_asked_for_r_2_21() {
    let broker = Broker::start().await;
    broker.topic("a", 1, &[]).await;
    for version in 8..=13 {
        let silent = broker.call(version, asking(&["a", "nope"])).await;
        assert!(silent.topics.iter().all(|topic| topic.topic_authorized_operations == i32::MIN));
        let asked = asking(&["a", "nope"])
            .with_include_topic_authorized_operations(true)
            .with_include_cluster_authorized_operations(version <= 10);
        let told = broker.call(version, asked).await;
        assert!(told.topics.iter().all(|topic| topic.topic_authorized_operations == 3576));
        let cluster = if version <= 10 { 8096 } else { i32::MIN };
        assert_eq!(told.cluster_authorized_operations, cluster);
    }
}

#[tokio::test]
async fn cluster_id_and_controller_are_told_r_2_22() {
    let broker = Broker::start().await;
    let response = broker.call(9, asking(&[])).await;
    assert_eq!(response.cluster_id.unwrap().len(), 22);
    assert_eq!(response.controller_id.0, 1);
    let cluster = broker.call(0, DescribeClusterRequest::default()).await;
    assert_eq!((cluster.controller_id.0, cluster.brokers.len()), (1, 1));
    assert_eq!(cluster.brokers[0].port, i32::from(broker.address.port()));
}

#[tokio::test]
async fn a_topic_is_made_when_client_and_broker_allow_it_r_2_25() {
    let broker = Broker::start().await;
    for version in 0..=13 {
        let name = format!("auto-{version}");
        if version >= 4 {
            assert_eq!(codes(&broker.call(version, asking(&[&name])).await.topics), [(name.as_str(), 3)]);
        }
        let response = broker.call(version, asking(&[&name]).with_allow_auto_topic_creation(true)).await;
        // It is there at once: its partition has a leader.
        assert_eq!(codes(&response.topics), [(name.as_str(), 0)]);
        assert_eq!(response.topics[0].partitions[0].leader_id.0, 1);
    }
    let all = MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(true);
    assert_eq!(broker.call(12, all).await.topics.len(), 14);
    let strict = Broker::with(settings(), &[("auto.create.topics.enable", "false")]).await;
    let refused = strict.call(12, asking(&["x"]).with_allow_auto_topic_creation(true)).await;
    assert_eq!(codes(&refused.topics), [("x", 3)]);
}

#[tokio::test]
async fn illegal_names_are_never_made_r_2_25() {
    let broker = Broker::start().await;
    let long = "x".repeat(250);
    let names = ["", ".", "..", "a b", "ä", long.as_str()];
    for auto in [false, true] {
        let response = broker.call(12, asking(&names).with_allow_auto_topic_creation(auto)).await;
        assert!(response.topics.iter().all(|topic| topic.error_code == 17), "{:?}", codes(&response.topics));
    }
    let reserved = asking(&["__cluster_metadata"]).with_allow_auto_topic_creation(true);
    assert_eq!(codes(&broker.call(12, reserved).await.topics), [("__cluster_metadata", 3)]);
}

#[tokio::test]
async fn a_hundred_clients_make_one_topic_x24() {
    let broker = std::sync::Arc::new(Broker::start().await);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let broker = std::sync::Arc::clone(&broker);
            tokio::spawn(async move {
                let request = asking(&["same"]).with_allow_auto_topic_creation(true);
                broker.call(12, request).await.topics[0].topic_id
            })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await.unwrap());
    }
    assert!(!ids[0].is_nil() && ids.iter().all(|id| *id == ids[0]));
}

#[tokio::test]
async fn internal_topics_are_marked_r_2_27() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let names = ["t", "__consumer_offsets", "__transaction_state", "__share_group_state", "__other"];
    let response = broker.call(12, asking(&names)).await;
    let internal: Vec<bool> = response.topics.iter().map(|topic| topic.is_internal).collect();
    assert_eq!(internal, [false, true, true, true, false]);
}

#[tokio::test]
async fn partitions_are_whole_and_a_topic_named_twice_comes_once() {
    let broker = Broker::start().await;
    broker.topic("t", 3, &[]).await;
    let response = broker.call(12, asking(&["t", "t"])).await;
    assert_eq!(response.topics.len(), 1);
    for (index, partition) in (0..).zip(&response.topics[0].partitions) {
        assert_eq!((partition.partition_index, partition.leader_id.0, partition.leader_epoch), (index, 1, 0));
        assert_eq!((partition.replica_nodes.len(), partition.isr_nodes.len()), (1, 1));
    }
}

#[tokio::test]
async fn controllers_are_not_here_r_3_182() {
    let broker = Broker::start().await;
    for version in [1, 2] {
        for (asked, code) in [(1, 0), (2, 114), (0, 115), (9, 115)] {
            let request = DescribeClusterRequest::default()
                .with_endpoint_type(asked)
                .with_include_cluster_authorized_operations(true);
            let response = broker.call(version, request).await;
            assert_eq!((response.error_code, response.endpoint_type), (code, 1));
            let operations = if code == 0 { 8096 } else { i32::MIN };
            assert_eq!(response.cluster_authorized_operations, operations);
        }
    }
}

fn pages(names: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> DescribeTopicPartitionsRequest {
    let cursor = cursor.map(|(topic, partition)| {
        Cursor::default().with_topic_name(topic_name(topic)).with_partition_index(partition)
    });
    DescribeTopicPartitionsRequest::default()
        .with_topics(names.iter().map(|name| TopicRequest::default().with_name(topic_name(name))).collect())
        .with_response_partition_limit(limit)
        .with_cursor(cursor)
}

#[tokio::test]
async fn topics_come_page_by_page_r_3_181() {
    let broker = Broker::start().await;
    broker.topic("b", 3, &[]).await;
    broker.topic("a", 2, &[]).await;
    broker.topic("c", 1, &[]).await;
    for names in [&[][..], &["c", "a", "b", "a"][..]] {
        let mut cursor: Option<(String, i32)> = None;
        let mut seen = Vec::new();
        loop {
            let from = cursor.as_ref().map(|(topic, partition)| (topic.as_str(), *partition));
            let page = broker.call(0, pages(names, 2, from)).await;
            let mut on_page = 0;
            for topic in &page.topics {
                let name = topic.name.as_ref().unwrap().to_string();
                on_page += topic.partitions.len();
                seen.extend(
                    topic.partitions.iter().map(|partition| (name.clone(), partition.partition_index)),
                );
                assert_eq!(topic.topic_authorized_operations, 3576);
            }
            assert!(on_page <= 2);
            let Some(next) = page.next_cursor else { break };
            cursor = Some((next.topic_name.to_string(), next.partition_index));
        }
        let seen: Vec<(&str, i32)> =
            seen.iter().map(|(topic, partition)| (topic.as_str(), *partition)).collect();
        assert_eq!(seen, [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2), ("c", 0)]);
    }
}

#[tokio::test]
async fn a_cursor_must_point_into_the_request_r_3_181() {
    let broker = Broker::start().await;
    broker.topic("a", 2, &[]).await;
    for cursor in [("a", -1), ("zzz", 0), ("", 0)] {
        let response = broker.call(0, pages(&["a"], 9, Some(cursor))).await;
        assert_eq!((response.topics[0].error_code, response.topics.len()), (42, 1), "{cursor:?}");
    }
    let unknown = broker.call(0, pages(&["nope", "a"], 9, None)).await;
    let codes: Vec<i16> = unknown.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!((codes, unknown.next_cursor.is_none()), (vec![0, 3], true));
}
