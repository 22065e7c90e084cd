//! AlterReplicaLogDirs, key 34, versions 1–2.
//!
//! v2 flexible. A broker has one data directory: a replica is there already, and there is nowhere else to move it.

use std::collections::BTreeMap;
use std::path::Path;

use eddy_metadata::Image;
use eddy_types::ErrorCode;
use eddy_wire::messages::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::AlterReplicaLogDirs, 1, 2);

pub(crate) async fn handle(call: Call, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
    let image = call.image();
    let mut codes: BTreeMap<Str, BTreeMap<i32, ErrorCode>> = BTreeMap::new();
    for dir in &request.dirs {
        let is_ours = Path::new(dir.path.as_str()) == call.ctx.engine.data_dir();
        for topic in &dir.topics {
            let partitions = codes.entry(topic.name.clone()).or_default();
            for &index in &topic.partitions {
                let code = if is_ours { stay(&image, &topic.name, index) } else { ErrorCode::LogDirNotFound };
                partitions.insert(index, code);
            }
        }
    }
    let results = codes.into_iter().map(|(topic_name, partitions)| {
        let partitions = partitions.into_iter().map(|(partition_index, code)| {
            AlterReplicaLogDirPartitionResult { partition_index, error_code: call.code(code) }
        });
        AlterReplicaLogDirTopicResult { topic_name, partitions: partitions.collect() }
    });
    AlterReplicaLogDirsResponse { results: results.collect(), ..AlterReplicaLogDirsResponse::default() }
}

/// What becomes of a move to where the replica is.
fn stay(image: &Image, topic: &str, index: i32) -> ErrorCode {
    let index = usize::try_from(index).ok();
    let partition = image.topic(topic).zip(index).and_then(|(topic, index)| topic.partitions.get(index));
    partition.map_or(ErrorCode::UnknownTopicOrPartition, |_| ErrorCode::None)
}
