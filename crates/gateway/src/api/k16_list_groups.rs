//! ListGroups, key 16, versions 0–5.
//!
//! v1 throttle time · v3 flexible · v4 filter by state (KIP-518) · v5 filter by type (KIP-848)
//!
//! Every group of this broker, those without members included (trap X14).

use eddy_core::group::{GroupState, GroupType, ListGroups};
use eddy_wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::groups::wire;

pub(crate) const API: Api = Api::new(ApiKey::ListGroups, 0, 5);

pub(crate) async fn handle(call: Call, request: ListGroupsRequest) -> ListGroupsResponse {
    let states = filter(&request.states_filter, GroupState::from_name);
    let types = filter(&request.types_filter, GroupType::from_name);
    let (Some(states), Some(types)) = (states, types) else { return ListGroupsResponse::default() };
    match call.ctx.groups.list_groups(ListGroups { states, types }).await {
        Ok(groups) => {
            let groups = groups.iter().map(|group| ListedGroup {
                group_id: wire(&group.group),
                protocol_type: wire(&group.protocol_type),
                group_state: Str::from_static(group.state.name()),
                group_type: Str::from_static(group.group_type.name()),
            });
            ListGroupsResponse { groups: groups.collect(), ..ListGroupsResponse::default() }
        }
        Err(error) => {
            ListGroupsResponse { error_code: call.code(error.code()), ..ListGroupsResponse::default() }
        }
    }
}

/// What a filter lets through, everything when it is empty; `None` when it names nothing that there is.
fn filter<T>(names: &[Str], from_name: fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let known: Vec<T> = names.iter().filter_map(|name| from_name(name.trim())).collect();
    (names.is_empty() || !known.is_empty()).then_some(known)
}
