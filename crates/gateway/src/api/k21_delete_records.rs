//! DeleteRecords, key 21, versions 0–2.
//!
//! v2 flexible. The log start moves at once and durably; files go when whole segments lie below it.

use std::time::Duration;

use eddy_engine::PartitionKey;
use eddy_types::{ErrorCode, Offset};
use eddy_wire::ApiKey;
use eddy_wire::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use tokio::time::Instant;

use super::Api;
use crate::call::Call;
use crate::error::KafkaCode;

pub(crate) const API: Api = Api::new(ApiKey::DeleteRecords, 0, 2);

pub(crate) async fn handle(call: Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let deadline = Instant::now() + timeout;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let (low_watermark, code) =
                match one(&call, &topic.name, asked.partition_index, asked.offset, deadline).await {
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

async fn one(
    call: &Call,
    topic: &str,
    index: i32,
    before: i64,
    deadline: Instant,
) -> Result<Offset, ErrorCode> {
    let image = call.image();
    let topic = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let policy = topic.config.cleanup_policy;
    if policy.compact && !policy.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let key = PartitionKey { topic: topic.id, index };
    let partition = call.ctx.engine.partition(&image, key).await.map_err(|error| error.kafka_code())?;
    let deleted = call.ctx.engine.delete_records(&partition, Offset(before), deadline).await;
    deleted.map_err(|error| error.kafka_code())
}
