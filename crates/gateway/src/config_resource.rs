//! Configuration resources as the protocol numbers them.

use eddy_metadata::controller::{ConfigTarget, check_topic_name};
use eddy_types::{BrokerId, ErrorCode};

/// Resource type of topics.
pub(crate) const TOPIC: i8 = 2;
/// Resource type of brokers; the empty name means all of them.
pub(crate) const BROKER: i8 = 4;

/// The broker that a resource names.
///
/// # Errors
/// The name is not a number: INVALID_REQUEST.
pub(crate) fn broker_id(name: &str) -> Result<BrokerId, (ErrorCode, String)> {
    name.parse().map(BrokerId).map_err(|_| (ErrorCode::InvalidRequest, format!("not a broker id: {name:?}")))
}

/// A broker's configuration is read and changed at that broker.
pub(crate) fn other_broker(me: BrokerId, asked: BrokerId) -> (ErrorCode, String) {
    (ErrorCode::InvalidRequest, format!("this is broker {me}, ask broker {asked}"))
}

/// Checks that a name may be a topic's.
///
/// # Errors
/// INVALID_TOPIC_EXCEPTION.
pub(crate) fn topic_name(name: &str) -> Result<(), (ErrorCode, String)> {
    check_topic_name(name).map_err(|error| (error.code(), error.to_string()))
}

/// What a request to alter configurations means.
///
/// # Errors
/// A type that cannot be altered, or a name that is no topic's and no id of this broker, `me`.
pub(crate) fn target(
    me: BrokerId,
    resource_type: i8,
    name: &str,
) -> Result<ConfigTarget, (ErrorCode, String)> {
    match resource_type {
        TOPIC if name.is_empty() => {
            Err((ErrorCode::InvalidRequest, "there are no defaults for all topics".to_owned()))
        }
        TOPIC => topic_name(name).map(|()| ConfigTarget::Topic(name.to_owned())),
        BROKER if name.is_empty() => Ok(ConfigTarget::BrokerDefault),
        BROKER => match broker_id(name)? {
            broker if broker == me => Ok(ConfigTarget::Broker(broker)),
            broker => Err(other_broker(me, broker)),
        },
        other => Err((
            ErrorCode::InvalidRequest,
            format!("configurations of resource type {other} cannot be altered"),
        )),
    }
}
