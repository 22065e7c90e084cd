//! `eddy topic`: list, create, describe, alter, delete, trim, analyze.

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::error::{CliError, Exit};
use crate::{Column, Context};

mod alter;
mod analyze;
mod configs;
mod create;
mod delete;
mod describe;
mod list;
mod trim;

pub(crate) use create::create_missing;

/// How long a broker may take over an administrative request, in milliseconds.
const ADMIN_TIMEOUT_MS: i32 = 30_000;

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
    /// Create topics
    Create(create::Arguments),
    /// Show partitions, sizes and configuration of topics
    Describe(describe::Arguments),
    /// Change configuration or number of partitions
    Alter(alter::Arguments),
    /// Delete topics and all their records
    #[command(visible_alias = "rm")]
    Delete(delete::Arguments),
    /// Delete the oldest records of a topic
    Trim(trim::Arguments),
    /// Sample records: sizes, codecs, keys, rates, and what would make them cheaper
    Analyze(analyze::Arguments),
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Result<(), CliError> {
    match arguments.command {
        TopicCommand::Ls(arguments) => list::run(context, &arguments).await,
        TopicCommand::Create(arguments) => create::run(context, &arguments).await,
        TopicCommand::Describe(arguments) => describe::run(context, &arguments).await,
        TopicCommand::Alter(arguments) => alter::run(context, &arguments).await,
        TopicCommand::Delete(arguments) => delete::run(context, &arguments).await,
        TopicCommand::Trim(arguments) => trim::run(context, &arguments).await,
        TopicCommand::Analyze(arguments) => analyze::run(context, &arguments).await,
    }
}

/// `KEY=VALUE`; the value may be empty and hold equal signs.
fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("must be KEY=VALUE, such as retention.ms=86400000".to_owned()),
    }
}

/// Prints what was done, and says what was not: nothing at all when all failed.
fn report<T: Serialize>(
    context: &Context,
    columns: &[Column<T>],
    done: &[T],
    failed: Vec<CliError>,
) -> Result<(), CliError> {
    if !done.is_empty() || failed.is_empty() {
        context.printer.rows(columns, done)?;
    }
    all_done(failed)
}

/// The first of what failed, with the others as facts; `Ok` when nothing did.
fn all_done(failed: Vec<CliError>) -> Result<(), CliError> {
    let mut failed = failed.into_iter();
    let Some(first) = failed.next() else { return Ok(()) };
    Err(failed.fold(first, |error, other| error.fact(format!("also: {}", other.message()))))
}

/// Adds the key that was probably meant to a refusal of configuration.
fn with_key_suggestion<'a>(error: CliError, keys: impl Iterator<Item = &'a String>) -> CliError {
    // Some brokers say so themselves.
    if error.exit() != Exit::Failed || error.to_string().contains("did you mean") {
        return error;
    }
    keys.filter(|key| eddy_metadata::config::registry::topic(key).is_none())
        .filter_map(|key| {
            eddy_metadata::config::registry::suggest(key)
                .map(|near| format!("did you mean {near}, not {key}?"))
        })
        .fold(error, CliError::fact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_equal_signs_and_be_empty() {
        assert_eq!(assignment("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert_eq!(assignment("a=").unwrap().1, "");
        assert!(assignment("a").is_err() && assignment("=1").is_err());
    }

    #[test]
    fn one_failure_of_many_is_told_with_the_others() {
        assert!(all_done(Vec::new()).is_ok());
        let failed = ["a", "b"].map(|name| CliError::not_found(format!("no such topic: {name}")));
        let error = all_done(failed.into()).unwrap_err();
        assert_eq!(error.to_string(), "error: no such topic: a\n  also: no such topic: b\n");
    }

    #[test]
    fn a_mistyped_key_is_recognised() {
        let error = CliError::refused("x", 40, Some("Unknown topic config name"));
        let error =
            with_key_suggestion(error, ["retention.sm".to_owned(), "cleanup.policy".to_owned()].iter());
        assert!(error.to_string().contains("did you mean retention.ms, not retention.sm?"), "{error}");
    }
}
