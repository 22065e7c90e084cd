//! The broker's loggers as Kafka's tools see them: resource type 8 of DescribeConfigs and IncrementalAlterConfigs.

use std::fmt::{self, Debug};

use eddy_metadata::controller::{AlterOperation, ConfigChange};
use eddy_types::ErrorCode;

/// The logger that all others fall back on.
pub const ROOT: &str = "root";

/// Least level of what a logger writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What helps to find a defect.
    Debug,
    /// Changes of state.
    Info,
    /// What an operator should look at.
    Warn,
    /// What failed.
    Error,
}

impl LogLevel {
    /// The level of Kafka's name, in capitals as Kafka asks; its FATAL is an error here.
    #[must_use]
    pub fn of_name(name: &str) -> Option<LogLevel> {
        Some(match name {
            "TRACE" => LogLevel::Trace,
            "DEBUG" => LogLevel::Debug,
            "INFO" => LogLevel::Info,
            "WARN" => LogLevel::Warn,
            "ERROR" | "FATAL" => LogLevel::Error,
            _ => return None,
        })
    }

    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Trace => "TRACE",
            LogLevel::Debug => "DEBUG",
            LogLevel::Info => "INFO",
            LogLevel::Warn => "WARN",
            LogLevel::Error => "ERROR",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The loggers of the process. They are the process's, not the cluster's: a restart forgets what was set.
pub trait Loggers: Debug + Send + Sync {
    /// Every logger there is, [`ROOT`] among them, with the level in force.
    fn levels(&self) -> Vec<(String, LogLevel)>;

    /// Sets levels, all at once; `None` returns a logger to the level of [`ROOT`].
    ///
    /// # Errors
    /// A sentence, when the process cannot; nothing is set then.
    fn set(&self, changes: &[(String, Option<LogLevel>)]) -> Result<(), String>;
}

/// Changes the levels that a request names, all or none.
///
/// # Errors
/// INVALID_CONFIG for a logger or level that there is not, INVALID_REQUEST for what cannot be done to a logger, as Kafka
/// answers it.
pub(crate) fn alter(
    loggers: &dyn Loggers,
    changes: &[ConfigChange],
    validate_only: bool,
) -> Result<(), (ErrorCode, String)> {
    let known = loggers.levels();
    let mut levels: Vec<(String, Option<LogLevel>)> = Vec::with_capacity(changes.len());
    for change in changes {
        let name = &change.key;
        let invalid = |sentence: String| (ErrorCode::InvalidConfig, sentence);
        if levels.iter().any(|(seen, _)| seen == name) {
            return Err((ErrorCode::InvalidRequest, "Error due to duplicate config keys".to_owned()));
        }
        if !known.iter().any(|(logger, _)| logger == name) {
            return Err(invalid(format!("Logger {name} does not exist!")));
        }
        let level = match change.operation {
            AlterOperation::Set => {
                let text = change.value.as_deref().unwrap_or_default();
                Some(LogLevel::of_name(text).ok_or_else(|| {
                    invalid(format!(
                        "Cannot set the log level of {name} to {text} as it is not a supported log level. Valid log \
                         levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"
                    ))
                })?)
            }
            AlterOperation::Delete if name == ROOT => {
                let sentence = "Removing the log level of the root logger is not allowed";
                return Err((ErrorCode::InvalidRequest, sentence.to_owned()));
            }
            AlterOperation::Delete => None,
            AlterOperation::Append | AlterOperation::Subtract => {
                let operation =
                    if change.operation == AlterOperation::Append { "APPEND" } else { "SUBTRACT" };
                let sentence = format!("{operation} operation is not allowed for the BROKER_LOGGER resource");
                return Err((ErrorCode::InvalidRequest, sentence));
            }
        };
        levels.push((name.clone(), level));
    }
    if validate_only {
        return Ok(());
    }
    loggers.set(&levels).map_err(|error| (ErrorCode::UnknownServerError, error))
}
