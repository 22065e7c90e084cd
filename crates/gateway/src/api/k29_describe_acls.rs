//! DescribeAcls, key 29, versions 1–3.
//!
//! v1 prefixed patterns (KIP-290) · v2 flexible · v3 users as resources (KIP-373)
//!
//! No authorizer is configured, so there are no ACLs to describe, create or delete.

use eddy_types::ErrorCode;
use eddy_wire::messages::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::DescribeAcls, 1, 3);

/// Why there is nothing to say of ACLs.
pub(super) const NO_AUTHORIZER: Str = Str::from_static("no authorizer is configured");

pub(crate) async fn handle(call: Call, _: DescribeAclsRequest) -> DescribeAclsResponse {
    DescribeAclsResponse {
        error_code: call.code(ErrorCode::SecurityDisabled),
        error_message: Some(NO_AUTHORIZER),
        ..DescribeAclsResponse::default()
    }
}
