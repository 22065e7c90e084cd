//! `eddy topic`: list, create, describe, alter, delete, trim, analyze.

use clap::{Args, Subcommand};

use crate::Context;
use crate::error::CliError;

mod list;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: TopicCommand,
}

#[derive(Debug, Subcommand)]
enum TopicCommand {
    /// List topics
    #[command(visible_alias = "list")]
    Ls(list::Arguments),
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    match arguments.command {
        TopicCommand::Ls(arguments) => list::run(context, &arguments).await,
    }
}
