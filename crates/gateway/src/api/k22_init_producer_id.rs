//! InitProducerId, key 22, versions 0–5.
//!
//! v2 flexible · v3 id and epoch to recover (KIP-360) · v4 PRODUCER_FENCED (KIP-588) · v5 transaction protocol 2 (KIP-890)
//!
//! Idempotent producers get an id nobody has had. Transactional ids are refused: no coordinator is there.

use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::InitProducerId, 0, 5);

pub(crate) async fn handle(call: Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
    match producer_id(&call, &request).await {
        Ok(producer_id) => {
            InitProducerIdResponse { producer_id, producer_epoch: 0, ..InitProducerIdResponse::default() }
        }
        Err(code) => InitProducerIdResponse {
            error_code: call.code(code),
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdResponse::default()
        },
    }
}

async fn producer_id(call: &Call, request: &InitProducerIdRequest) -> Result<i64, ErrorCode> {
    // An id without an epoch, or the other way round, names nobody.
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return Err(ErrorCode::InvalidRequest);
    }
    match request.transactional_id.as_deref() {
        None => {}
        //
        Some("") => return Err(ErrorCode::InvalidRequest),
        Some(_) => return Err(ErrorCode::CoordinatorNotAvailable),
    }
    match call.ctx.engine.new_producer_id().await {
        Ok(id) => Ok(id.0),
        Err(error) => {
            tracing::warn!(%error, "cannot allocate producer ids");
            // Clients retry this one; they take an unknown server error for fatal.
            Err(ErrorCode::CoordinatorNotAvailable)
        }
    }
}
