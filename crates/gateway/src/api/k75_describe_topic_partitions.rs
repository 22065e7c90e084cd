//! DescribeTopicPartitions, key 75, version 0 (KIP-966): topics page by page, sorted by name.

use std::sync::Arc;

use eddy_metadata::{Image, Partition, Topic};
use eddy_types::{ErrorCode, TopicId};
use eddy_wire::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic, RequestCursor,
    ResponseCursor,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use super::k03_metadata::TOPIC_OPERATIONS;
use crate::brokers::{ids, led, offline_replicas};
use crate::call::Call;
use crate::topics;

pub(crate) const API: Api = Api::new(ApiKey::DescribeTopicPartitions, 0, 0);

pub(crate) async fn handle(
    call: Call,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    if let Some(cursor) = &request.cursor
        && !points_into(&request, cursor)
    {
        return refuse(&call, &request);
    }
    let image = call.image();
    let (from_topic, from_partition) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.as_str(), usize::try_from(cursor.partition_index).unwrap_or(0)),
        None => ("", 0),
    };
    // Whatever the client asks, and at least one, or it would never get on.
    let most = usize::try_from(image.broker_config().max_request_partition_size_limit).unwrap_or(1).max(1);
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, most);
    let mut left = limit;
    let mut response = DescribeTopicPartitionsResponse::default();
    for (name, topic) in wanted(&image, &request, from_topic) {
        let Some(topic) = topic else {
            response.topics.push(unknown(&call, name));
            continue;
        };
        let skip = if *topic.name == *from_topic { from_partition } else { 0 };
        if left == 0 {
            response.next_cursor = Some(cursor(&topic, skip));
            break;
        }
        let described = describe(&call, &image, &topic, skip, left);
        left -= described.partitions.len();
        let reached = skip + described.partitions.len();
        response.topics.push(described);
        if reached < topic.partitions.len() {
            response.next_cursor = Some(cursor(&topic, reached));
            break;
        }
    }
    response
}

/// Whether a cursor can have come from an answer to this request.
fn points_into(request: &DescribeTopicPartitionsRequest, cursor: &RequestCursor) -> bool {
    let named = &request.topics;
    cursor.partition_index >= 0
        && (named.is_empty() || named.iter().any(|topic| topic.name == cursor.topic_name))
}

fn refuse(call: &Call, request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| DescribeTopicPartitionsResponseTopic {
        error_code: call.code(ErrorCode::InvalidRequest),
        name: Some(topic.name.clone()),
        ..DescribeTopicPartitionsResponseTopic::default()
    });
    DescribeTopicPartitionsResponse { topics: topics.collect(), ..DescribeTopicPartitionsResponse::default() }
}

/// Names in order, with their topics; from the cursor's topic on.
fn wanted(
    image: &Image,
    request: &DescribeTopicPartitionsRequest,
    from: &str,
) -> Vec<(String, Option<Arc<Topic>>)> {
    if request.topics.is_empty() {
        let all = image.topics().map(|topic| (topic.name.to_string(), Some(Arc::clone(topic))));
        return all.filter(|(name, _)| name.as_str() >= from).collect();
    }
    let mut names: Vec<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let found = |name: &str| (name.to_owned(), image.topic(name).cloned());
    names.into_iter().filter(|name| *name >= from).map(found).collect()
}

fn cursor(topic: &Topic, partition: usize) -> ResponseCursor {
    ResponseCursor {
        topic_name: Str::from(&*topic.name),
        partition_index: i32::try_from(partition).unwrap_or(i32::MAX),
    }
}

fn unknown(call: &Call, name: String) -> DescribeTopicPartitionsResponseTopic {
    let is_internal = topics::is_internal(&name);
    DescribeTopicPartitionsResponseTopic {
        error_code: call.code(ErrorCode::UnknownTopicOrPartition),
        name: Some(name.into()),
        topic_id: TopicId::ZERO,
        is_internal,
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn describe(
    call: &Call,
    image: &Image,
    topic: &Topic,
    skip: usize,
    limit: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let partitions = (0..).zip(&topic.partitions).skip(skip).take(limit);
    let partitions = partitions.map(|(index, partition)| describe_partition(call, image, index, partition));
    DescribeTopicPartitionsResponseTopic {
        name: Some(Str::from(&*topic.name)),
        topic_id: topic.id,
        is_internal: topics::is_internal(&topic.name),
        partitions: partitions.collect(),
        // Not asked for, and told all the same, as Kafka does.
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn describe_partition(
    call: &Call,
    image: &Image,
    partition_index: i32,
    partition: &Partition,
) -> DescribeTopicPartitionsResponsePartition {
    let led = led(call, image, partition);
    DescribeTopicPartitionsResponsePartition {
        error_code: led.code.code(),
        partition_index,
        leader_id: led.leader.0,
        leader_epoch: led.epoch.0,
        replica_nodes: ids(&partition.replicas),
        isr_nodes: ids(&partition.isr),
        // Empty, not null: the Java client fails on null.
        eligible_leader_replicas: Some(ids(&partition.elr)),
        // Nobody is remembered who held everything once: a replica outside ISR and ELR leads by an unclean election only.
        last_known_elr: Some(Vec::new()),
        offline_replicas: offline_replicas(image, partition),
    }
}
