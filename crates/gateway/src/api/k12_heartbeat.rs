//! Heartbeat, key 12, versions 0–4.
//!
//! v1 throttle time · v3 static members (KIP-345) · v4 flexible

use std::future::Future;

use eddy_core::group::Heartbeat;
use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::Api;
use crate::call::Call;
use crate::groups::{self, optional, text};

pub(crate) const API: Api = Api::new(ApiKey::Heartbeat, 0, 4);

pub(crate) async fn begin(
    call: Call,
    request: HeartbeatRequest,
) -> impl Future<Output = HeartbeatResponse> + Send + 'static {
    let heartbeat = Heartbeat {
        group: text(&request.group_id),
        member: text(&request.member_id),
        instance: optional(request.group_instance_id.as_ref()),
        generation: request.generation_id,
    };
    let asked = call.ctx.groups.heartbeat(heartbeat).await;
    drop(request);
    async move {
        let code = match groups::answer(asked).await {
            Ok(Ok(())) => ErrorCode::None,
            // A member whose group is being loaded is taken for alive, as in Kafka: clients know no such code here.
            Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
            Ok(Err(code)) | Err(code) => code,
        };
        HeartbeatResponse { error_code: call.code(code), ..HeartbeatResponse::default() }
    }
}
