//! DeleteRecords, key 21, versions 0–2.
//!
//! v2 flexible. The log start moves at once and durably; files go when whole segments lie below it.

use eddy_engine::PartitionKey;
use eddy_types::{ErrorCode, Offset};
use eddy_wire::ApiKey;
use eddy_wire::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use super::Api;
use crate::call::Call;
use crate::error::KafkaCode;

pub(crate) const API: Api = Api::new(ApiKey::DeleteRecords, 0, 2);

pub(crate) async fn handle(call: Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let (low_watermark, code) =
                match one(&call, &topic.name, asked.partition_index, asked.offset).await {
                    Ok(start) => (start.0, ErrorCode::None),
                    Err(code) => (-1, code),
                };
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark,
                error_code: call.code(code),
            });
        }
        topics.push(DeleteRecordsTopicResult { name: topic.name.clone(), partitions });
    }
    DeleteRecordsResponse { topics, ..DeleteRecordsResponse::default() }
}

async fn one(call: &Call, topic: &str, index: i32, before: i64) -> Result<Offset, ErrorCode> {
    let image = call.image();
    let topic = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let policy = topic.config.cleanup_policy;
    if policy.compact && !policy.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let key = PartitionKey { topic: topic.id, index };
    let partition = call.ctx.engine.partition(&image, key).await.map_err(|error| error.kafka_code())?;
    call.ctx.engine.delete_records(&partition, Offset(before)).await.map_err(|error| error.kafka_code())
}
