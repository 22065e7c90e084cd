//! Logs to stderr: for people on a terminal, one plain line per event elsewhere, JSON when asked for.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// The form used when none is asked for.
pub(crate) fn default_format() -> LogFormat {
    if io::stderr().is_terminal() { LogFormat::Pretty } else { LogFormat::Compact }
}

/// Starts logging for the life of the process. `filter` names the least level, in general or per target.
pub(crate) fn start(format: LogFormat, filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| error.to_string())?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        LogFormat::Pretty => builder.with_target(false).with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Compact => builder.with_ansi(false).compact().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| error.to_string())
}
