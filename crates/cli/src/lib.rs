//! The command line over the Kafka protocol.
//!
//! Every command talks plain Kafka protocol, so that it works against Apache Kafka as well. The binary parses a [`Command`], lends its
//! [`Host`] and calls [`run`]; nothing here reads the environment or opens files itself.
//!
//! Rules for a command: it takes a [`Context`], talks through [`Brokers`], prints through [`Printer`], and fails with [`CliError`],
//! which decides the exit code.

#![deny(clippy::indexing_slicing)]

mod address;
mod brokers;
mod cluster;
mod confirm;
mod context;
mod error;
mod global;
mod group;
mod moment;
mod output;
mod positions;
mod profile;
mod select;
mod topic;

use std::process::ExitCode;

use clap::{Args, Subcommand};

pub use address::Address;
pub use brokers::{Brokers, Cluster, Node, Partition, To, Topic};
pub use context::{Context, Host};
pub use error::{CliError, Exit};
pub use global::{Color, Format, Global};
pub use output::{Cell, Column, Printer};

/// A command of a client.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List, create, describe, alter and delete topics
    Topic(Invocation<topic::Arguments>),
    /// List, describe, explain, move and delete groups of consumers
    Group(Invocation<group::Arguments>),
    /// Show health, brokers and quorum of the cluster
    Cluster(Invocation<cluster::Arguments>),
}

/// A command's own arguments, and those that all commands share.
#[derive(Debug, Args)]
pub struct Invocation<T: Args> {
    #[command(flatten)]
    arguments: T,
    #[command(flatten)]
    global: Global,
}

/// Runs a command to its end. What it found is on stdout, why it failed on stderr.
pub async fn run(host: Host, command: Command) -> ExitCode {
    let outcome = match command {
        Command::Topic(call) => start(host, call, topic::run).await,
        Command::Group(call) => start(host, call, group::run).await,
        Command::Cluster(call) => start(host, call, cluster::run).await,
    };
    outcome.err().map_or(ExitCode::SUCCESS, |error| error.report())
}

async fn start<T: Args>(
    host: Host,
    call: Invocation<T>,
    run: impl AsyncFnOnce(&Context, T) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let context = Context::new(host, call.global)?;
    run(&context, call.arguments).await
}
