//! Configuration resources as the protocol numbers them, and the two requests that alter them.

use eddy_metadata::Image;
use eddy_metadata::controller::{self, AlterConfigsError, ConfigChange, ConfigTarget, check_topic_name};
use eddy_types::{BrokerId, ErrorCode};
use eddy_wire::Str;

use crate::call::Call;
use crate::error::change_code;
use crate::loggers;

/// Resource type of topics.
pub(crate) const TOPIC: i8 = 2;
/// Resource type of brokers; the empty name means all of them.
pub(crate) const BROKER: i8 = 4;
/// Resource type of a broker's loggers.
pub(crate) const BROKER_LOGGER: i8 = 8;
/// Resource type of subscriptions to client metrics (KIP-714).
pub(crate) const CLIENT_METRICS: i8 = 16;
/// Resource type of groups.
pub(crate) const GROUP: i8 = 32;

/// Why a request for one resource is refused.
pub(crate) type Refusal = (ErrorCode, String);

/// One resource of a request to alter configurations.
pub(crate) struct Alteration {
    pub(crate) resource_type: i8,
    pub(crate) name: Str,
    pub(crate) what: Result<What, Refusal>,
}

/// What is done to the resource.
pub(crate) enum What {
    /// All its overrides are replaced by these (AlterConfigs).
    Replace(Vec<(String, Option<String>)>),
    /// Single keys are changed (IncrementalAlterConfigs).
    Change(Vec<ConfigChange>),
}

/// What became of one resource, in the shape that both responses have.
pub(crate) struct Altered {
    pub(crate) code: i16,
    pub(crate) message: Option<Str>,
    pub(crate) resource_type: i8,
    pub(crate) name: Str,
}

/// Alters each resource, whole or not at all, and independently of the others.
pub(crate) async fn alter_all(
    call: &Call,
    alterations: Vec<Alteration>,
    validate_only: bool,
) -> Vec<Altered> {
    let mut altered = Vec::with_capacity(alterations.len());
    for one in &alterations {
        let same = |other: &&Alteration| (other.resource_type, &other.name) == (one.resource_type, &one.name);
        let outcome = if alterations.iter().filter(same).count() > 1 {
            Err((ErrorCode::InvalidRequest, "Each resource must appear at most once.".to_owned()))
        } else {
            alter(call, one, validate_only).await
        };
        let (code, message) = match outcome {
            Ok(()) => (ErrorCode::None, None),
            Err((code, message)) => (code, Some(Str::from(message))),
        };
        altered.push(Altered {
            code: call.code(code),
            message,
            resource_type: one.resource_type,
            name: one.name.clone(),
        });
    }
    altered
}

async fn alter(call: &Call, one: &Alteration, validate_only: bool) -> Result<(), Refusal> {
    let me = call.ctx.engine.me();
    let what = one.what.as_ref().map_err(Clone::clone)?;
    if one.resource_type == BROKER_LOGGER {
        let What::Change(changes) = what else {
            let sentence = "levels of loggers are changed one by one, by IncrementalAlterConfigs";
            return Err((ErrorCode::InvalidRequest, sentence.to_owned()));
        };
        this_broker(me, &one.name)?;
        return loggers::alter(call.ctx.settings.loggers.as_ref(), changes, validate_only);
    }
    let target = target(&call.image(), one.resource_type, &one.name)?;
    let decide = |image: &_| {
        let records = match what {
            What::Replace(entries) => controller::replace_configs(image, &target, entries),
            What::Change(changes) => controller::alter_configs(image, &target, changes),
        }?;
        Ok((if validate_only { Vec::new() } else { records }, ()))
    };
    let changed = call.ctx.engine.quorum().change(decide).await;
    changed.map_err(|error| {
        change_code(error, |refused: AlterConfigsError| (refused.code(), refused.to_string()))
    })
}

/// What a request to alter configurations means.
fn target(image: &Image, resource_type: i8, name: &str) -> Result<ConfigTarget, Refusal> {
    let refused = |sentence: &str| Err((ErrorCode::InvalidRequest, sentence.to_owned()));
    match resource_type {
        TOPIC if name.is_empty() => refused("Default topic resources are not allowed."),
        TOPIC => topic_name(name).map(|()| ConfigTarget::Topic(name.to_owned())),
        BROKER if name.is_empty() => Ok(ConfigTarget::BrokerDefault),
        // Kafka wants to be asked at the broker itself; what is kept for it is kept in the metadata, and any broker gets there.
        BROKER => registered(image, name).map(ConfigTarget::Broker),
        CLIENT_METRICS if name.is_empty() => refused("Subscription name can't be empty"),
        CLIENT_METRICS => Ok(ConfigTarget::ClientMetrics(name.to_owned())),
        GROUP if name.is_empty() => refused("Default group resources are not allowed."),
        GROUP => Ok(ConfigTarget::Group(name.to_owned())),
        other => refused(&format!("configurations of resource type {other} cannot be altered")),
    }
}

/// Checks that a name is this broker's: what a broker has in its file, and how it logs, only it can tell and change.
///
/// # Errors
/// The name is not a number, or another broker's: INVALID_REQUEST.
pub(crate) fn this_broker(me: BrokerId, name: &str) -> Result<(), Refusal> {
    let broker = broker_id(name)?;
    if broker == me {
        return Ok(());
    }
    Err((ErrorCode::InvalidRequest, format!("this is broker {me}, ask broker {broker}")))
}

/// The broker that a name is the id of.
fn registered(image: &Image, name: &str) -> Result<BrokerId, Refusal> {
    let broker = broker_id(name)?;
    let unknown = || (ErrorCode::InvalidRequest, format!("no such broker: {broker}"));
    image.broker(broker).map(|known| known.id).ok_or_else(unknown)
}

fn broker_id(name: &str) -> Result<BrokerId, Refusal> {
    let refused = |_| (ErrorCode::InvalidRequest, format!("not a broker id: {name:?}"));
    name.parse().map(BrokerId).map_err(refused)
}

/// Checks that a name may be a topic's.
///
/// # Errors
/// INVALID_TOPIC_EXCEPTION.
pub(crate) fn topic_name(name: &str) -> Result<(), Refusal> {
    check_topic_name(name).map_err(|error| (error.code(), error.to_string()))
}
