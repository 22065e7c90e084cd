//! DeleteRecords, key 21, versions 0–2.
//!
//! v2 flexible. The log start moves durably on every in-sync replica before the answer; files go when whole segments lie below it
//!

use eddy_engine::PartitionKey;
use eddy_types::{ErrorCode, Offset};
use eddy_wire::ApiKey;
use eddy_wire::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::Api;
use crate::call::Call;
use crate::deadline::timeout;
use crate::error::KafkaCode;

pub(crate) const API: Api = Api::new(ApiKey::DeleteRecords, 0, 2);

pub(crate) async fn handle(call: Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let deadline = Instant::now() + timeout(request.timeout_ms);
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let partitions = topic.partitions.iter().map(|asked| async {
            let deleted = one(&call, &topic.name, asked.partition_index, asked.offset, deadline).await;
            let (low_watermark, code) = match deleted {
                Ok(start) => (start.0, ErrorCode::None),
                Err(code) => (-1, code),
            };
            DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark,
                error_code: call.code(code),
            }
        });
        // All at once: each may wait for its replicas.
        let partitions = join_all(partitions);
        topics.push(async {
            DeleteRecordsTopicResult { name: topic.name.clone(), partitions: partitions.await }
        });
    }
    DeleteRecordsResponse { topics: join_all(topics).await, ..DeleteRecordsResponse::default() }
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
