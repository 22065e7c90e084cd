//! JoinGroup, key 11, versions 0–9.
//!
//! v1 rebalance timeout (KIP-62) · v4 a member comes back with the id it is given (KIP-394) · v5 static members (KIP-345) · v6 flexible · v7
//! protocol type (KIP-559) · v8 reason (KIP-800) · v9 skip assignment (KIP-814)
//!
//! The answer comes when the join phase ends; other connections, and the requests before it on this one, do not wait for it.

use std::future::Future;

use eddy_core::group::{JoinGroup, JoinReply, JoinedGroup, Protocol};
use eddy_types::{ErrorCode, Millis};
use eddy_wire::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::groups::{self, Text, blob, client_host, optional, random_uuid, text, wire, wire_bytes};

pub(crate) const API: Api = Api::new(ApiKey::JoinGroup, 0, 9);

/// A member id is stored with every record of its group, and a client id may be as long as a frame: of a longer one only
/// this much goes into the id.
const NAME_IN_ID_MAX: usize = 255;
/// Null may stand for "no protocol" from this version on.
const NULL_PROTOCOL_FROM: i16 = 7;

pub(crate) async fn begin(
    call: Call,
    request: JoinGroupRequest,
) -> impl Future<Output = JoinGroupResponse> + Send + 'static {
    let member = text(&request.member_id);
    let asked = match join(&call, &request) {
        Ok(join) => Ok(call.ctx.groups.join_group(join).await),
        Err(code) => Err(code),
    };
    drop(request);
    async move {
        let reply = match asked {
            Ok(asked) => groups::answer(asked).await,
            Err(code) => Err(code),
        };
        match reply {
            Ok(JoinReply::Joined(joined)) => respond(&call, &joined),
            Ok(JoinReply::Failed { error, member }) => failed(&call, error, &member),
            Err(code) => failed(&call, code, &member),
        }
    }
}

fn join(call: &Call, request: &JoinGroupRequest) -> Result<JoinGroup, ErrorCode> {
    let session_timeout = Millis(i64::from(request.session_timeout_ms));
    let rebalance_timeout = Millis(i64::from(request.rebalance_timeout_ms));
    let name = request.group_instance_id.as_ref().map_or(&*call.client_id, Str::as_str);
    let protocols = request
        .protocols
        .iter()
        .map(|protocol| Protocol { name: text(&protocol.name), metadata: blob(&protocol.metadata) });
    Ok(JoinGroup {
        group: text(&request.group_id),
        member: text(&request.member_id),
        new_member: new_member(name)?,
        instance: optional(request.group_instance_id.as_ref()),
        client_id: call.client_id.clone(),
        client_host: client_host(call),
        session_timeout,
        rebalance_timeout: if call.version >= 1 { rebalance_timeout } else { session_timeout },
        protocol_type: text(&request.protocol_type),
        protocols: protocols.collect(),
        id_required: call.version >= 4,
        can_skip_assignment: call.version >= 9,
    })
}

/// An id that no member had before: a name and a random UUID.
fn new_member(name: &str) -> Result<Text, ErrorCode> {
    let end = name.floor_char_boundary(NAME_IN_ID_MAX);
    let name = name.get(..end).unwrap_or_default();
    Ok(format!("{name}-{}", random_uuid()?).into())
}

fn respond(call: &Call, joined: &JoinedGroup) -> JoinGroupResponse {
    let members = joined.members.iter().map(|member| JoinGroupResponseMember {
        member_id: wire(&member.member),
        group_instance_id: member.instance.as_ref().filter(|_| call.version >= 5).map(wire),
        metadata: wire_bytes(&member.metadata),
    });
    JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: joined.protocol_type.as_ref().filter(|_| call.version >= 7).map(wire),
        protocol_name: protocol_name(call, joined.protocol.as_ref()),
        leader: wire(&joined.leader),
        skip_assignment: joined.skip_assignment,
        member_id: wire(&joined.member),
        members: members.collect(),
        ..JoinGroupResponse::default()
    }
}

fn failed(call: &Call, error: ErrorCode, member: &Text) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: call.code(error),
        generation_id: -1,
        protocol_name: protocol_name(call, None),
        member_id: wire(member),
        ..JoinGroupResponse::default()
    }
}

fn protocol_name(call: &Call, protocol: Option<&Text>) -> Option<Str> {
    match protocol {
        Some(protocol) => Some(wire(protocol)),
        None if call.version >= NULL_PROTOCOL_FROM => None,
        None => Some(Str::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_ids_are_a_name_and_a_uuid() {
        let id = new_member("rdkafka").unwrap();
        assert!(id.starts_with("rdkafka-") && id.len() == "rdkafka-".len() + 36, "{id}");
        assert_ne!(id, new_member("rdkafka").unwrap());
    }

    #[test]
    fn a_long_client_id_makes_no_long_member_id() {
        let id = new_member(&"é".repeat(10_000)).unwrap();
        assert_eq!(id.len(), 254 + 1 + 36);
    }
}
