//! DescribeProducers, key 61, version 0 (KIP-664): the producers that a partition remembers.

use eddy_engine::PartitionKey;
use eddy_metadata::controller;
use eddy_types::{ErrorCode, Offset};
use eddy_wire::ApiKey;
use eddy_wire::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};

use super::Api;
use crate::call::Call;
use crate::error::KafkaCode;

pub(crate) const API: Api = Api::new(ApiKey::DescribeProducers, 0, 0);

pub(crate) async fn handle(call: Call, request: DescribeProducersRequest) -> DescribeProducersResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for &index in &topic.partition_indexes {
            let (code, active_producers) = match one(&call, &topic.name, index).await {
                Ok(producers) => (ErrorCode::None, producers),
                Err(code) => (code, Vec::new()),
            };
            partitions.push(PartitionResponse {
                partition_index: index,
                error_code: call.code(code),
                error_message: (code != ErrorCode::None).then(|| code.meaning().into()),
                active_producers,
            });
        }
        topics.push(TopicResponse { name: topic.name.clone(), partitions });
    }
    DescribeProducersResponse { topics, ..DescribeProducersResponse::default() }
}

async fn one(call: &Call, topic: &str, index: i32) -> Result<Vec<ProducerState>, ErrorCode> {
    let image = call.image();
    let Some(topic) = image.topic(topic) else {
        return Err(controller::check_topic_name(topic)
            .map_or_else(|error| error.code(), |()| ErrorCode::UnknownTopicOrPartition));
    };
    let key = PartitionKey { topic: topic.id, index };
    // Followers know them too.
    let partition = call.ctx.engine.replica(&image, key).await.map_err(|error| error.kafka_code())?;
    let producers = partition.producers().into_iter().map(|producer| ProducerState {
        producer_id: producer.id.0,
        producer_epoch: i32::from(producer.epoch.0),
        last_sequence: producer.last_sequence().unwrap_or(-1),
        last_timestamp: producer.last_timestamp.0,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.open_transaction.unwrap_or(Offset::NONE).0,
    });
    Ok(producers.collect())
}
