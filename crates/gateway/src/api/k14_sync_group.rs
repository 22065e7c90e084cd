//! SyncGroup, key 14, versions 0–5.
//!
//! v1 throttle time · v3 static members (KIP-345) · v4 flexible · v5 protocol type and name (KIP-559)
//!
//! The answer comes when the leader has brought the assignments and they are on disk.

use std::future::Future;

use eddy_core::group::{SyncGroup, SyncReply};
use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::Api;
use crate::call::Call;
use crate::groups::{self, blob, optional, text, wire, wire_bytes};

pub(crate) const API: Api = Api::new(ApiKey::SyncGroup, 0, 5);

/// A member says what it believes to be from this version on.
const PROTOCOL_FROM: i16 = 5;

pub(crate) async fn begin(
    call: Call,
    request: SyncGroupRequest,
) -> impl Future<Output = SyncGroupResponse> + Send + 'static {
    let says_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    let asked = match call.version >= PROTOCOL_FROM && !says_protocol {
        true => None,
        false => Some(call.ctx.groups.sync_group(sync(&request)).await),
    };
    drop(request);
    async move {
        let reply = match asked {
            Some(asked) => groups::answer(asked).await,
            None => Err(ErrorCode::InconsistentGroupProtocol),
        };
        match reply {
            Ok(reply) => respond(&call, &reply),
            // What was under way is lost with the shard, and the member has to join again. Clients know no code for "loading" here.
            Err(ErrorCode::CoordinatorLoadInProgress) => failed(&call, ErrorCode::RebalanceInProgress),
            Err(code) => failed(&call, code),
        }
    }
}

fn sync(request: &SyncGroupRequest) -> SyncGroup {
    let assignments = request.assignments.iter();
    SyncGroup {
        group: text(&request.group_id),
        member: text(&request.member_id),
        instance: optional(request.group_instance_id.as_ref()),
        generation: request.generation_id,
        protocol_type: optional(request.protocol_type.as_ref()),
        protocol: optional(request.protocol_name.as_ref()),
        assignments: assignments.map(|one| (text(&one.member_id), blob(&one.assignment))).collect(),
    }
}

fn respond(call: &Call, reply: &SyncReply) -> SyncGroupResponse {
    let says_protocol = call.version >= PROTOCOL_FROM;
    SyncGroupResponse {
        error_code: call.code(reply.error),
        protocol_type: reply.protocol_type.as_ref().filter(|_| says_protocol).map(wire),
        protocol_name: reply.protocol.as_ref().filter(|_| says_protocol).map(wire),
        assignment: wire_bytes(&reply.assignment),
        ..SyncGroupResponse::default()
    }
}

fn failed(call: &Call, code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: call.code(code), ..SyncGroupResponse::default() }
}
