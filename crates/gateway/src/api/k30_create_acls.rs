//! CreateAcls, key 30, versions 1–3.
//!
//! v1 prefixed patterns (KIP-290) · v2 flexible · v3 users as resources (KIP-373)

use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::create_acls::{AclCreationResult, CreateAclsRequest, CreateAclsResponse};

use super::Api;
use super::k29_describe_acls::NO_AUTHORIZER;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::CreateAcls, 1, 3);

pub(crate) async fn handle(call: Call, request: CreateAclsRequest) -> CreateAclsResponse {
    let refused = request.creations.iter().map(|_| AclCreationResult {
        error_code: call.code(ErrorCode::SecurityDisabled),
        error_message: Some(NO_AUTHORIZER),
    });
    CreateAclsResponse { results: refused.collect(), ..CreateAclsResponse::default() }
}
