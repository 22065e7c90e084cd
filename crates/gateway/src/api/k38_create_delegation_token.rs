//! CreateDelegationToken, key 38, versions 1–3.
//!
//! v2 flexible · v3 owner (KIP-373)
//!
//! A token stands for somebody who has proved who he is, and on a plain listener nobody has: Kafka refuses all four token
//! APIs there, whether tokens are configured or not.

use eddy_types::ErrorCode;
use eddy_wire::messages::create_delegation_token::{
    CreateDelegationTokenRequest, CreateDelegationTokenResponse,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::CreateDelegationToken, 1, 3);

/// Type of the principals that Kafka knows.
const USER: Str = Str::from_static("User");
/// "No time" in an answer that carries none.
pub(super) const NO_TIME: i64 = -1;

pub(crate) async fn handle(call: Call, _: CreateDelegationTokenRequest) -> CreateDelegationTokenResponse {
    let user = Str::from(call.connection.user());
    let requester = call.version >= 3;
    CreateDelegationTokenResponse {
        error_code: call.code(ErrorCode::DelegationTokenRequestNotAllowed),
        principal_type: USER,
        principal_name: user.clone(),
        token_requester_principal_type: if requester { USER } else { Str::default() },
        token_requester_principal_name: if requester { user } else { Str::default() },
        issue_timestamp_ms: NO_TIME,
        expiry_timestamp_ms: NO_TIME,
        max_timestamp_ms: NO_TIME,
        ..CreateDelegationTokenResponse::default()
    }
}
