//! UnregisterBroker, key 64, version 0 (KIP-631): a broker leaves the cluster for good.
//!
//! A dead one whatever it held, a living one only when it holds nothing: Kafka's controller asks no such question, and the
//! partitions of a broker that was unregistered by mistake are lost to it until it is started again.

use eddy_metadata::Image;
use eddy_metadata::controller::{DrainError, Removal, remove_broker};
use eddy_types::{BrokerId, ErrorCode};
use eddy_wire::ApiKey;
use eddy_wire::messages::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::Api;
use crate::call::Call;
use crate::error::change_code;

pub(crate) const API: Api = Api::new(ApiKey::UnregisterBroker, 0, 0);

/// Why a broker stays.
#[derive(Debug, thiserror::Error)]
enum Stays {
    #[error(transparent)]
    Rule(#[from] DrainError),
    #[error("the only broker cannot be unregistered: {0}")]
    OnlyOne(BrokerId),
}

pub(crate) async fn handle(call: Call, request: UnregisterBrokerRequest) -> UnregisterBrokerResponse {
    let broker = BrokerId(request.broker_id);
    let changed = call.ctx.engine.quorum().change(|image| decide(image, broker)).await;
    let (code, message) = match changed {
        Ok(()) => (ErrorCode::None, None),
        Err(error) => {
            let (code, message) = change_code(error, |stays: Stays| (code(&stays), stays.to_string()));
            (code, Some(message.into()))
        }
    };
    UnregisterBrokerResponse {
        error_code: call.code(code),
        error_message: message,
        ..UnregisterBrokerResponse::default()
    }
}

fn decide(image: &Image, broker: BrokerId) -> Result<(Vec<eddy_metadata::Record>, ()), Stays> {
    let is_fenced = image.broker(broker).is_some_and(|broker| broker.fenced);
    if image.broker(broker).is_some() && !image.alive_brokers().any(|other| other.id != broker) {
        return Err(Stays::OnlyOne(broker));
    }
    let removal = if is_fenced { Removal::WhenDead } else { Removal::WhenEmpty };
    Ok((remove_broker(image, broker, removal)?, ()))
}

fn code(stays: &Stays) -> ErrorCode {
    match stays {
        Stays::Rule(error) => error.code(),
        Stays::OnlyOne(_) => ErrorCode::InvalidRequest,
    }
}
