//! What clients of a cluster are told of brokers, leaders and replicas, whichever broker they ask.

use eddy_types::TopicId;
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, DeleteRecordsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, DescribeTopicPartitionsRequest, FetchRequest, IncrementalAlterConfigsRequest,
    ListOffsetsRequest, ListPartitionReassignmentsRequest, MetadataRequest, MetadataResponse,
    UnregisterBrokerRequest,
};

use crate::brokers::{Brokers, produce, to_produce};
use crate::harness::{Broker, text, topic_name};
use crate::records::{batch, decode};

async fn metadata(broker: &Broker, topic: &str) -> MetadataResponse {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    broker.call(9, MetadataRequest::default().with_topics(Some(vec![topic]))).await
}

fn told(response: &MetadataResponse) -> Vec<(i32, String, i32)> {
    response.brokers.iter().map(|one| (one.node_id.0, one.host.to_string(), one.port)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broker_tells_of_the_same_brokers_and_leaders_and_of_those_that_died() {
    let mut brokers = Brokers::start(&[]).await;
    brokers.topic("t", &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]]).await;
    brokers.topic("lone", &[&[3]]).await;
    let addresses: Vec<_> = brokers
        .running()
        .zip(1..)
        .map(|(one, id)| (id, "127.0.0.1".to_owned(), i32::from(one.address.port())))
        .collect();
    for broker in brokers.running() {
        let response = metadata(broker, "t").await;
        assert_eq!(told(&response), addresses);
        let leaders: Vec<_> = response.topics[0].partitions.iter().map(|one| one.leader_id.0).collect();
        assert_eq!(leaders, [1, 2, 3]);
        assert!((1..=3).contains(&response.controller_id.0), "R-2.22");
        let described = broker.call(2, DescribeClusterRequest::default().with_endpoint_type(1)).await;
        let described: Vec<_> =
            described.brokers.iter().map(|one| (one.broker_id.0, one.host.to_string(), one.port)).collect();
        assert_eq!(described, addresses);
    }
    brokers.kill(3).await;
    for broker in brokers.running() {
        // A last sign of life may have come late.
        let is_gone = async || told(&metadata(broker, "t").await) == addresses[..2];
        brokers.until("nobody is told of broker 3", is_gone).await;
        let response = metadata(broker, "t").await;
        let ids = |brokers: &[BrokerId]| brokers.iter().map(|id| id.0).collect::<Vec<_>>();
        let state = |response: &MetadataResponse| {
            let partitions = response.topics[0].partitions.iter();
            let state = partitions.map(|one| {
                (one.error_code, one.leader_id.0, ids(&one.isr_nodes), ids(&one.offline_replicas))
            });
            state.collect::<Vec<_>>()
        };
        let led_by = |leader, isr: &[i32]| (0, leader, isr.to_vec(), vec![3]);
        // In the order of the assignment, and that of the ISR.
        assert_eq!(state(&response), [led_by(1, &[1, 2]), led_by(2, &[2, 1]), led_by(1, &[1, 2])]);
        assert_eq!(state(&metadata(broker, "lone").await), [(5, -1, vec![3], vec![3])], "R-2.24");
        let all = DescribeClusterRequest::default().with_endpoint_type(1).with_include_fenced_brokers(true);
        let all = broker.call(2, all).await;
        assert_eq!(all.brokers.iter().map(|one| one.is_fenced).collect::<Vec<_>>(), [false, false, true]);
        let topics = vec![TopicRequest::default().with_name(topic_name("lone"))];
        let paged =
            DescribeTopicPartitionsRequest::default().with_topics(topics).with_response_partition_limit(9);
        let paged = broker.call(0, paged).await;
        let partition = &paged.topics[0].partitions[0];
        assert_eq!((partition.error_code, ids(&partition.offline_replicas)), (5, vec![3]));
    }
    brokers.stop().await;
}

fn fetch(topic: &str, id: TopicId, version: i16, partition: FetchPartition) -> FetchRequest {
    let topic = match version {
        ..=12 => FetchTopic::default().with_topic(topic_name(topic)),
        _ => FetchTopic::default().with_topic_id(hex(id).parse().unwrap()),
    };
    FetchRequest::default()
        .with_max_bytes(1 << 20)
        .with_min_bytes(1)
        .with_max_wait_ms(5_000)
        .with_topics(vec![topic.with_partitions(vec![partition])])
}

fn at(offset: i64) -> FetchPartition {
    FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20)
}

async fn fetched(broker: &Broker, version: i16, request: FetchRequest) -> PartitionData {
    broker.call(version, request).await.responses.remove(0).partitions.remove(0)
}

fn hex(id: TopicId) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn id_of(brokers: &Brokers, topic: &str) -> TopicId {
    brokers.any().topic_id(topic).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_broker_says_who_leads_r_2_49() {
    let brokers = Brokers::start(&[]).await;
    brokers.topic("t", &[&[2, 3, 1]]).await;
    let id = id_of(&brokers, "t").await;
    let leader_port = i32::from(brokers.broker(2).address.port());
    for wrong in [brokers.broker(1), brokers.broker(3)] {
        let produced = wrong.call(12, to_produce("t", 0, batch(&["x"]))).await;
        let partition = &produced.responses[0].partition_responses[0];
        let leader = &partition.current_leader;
        assert_eq!((partition.error_code, leader.leader_id.0, leader.leader_epoch), (6, 2, 0));
        let endpoint = &produced.node_endpoints[0];
        assert_eq!((endpoint.node_id.0, endpoint.port), (2, leader_port));
        assert_eq!(endpoint.rack.as_deref(), Some("b"));

        let answer = wrong.call(17, fetch("t", id, 17, at(0))).await;
        let partition = &answer.responses[0].partitions[0];
        let leader = &partition.current_leader;
        assert_eq!((partition.error_code, leader.leader_id.0, leader.leader_epoch), (6, 2, 0));
        assert_eq!((answer.node_endpoints[0].node_id.0, answer.node_endpoints[0].port), (2, leader_port));
        // Versions without a place for it.
        let old = wrong.call(9, to_produce("t", 0, batch(&["x"]))).await;
        assert_eq!((old.responses[0].partition_responses[0].error_code, old.node_endpoints.len()), (6, 0));

        let partition = ListOffsetsPartition::default().with_timestamp(-1).with_current_leader_epoch(-1);
        let topic = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
        assert_eq!(wrong.call(5, request).await.topics[0].partitions[0].error_code, 6);
        let partition = DeleteRecordsPartition::default().with_offset(-1);
        let topic = DeleteRecordsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000);
        assert_eq!(wrong.call(2, request).await.topics[0].partitions[0].error_code, 6);
    }
    let right = produce(brokers.broker(2), 12, "t", 0, batch(&["x"])).await;
    assert_eq!((right.error_code, right.base_offset), (0, 0));
    let fenced = fetch("t", id, 17, at(0).with_current_leader_epoch(7));
    assert_eq!(fetched(brokers.broker(2), 17, fenced).await.error_code, 75, "R-2.45");
    brokers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_fetch_hears_of_the_new_leader() {
    let brokers = Brokers::start(&[]).await;
    brokers.topic("t", &[&[1, 2, 3]]).await;
    let id = id_of(&brokers, "t").await;
    let mut client = brokers.broker(1).connect().await;
    let request = fetch("t", id, 17, at(0)).with_max_wait_ms(60_000);
    let sent = client.send(17, &request).await;
    // Another order of the same replicas, and then the first of them leads.
    let replicas = Some(vec![BrokerId(2), BrokerId(1), BrokerId(3)]);
    let partition = ReassignablePartition::default().with_replicas(replicas);
    let topic = ReassignableTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let request =
        AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let reordered = brokers.broker(3).call(0, request).await;
    assert_eq!((reordered.error_code, reordered.responses[0].partitions[0].error_code), (0, 0));
    let listed =
        brokers.broker(3).call(0, ListPartitionReassignmentsRequest::default().with_topics(None)).await;
    assert!(listed.topics.is_empty(), "nothing has to be copied");
    let elect = kafka_protocol::messages::ElectLeadersRequest::default()
        .with_topic_partitions(None)
        .with_timeout_ms(30_000);
    let elected = brokers.broker(3).call(2, elect).await;
    assert_eq!(elected.replica_election_results[0].partition_result[0].error_code, 0);
    let (answered, response) = client.receive::<FetchRequest>(17).await;
    let partition = &response.responses[0].partitions[0];
    assert_eq!((answered, partition.error_code, partition.current_leader.leader_id.0), (sent, 6, 2));
    brokers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_all_need_as_many_replicas_as_the_topic_wants_r_3_4() {
    let mut brokers = Brokers::start(&[("min.insync.replicas", "2")]).await;
    brokers.topic("t", &[&[1, 3]]).await;
    assert_eq!(produce(brokers.broker(1), 9, "t", 0, batch(&["both"])).await.error_code, 0);
    brokers.kill(3).await;
    assert_eq!(produce(brokers.broker(1), 9, "t", 0, batch(&["one"])).await.error_code, 19);
    let kept = fetched(brokers.broker(1), 12, fetch("t", TopicId::ZERO, 12, at(0))).await;
    assert_eq!((kept.error_code, kept.high_watermark), (0, 1));
    brokers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_read_from_a_replica_in_their_rack_r_3_110() {
    let selector = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
    let brokers = Brokers::start(&[("replica.selector.class", selector)]).await;
    brokers.topic("t", &[&[1, 2]]).await;
    assert_eq!(produce(brokers.broker(1), 9, "t", 0, batch(&["x", "y"])).await.error_code, 0);
    let in_rack = |rack: &str, offset| fetch("t", TopicId::ZERO, 12, at(offset)).with_rack_id(text(rack));
    let data = |partition: &PartitionData| decode(partition.records.as_ref().unwrap());
    let (leader, follower) = (brokers.broker(1), brokers.broker(2));
    let sent_on = fetched(leader, 12, in_rack("b", 0)).await;
    assert_eq!((sent_on.error_code, sent_on.preferred_read_replica.0, sent_on.high_watermark), (0, 2, 2));
    assert!(data(&sent_on).is_empty(), "R-2.48");
    // Its own rack, one without a replica, and none: the leader reads.
    for rack in ["a", "c", ""] {
        let read = fetched(leader, 12, in_rack(rack, 0)).await;
        assert_eq!((read.preferred_read_replica.0, data(&read).len()), (-1, 2), "{rack:?}");
    }
    let read = fetched(follower, 12, in_rack("b", 0)).await;
    assert_eq!((read.error_code, read.preferred_read_replica.0, data(&read).len()), (0, -1, 2));
    // A reader that waits on the follower sees what comes to the leader.
    let mut waiting = follower.connect().await;
    waiting.send(12, &in_rack("b", 2).with_max_wait_ms(60_000)).await;
    assert_eq!(produce(leader, 9, "t", 0, batch(&["z"])).await.error_code, 0);
    let (_, response) = waiting.receive::<FetchRequest>(12).await;
    assert_eq!(data(&response.responses[0].partitions[0]), [(2, "z".to_owned())]);
    // Whoever did not ask for a rack is not served by a follower, which has other offsets to offer.
    assert_eq!(fetched(follower, 12, in_rack("", 0)).await.error_code, 6);
    assert_eq!(fetched(follower, 12, in_rack("b", 9)).await.error_code, 1);
    brokers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_move_and_a_dead_broker_leaves_the_cluster() {
    let mut brokers = Brokers::start(&[]).await;
    brokers.topic("t", &[&[3, 2]]).await;
    assert_eq!(produce(brokers.broker(3), 9, "t", 0, batch(&["x"])).await.error_code, 0);
    let partition = ReassignablePartition::default().with_replicas(Some(vec![BrokerId(1), BrokerId(2)]));
    let topic = ReassignableTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let request =
        AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let moved = brokers.broker(2).call(0, request).await;
    assert_eq!((moved.error_code, moved.responses[0].partitions[0].error_code), (0, 0));
    brokers
        .until("broker 1 has it", async || {
            let response = metadata(brokers.broker(2), "t").await;
            let partition = &response.topics[0].partitions[0];
            partition.replica_nodes == [1, 2].map(BrokerId) && partition.leader_id.0 == 1
        })
        .await;
    let read = fetched(brokers.broker(1), 12, fetch("t", TopicId::ZERO, 12, at(0))).await;
    assert_eq!(decode(read.records.as_ref().unwrap()), [(0, "x".to_owned())]);
    let alive =
        brokers.broker(1).call(0, UnregisterBrokerRequest::default().with_broker_id(BrokerId(2))).await;
    assert_eq!(alive.error_code, 42, "it lives and holds a partition");
    brokers.kill(3).await;
    let gone = UnregisterBrokerRequest::default().with_broker_id(BrokerId(3));
    assert_eq!(brokers.broker(1).call(0, gone.clone()).await.error_code, 0);
    let members = brokers.broker(1).engine.quorum().status();
    assert!(members.voters.iter().chain(&members.learners).all(|one| one.broker.0 != 3), "{members:?}");
    assert_eq!(brokers.broker(2).call(0, gone).await.error_code, 102);
    brokers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_broker_keeps_the_configuration_of_any_other() {
    let brokers = Brokers::start(&[]).await;
    let alter = |broker: &str| {
        let config = AlterableConfig::default()
            .with_name(text("log.cleaner.backoff.ms"))
            .with_config_operation(0)
            .with_value(Some(text("1234")));
        let resource = AlterConfigsResource::default()
            .with_resource_type(4)
            .with_resource_name(text(broker))
            .with_configs(vec![config]);
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
    };
    assert_eq!(brokers.broker(1).call(1, alter("3")).await.responses[0].error_code, 0);
    assert_eq!(brokers.broker(1).call(1, alter("9")).await.responses[0].error_code, 42);
    let describe = |broker: &str| {
        let resource =
            DescribeConfigsResource::default().with_resource_type(4).with_resource_name(text(broker));
        DescribeConfigsRequest::default().with_resources(vec![resource])
    };
    brokers
        .until("broker 3 has it", async || {
            let own = brokers.broker(3).call(4, describe("3")).await;
            let value = |name: &str| own.results[0].configs.iter().find(|one| one.name.as_str() == name);
            value("log.cleaner.backoff.ms").and_then(|one| one.value.as_deref()) == Some("1234")
        })
        .await;
    // What is in its file, only it can tell.
    assert_eq!(brokers.broker(1).call(4, describe("3")).await.results[0].error_code, 42);
    brokers.stop().await;
}
