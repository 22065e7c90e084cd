//! Options that all commands share.

use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::SignedDuration;

use crate::Address;

/// Options that all commands share.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Global {
    /// Brokers to begin with [default: the profile's, or localhost:9092]
    #[arg(short, long, value_name = "HOST:PORT,…", value_delimiter = ',', global = true)]
    pub bootstrap: Vec<Address>,
    /// Profile to use instead of the current one
    #[arg(long, value_name = "NAME", global = true)]
    pub profile: Option<String>,
    /// Form of the result
    #[arg(short, long, value_name = "FORM", value_enum, global = true)]
    pub output: Option<Format>,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say on stderr what is asked of whom
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Time for the brokers to answer, such as 500ms, 10s, 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, global = true)]
    pub timeout: Duration,
    /// Colours: on a terminal, always, never; NO_COLOR and CLICOLOR_FORCE count too
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    pub color: Color,
}

/// Form of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: aligned on a terminal, otherwise separated by tabs
    #[default]
    Table,
    /// Like table, with more columns
    Wide,
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
    /// One YAML document
    Yaml,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// A positive time such as `500ms`, `10s`, `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration =
        text.parse().map_err(|_| format!("must be a time, such as 500ms, 10s, 2m: {text}"))?;
    match Duration::try_from(parsed) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err(format!("must be more than 0: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_are_positive() {
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5400));
        for text in ["", "10", "-1s", "0s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
