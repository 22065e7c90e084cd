//! What Kafka's tools ask a lone broker without security: the answers are those of a Kafka 4.3 of one node.

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::*;

use crate::harness::{Broker, text, topic_name};

fn elections(partitions: &[(&str, &[i32])]) -> ElectLeadersRequest {
    let topics = partitions.iter().map(|(topic, partitions)| {
        TopicPartitions::default().with_topic(topic_name(topic)).with_partitions(partitions.to_vec())
    });
    ElectLeadersRequest::default().with_topic_partitions(Some(topics.collect())).with_timeout_ms(5000)
}

#[tokio::test]
async fn a_lone_broker_needs_no_election() {
    let broker = Broker::start().await;
    broker.topic("t", 2, &[]).await;
    let asked = elections(&[("t", &[0, 1, 9]), ("nope", &[0])]);
    for election in [0, 1] {
        let response = broker.call(2, asked.clone().with_election_type(election)).await;
        assert_eq!(response.error_code, 0);
        let codes = response.replica_election_results.iter().map(|topic| {
            let codes = topic.partition_result.iter().map(|partition| partition.error_code);
            (topic.topic.to_string(), codes.collect::<Vec<_>>())
        });
        assert_eq!(
            codes.collect::<Vec<_>>(),
            [("t".to_owned(), vec![84, 84, 3]), ("nope".to_owned(), vec![3])]
        );
    }
    let all = broker.call(2, elections(&[]).with_topic_partitions(None)).await;
    assert_eq!(all.replica_election_results.len(), 1, "every topic");
    assert!(all.replica_election_results[0].partition_result.is_empty(), "and nothing to tell of it");
    let unknown = broker.call(2, asked.clone().with_election_type(7)).await;
    assert_eq!(
        (unknown.error_code, unknown.replica_election_results[0].partition_result[0].error_code),
        (42, 42)
    );
    let late = broker.call(2, asked.with_timeout_ms(0)).await;
    assert_eq!(late.error_code, 7);
    let nothing = broker.call(2, elections(&[]).with_timeout_ms(0)).await;
    assert_eq!(nothing.error_code, 0);
}

#[tokio::test]
async fn replicas_can_be_assigned_to_the_only_broker_and_nowhere_else() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let partition = |index, replicas: Option<&[i32]>| {
        let replicas = replicas.map(|ids| ids.iter().map(|&id| BrokerId(id)).collect());
        ReassignablePartition::default().with_partition_index(index).with_replicas(replicas)
    };
    let topic = |name, partitions| {
        ReassignableTopic::default().with_name(topic_name(name)).with_partitions(partitions)
    };
    let partitions = vec![
        partition(0, None),
        partition(0, Some(&[1])),
        partition(0, Some(&[])),
        partition(0, Some(&[5])),
        partition(0, Some(&[1, 1])),
        partition(0, Some(&[-1])),
        partition(9, Some(&[1])),
    ];
    let asked = |topics| AlterPartitionReassignmentsRequest::default().with_topics(topics);
    let mut codes = Vec::new();
    for one in partitions {
        let response = broker.call(0, asked(vec![topic("t", vec![one])])).await;
        assert_eq!(response.error_code, 0);
        codes.push(response.responses[0].partitions[0].error_code);
    }
    assert_eq!(codes, [85, 0, 39, 39, 39, 39, 3]);
    let request =
        asked(vec![topic("t", vec![partition(0, Some(&[1]))]), topic("nope", vec![partition(0, None)])]);
    let response = broker.call(0, request.clone()).await;
    let codes = response.responses.iter().map(|topic| topic.partitions[0].error_code).collect::<Vec<_>>();
    assert_eq!((response.error_code, codes), (0, vec![0, 3]));
    let late = broker.call(0, request.with_timeout_ms(0)).await;
    assert_eq!((late.error_code, late.responses[0].partitions[0].error_code), (7, 7));
    let listed = broker.call(0, ListPartitionReassignmentsRequest::default()).await;
    assert!(listed.error_code == 0 && listed.topics.is_empty());
}

fn quorum_of(topic: &str, partition: i32) -> DescribeQuorumRequest {
    let partitions = vec![PartitionData::default().with_partition_index(partition)];
    let topic = TopicData::default().with_topic_name(topic_name(topic)).with_partitions(partitions);
    DescribeQuorumRequest::default().with_topics(vec![topic])
}

#[tokio::test]
async fn the_quorum_is_the_broker() {
    let broker = Broker::start().await;
    let before = broker.call(2, quorum_of("__cluster_metadata", 0)).await;
    let quorum = &before.topics[0].partitions[0];
    assert_eq!((quorum.error_code, quorum.leader_id.0, quorum.observers.len()), (0, 1, 0));
    assert!(quorum.leader_epoch >= 1 && quorum.high_watermark > 0);
    let voter = &quorum.current_voters[0];
    assert_eq!((voter.replica_id.0, voter.log_end_offset), (1, quorum.high_watermark));
    let listener = &before.nodes[0].listeners[0];
    assert_eq!((before.nodes[0].node_id.0, listener.port), (1, broker.address.port()));
    // The Java client refuses any other.
    assert_eq!(listener.name.as_str(), listener.name.to_uppercase());
    broker.topic("t", 1, &[]).await;
    let after = broker.call(0, quorum_of("__cluster_metadata", 0)).await;
    assert!(after.topics[0].partitions[0].high_watermark > quorum.high_watermark, "every change is an entry");
    for other in [quorum_of("t", 0), quorum_of("__cluster_metadata", 1)] {
        assert_eq!(broker.call(2, other).await.topics[0].partitions[0].error_code, 3);
    }
}

#[tokio::test]
async fn features_stay_at_the_highest_level() {
    let broker = Broker::start().await;
    let update = |feature: &str, level, upgrade_type| {
        let update = FeatureUpdateKey::default()
            .with_feature(text(feature))
            .with_max_version_level(level)
            .with_upgrade_type(upgrade_type);
        UpdateFeaturesRequest::default().with_feature_updates(vec![update])
    };
    for (request, code) in [
        (update("metadata.version", 30, 1), 0),
        (update("metadata.version", 31, 1), 95),
        (update("metadata.version", 20, 1), 95),
        (update("metadata.version", 20, 2), 95),
        (update("metadata.version", 30, 7), 95),
        (update("metadata.version", -1, 2), 95),
        (update("foo", 1, 1), 95),
        (UpdateFeaturesRequest::default(), 0),
    ] {
        assert_eq!(broker.call(2, request.clone()).await.error_code, code, "{request:?}");
    }
    let results = broker.call(1, update("metadata.version", 30, 1)).await.results;
    assert_eq!(results.len(), 1, "versions before 2 have a result for each feature");
}

///
#[tokio::test]
async fn without_an_authorizer_there_are_no_acls() {
    let broker = Broker::start().await;
    let described =
        broker.call(3, DescribeAclsRequest::default().with_operation(1).with_permission_type(1)).await;
    assert_eq!(described.error_code, 54);
    let creations = vec![AclCreation::default(), AclCreation::default()];
    let created = broker.call(3, CreateAclsRequest::default().with_creations(creations)).await;
    assert_eq!(created.results.iter().map(|result| result.error_code).collect::<Vec<_>>(), [54, 54]);
    let filters = vec![DeleteAclsFilter::default()];
    let deleted = broker.call(3, DeleteAclsRequest::default().with_filters(filters)).await;
    assert_eq!(deleted.filter_results[0].error_code, 54);
}

#[tokio::test]
async fn without_authentication_there_are_no_tokens_and_no_credentials() {
    let broker = Broker::start().await;
    let created = broker.call(3, CreateDelegationTokenRequest::default()).await;
    assert_eq!((created.error_code, created.principal_name.as_str()), (64, "ANONYMOUS"));
    assert_eq!(broker.call(2, RenewDelegationTokenRequest::default()).await.error_code, 64);
    assert_eq!(broker.call(2, ExpireDelegationTokenRequest::default()).await.error_code, 64);
    assert_eq!(broker.call(3, DescribeDelegationTokenRequest::default()).await.error_code, 64);
    let all = broker.call(0, DescribeUserScramCredentialsRequest::default().with_users(None)).await;
    assert!(all.error_code == 0 && all.results.is_empty());
    let users = ["b", "a", "a"].map(|name| UserName::default().with_name(text(name)));
    let some = DescribeUserScramCredentialsRequest::default().with_users(Some(users.to_vec()));
    let results = broker.call(0, some).await.results;
    let codes: Vec<_> = results.iter().map(|result| (result.user.as_str(), result.error_code)).collect();
    assert_eq!(codes, [("a", 92), ("b", 91)]);
}

#[tokio::test]
async fn replicas_stay_in_the_only_directory() {
    let broker = Broker::start().await;
    broker.topic("t", 2, &[]).await;
    let dir = |path: &str, partitions: &[i32]| {
        let topic = AlterReplicaLogDirTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(partitions.to_vec());
        AlterReplicaLogDir::default().with_path(text(path)).with_topics(vec![topic])
    };
    let own = broker.engine.data_dir().display().to_string();
    let dirs = vec![dir(&own, &[0, 9]), dir("/nowhere", &[1])];
    let response = broker.call(2, AlterReplicaLogDirsRequest::default().with_dirs(dirs)).await;
    let partitions = response.results[0].partitions.iter().map(|one| (one.partition_index, one.error_code));
    assert_eq!(partitions.collect::<Vec<_>>(), [(0, 0), (1, 57), (9, 3)]);
}

#[tokio::test]
async fn the_only_broker_stays_and_others_are_not_registered() {
    let broker = Broker::start().await;
    for (id, code) in [(1, 42), (77, 102), (-1, 102)] {
        let request = UnregisterBrokerRequest::default().with_broker_id(BrokerId(id));
        assert_eq!(broker.call(0, request).await.error_code, code, "{id}");
    }
}

#[tokio::test]
async fn there_are_no_transactions() {
    let broker = Broker::start().await;
    let states = ["Ongoing", "Foo"].map(text).to_vec();
    let listed = broker.call(1, ListTransactionsRequest::default().with_state_filters(states)).await;
    assert!(listed.error_code == 0 && listed.transaction_states.is_empty());
    assert_eq!(listed.unknown_state_filters, [text("Foo")]);
    let ids = ["a", ""].map(|id| TransactionalId(text(id))).to_vec();
    let described = broker.call(0, DescribeTransactionsRequest::default().with_transactional_ids(ids)).await;
    let codes: Vec<_> = described.transaction_states.iter().map(|state| state.error_code).collect();
    assert_eq!(codes, [105, 42]);
}
