//! UnregisterBroker, key 64, version 0 (KIP-631): a broker leaves the cluster for good.
//!
//! A dead one whatever it held, a living one only when it holds nothing: Kafka's controller asks no such question, and the
//! partitions of a broker that was unregistered by mistake are lost to it until it is started again. A dead one loses its vote in the
//! metadata group too, or it would count as a member that is missing for ever.

use eddy_metadata::Image;
use eddy_metadata::controller::{DrainError, Removal, remove_broker};
use eddy_types::{BrokerId, ErrorCode};
use eddy_wire::messages::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use eddy_wire::{ApiKey, Str};

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
    let (code, message) = match unregister(&call, broker).await {
        Ok(()) => (ErrorCode::None, None),
        Err((code, message)) => (code, Some(message)),
    };
    UnregisterBrokerResponse {
        error_code: call.code(code),
        error_message: message.map(Str::from),
        ..UnregisterBrokerResponse::default()
    }
}

async fn unregister(call: &Call, broker: BrokerId) -> Result<(), (ErrorCode, String)> {
    let refused = |stays: Stays| (code(&stays), stays.to_string());
    let quorum = call.ctx.engine.quorum();
    let image = call.image();
    // What is refused shall not cost it its vote.
    decide(&image, broker).map_err(refused)?;
    let status = quorum.status();
    let is_member = status.voters.iter().chain(&status.learners).any(|member| member.broker == broker);
    if is_member && image.broker(broker).is_some_and(|broker| broker.fenced) {
        let removed = quorum.remove_member(broker).await;
        removed.map_err(|error| (ErrorCode::RequestTimedOut, error.to_string()))?;
    }
    let changed = quorum.change(|image| decide(image, broker)).await;
    changed.map_err(|error| change_code(error, refused))
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
