//! `eddy group`: list, describe, explain, seek, undo, delete.

use clap::{Args, Subcommand};

use crate::Context;
use crate::error::CliError;

mod ask;
mod carry_out;
mod delete;
mod describe;
mod diagnosis;
mod explain;
mod list;
mod members;
mod model;
mod offsets;
mod plan;
mod seek;
mod target;
mod undo;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: GroupCommand,
}

#[derive(Debug, Subcommand)]
enum GroupCommand {
    /// List groups
    #[command(visible_alias = "list")]
    Ls(list::Arguments),
    /// Show members, offsets, and lag in records and in time
    Describe(describe::Arguments),
    /// Say whether a group keeps up, why not, and what to do
    Explain(explain::Arguments),
    /// Move a group to other offsets; shows what would change unless --execute
    Seek(seek::Arguments),
    /// Take back the last change of offsets made from here; shows it unless --execute
    Undo(undo::Arguments),
    /// Delete groups, or their offsets of some topics
    #[command(visible_alias = "rm")]
    Delete(delete::Arguments),
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    match arguments.command {
        GroupCommand::Ls(arguments) => list::run(context, &arguments).await,
        GroupCommand::Describe(arguments) => describe::run(context, &arguments).await,
        GroupCommand::Explain(arguments) => explain::run(context, &arguments).await,
        GroupCommand::Seek(arguments) => seek::run(context, &arguments).await,
        GroupCommand::Undo(arguments) => undo::run(context, &arguments).await,
        GroupCommand::Delete(arguments) => delete::run(context, &arguments).await,
    }
}
