//! GetTelemetrySubscriptions, key 71, version 0 (KIP-714).

use eddy_types::ErrorCode;
use eddy_wire::messages::get_telemetry_subscriptions::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
};
use eddy_wire::{ApiKey, Str, Uuid};

use super::Api;
use crate::call::Call;
use crate::telemetry::{CODECS, InstanceId, is_reserved};

pub(crate) const API: Api = Api::new(ApiKey::GetTelemetrySubscriptions, 0, 0);

pub(crate) async fn handle(
    call: Call,
    request: GetTelemetrySubscriptionsRequest,
) -> GetTelemetrySubscriptionsResponse {
    let image = call.image();
    let subscribed = instance(request.client_instance_id).and_then(|id| {
        let software = call.connection.software();
        let subscription = call.ctx.telemetry.subscribe(&image, id, &call.client_facts(&software))?;
        Ok((id, subscription))
    });
    let (id, subscription) = match subscribed {
        Ok(subscribed) => subscribed,
        Err(code) => {
            return GetTelemetrySubscriptionsResponse {
                error_code: call.code(code),
                ..GetTelemetrySubscriptionsResponse::default()
            };
        }
    };
    GetTelemetrySubscriptionsResponse {
        client_instance_id: Uuid(id),
        subscription_id: subscription.id,
        accepted_compression_types: CODECS.iter().map(|&codec| codec as i8).collect(),
        push_interval_ms: subscription.push_interval_ms,
        telemetry_max_bytes: i32::try_from(image.broker_config().telemetry_max_bytes).unwrap_or(i32::MAX),
        // Each push replaces the one before, so it must say the whole.
        delta_temporality: false,
        requested_metrics: subscription.metrics.iter().map(|metric| Str::from(metric.as_str())).collect(),
        ..GetTelemetrySubscriptionsResponse::default()
    }
}

/// The id that a client says it has, or a new one.
fn instance(Uuid(id): Uuid) -> Result<InstanceId, ErrorCode> {
    if !is_reserved(id) {
        return Ok(id);
    }
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| {
        tracing::error!(%error, "no random numbers for a client instance id");
        ErrorCode::UnknownServerError
    })?;
    Ok(id)
}
