//! One binary: broker, command line, local clusters.
//!
//! `serve` runs one broker; `up` and `down` run a local cluster of ordinary `serve` processes. This crate alone reads the
//! environment and the command line, and alone decides in which order a broker starts and stops (`boot`).

mod args;
mod boot;
mod codes;
mod config;
mod data_dir;
mod derived;
mod failure;
mod host;
mod limits;
mod listeners;
mod logging;
mod metrics;
mod panics;
mod port_holder;
mod serve;
mod signals;
mod start_error;
mod up;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, ConfigCommand};
use failure::Failure;

/// Buffers of many sizes come and go on the produce path; this allocator reuses them without going to the kernel. Without huge
/// pages (feature `no_thp`): with them a freed page stays resident as long as its two mebibytes have one in use, which made the
/// broker half as large again, and the rate was the same.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::serve(&args).map(|()| ExitCode::SUCCESS),
        Command::Up(args) => up::up(&args).map(up::Outcome::exit_code),
        Command::Down(args) => up::down(&args).map(|()| ExitCode::SUCCESS),
        Command::Config(args) => config_command(args.command),
        Command::Client(command) => Ok(host::run(command)),
    };
    outcome.unwrap_or_else(|failure| report(&failure))
}

fn config_command(command: ConfigCommand) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Own(command) => config::command::run(command),
        ConfigCommand::Cluster(command) => Ok(host::run_config(command)),
    }
}

/// The failure is the last thing on stderr.
fn report(failure: &Failure) -> ExitCode {
    eprint!("{failure}");
    failure.exit().into()
}
