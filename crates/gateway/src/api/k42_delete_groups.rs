//! DeleteGroups, key 42, versions 0–2.
//!
//! v2 flexible

use std::future::Future;

use eddy_types::ErrorCode;
use eddy_wire::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::groups;

pub(crate) const API: Api = Api::new(ApiKey::DeleteGroups, 0, 2);

pub(crate) async fn begin(
    call: Call,
    request: DeleteGroupsRequest,
) -> impl Future<Output = DeleteGroupsResponse> + Send + 'static {
    let mut asked = Vec::with_capacity(request.groups_names.len());
    for group in &request.groups_names {
        // A copy: the name would otherwise hold the frame.
        asked.push((Str::from(group.as_str()), call.ctx.groups.delete_group(group).await));
    }
    drop(request);
    async move {
        let mut results = Vec::with_capacity(asked.len());
        for (group_id, asked) in asked {
            let deleted = groups::answer(asked).await.and_then(|deleted| deleted);
            let error_code = call.code(deleted.err().unwrap_or(ErrorCode::None));
            results.push(DeletableGroupResult { group_id, error_code });
        }
        DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }
    }
}
