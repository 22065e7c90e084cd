//! `eddy cluster drain`.

use super::execution::{Execution, carry_out};
use super::plan::{self, PlanError};
use crate::Context;
use crate::brokers::Cluster;
use crate::error::{CliError, Exit};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The broker to empty
    #[arg(value_name = "ID")]
    broker: i32,
    #[command(flatten)]
    how: Execution,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let cluster = context.brokers().await?.cluster(None).await?;
    let moves = moves(&cluster, arguments.broker)?;
    if moves.is_empty() {
        context.note(format_args!("broker {} holds nothing", arguments.broker));
    }
    carry_out(context, moves, arguments.how).await
}

/// What empties a broker.
///
/// # Errors
/// The others cannot take its replicas.
pub(super) fn moves(cluster: &Cluster, broker: i32) -> Result<Vec<plan::Move>, CliError> {
    plan::away_from(cluster, broker).map_err(|error| {
        let PlanError::TooFewBrokers { .. } = &error;
        CliError::new(Exit::Failed, error.to_string())
            .fact("nothing was changed")
            .fix("eddy cluster brokers", "see who is there; add a broker first")
    })
}
