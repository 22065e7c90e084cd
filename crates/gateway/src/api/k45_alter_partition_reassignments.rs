//! AlterPartitionReassignments, key 45, versions 0–1 (KIP-455, R-3.109).
//!
//! v1 a change of the replication factor can be forbidden (KIP-860)

use std::convert::Infallible;
use std::sync::Arc;

use eddy_metadata::Image;
use eddy_metadata::controller::{self, NewReplicas, ReassignmentError};
use eddy_types::{BrokerId, ErrorCode, TopicPartition};
use eddy_wire::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartitionResponse,
    ReassignableTopic, ReassignableTopicResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::deadline::within;
use crate::error::change_code;

pub(crate) const API: Api = Api::new(ApiKey::AlterPartitionReassignments, 0, 1);

pub(crate) async fn handle(
    call: Call,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let mut response = AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        error_message: None,
        ..AlterPartitionReassignmentsResponse::default()
    };
    if request.topics.is_empty() {
        return response;
    }
    let wanted: Vec<NewReplicas> = request.topics.iter().flat_map(wishes).collect();
    let same_factor = !request.allow_replication_factor_change;
    let alter = async {
        let decide =
            |image: &Image| Ok::<_, Infallible>(controller::alter_reassignments(image, &wanted, same_factor));
        let changed = call.ctx.engine.quorum().change(decide).await;
        changed.map_err(|error| change_code(error, |never| match never {}))
    };
    let results = within(request.timeout_ms, alter).await;
    if let Err((code, message)) = &results {
        response.error_code = call.code(*code);
        response.error_message = Some(message.as_str().into());
    }
    let mut results = match results {
        Ok(results) => results.into_iter().map(refusal).collect(),
        Err((code, _)) => vec![(code, None); wanted.len()],
    }
    .into_iter();
    let topics = request.topics.iter().map(|topic| {
        let partitions =
            topic.partitions.iter().zip(results.by_ref()).map(|(asked, (code, error_message))| {
                ReassignablePartitionResponse {
                    partition_index: asked.partition_index,
                    error_code: call.code(code),
                    error_message,
                }
            });
        ReassignableTopicResponse { name: topic.name.clone(), partitions: partitions.collect() }
    });
    response.responses = topics.collect();
    response
}

fn wishes(topic: &ReassignableTopic) -> impl Iterator<Item = NewReplicas> {
    let name = Arc::<str>::from(topic.name.as_str());
    topic.partitions.iter().map(move |asked| NewReplicas {
        partition: TopicPartition { topic: Arc::clone(&name), partition: asked.partition_index },
        replicas: asked.replicas.as_ref().map(|ids| ids.iter().map(|&id| BrokerId(id)).collect()),
    })
}

fn refusal(result: Result<(), ReassignmentError>) -> (ErrorCode, Option<Str>) {
    match result {
        Ok(()) => (ErrorCode::None, None),
        Err(refused) => (refused.code(), Some(Str::from(refused.to_string()))),
    }
}
