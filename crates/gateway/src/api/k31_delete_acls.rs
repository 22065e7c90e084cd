//! DeleteAcls, key 31, versions 1–3.
//!
//! v1 prefixed patterns (KIP-290) · v2 flexible · v3 users as resources (KIP-373)

use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::delete_acls::{DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse};

use super::Api;
use super::k29_describe_acls::NO_AUTHORIZER;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::DeleteAcls, 1, 3);

pub(crate) async fn handle(call: Call, request: DeleteAclsRequest) -> DeleteAclsResponse {
    let refused = request.filters.iter().map(|_| DeleteAclsFilterResult {
        error_code: call.code(ErrorCode::SecurityDisabled),
        error_message: Some(NO_AUTHORIZER),
        ..DeleteAclsFilterResult::default()
    });
    DeleteAclsResponse { filter_results: refused.collect(), ..DeleteAclsResponse::default() }
}
