//! UnregisterBroker, key 64, version 0 (KIP-631).

use eddy_types::{BrokerId, ErrorCode};
use eddy_wire::ApiKey;
use eddy_wire::messages::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::Api;
use crate::call::Call;

pub(crate) const API: Api = Api::new(ApiKey::UnregisterBroker, 0, 0);

pub(crate) async fn handle(call: Call, request: UnregisterBrokerRequest) -> UnregisterBrokerResponse {
    let broker = BrokerId(request.broker_id);
    let (code, message) = match call.image().broker(broker) {
        None => (ErrorCode::BrokerIdNotRegistered, format!("broker is not registered: {broker}")),
        // Without it the cluster would have no broker left.
        Some(_) => (ErrorCode::InvalidRequest, format!("the only broker cannot be unregistered: {broker}")),
    };
    UnregisterBrokerResponse {
        error_code: call.code(code),
        error_message: Some(message.into()),
        ..UnregisterBrokerResponse::default()
    }
}
