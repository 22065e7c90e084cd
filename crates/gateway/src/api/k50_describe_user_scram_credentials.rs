//! DescribeUserScramCredentials, key 50, version 0 (KIP-554).
//!
//! There is no SASL, so nobody has credentials. Kafka's tools ask for them whenever they describe users.

use std::collections::BTreeMap;

use eddy_types::ErrorCode;
use eddy_wire::messages::describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::DescribeUserScramCredentials, 0, 0);

pub(crate) async fn handle(
    call: Call,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let mut times: BTreeMap<Str, usize> = BTreeMap::new();
    for user in request.users.into_iter().flatten() {
        *times.entry(user.name).or_default() += 1;
    }
    let results = times.into_iter().map(|(user, times)| {
        let (code, message) = if times > 1 {
            (ErrorCode::DuplicateResource, format!("the request names the user twice: {user}"))
        } else {
            (ErrorCode::ResourceNotFound, format!("the user has no SCRAM credentials: {user}"))
        };
        DescribeUserScramCredentialsResult {
            user,
            error_code: call.code(code),
            error_message: Some(message.into()),
            ..DescribeUserScramCredentialsResult::default()
        }
    });
    DescribeUserScramCredentialsResponse {
        error_message: None,
        results: results.collect(),
        ..DescribeUserScramCredentialsResponse::default()
    }
}
