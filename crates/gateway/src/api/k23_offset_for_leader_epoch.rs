//! OffsetForLeaderEpoch, key 23, versions 2–4.
//!
//! v2 current leader epoch (KIP-320) · v3 replica id (KIP-392) · v4 flexible. Where an epoch ends in the leader's log.

use eddy_engine::PartitionKey;
use eddy_types::{ErrorCode, LeaderEpoch, Offset};
use eddy_wire::ApiKey;
use eddy_wire::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};

use super::Api;
use crate::call::Call;
use crate::error::KafkaCode;

pub(crate) const API: Api = Api::new(ApiKey::OffsetForLeaderEpoch, 2, 4);

pub(crate) async fn handle(call: Call, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let (code, (epoch, end)) = match one(&call, &topic.topic, asked).await {
                Ok(found) => (ErrorCode::None, found),
                Err(code) => (code, (LeaderEpoch::NONE, Offset::NONE)),
            };
            partitions.push(EpochEndOffset {
                error_code: call.code(code),
                partition: asked.partition,
                leader_epoch: epoch.0,
                end_offset: end.0,
            });
        }
        topics.push(OffsetForLeaderTopicResult { topic: topic.topic.clone(), partitions });
    }
    OffsetForLeaderEpochResponse { topics, ..OffsetForLeaderEpochResponse::default() }
}

async fn one(
    call: &Call,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<(LeaderEpoch, Offset), ErrorCode> {
    let image = call.image();
    let topic = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let key = PartitionKey { topic: topic.id, index: asked.partition };
    let partition = call.ctx.engine.partition(&image, key).await.map_err(|error| error.kafka_code())?;
    partition.checked_offsets(LeaderEpoch(asked.current_leader_epoch)).map_err(|error| error.kafka_code())?;
    Ok(partition.log().epoch_end(LeaderEpoch(asked.leader_epoch)))
}
