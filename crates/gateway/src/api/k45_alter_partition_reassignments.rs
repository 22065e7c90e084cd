//! AlterPartitionReassignments, key 45, versions 0–1 (KIP-455).
//!
//! v1 a change of the replication factor can be forbidden (KIP-860)

use eddy_metadata::controller::check_reassignment;
use eddy_types::{BrokerId, ErrorCode};
use eddy_wire::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::AlterPartitionReassignments, 0, 1);

pub(crate) async fn handle(
    call: Call,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let out_of_time = request.timeout_ms <= 0 && !request.topics.is_empty();
    let image = call.image();
    let one = |topic: &str, asked: &ReassignablePartition| {
        if out_of_time {
            return Err((ErrorCode::RequestTimedOut, None));
        }
        let replicas: Option<Vec<BrokerId>> =
            asked.replicas.as_ref().map(|ids| ids.iter().map(|&id| BrokerId(id)).collect());
        let (index, same_factor) = (asked.partition_index, !request.allow_replication_factor_change);
        check_reassignment(&image, topic, index, replicas.as_deref(), same_factor)
            .map_err(|refused| (refused.code(), Some(Str::from(refused.to_string()))))
    };
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let (code, error_message) = one(&topic.name, asked).err().unwrap_or((ErrorCode::None, None));
            ReassignablePartitionResponse {
                partition_index: asked.partition_index,
                error_code: call.code(code),
                error_message,
            }
        });
        ReassignableTopicResponse { name: topic.name.clone(), partitions: partitions.collect() }
    });
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        error_code: call.code(if out_of_time { ErrorCode::RequestTimedOut } else { ErrorCode::None }),
        error_message: None,
        responses: topics.collect(),
        ..AlterPartitionReassignmentsResponse::default()
    }
}
