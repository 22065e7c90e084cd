//! DescribeLogDirs, key 35, versions 1–5.
//!
//! v2 flexible · v3 top-level error · v4 total and usable bytes (KIP-827) · v5 cordoned (KIP-1066)

use std::sync::atomic::Ordering;

use eddy_engine::PartitionKey;
use eddy_metadata::Topic;
use eddy_wire::ApiKey;
use eddy_wire::Str;
use eddy_wire::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::DescribeLogDirs, 1, 5);

pub(crate) async fn handle(call: Call, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let image = call.image();
    let mut topics = Vec::new();
    for topic in image.topics() {
        let asked = |index: i32| match &request.topics {
            None => true,
            Some(list) => list.iter().any(|one| *one.topic == *topic.name && one.partitions.contains(&index)),
        };
        let partitions = partitions(&call, topic, asked).await;
        if !partitions.is_empty() {
            topics.push(DescribeLogDirsTopic { name: Str::from(&*topic.name), partitions });
        }
    }
    let space = call.ctx.engine.disk_space();
    let bytes = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let result = DescribeLogDirsResult {
        log_dir: call.ctx.engine.data_dir().display().to_string().into(),
        topics,
        total_bytes: bytes(space.total.load(Ordering::Relaxed)),
        usable_bytes: bytes(space.free.load(Ordering::Relaxed)),
        ..DescribeLogDirsResult::default()
    };
    DescribeLogDirsResponse { results: vec![result], ..DescribeLogDirsResponse::default() }
}

async fn partitions(
    call: &Call,
    topic: &Topic,
    asked: impl Fn(i32) -> bool,
) -> Vec<DescribeLogDirsPartition> {
    let image = call.image();
    let mut described = Vec::new();
    for index in (0..).take(topic.partitions.len()).filter(|&index| asked(index)) {
        let key = PartitionKey { topic: topic.id, index };
        let Ok(partition) = call.ctx.engine.replica(&image, key).await else { continue };
        described.push(DescribeLogDirsPartition {
            partition_index: index,
            partition_size: i64::try_from(partition.log().size_bytes()).unwrap_or(i64::MAX),
            ..DescribeLogDirsPartition::default()
        });
    }
    described
}
