//! The rates of brokers, as their own configuration has them.

use super::RATE_KEYS;
use super::rate::Rate;
use crate::Context;
use crate::brokers::Brokers;
use crate::config::{Change, Kind, Operation, Resource, Setting, Source, alter, settings};
use crate::error::CliError;

fn resource(broker: i32) -> Resource {
    Resource { kind: Kind::Broker, name: broker.to_string() }
}

/// What is set on a broker: not what its file or a setting of all brokers says.
pub(super) async fn of(brokers: &Brokers, broker: i32) -> Result<Vec<Setting>, CliError> {
    let keys: Vec<String> = RATE_KEYS.into_iter().map(str::to_owned).collect();
    let mut found = settings(brokers, &resource(broker), Some(&keys), false).await?;
    found.retain(|setting| setting.source == Source::Broker);
    Ok(found)
}

/// Sets both rates of a broker. Says what they were, for that is gone afterwards.
pub(super) async fn set(context: &Context, broker: i32, rate: Rate) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    for before in of(brokers, broker).await? {
        let value = before.value.unwrap_or_default();
        if value != rate.text() {
            let key = before.key;
            context.note(format_args!("broker {broker} had {key}={value}, which is gone with this"));
        }
    }
    change(brokers, broker, Operation::Set, rate.text()).await
}

/// Gives both rates of a broker back their default.
pub(super) async fn unset(brokers: &Brokers, broker: i32) -> Result<(), CliError> {
    change(brokers, broker, Operation::Unset, String::new()).await
}

async fn change(brokers: &Brokers, broker: i32, operation: Operation, value: String) -> Result<(), CliError> {
    let change = |key: &str| Change { key: key.to_owned(), operation, value: value.clone() };
    alter(brokers, &resource(broker), &RATE_KEYS.map(change), false).await
}
