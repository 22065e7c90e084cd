//! ExpireDelegationToken, key 40, versions 1–2.
//!
//! v2 flexible. Without authentication there are no tokens to be ended, see CreateDelegationToken.

use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::expire_delegation_token::{
    ExpireDelegationTokenRequest, ExpireDelegationTokenResponse,
};

use super::Api;
use super::k38_create_delegation_token::NO_TIME;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::ExpireDelegationToken, 1, 2);

pub(crate) async fn handle(call: Call, _: ExpireDelegationTokenRequest) -> ExpireDelegationTokenResponse {
    ExpireDelegationTokenResponse {
        error_code: call.code(ErrorCode::DelegationTokenRequestNotAllowed),
        expiry_timestamp_ms: NO_TIME,
        ..ExpireDelegationTokenResponse::default()
    }
}
