//! PushTelemetry, key 72, version 0 (KIP-714).

use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::push_telemetry::{PushTelemetryRequest, PushTelemetryResponse};

use super::Api;
use crate::call::Call;
use crate::telemetry::{Push, is_reserved};

pub(crate) const API: Api = Api::new(ApiKey::PushTelemetry, 0, 0);

pub(crate) async fn handle(call: Call, request: PushTelemetryRequest) -> PushTelemetryResponse {
    let id = request.client_instance_id.0;
    let push = Push {
        subscription_id: request.subscription_id,
        terminating: request.terminating,
        codec: request.compression_type,
    };
    let code = if is_reserved(id) {
        ErrorCode::InvalidRequest
    } else {
        let software = call.connection.software();
        let client = call.client_facts(&software);
        let taken = call.ctx.telemetry.push(&call.image(), id, &client, &push, &request.metrics);
        taken.err().unwrap_or(ErrorCode::None)
    };
    PushTelemetryResponse { error_code: call.code(code), ..PushTelemetryResponse::default() }
}
