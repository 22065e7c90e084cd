//! ConsumerGroupHeartbeat, key 68, versions 0–1 (KIP-848).
//!
//! v1 the client makes the member id, and topics may be named by an expression (KIP-1082)

use std::future::Future;

use eddy_core::group::{ConsumerHeartbeat, ConsumerHeartbeatAnswer, Partitions};
use eddy_types::{ErrorCode, Millis};
use eddy_wire::messages::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ResponseTopicPartitions,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::groups::{self, client_host, optional, random_uuid, text, wire};

pub(crate) const API: Api = Api::new(ApiKey::ConsumerGroupHeartbeat, 0, 1);

/// Among `group.coordinator.rebalance.protocols` when the operator allows the API.
const PROTOCOL: &str = "consumer";
/// The client makes its member id from this version on.
const CLIENT_MAKES_ID_FROM: i16 = 1;

pub(crate) async fn begin(
    call: Call,
    request: ConsumerGroupHeartbeatRequest,
) -> impl Future<Output = ConsumerGroupHeartbeatResponse> + Send + 'static {
    let asked = match heartbeat(&call, &request) {
        Ok(heartbeat) => Ok(call.ctx.groups.consumer_heartbeat(heartbeat).await),
        Err(code) => Err(code),
    };
    drop(request);
    async move {
        let reply = match asked {
            Ok(asked) => groups::answer(asked).await,
            Err(code) => Err(code),
        };
        match reply {
            Ok(Ok(answer)) => respond(&answer),
            Ok(Err(error)) => failed(&call, error.code(), Some(error.to_string())),
            Err(code) => failed(&call, code, None),
        }
    }
}

fn heartbeat(call: &Call, request: &ConsumerGroupHeartbeatRequest) -> Result<ConsumerHeartbeat, ErrorCode> {
    let image = call.image();
    let protocols = &image.broker_config().group_coordinator_rebalance_protocols;
    if !protocols.iter().any(|protocol| protocol == PROTOCOL) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let owned = request.topic_partitions.as_ref().map(|topics| {
        let partitions = topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.topic_id, *partition)));
        partitions.collect::<Partitions>()
    });
    let makes_id = call.version < CLIENT_MAKES_ID_FROM && request.member_id.as_bytes().is_empty();
    let topic_names = request.subscribed_topic_names.as_ref();
    Ok(ConsumerHeartbeat {
        group: text(&request.group_id),
        member: text(&request.member_id),
        new_member: makes_id.then(random_uuid).transpose()?.map(Into::into),
        member_epoch: request.member_epoch,
        instance: optional(request.instance_id.as_ref()),
        rack: optional(request.rack_id.as_ref()),
        client_id: call.client_id.clone(),
        client_host: client_host(call),
        rebalance_timeout: Some(request.rebalance_timeout_ms)
            .filter(|timeout| *timeout != -1)
            .map(|timeout| Millis(i64::from(timeout))),
        topic_names: topic_names.map(|names| names.iter().map(text).collect()),
        topic_regex: optional(request.subscribed_topic_regex.as_ref()),
        assignor: optional(request.server_assignor.as_ref()),
        owned,
    })
}

fn respond(answer: &ConsumerHeartbeatAnswer) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        member_id: Some(wire(&answer.member)),
        member_epoch: answer.member_epoch,
        heartbeat_interval_ms: i32::try_from(answer.heartbeat_interval.0).unwrap_or(i32::MAX),
        assignment: answer.assignment.as_ref().map(assignment),
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

fn assignment(partitions: &Partitions) -> Assignment {
    let topics = partitions.topics().map(|(topic_id, partitions)| ResponseTopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
    });
    Assignment { topic_partitions: topics.collect() }
}

fn failed(call: &Call, code: ErrorCode, message: Option<String>) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: call.code(code),
        error_message: message.map(Str::from),
        ..ConsumerGroupHeartbeatResponse::default()
    }
}
