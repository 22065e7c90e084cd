//! `eddy cluster`: health, info, brokers.

use clap::{Args, Subcommand};

use crate::Context;
use crate::error::CliError;

mod ask;
mod assess;
mod brokers;
mod facts;
mod health;
mod info;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    /// Say whether the cluster is well and what is not; exits with 3 when it is not
    Health(health::Arguments),
    /// Show the cluster's id, controller, quorum and features
    Info,
    /// List the brokers
    Brokers,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    match arguments.command {
        ClusterCommand::Health(arguments) => health::run(context, &arguments).await,
        ClusterCommand::Info => info::run(context).await,
        ClusterCommand::Brokers => brokers::run(context).await,
    }
}
