//! `eddy bench`: load for a Kafka broker, whoever made it, and how it fared.
//!
//! A run is a [`course`]: clients warm up, are measured, and stop when the time is over, when all is done, when one of them meets trouble
//! or when the user interrupts. It is reported in every case, with what ended it. Each client has a connection of its own; nothing is
//! sent again, so that no retry hides in a latency.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::Context;
use crate::error::{CliError, Exit};

mod compare;
mod consume;
mod counts;
mod course;
mod cpu;
mod e2e;
mod ledger;
mod options;
mod payload;
mod produce;
mod producer;
mod producers;
mod progress;
mod report;
mod schedule;
mod target;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Write records: at a rate, one after the other, or as many as go
    Produce(produce::Arguments),
    /// Read topics as fast as it goes, or at a rate
    Consume(consume::Arguments),
    /// Write and read at the same time: how long records take from producer to consumer
    E2e(e2e::Arguments),
    /// Write to several clusters in turn: their figures, and what may be said of the difference
    Compare(compare::Arguments),
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    match arguments.command {
        BenchCommand::Produce(arguments) => produce::run(context, arguments).await,
        BenchCommand::Consume(arguments) => consume::run(context, arguments).await,
        BenchCommand::E2e(arguments) => e2e::run(context, arguments).await,
        BenchCommand::Compare(arguments) => compare::run(context, arguments).await,
    }
}

/// For a leader to be replaced under a consumer: a bench does not wait long for brokers that are gone.
const FETCH_PATIENCE: Duration = Duration::from_secs(3);
/// Of clients that were told to stop: for what they have under way.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

fn failed(what: impl Into<String>) -> CliError {
    CliError::new(Exit::Failed, what)
}
