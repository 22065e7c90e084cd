//! Every API in every version that is advertised: an answer, and one that can be read (R-1.2, trap X6).

use eddy_types::TopicId;
use eddy_wire::messages::*;
use eddy_wire::testing::{AnyMessage, CODECS, Codec, Sampler};
use eddy_wire::{ApiKey, Reader, Str, Writer};
use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::messages::ApiVersionsResponse;

use crate::group_requests;
use crate::harness::{Broker, Client, settings, text};
use crate::records::batch;

/// Random requests of each version.
const SAMPLES: u64 = 12;

async fn advertised(broker: &Broker) -> Vec<(ApiKey, std::ops::RangeInclusive<i16>)> {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(text("test"))
        .with_client_software_version(text("1"));
    let response: ApiVersionsResponse = broker.call(4, request).await;
    let served = response.api_keys.iter().map(|api| {
        let key = ApiKey::from_i16(api.api_key).unwrap();
        // The claim of Produce 0 to 2 is known to be untrue.
        let min = if key == ApiKey::Produce { 3 } else { api.min_version };
        (key, min..=api.max_version)
    });
    served.collect()
}

fn codec(key: ApiKey, is_request: bool) -> &'static Codec {
    CODECS.iter().find(|codec| codec.api_key == key && codec.is_request == is_request).unwrap()
}

/// Header and body of a request.
fn frame(key: ApiKey, version: i16, body: &dyn AnyMessage) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.put_i16(key.code());
    writer.put_i16(version);
    writer.put_i32(77);
    writer.put_null_string(false);
    if key.request_header_version(version) >= 2 {
        writer.put_no_tagged_fields();
    }
    body.encode(&mut writer, version).unwrap();
    writer.finish().concat()
}

/// Sends a request and reads its answer with the client's side of the codec.
async fn assert_answered(client: &mut Client, key: ApiKey, version: i16, body: &dyn AnyMessage) {
    client.send_frame(&frame(key, version, body)).await;
    let Some(answer) = client.receive_frame().await else {
        panic!("{key} version {version}: closed after {body:?}");
    };
    let mut reader = Reader::new(answer);
    assert_eq!(reader.i32("correlation").unwrap(), 77);
    if key.response_header_version(version) >= 1 {
        reader.skip_tagged_fields("header").unwrap();
    }
    let read = (codec(key, false).decode)(&mut reader, version);
    assert!(read.is_ok() && reader.remaining() == 0, "{key} version {version}: {read:?}");
}

#[tokio::test]
async fn random_requests_of_every_version_are_answered() {
    let broker = Broker::start().await;
    for (key, versions) in advertised(&broker).await {
        for version in versions {
            let mut client = broker.connect().await;
            for seed in 0..SAMPLES {
                let mut sampler = Sampler::new(seed * 1000 + u64::from(version.unsigned_abs()));
                let body = (codec(key, true).sample)(&mut sampler, version);
                assert_answered(&mut client, key, version, body.as_ref()).await;
            }
        }
    }
}

#[tokio::test]
async fn good_and_bad_requests_of_every_version_are_answered() {
    // A lone member of a group would wait for others.
    let broker = Broker::with(settings(), &[("group.initial.rebalance.delay.ms", "0")]).await;
    broker.topic("t", 2, &[]).await;
    broker.produce("t", 0, batch(&["a", "b"])).await;
    let id = broker.topic_id("t").await;
    for (key, versions) in advertised(&broker).await {
        for version in versions {
            let mut client = broker.connect().await;
            let requests = telling_requests(key, version, id);
            assert!(!requests.is_empty(), "{key} has no requests here");
            for request in requests {
                assert_answered(&mut client, key, version, request.as_ref()).await;
            }
        }
    }
}

/// Requests whose answers use as many fields of the response as can be.
fn telling_requests(key: ApiKey, version: i16, id: TopicId) -> Vec<Box<dyn AnyMessage>> {
    match key {
        ApiKey::Produce => vec![Box::new(produce(version, id))],
        ApiKey::Fetch => vec![Box::new(fetch(version, id, 0, 5)), Box::new(fetch(version, id, 1, -2))],
        ApiKey::ListOffsets => vec![Box::new(list_offsets(version))],
        ApiKey::Metadata => vec![Box::new(metadata(version)), Box::new(metadata_by_id(version, id))],
        ApiKey::ApiVersions => vec![Box::new(api_versions(version))],
        ApiKey::CreateTopics => vec![Box::new(create_topics())],
        ApiKey::DeleteTopics => vec![Box::new(delete_topics(version))],
        ApiKey::DeleteRecords => vec![Box::new(delete_records())],
        ApiKey::InitProducerId => vec![
            Box::new(init_producer_id::InitProducerIdRequest::default()),
            Box::new(init_producer_id::InitProducerIdRequest {
                transactional_id: Some("x".into()),
                ..Default::default()
            }),
        ],
        ApiKey::OffsetForLeaderEpoch => vec![Box::new(offset_for_leader_epoch())],
        ApiKey::DescribeConfigs => vec![Box::new(describe_configs(version))],
        ApiKey::AlterConfigs => vec![Box::new(alter_configs())],
        ApiKey::DescribeLogDirs => {
            vec![Box::new(describe_log_dirs::DescribeLogDirsRequest { topics: None })]
        }
        ApiKey::CreatePartitions => vec![Box::new(create_partitions())],
        ApiKey::IncrementalAlterConfigs => vec![Box::new(incremental_alter_configs())],
        ApiKey::DescribeCluster => {
            let endpoint = |endpoint_type| describe_cluster::DescribeClusterRequest {
                include_cluster_authorized_operations: true,
                endpoint_type: if version >= 1 { endpoint_type } else { 1 },
                ..Default::default()
            };
            vec![Box::new(endpoint(1)), Box::new(endpoint(2))]
        }
        ApiKey::DescribeProducers => vec![Box::new(describe_producers())],
        ApiKey::DescribeTopicPartitions => vec![Box::new(describe_topic_partitions())],
        other => group_requests::telling(other, version, id)
            .unwrap_or_else(|| telling_admin_requests(other, version)),
    }
}

/// Requests of APIs that only tools use.
fn telling_admin_requests(key: ApiKey, version: i16) -> Vec<Box<dyn AnyMessage>> {
    match key {
        ApiKey::DescribeAcls => vec![Box::new(describe_acls::DescribeAclsRequest::default())],
        ApiKey::CreateAcls => {
            let creations = vec![create_acls::AclCreation::default()];
            vec![Box::new(create_acls::CreateAclsRequest { creations })]
        }
        ApiKey::DeleteAcls => {
            let filters = vec![delete_acls::DeleteAclsFilter::default()];
            vec![Box::new(delete_acls::DeleteAclsRequest { filters })]
        }
        ApiKey::AlterReplicaLogDirs => vec![Box::new(alter_replica_log_dirs())],
        ApiKey::CreateDelegationToken => {
            vec![Box::new(create_delegation_token::CreateDelegationTokenRequest::default())]
        }
        ApiKey::RenewDelegationToken => {
            vec![Box::new(renew_delegation_token::RenewDelegationTokenRequest::default())]
        }
        ApiKey::ExpireDelegationToken => {
            vec![Box::new(expire_delegation_token::ExpireDelegationTokenRequest::default())]
        }
        ApiKey::DescribeDelegationToken => {
            vec![Box::new(describe_delegation_token::DescribeDelegationTokenRequest { owners: None })]
        }
        ApiKey::ElectLeaders => elect_leaders(version),
        ApiKey::AlterPartitionReassignments => vec![Box::new(alter_partition_reassignments())],
        ApiKey::ListPartitionReassignments => {
            vec![Box::new(list_partition_reassignments::ListPartitionReassignmentsRequest::default())]
        }
        ApiKey::DescribeClientQuotas => vec![
            Box::new(describe_client_quotas::DescribeClientQuotasRequest::default()),
            Box::new(describe_client_quotas::DescribeClientQuotasRequest {
                components: vec![describe_client_quotas::ComponentData::default()],
                strict: true,
            }),
        ],
        ApiKey::AlterClientQuotas => vec![Box::new(alter_client_quotas())],
        ApiKey::DescribeUserScramCredentials => {
            let user = |name: &str| describe_user_scram_credentials::UserName { name: name.into() };
            let users = Some(vec![user("a"), user("b"), user("a")]);
            vec![Box::new(describe_user_scram_credentials::DescribeUserScramCredentialsRequest { users })]
        }
        ApiKey::DescribeQuorum => {
            vec![Box::new(describe_quorum("__cluster_metadata")), Box::new(describe_quorum("t"))]
        }
        ApiKey::UpdateFeatures => {
            vec![Box::new(update_features("metadata.version")), Box::new(update_features("foo"))]
        }
        ApiKey::UnregisterBroker => vec![
            Box::new(unregister_broker::UnregisterBrokerRequest { broker_id: 1 }),
            Box::new(unregister_broker::UnregisterBrokerRequest { broker_id: 9 }),
        ],
        ApiKey::DescribeTransactions => {
            let transactional_ids = vec!["a".into(), Str::default()];
            vec![Box::new(describe_transactions::DescribeTransactionsRequest { transactional_ids })]
        }
        ApiKey::ListTransactions => {
            let state_filters = vec!["Ongoing".into(), "Foo".into()];
            vec![Box::new(list_transactions::ListTransactionsRequest { state_filters, ..Default::default() })]
        }
        ApiKey::ListConfigResources => {
            vec![Box::new(list_config_resources::ListConfigResourcesRequest::default())]
        }
        ApiKey::GetTelemetrySubscriptions => {
            vec![Box::new(get_telemetry_subscriptions::GetTelemetrySubscriptionsRequest::default())]
        }
        ApiKey::PushTelemetry => vec![Box::new(push_telemetry::PushTelemetryRequest::default())],
        other => panic!("{other} is served and not tested"),
    }
}

/// A topic by name or by id, as the version has it.
fn named(by_id: bool, name: &str, id: TopicId) -> (Str, TopicId) {
    if by_id { (Str::default(), id) } else { (name.into(), TopicId::ZERO) }
}

fn produce(version: i16, id: TopicId) -> produce::ProduceRequest {
    use produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
    let data = |index| PartitionProduceData { index, records: Some(batch(&["x"]).into()) };
    let topic = |name, id| {
        let (name, topic_id) = named(version >= 13, name, id);
        TopicProduceData { name, topic_id, partition_data: vec![data(0), data(99)] }
    };
    let topics = vec![topic("t", id), topic("nope", TopicId([9; 16]))];
    ProduceRequest { acks: 1, timeout_ms: 5000, topic_data: topics, ..ProduceRequest::default() }
}

fn fetch(version: i16, id: TopicId, isolation_level: i8, epoch: i32) -> fetch::FetchRequest {
    use fetch::{FetchPartition, FetchRequest, FetchTopic, ReplicaState};
    let partition = |partition, epoch, fetch_offset| FetchPartition {
        partition,
        fetch_offset,
        current_leader_epoch: if version >= 9 { epoch } else { -1 },
        last_fetched_epoch: if version >= 12 { epoch } else { -1 },
        partition_max_bytes: 1000,
        ..FetchPartition::default()
    };
    let topic = |name, id| {
        let (topic, topic_id) = named(version >= 13, name, id);
        // An epoch that is none (-2) is an old one: its answer may say who leads.
        let partitions = vec![partition(0, -1, 0), partition(1, epoch, 0), partition(99, -1, 0)];
        FetchTopic { topic, topic_id, partitions }
    };
    FetchRequest {
        replica_id: -1,
        replica_state: ReplicaState::default(),
        max_bytes: 10_000,
        isolation_level,
        session_epoch: if version >= 7 { 0 } else { -1 },
        topics: vec![topic("t", id), topic("nope", TopicId([9; 16]))],
        ..FetchRequest::default()
    }
}

fn list_offsets(version: i16) -> list_offsets::ListOffsetsRequest {
    use list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
    let partition = |partition_index, timestamp| ListOffsetsPartition {
        partition_index,
        timestamp,
        current_leader_epoch: if version >= 4 { 0 } else { -1 },
    };
    let partitions = vec![partition(0, -1), partition(1, -2), partition(99, 5)];
    let topic = |name: &str| ListOffsetsTopic { name: name.into(), partitions: partitions.clone() };
    ListOffsetsRequest { topics: vec![topic("t"), topic("nope")], ..ListOffsetsRequest::default() }
}

fn metadata(version: i16) -> metadata::MetadataRequest {
    use metadata::{MetadataRequest, MetadataRequestTopic};
    let topic = |name: &str| MetadataRequestTopic { name: Some(name.into()), topic_id: TopicId::ZERO };
    MetadataRequest {
        topics: Some(vec![topic("t"), topic("a b"), topic("made")]),
        allow_auto_topic_creation: true,
        include_topic_authorized_operations: version >= 8,
        include_cluster_authorized_operations: (8..=10).contains(&version),
    }
}

fn metadata_by_id(version: i16, id: TopicId) -> metadata::MetadataRequest {
    use metadata::{MetadataRequest, MetadataRequestTopic};
    let topic = |topic_id| MetadataRequestTopic { name: None, topic_id };
    let by_id = version >= 10;
    let topics = if by_id { vec![topic(id), topic(TopicId([9; 16]))] } else { Vec::new() };
    MetadataRequest { topics: Some(topics), allow_auto_topic_creation: true, ..MetadataRequest::default() }
}

fn api_versions(version: i16) -> api_versions::ApiVersionsRequest {
    let software = |text: &str| if version >= 3 { text.into() } else { Str::default() };
    api_versions::ApiVersionsRequest {
        client_software_name: software("not a name"),
        client_software_version: software("1"),
    }
}

fn create_topics() -> create_topics::CreateTopicsRequest {
    use create_topics::{CreatableTopic, CreateTopicsRequest};
    let topic = |name: &str| CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    CreateTopicsRequest {
        topics: vec![topic("new"), topic("t"), topic("a b")],
        timeout_ms: 5000,
        ..CreateTopicsRequest::default()
    }
}

fn delete_topics(version: i16) -> delete_topics::DeleteTopicsRequest {
    use delete_topics::{DeleteTopicState, DeleteTopicsRequest};
    let by_name = |name: &str| DeleteTopicState { name: Some(name.into()), topic_id: TopicId::ZERO };
    let by_id = DeleteTopicState { name: None, topic_id: TopicId([9; 16]) };
    let mut request = DeleteTopicsRequest { timeout_ms: 5000, ..DeleteTopicsRequest::default() };
    if version >= 6 {
        request.topics = vec![by_name("new"), by_name("nope"), by_id];
    } else {
        request.topic_names = vec!["new".into(), "nope".into()];
    }
    request
}

fn delete_records() -> delete_records::DeleteRecordsRequest {
    use delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
    let partition = |partition_index| DeleteRecordsPartition { partition_index, offset: 0 };
    let topic =
        |name: &str| DeleteRecordsTopic { name: name.into(), partitions: vec![partition(0), partition(99)] };
    DeleteRecordsRequest { topics: vec![topic("t"), topic("nope")], timeout_ms: 5000 }
}

fn offset_for_leader_epoch() -> offset_for_leader_epoch::OffsetForLeaderEpochRequest {
    use offset_for_leader_epoch::{
        OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
    };
    let partition = |partition, current_leader_epoch| OffsetForLeaderPartition {
        partition,
        current_leader_epoch,
        leader_epoch: 0,
    };
    let topic = |name: &str| OffsetForLeaderTopic {
        topic: name.into(),
        partitions: vec![partition(0, -1), partition(1, 7)],
    };
    OffsetForLeaderEpochRequest { topics: vec![topic("t"), topic("nope")], ..Default::default() }
}

fn describe_configs(version: i16) -> describe_configs::DescribeConfigsRequest {
    use describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
    let resource = |resource_type, name: &str| DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: None,
    };
    DescribeConfigsRequest {
        resources: vec![resource(2, "t"), resource(4, "1"), resource(2, "nope"), resource(9, "x")],
        include_synonyms: true,
        include_documentation: version >= 3,
    }
}

fn alter_configs() -> alter_configs::AlterConfigsRequest {
    use alter_configs::{AlterConfigsRequest, AlterConfigsResource, AlterableConfig};
    let config = AlterableConfig { name: "retention.ms".into(), value: Some("5000".into()) };
    let resource = |name: &str| AlterConfigsResource {
        resource_type: 2,
        resource_name: name.into(),
        configs: vec![config.clone()],
    };
    AlterConfigsRequest { resources: vec![resource("t"), resource("nope")], validate_only: false }
}

fn create_partitions() -> create_partitions::CreatePartitionsRequest {
    use create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
    let topic = |name: &str, count| CreatePartitionsTopic { name: name.into(), count, assignments: None };
    CreatePartitionsRequest {
        topics: vec![topic("t", 1), topic("nope", 5)],
        timeout_ms: 5000,
        validate_only: true,
    }
}

fn incremental_alter_configs() -> incremental_alter_configs::IncrementalAlterConfigsRequest {
    use incremental_alter_configs::{AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest};
    let config =
        AlterableConfig { name: "retention.ms".into(), config_operation: 0, value: Some("5000".into()) };
    let resource = |name: &str| AlterConfigsResource {
        resource_type: 2,
        resource_name: name.into(),
        configs: vec![config.clone()],
    };
    IncrementalAlterConfigsRequest { resources: vec![resource("t"), resource("nope")], validate_only: false }
}

fn describe_producers() -> describe_producers::DescribeProducersRequest {
    use describe_producers::{DescribeProducersRequest, TopicRequest};
    let topic = |name: &str| TopicRequest { name: name.into(), partition_indexes: vec![0, 99] };
    DescribeProducersRequest { topics: vec![topic("t"), topic("nope")] }
}

fn describe_topic_partitions() -> describe_topic_partitions::DescribeTopicPartitionsRequest {
    use describe_topic_partitions::{DescribeTopicPartitionsRequest, TopicRequest};
    let topic = |name: &str| TopicRequest { name: name.into() };
    DescribeTopicPartitionsRequest {
        topics: vec![topic("t"), topic("nope")],
        response_partition_limit: 1,
        cursor: None,
    }
}

fn alter_replica_log_dirs() -> alter_replica_log_dirs::AlterReplicaLogDirsRequest {
    use alter_replica_log_dirs::{AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest};
    let topics = vec![AlterReplicaLogDirTopic { name: "t".into(), partitions: vec![0, 99] }];
    AlterReplicaLogDirsRequest { dirs: vec![AlterReplicaLogDir { path: "/nowhere".into(), topics }] }
}

fn elect_leaders(version: i16) -> Vec<Box<dyn AnyMessage>> {
    use elect_leaders::{ElectLeadersRequest, TopicPartitions};
    let topic = |name: &str| TopicPartitions { topic: name.into(), partitions: vec![0, 99] };
    let request = |election_type, timeout_ms| ElectLeadersRequest {
        election_type: if version >= 1 { election_type } else { 0 },
        topic_partitions: Some(vec![topic("t"), topic("nope")]),
        timeout_ms,
    };
    let all = ElectLeadersRequest { topic_partitions: None, ..ElectLeadersRequest::default() };
    vec![Box::new(request(0, 5000)), Box::new(request(7, 5000)), Box::new(request(1, 0)), Box::new(all)]
}

fn alter_partition_reassignments() -> alter_partition_reassignments::AlterPartitionReassignmentsRequest {
    use alter_partition_reassignments::{
        AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
    };
    let partition = |replicas| ReassignablePartition { partition_index: 0, replicas };
    let topic = |name: &str| ReassignableTopic {
        name: name.into(),
        partitions: vec![partition(None), partition(Some(vec![1])), partition(Some(vec![9]))],
    };
    AlterPartitionReassignmentsRequest { topics: vec![topic("t"), topic("nope")], ..Default::default() }
}

fn alter_client_quotas() -> alter_client_quotas::AlterClientQuotasRequest {
    use alter_client_quotas::{AlterClientQuotasRequest, OpData, RequestEntityData, RequestEntryData};
    let entry = |entity_type: &str, entity_name: Option<&str>| RequestEntryData {
        entity: vec![RequestEntityData {
            entity_type: entity_type.into(),
            entity_name: entity_name.map(Str::from),
        }],
        ops: vec![OpData { key: "producer_byte_rate".into(), value: 1e9, remove: false }],
    };
    AlterClientQuotasRequest {
        entries: vec![entry("user", Some("a")), entry("client-id", None), entry("foo", None)],
        validate_only: false,
    }
}

fn describe_quorum(topic: &str) -> describe_quorum::DescribeQuorumRequest {
    use describe_quorum::{DescribeQuorumRequest, RequestPartitionData, RequestTopicData};
    let partitions = vec![RequestPartitionData { partition_index: 0 }];
    DescribeQuorumRequest { topics: vec![RequestTopicData { topic_name: topic.into(), partitions }] }
}

fn update_features(feature: &str) -> update_features::UpdateFeaturesRequest {
    use update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
    let update =
        FeatureUpdateKey { feature: feature.into(), max_version_level: 30, ..FeatureUpdateKey::default() };
    UpdateFeaturesRequest { feature_updates: vec![update], ..UpdateFeaturesRequest::default() }
}
