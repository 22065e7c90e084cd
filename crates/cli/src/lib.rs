//! The command line over the Kafka protocol.
//!
//! Every command talks plain Kafka protocol, so that it works against Apache Kafka as well; only searches go over a broker's HTTP port. The binary parses a [`Command`], lends its
//! [`Host`] and calls [`run`]; nothing here reads the environment or opens files itself.
//!
//! Rules for a command: it takes a [`Context`], talks through [`Brokers`], prints through [`Printer`], and fails with [`CliError`],
//! which decides the exit code.

#![deny(clippy::indexing_slicing)]

mod address;
mod bench;
mod brokers;
mod cluster;
mod config;
mod confirm;
mod consume;
mod context;
mod doctor;
mod error;
mod explain;
mod generate;
mod global;
mod group;
mod http;
mod jsonl;
mod moment;
mod output;
mod positions;
mod produce;
mod profile;
mod record;
mod search;
mod select;
mod selection;
mod topic;
mod words;

use std::process::ExitCode;

use clap::{Args, Subcommand};

pub(crate) use address::Address;
pub(crate) use brokers::{Brokers, Partition, To, Topic};
pub use config::{ConfigCommand, run_config};
pub(crate) use context::Context;
pub use context::Host;
pub(crate) use error::{CliError, Exit};
pub use explain::OwnCode;
pub(crate) use global::{Color, Format, Global};
pub(crate) use output::{Cell, Column, Printer};

/// A command of a client.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write records to a topic
    Produce(Invocation<produce::Arguments>),
    /// Print records of topics
    Consume(Invocation<consume::Arguments>),
    /// Print the last records of topics, and what comes after them
    Tail(Invocation<consume::tail::Arguments>),
    /// Find records by what is in them, in topics with search.enable=true
    Search(Invocation<search::Arguments>),
    /// List, create, describe, alter and delete topics
    Topic(Invocation<topic::Arguments>),
    /// List, describe, explain, move and delete groups of consumers
    Group(Invocation<group::Arguments>),
    /// Show health, brokers and quorum of the cluster; move leaders and replicas
    Cluster(Invocation<cluster::Arguments>),
    /// Measure a cluster under load: rates, latencies, loss
    Bench(Invocation<bench::Arguments>),
    /// Find out whether this machine can work with a cluster, and what is in the way
    Doctor(Invocation<doctor::Arguments>),
    /// Say what an error code means and what to do
    Explain(Invocation<explain::Arguments>),
    /// List, choose, add and change profiles of clusters
    Profile(Invocation<profile::command::Arguments>),
    /// Print shell completions or manual pages
    Generate(Invocation<generate::Arguments>),
    /// Print completions for a shell
    #[command(hide = true)]
    Completions(Invocation<generate::ShellArguments>),
}

impl Command {
    /// Whether the command has work for every core, rather than requests to wait for.
    #[must_use]
    pub fn is_load(&self) -> bool {
        matches!(self, Command::Bench(_))
    }
}

/// A command's own arguments, and those that all commands share.
#[derive(Debug, Args)]
pub struct Invocation<T: Args> {
    #[command(flatten)]
    arguments: T,
    #[command(flatten)]
    global: Global,
}

impl<T: Args> Invocation<T> {
    fn printer(&self) -> Printer {
        Printer::stdout(self.global.output.unwrap_or_default(), self.global.color)
    }
}

/// Runs a command to its end. What it found is on stdout, why it failed on stderr.
pub async fn run(host: Host, command: Command) -> ExitCode {
    let outcome = match command {
        Command::Produce(call) => start(host, call, produce::run).await,
        Command::Consume(call) => start(host, call, consume::run).await,
        Command::Tail(call) => start(host, call, consume::tail::run).await,
        Command::Search(call) => start(host, call, search::run).await,
        Command::Topic(call) => start(host, call, topic::run).await,
        Command::Group(call) => start(host, call, group::run).await,
        Command::Cluster(call) => start(host, call, cluster::run).await,
        Command::Bench(call) => start(host, call, bench::run).await,
        Command::Doctor(call) => start(host, call, doctor::run).await,
        // These ask no broker, and work whatever the profiles say.
        Command::Explain(call) => explain::run(&call.printer(), &(host.codes)(), &call.arguments),
        Command::Profile(call) => profile::command::run(&call.printer(), &host, &call.global, call.arguments),
        Command::Generate(call) => generate::run(&call.printer(), &host, call.arguments),
        Command::Completions(call) => generate::completions(&call.printer(), &host, &call.arguments),
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
