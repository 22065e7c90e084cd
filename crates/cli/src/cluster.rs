//! `eddy cluster`: what a cluster is like, and moving leaders and replicas in it.

use clap::{Args, Subcommand};

use crate::Context;
use crate::error::CliError;

mod ask;
mod assess;
mod brokers;
mod decommission;
mod drain;
mod execution;
mod facts;
mod health;
mod info;
mod leaders;
mod moving;
mod partitions;
mod plan;
mod quorum;
mod reassign;
mod throttle;

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
    /// List partitions with their leaders and replicas
    Partitions(partitions::Arguments),
    /// Show how leaderships are spread; elect leaders
    Leaders(leaders::Arguments),
    /// Show who keeps the metadata, and how far each one is
    Quorum,
    /// Move replicas between brokers, or show what moves; without --execute only says what it would do
    Reassign(reassign::Arguments),
    /// Move every replica away from a broker; without --execute only says what it would do
    Drain(drain::Arguments),
    /// Drain a broker and take it out of the cluster for good
    Decommission(decommission::Arguments),
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    match arguments.command {
        ClusterCommand::Health(arguments) => health::run(context, &arguments).await,
        ClusterCommand::Info => info::run(context).await,
        ClusterCommand::Brokers => brokers::run(context).await,
        ClusterCommand::Partitions(arguments) => partitions::run(context, &arguments).await,
        ClusterCommand::Leaders(arguments) => leaders::run(context, &arguments).await,
        ClusterCommand::Quorum => quorum::run(context).await,
        ClusterCommand::Reassign(arguments) => reassign::run(context, &arguments).await,
        ClusterCommand::Drain(arguments) => drain::run(context, &arguments).await,
        ClusterCommand::Decommission(arguments) => decommission::run(context, &arguments).await,
    }
}
