//! RenewDelegationToken, key 39, versions 1–2.
//!
//! v2 flexible. Without authentication there are no tokens to be renewed, see CreateDelegationToken.

use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::renew_delegation_token::{
    RenewDelegationTokenRequest, RenewDelegationTokenResponse,
};

use super::Api;
use super::k38_create_delegation_token::NO_TIME;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::RenewDelegationToken, 1, 2);

pub(crate) async fn handle(call: Call, _: RenewDelegationTokenRequest) -> RenewDelegationTokenResponse {
    RenewDelegationTokenResponse {
        error_code: call.code(ErrorCode::DelegationTokenRequestNotAllowed),
        expiry_timestamp_ms: NO_TIME,
        ..RenewDelegationTokenResponse::default()
    }
}
