//! Metadata, key 3, versions 0–13.
//!
//! v1 null means all topics · v4 allow auto creation · v5 offline replicas · v7 leader epoch (KIP-320) · v8 authorized operations
//! (KIP-430) · v9 flexible · v10 topic ids (KIP-516) · v12 look-up by id · v13 top-level error (KIP-1102)

use ahash::AHashSet;
use eddy_metadata::{Image, Partition, Topic};
use eddy_types::{BrokerId, ErrorCode, TopicId};
use eddy_wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::brokers::{self, ids, led, offline_replicas};
use crate::call::Call;
use crate::topics;

pub(crate) const API: Api = Api::new(ApiKey::Metadata, 0, 13);

/// Authorized operations were not asked for.
const NOT_ASKED: i32 = i32::MIN;
/// Bits of the operations a topic knows, all allowed without an authorizer: read, write, create, delete, alter, describe, describe
/// configs, alter configs.
pub(crate) const TOPIC_OPERATIONS: i32 =
    1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
/// The same for the cluster: create, alter, describe, cluster action, describe configs, alter configs, idempotent write.
pub(crate) const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;
/// Topics may be named by id from this version on; the field is there two versions before.
const IDS_FROM: i16 = 12;

pub(crate) async fn handle(call: Call, request: MetadataRequest) -> MetadataResponse {
    call.ctx.cluster.until_departures_noted().await;
    let MetadataRequest { topics, allow_auto_topic_creation, .. } = &request;
    let wants_all = match topics {
        None => true,
        // in v0 an empty list means all.
        Some(list) => call.version == 0 && list.is_empty(),
    };
    let topic_operations =
        if request.include_topic_authorized_operations { TOPIC_OPERATIONS } else { NOT_ASKED };
    let named = topics.as_deref().unwrap_or_default();
    if call.version < IDS_FROM && named.iter().any(|asked| asked.name.is_none() || !asked.topic_id.is_zero())
    {
        return refuse(&call, named);
    }
    let topics = if wants_all {
        all(&call, topic_operations)
    } else if named.iter().any(|asked| !asked.topic_id.is_zero()) {
        // one topic by id makes it a look-up by ids, and names do not count.
        let mut seen = AHashSet::new();
        let ids = named.iter().map(|asked| asked.topic_id).filter(|id| !id.is_zero() && seen.insert(*id));
        ids.map(|id| by_id(&call, id, topic_operations)).collect()
    } else {
        let mut seen = AHashSet::new();
        let mut described = Vec::with_capacity(named.len());
        for asked in named.iter().filter(|asked| seen.insert(asked.name.as_ref())) {
            // Auto-creation may change the image from one to the next.
            described.push(by_name(&call, asked, *allow_auto_topic_creation, topic_operations).await);
        }
        described
    };
    let image = call.image();
    MetadataResponse {
        brokers: brokers(&call, &image),
        cluster_id: image.cluster_id().map(|id| id.to_string().into()),
        controller_id: brokers::controller(&call, &image).0,
        topics,
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            NOT_ASKED
        },
        ..MetadataResponse::default()
    }
}

/// The answer to a request that names topics in a way its version does not know: Kafka tells nothing else then.
fn refuse(call: &Call, named: &[MetadataRequestTopic]) -> MetadataResponse {
    let topics = named.iter().map(|asked| MetadataResponseTopic {
        error_code: call.code(ErrorCode::InvalidRequest),
        name: Some(asked.name.clone().unwrap_or_default()),
        topic_id: asked.topic_id,
        topic_authorized_operations: NOT_ASKED,
        ..MetadataResponseTopic::default()
    });
    MetadataResponse {
        controller_id: BrokerId::NONE.0,
        cluster_id: None,
        topics: topics.collect(),
        cluster_authorized_operations: NOT_ASKED,
        ..MetadataResponse::default()
    }
}

fn by_id(call: &Call, id: TopicId, operations: i32) -> MetadataResponseTopic {
    let image = call.image();
    match image.topic_by_id(id) {
        Some(topic) => describe(call, &image, topic, operations),
        None => MetadataResponseTopic {
            error_code: call.code(ErrorCode::UnknownTopicId),
            name: None,
            topic_id: id,
            topic_authorized_operations: NOT_ASKED,
            ..MetadataResponseTopic::default()
        },
    }
}

async fn by_name(
    call: &Call,
    asked: &MetadataRequestTopic,
    allow_auto_topic_creation: bool,
    operations: i32,
) -> MetadataResponseTopic {
    let Some(name) = &asked.name else {
        // Neither a name nor an id.
        return by_id(call, TopicId::ZERO, operations);
    };
    let image = call.image();
    if let Some(topic) = image.topic(name) {
        return describe(call, &image, topic, operations);
    }
    // v0–3 cannot say; Kafka takes them as allowing it.
    let allowed = call.version < 4 || allow_auto_topic_creation;
    match topics::auto_create(call, name, allowed).await {
        Ok(topic) => describe(call, &call.image(), &topic, operations),
        Err(code) => MetadataResponseTopic {
            error_code: call.code(code),
            name: Some(name.clone()),
            is_internal: topics::is_internal(name),
            topic_authorized_operations: operations,
            ..MetadataResponseTopic::default()
        },
    }
}

fn all(call: &Call, operations: i32) -> Vec<MetadataResponseTopic> {
    let image = call.image();
    image.topics().map(|topic| describe(call, &image, topic, operations)).collect()
}

fn describe(
    call: &Call,
    image: &Image,
    topic: &Topic,
    topic_authorized_operations: i32,
) -> MetadataResponseTopic {
    let partitions = (0..).zip(&topic.partitions);
    let partitions = partitions.map(|(index, partition)| describe_partition(call, image, index, partition));
    MetadataResponseTopic {
        name: Some(Str::from(&*topic.name)),
        topic_id: topic.id,
        is_internal: topics::is_internal(&topic.name),
        partitions: partitions.collect(),
        topic_authorized_operations,
        ..MetadataResponseTopic::default()
    }
}

fn describe_partition(
    call: &Call,
    image: &Image,
    partition_index: i32,
    partition: &Partition,
) -> MetadataResponsePartition {
    let led = led(call, image, partition);
    let offline_replicas = offline_replicas(image, partition);
    let (mut replica_nodes, mut isr_nodes) = (ids(&partition.replicas), ids(&partition.isr));
    let mut code = led.code;
    if call.version == 0 && !offline_replicas.is_empty() {
        // As Kafka: clients of that time took a replica that they cannot look up for a fault of theirs.
        replica_nodes.retain(|id| !offline_replicas.contains(id));
        isr_nodes.retain(|id| !offline_replicas.contains(id));
        if code == ErrorCode::None {
            code = ErrorCode::ReplicaNotAvailable;
        }
    }
    MetadataResponsePartition {
        error_code: code.code(),
        partition_index,
        leader_id: led.leader.0,
        leader_epoch: led.epoch.0,
        replica_nodes,
        isr_nodes,
        offline_replicas,
    }
}

fn brokers(call: &Call, image: &Image) -> Vec<MetadataResponseBroker> {
    let told = brokers::listed(call, image).into_iter().map(|address| MetadataResponseBroker {
        node_id: address.broker.0,
        host: address.host.into(),
        port: i32::from(address.port),
        rack: address.rack.map(Str::from),
    });
    told.collect()
}
