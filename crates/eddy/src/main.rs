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
mod explain;
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

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, ExplainArgs};
use codes::Exit;
use failure::Failure;

/// Buffers of many sizes come and go on the produce path; this allocator reuses them without going to the kernel.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::serve(&args).map(|()| ExitCode::SUCCESS),
        Command::Up(args) => up::up(&args).map(up::Outcome::exit_code),
        Command::Down(args) => up::down(&args).map(|()| ExitCode::SUCCESS),
        Command::Explain(args) => Ok(explain(&args)),
        Command::Client(command) => Ok(host::run(command)),
    };
    outcome.unwrap_or_else(|failure| report(&failure))
}

/// The failure is the last thing on stderr.
fn report(failure: &Failure) -> ExitCode {
    eprint!("{failure}");
    failure.exit().into()
}

fn explain(args: &ExplainArgs) -> ExitCode {
    let page = match &args.code {
        None => Some(explain::list()),
        Some(code) => explain::page(code),
    };
    let Some(page) = page else {
        eprintln!("no such code: {}", args.code.as_deref().unwrap_or_default());
        eprintln!("  fix: eddy explain   list the codes of Eddyline");
        return Exit::NotFound.into();
    };
    // A reader that closes the pipe early is content with what it got.
    std::io::stdout().write_all(page.as_bytes()).ok();
    ExitCode::SUCCESS
}
