//! ApiVersions, key 18, versions 0–4.
//!
//! v3 flexible, client software name and version (KIP-511), features (KIP-584) · v4 features whose minimum is 0 (KIP-1022)
//!
//! Not served: v5 (KIP-1242), which Kafka 4.3 does not advertise either.

use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use super::{Api, SERVED};
use crate::call::Call;
use crate::features;

pub(crate) const API: Api = Api::new(ApiKey::ApiVersions, 0, 4);

/// The client's parser of version 3 rejects a feature whose lowest level is 0 (KIP-1022, R-1.5).
const MIN_ZERO_FROM: i16 = 4;

pub(crate) async fn handle(call: Call, request: ApiVersionsRequest) -> ApiVersionsResponse {
    if call.version >= 3
        && !(is_software_name(&request.client_software_name)
            && is_software_name(&request.client_software_version))
    {
        //
        return ApiVersionsResponse {
            error_code: call.code(ErrorCode::InvalidRequest),
            ..ApiVersionsResponse::default()
        };
    }
    if call.version >= 3 {
        call.connection.set_software(&request.client_software_name, &request.client_software_version);
    }
    let asks_for_metrics = call.image().client_metrics_names().next().is_some();
    let api_keys = served().into_iter().filter(|api| asks_for_metrics || !is_telemetry(api)).collect();
    let mut response = ApiVersionsResponse { api_keys, ..ApiVersionsResponse::default() };
    if call.version >= 3 {
        response.supported_features = features::all()
            .filter(|feature| feature.min > 0 || call.version >= MIN_ZERO_FROM)
            .map(|feature| SupportedFeatureKey {
                name: feature.name.into(),
                min_version: feature.min,
                max_version: feature.max,
            })
            .collect();
        response.finalized_features = features::all()
            .map(|feature| FinalizedFeatureKey {
                name: feature.name.into(),
                max_version_level: feature.max,
                min_version_level: feature.max,
            })
            .collect();
        response.finalized_features_epoch = i64::try_from(call.image().version()).unwrap_or(i64::MAX);
    }
    response
}

/// The answer to a version this broker does not know, to be encoded in version 0: the versions of this API
/// alone, as Kafka has it.
pub(crate) fn unsupported(call: &Call) -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: call.code(ErrorCode::UnsupportedVersion),
        api_keys: served().into_iter().filter(|api| api.api_key == ApiKey::ApiVersions.code()).collect(),
        ..ApiVersionsResponse::default()
    }
}

fn served() -> Vec<ApiVersion> {
    let mut keys: Vec<ApiVersion> = SERVED
        .iter()
        .map(|api| ApiVersion {
            api_key: api.key.code(),
            // librdkafka compresses only for brokers that claim Produce 0, so Kafka claims it and refuses it.
            min_version: if api.key == ApiKey::Produce { 0 } else { api.min },
            max_version: api.max,
        })
        .collect();
    keys.sort_by_key(|api| api.api_key);
    keys
}

/// Telemetry is advertised while there is a subscription, as Kafka advertises it while it has a receiver: clients would ask
/// for nothing, and some say so on the user's terminal.
fn is_telemetry(api: &ApiVersion) -> bool {
    [ApiKey::GetTelemetrySubscriptions, ApiKey::PushTelemetry].iter().any(|key| key.code() == api.api_key)
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?` (KIP-511).
fn is_software_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let edge = |c: char| c.is_ascii_alphanumeric();
    name.starts_with(edge) && name.ends_with(edge) && name.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_follow_kip_511() {
        for good in ["a", "librdkafka", "apache-kafka-java", "2.15.0", "a.b-c9"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "ä", "."] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }

    #[test]
    fn produce_is_advertised_from_zero_r_1_1() {
        let produce = served().into_iter().find(|api| api.api_key == 0).unwrap();
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
    }
}
