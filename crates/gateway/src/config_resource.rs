//! Configuration resources as the protocol numbers them.

use eddy_metadata::controller::ConfigTarget;
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

/// What a request to alter configurations means.
///
/// # Errors
/// A type that cannot be altered, or a name that is no broker id.
pub(crate) fn target(resource_type: i8, name: &str) -> Result<ConfigTarget, (ErrorCode, String)> {
    match resource_type {
        TOPIC => Ok(ConfigTarget::Topic(name.to_owned())),
        BROKER if name.is_empty() => Ok(ConfigTarget::BrokerDefault),
        BROKER => broker_id(name).map(ConfigTarget::Broker),
        other => Err((
            ErrorCode::InvalidRequest,
            format!("configurations of resource type {other} cannot be altered"),
        )),
    }
}
