//! LeaveGroup, key 13, versions 0–5.
//!
//! v1 throttle time · v3 many members, static ones by their name (KIP-345) · v4 flexible · v5 reason (KIP-800)

use std::future::Future;

use eddy_core::group::{LeaveGroup, LeaveReply, LeavingMember};
use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse};

use super::Api;
use crate::call::Call;
use crate::groups::{self, optional, text, wire};

pub(crate) const API: Api = Api::new(ApiKey::LeaveGroup, 0, 5);

/// Many members may leave, each with its own code, from this version on.
const MANY_FROM: i16 = 3;

pub(crate) async fn begin(
    call: Call,
    request: LeaveGroupRequest,
) -> impl Future<Output = LeaveGroupResponse> + Send + 'static {
    let members = if call.version >= MANY_FROM {
        let member = |member: &eddy_wire::messages::leave_group::MemberIdentity| LeavingMember {
            member: text(&member.member_id),
            instance: optional(member.group_instance_id.as_ref()),
        };
        request.members.iter().map(member).collect()
    } else {
        vec![LeavingMember { member: text(&request.member_id), instance: None }]
    };
    let leave = LeaveGroup { group: text(&request.group_id), members };
    let asked = call.ctx.groups.leave_group(leave).await;
    drop(request);
    async move { respond(&call, groups::answer(asked).await) }
}

fn respond(call: &Call, reply: Result<LeaveReply, ErrorCode>) -> LeaveGroupResponse {
    let LeaveReply { error, members } = match reply {
        Ok(reply) => reply,
        Err(error) => LeaveReply { error, members: Vec::new() },
    };
    if call.version < MANY_FROM {
        let own = members.first().map_or(ErrorCode::None, |member| member.error);
        let code = if error == ErrorCode::None { own } else { error };
        return LeaveGroupResponse { error_code: call.code(code), ..LeaveGroupResponse::default() };
    }
    let members = members.iter().map(|member| MemberResponse {
        member_id: wire(&member.member),
        group_instance_id: member.instance.as_ref().map(wire),
        error_code: call.code(member.error),
    });
    LeaveGroupResponse {
        error_code: call.code(error),
        members: members.collect(),
        ..LeaveGroupResponse::default()
    }
}
