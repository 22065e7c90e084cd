//! FindCoordinator, key 10, versions 0–6.
//!
//! v1 key type: 0 group, 1 transaction · v3 flexible · v4 many keys (KIP-699) · v5 abortable errors (KIP-890) · v6 key type 2: share
//! group (KIP-932)
//!
//! Groups only: no other coordinator is there. The first group of a cluster is answered when its topic is there and its shard is
//! loaded, so that no application meets COORDINATOR_NOT_AVAILABLE.

use std::time::Duration;

use eddy_coordinator::Unavailable;
use eddy_types::{BrokerId, ErrorCode};
use eddy_wire::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::brokers;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::FindCoordinator, 0, 6);

/// Several keys may be looked for from this version on.
const KEYS_FROM: i16 = 4;

const GROUP: i8 = 0;

/// How long all brokers have to get to know the topic of committed offsets.
const MADE_WAIT: Duration = Duration::from_secs(5);

pub(crate) async fn handle(call: Call, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    call.ctx.cluster.until_departures_noted().await;
    if call.version >= KEYS_FROM {
        let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
        for key in &request.coordinator_keys {
            coordinators.push(find(&call, request.key_type, key).await);
        }
        return FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() };
    }
    let Coordinator { node_id, host, port, error_code, error_message, .. } =
        find(&call, request.key_type, &request.key).await;
    // Kafka says "NONE" in words where it is not an error.
    let said = if error_code == 0 { Some("NONE".into()) } else { error_message };
    let error_message = if call.version >= 1 { said } else { Some(Str::default()) };
    FindCoordinatorResponse {
        node_id,
        host,
        port,
        error_code,
        error_message,
        ..FindCoordinatorResponse::default()
    }
}

async fn find(call: &Call, key_type: i8, key: &Str) -> Coordinator {
    let found = match key_type {
        GROUP => coordinator(call, key).await.map_err(|error| (error.code(), error.to_string())),
        // A client that waits for a coordinator which never comes says nothing for a minute; this it says at once.
        other => Err((ErrorCode::InvalidRequest, format!("no coordinator of key type {other} is served"))),
    };
    let address = found.and_then(|broker| {
        let address = brokers::address(call, &call.image(), broker);
        address.ok_or((ErrorCode::CoordinatorNotAvailable, "the coordinator is not alive".to_owned()))
    });
    match address {
        Ok(address) => Coordinator {
            key: key.clone(),
            node_id: address.broker.0,
            host: address.host.into(),
            port: i32::from(address.port),
            ..Coordinator::default()
        },
        Err((code, message)) => Coordinator {
            key: key.clone(),
            node_id: BrokerId::NONE.0,
            port: -1,
            error_code: call.code(code),
            error_message: Some(message.into()),
            ..Coordinator::default()
        },
    }
}

async fn coordinator(call: &Call, group: &str) -> Result<BrokerId, Unavailable> {
    if call.ctx.groups.ensure_topic().await? {
        call.until_known(MADE_WAIT).await;
    }
    call.ctx.groups.find(group).await
}
