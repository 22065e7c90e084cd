//! `eddy cluster drain`.

use super::plan::{self, PlanError};
use super::reassign::carry_out;
use crate::Context;
use crate::brokers::Cluster;
use crate::error::{CliError, Exit};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The broker to empty
    #[arg(value_name = "ID")]
    broker: i32,
    /// Do it, in place of saying what would be done
    #[arg(long)]
    execute: bool,
    /// Wait until the broker holds nothing any more, as long as --timeout allows
    #[arg(long, requires = "execute")]
    wait: bool,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CliError> {
    let cluster = context.brokers().await?.cluster(None).await?;
    let moves = moves(&cluster, arguments.broker)?;
    if moves.is_empty() {
        context.note(format_args!("broker {} holds nothing", arguments.broker));
    }
    carry_out(context, moves, arguments.execute, arguments.wait).await
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
