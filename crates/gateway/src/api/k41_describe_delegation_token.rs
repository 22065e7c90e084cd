//! DescribeDelegationToken, key 41, versions 1–3.
//!
//! v2 flexible · v3 requester (KIP-373). Without authentication there are no tokens, see CreateDelegationToken.

use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::describe_delegation_token::{
    DescribeDelegationTokenRequest, DescribeDelegationTokenResponse,
};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::DescribeDelegationToken, 1, 3);

pub(crate) async fn handle(call: Call, _: DescribeDelegationTokenRequest) -> DescribeDelegationTokenResponse {
    DescribeDelegationTokenResponse {
        error_code: call.code(ErrorCode::DelegationTokenRequestNotAllowed),
        ..DescribeDelegationTokenResponse::default()
    }
}
