//! `eddy config check|show|explain|convert`: the configuration of a broker before it starts.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::layers::{self, Setting};
use super::show::{Shown, show};
use super::{Examined, convert, examine, page, read_layers};
use crate::args::{Assignment, assignment};
use crate::codes::Exit;
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what is wrong with a configuration, as `eddy serve` would
    Check(Source),
    /// Print what a broker would start with
    Show(ShowArgs),
    /// Say what a key does
    Explain(ExplainArgs),
    /// Print Kafka's server.properties as a file of Eddyline's
    Convert(ConvertArgs),
}

/// Where the configuration comes from: as for `eddy serve`.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Configuration file: TOML, or Kafka's *.properties
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The same, as `eddy serve` takes it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a configuration key; goes before environment and file
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<Assignment>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    source: Source,
    /// Say where each value comes from
    #[arg(long)]
    sources: bool,
    /// Leave out what has its default
    #[arg(long)]
    non_default: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Name of the key, or Kafka's name for it
    #[arg(value_name = "KEY")]
    key: String,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// Kafka's server.properties
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Check(source) => check(&source),
        Command::Show(args) => {
            let examined = args.source.examine();
            print(&show(&examined, Shown { sources: args.sources, non_default: args.non_default }));
            ended(examined)
        }
        Command::Explain(args) => Ok(explain(&args.key)),
        Command::Convert(args) => {
            let mut problems = Vec::new();
            let settings = layers::of_file(&args.file, &mut problems);
            let examined = examine([settings, Vec::new(), Vec::new()], problems);
            print(&convert::convert(&args.file.display().to_string(), &examined));
            ended(examined)
        }
    }
}

impl Source {
    fn path(&self) -> Option<&Path> {
        self.file.as_deref().or(self.config.as_deref())
    }

    fn examine(&self) -> Examined {
        let mut problems = Vec::new();
        let flags = self.set.iter().map(Setting::of_flag).collect();
        let layers = read_layers(self.path(), flags, &mut problems);
        examine(layers, problems)
    }
}

fn check(source: &Source) -> Result<ExitCode, Failure> {
    let examined = source.examine();
    let name = source.path().map_or("environment and flags".to_owned(), |path| path.display().to_string());
    print(&convert::report(&name, &examined));
    ended(examined)
}

/// What is wrong is the last thing on stderr.
fn ended(examined: Examined) -> Result<ExitCode, Failure> {
    Failure::all(examined.problems).map_or(Ok(ExitCode::SUCCESS), Err)
}

fn explain(key: &str) -> ExitCode {
    if let Some(page) = page::page(key) {
        print(&page);
        return ExitCode::SUCCESS;
    }
    eprintln!("no such key: {key}");
    if let Some(meant) = page::suggestion(key) {
        eprintln!("  fix: eddy config explain {meant}   did you mean it?");
    }
    Exit::NotFound.into()
}

/// A reader that closes the pipe early is content with what it got.
fn print(text: &str) {
    std::io::stdout().write_all(text.as_bytes()).ok();
}
