//! DescribeGroups, key 15, versions 0–6.
//!
//! v1 throttle time · v3 authorized operations (KIP-430) · v4 static members (KIP-345) · v5 flexible · v6 a code for groups that do not
//! exist (KIP-1043)
//!
//! Groups come from the same machines that serve their members (trap X14).

use std::future::Future;

use eddy_core::group::{DescribedGroup as Described, DescribedMember, GroupState};
use eddy_types::ErrorCode;
use eddy_wire::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::groups::{Describing, operations, wire, wire_bytes};

pub(crate) const API: Api = Api::new(ApiKey::DescribeGroups, 0, 6);

/// A group that does not exist has a code from this version on; before, it is one in state Dead.
const NOT_FOUND_FROM: i16 = 6;

pub(crate) async fn begin(
    call: Call,
    request: DescribeGroupsRequest,
) -> impl Future<Output = DescribeGroupsResponse> + Send + 'static {
    let operations = operations(request.include_authorized_operations);
    let mut asked = Describing::with_capacity(request.groups.len());
    for group in &request.groups {
        asked.add(group, call.ctx.groups.describe_group(group).await);
    }
    drop(request);
    async move {
        let mut groups = Vec::new();
        for (group_id, described) in asked.answers().await {
            let group = match described {
                Ok(described) => shown(&call, &described),
                Err(code) => not_shown(&call, &group_id, code),
            };
            groups.push(DescribedGroup { group_id, authorized_operations: operations, ..group });
        }
        DescribeGroupsResponse { groups, ..DescribeGroupsResponse::default() }
    }
}

fn shown(call: &Call, group: &Described) -> DescribedGroup {
    DescribedGroup {
        group_state: Str::from_static(group.state.name()),
        protocol_type: wire(&group.protocol_type),
        protocol_data: wire(&group.protocol),
        members: group.members.iter().map(|one| member(call, one)).collect(),
        error_message: None,
        ..DescribedGroup::default()
    }
}

fn member(call: &Call, member: &DescribedMember) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: wire(&member.member),
        group_instance_id: member.instance.as_ref().filter(|_| call.version >= 4).map(wire),
        client_id: wire(&member.client_id),
        client_host: wire(&member.client_host),
        member_metadata: wire_bytes(&member.metadata),
        member_assignment: wire_bytes(&member.assignment),
    }
}

fn not_shown(call: &Call, group: &str, code: ErrorCode) -> DescribedGroup {
    if code != ErrorCode::GroupIdNotFound {
        return DescribedGroup { error_code: call.code(code), ..DescribedGroup::default() };
    }
    let says_so = call.version >= NOT_FOUND_FROM;
    DescribedGroup {
        error_code: if says_so { call.code(code) } else { ErrorCode::None.code() },
        error_message: says_so.then(|| format!("Group {group} not found.").into()),
        group_state: Str::from_static(GroupState::Dead.name()),
        ..DescribedGroup::default()
    }
}
