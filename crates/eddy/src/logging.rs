//! Logs to stderr: for people on a terminal, one plain line per event elsewhere, JSON when asked for.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// In colours, for people.
    Pretty,
    /// One plain line per event.
    Compact,
    /// One JSON object per event.
    Json,
}

impl Form {
    /// The form that `log.format` means here.
    pub(crate) fn of(log_format: &str) -> Form {
        match log_format {
            "json" => Form::Json,
            _ if io::stderr().is_terminal() => Form::Pretty,
            _ => Form::Compact,
        }
    }
}

/// The consensus library calls each of its steps `info`; of ours, `info` marks changes that an operator cares about.
const QUIET: &str = "openraft=warn";

/// Starts logging for the life of the process. `filter` names the least level, in general or per target; what it says of a
/// target goes before [`QUIET`].
pub(crate) fn start(form: Form, filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}")).map_err(|error| error.to_string())?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match form {
        Form::Pretty => builder.with_target(false).with_ansi(true).try_init(),
        Form::Compact => builder.with_ansi(false).compact().try_init(),
        Form::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| error.to_string())
}
