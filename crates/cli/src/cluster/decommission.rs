//! `eddy cluster decommission`.

use eddy_client::accepted;
use eddy_client::messages::{ApiKey, UnregisterBrokerRequest};
use eddy_types::BrokerId;

use super::execution::{self, Execution};
use super::throttle::Rate;
use super::{ask, drain};
use crate::Context;
use crate::brokers::To;
use crate::error::{CliError, Exit};
use crate::words::plural;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The broker to take out
    #[arg(value_name = "ID")]
    broker: i32,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Hold what each broker copies to a rate, such as 10MiB/s or 50000000
    #[arg(long, value_name = "RATE")]
    throttle: Option<Rate>,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let broker = arguments.broker;
    let brokers = context.brokers().await?;
    let cluster = brokers.cluster(None).await?;
    let listed = ask::list(brokers, &cluster).await?;
    if !listed.iter().any(|one| one.id == broker) {
        return Err(CliError::not_found(format!("no such broker: {broker}"))
            .fix("eddy cluster brokers", "list the brokers"));
    }
    let moves = drain::moves(&cluster, broker)?;
    let replicas = plural(moves.len(), "replica");
    context.confirm(
        &format!("move {replicas} away from broker {broker} and take it out of the cluster"),
        &broker.to_string(),
        arguments.yes,
    )?;
    if !moves.is_empty() {
        let how = Execution { execute: true, wait: true, throttle: arguments.throttle };
        execution::make(context, &moves, how).await?;
    }
    context.note(format_args!("broker {broker} holds nothing any more"));
    let is_alive = cluster.nodes.iter().any(|node| node.id == BrokerId(broker));
    if is_alive {
        context
            .note(format_args!("stop the process of broker {broker}; it is taken out as soon as it is gone"));
        wait_until_gone(context, broker).await?;
    }
    let request = UnregisterBrokerRequest::default().with_broker_id(broker.into());
    brokers
        .retry(To::Controller, async |connection| {
            let answer = connection.send(&request).await?;
            let about = format!("broker {broker}");
            accepted(ApiKey::UnregisterBroker, answer.error_code, about, answer.error_message.as_deref())
        })
        .await?;
    context.note(format_args!("broker {broker} is out of the cluster"));
    Ok(())
}

/// A broker that runs would register again: it is waited for, as long as --timeout allows.
async fn wait_until_gone(context: &Context, broker: i32) -> Result<(), CliError> {
    let brokers = context.brokers().await?;
    let deadline = tokio::time::Instant::now() + context.global.timeout;
    loop {
        let cluster = brokers.cluster(None).await?;
        if !cluster.nodes.iter().any(|node| node.id == BrokerId(broker)) {
            return Ok(());
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(CliError::new(Exit::Unhealthy, format!("broker {broker} still runs"))
                .fact("it holds nothing any more, and is still a member of the cluster")
                .fix(format!("eddy cluster decommission {broker}"), "again, once it is stopped"));
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}
