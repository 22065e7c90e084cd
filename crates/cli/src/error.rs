//! Why a command failed, and how the process ends.

use std::fmt::{self, Write as _};
use std::io;
use std::process::ExitCode;

use eddy_client::{CallError, ConnectError, RequestError};
use eddy_types::ErrorCode;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done as asked; also when the reader of stdout closed it early.
    Done = 0,
    /// The cluster or the system refused.
    Failed = 1,
    /// The command line does not make sense.
    Usage = 2,
    /// A check came out badly.
    Unhealthy = 3,
    /// What was named does not exist.
    NotFound = 4,
    /// No broker answered in time.
    Unreachable = 5,
    /// The profile file is wrong.
    Configuration = 78,
}

/// Why a command failed: a sentence, facts, and commands to run. Boxed, so that results stay small.
#[derive(Debug)]
pub(crate) struct CliError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    exit: Exit,
    message: String,
    code: Option<i16>,
    page: Option<String>,
    facts: Vec<String>,
    fixes: Vec<(String, String)>,
}

impl CliError {
    /// An error with its exit code. `message` is lower case, without a full stop, values last.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> CliError {
        CliError(Box::new(Parts {
            exit,
            message: message.into(),
            code: None,
            page: None,
            facts: Vec::new(),
            fixes: Vec::new(),
        }))
    }

    /// An end of which all is said on stdout already.
    pub(crate) fn shown(exit: Exit) -> CliError {
        CliError::new(exit, "")
    }

    /// The command line does not make sense.
    pub(crate) fn usage(message: impl Into<String>) -> CliError {
        CliError::new(Exit::Usage, message)
    }

    /// What was named does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> CliError {
        CliError::new(Exit::NotFound, message)
    }

    /// A code of the Kafka protocol, with the broker's own words where it sent some.
    pub(crate) fn refused(what: impl fmt::Display, code: i16, words: Option<&str>) -> CliError {
        let known = ErrorCode::from_code(code);
        let name = known.map_or("a code that this program does not know", ErrorCode::name);
        let exit = known.map_or(Exit::Failed, exit_of);
        let mut error = CliError::new(exit, format!("{what}: {name} ({code})"));
        error.0.code = Some(code);
        match (words.map(str::trim).filter(|words| !words.is_empty()), known) {
            (Some(words), _) => error.fact(format!("the broker says: {words}")),
            (None, Some(known)) => error.fact(known.meaning()),
            (None, None) => error,
        }
    }

    /// Adds a line that says what was found.
    #[must_use]
    pub(crate) fn fact(mut self, fact: impl Into<String>) -> CliError {
        self.0.facts.push(fact.into());
        self
    }

    /// Adds a command that would help, and what it does.
    #[must_use]
    pub(crate) fn fix(mut self, command: impl Into<String>, effect: impl Into<String>) -> CliError {
        self.0.fixes.push((command.into(), effect.into()));
        self
    }

    /// Adds a code of this program, such as `ED-4503`, that has a page of its own.
    #[must_use]
    pub(crate) fn explained(mut self, code: impl Into<String>) -> CliError {
        self.0.page = Some(code.into());
        self
    }

    /// Puts what was being done before the message.
    #[must_use]
    pub(crate) fn during(mut self, what: impl fmt::Display) -> CliError {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// How the process ends.
    #[must_use]
    pub(crate) fn exit(&self) -> Exit {
        self.0.exit
    }

    /// The code of the Kafka protocol, where there is one that Kafka uses.
    #[must_use]
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        self.0.code.and_then(ErrorCode::from_code)
    }

    /// The sentence without facts and fixes.
    #[must_use]
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// Says it on stderr, last.
    #[must_use]
    pub(crate) fn report(&self) -> ExitCode {
        if self.0.exit != Exit::Done && !self.0.message.is_empty() {
            eprint!("{self}");
        }
        ExitCode::from(self.0.exit as u8)
    }
}

/// How a process ends that met this code.
fn exit_of(code: ErrorCode) -> Exit {
    match code {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId | ErrorCode::GroupIdNotFound => {
            Exit::NotFound
        }
        ErrorCode::RequestTimedOut => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

impl std::error::Error for CliError {}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.0;
        let mut text = String::new();
        writeln!(text, "error: {}", parts.message)?;
        for fact in &parts.facts {
            for line in fact.lines() {
                writeln!(text, "  {line}")?;
            }
        }
        let width = parts.fixes.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
        for (index, (command, effect)) in parts.fixes.iter().enumerate() {
            let label = if index == 0 { "fix:" } else { "    " };
            writeln!(text, "  {label} {command:width$}   {effect}")?;
        }
        if let Some(code) = self.code() {
            writeln!(text, "  more: eddy explain {}", code.name())?;
        } else if let Some(page) = &parts.page {
            writeln!(text, "  more: eddy explain {page}")?;
        }
        f.write_str(&text)
    }
}

impl From<CallError> for CliError {
    fn from(error: CallError) -> CliError {
        match error {
            CallError::Refused { api, code, about, message } => {
                let api = eddy_client::messages::ApiKey::try_from(api)
                    .map_or_else(|()| format!("api {api}"), |api| format!("{api:?}"));
                CliError::refused(format!("{api} for {about}"), code, Some(&message))
            }
            CallError::Request(error) => error.into(),
            error @ (CallError::Missing { .. } | CallError::Batch { .. }) => {
                CliError::new(Exit::Failed, error.to_string())
            }
        }
    }
}

impl From<RequestError> for CliError {
    fn from(error: RequestError) -> CliError {
        let exit = match error {
            RequestError::Ended(_) | RequestError::TimedOut { .. } => Exit::Unreachable,
            RequestError::Unsupported { .. } | RequestError::Encode { .. } | RequestError::Decode { .. } => {
                Exit::Failed
            }
        };
        CliError::new(exit, error.to_string())
    }
}

impl From<ConnectError> for CliError {
    fn from(error: ConnectError) -> CliError {
        CliError::new(Exit::Unreachable, error.to_string())
    }
}

impl From<io::Error> for CliError {
    /// Of stdout or stdin. A reader that closed the pipe early is content with what it got.
    fn from(error: io::Error) -> CliError {
        let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Done } else { Exit::Failed };
        CliError::new(exit, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_refusal_names_code_words_fix_and_more() {
        let error = CliError::refused("cannot create topic a", 36, Some("Topic 'a' already exists."))
            .fix("eddy topic describe a", "look at it");
        expect![[r#"
            error: cannot create topic a: TOPIC_ALREADY_EXISTS (36)
              the broker says: Topic 'a' already exists.
              fix: eddy topic describe a   look at it
              more: eddy explain TOPIC_ALREADY_EXISTS
        "#]]
        .assert_eq(&error.to_string());
        assert_eq!(error.exit(), Exit::Failed);
    }

    #[test]
    fn exit_codes_tell_missing_from_unreachable() {
        assert_eq!(CliError::refused("x", 3, None).exit(), Exit::NotFound);
        let timed_out = RequestError::TimedOut { api: 3, after: std::time::Duration::from_secs(1) };
        assert_eq!(CliError::from(CallError::from(timed_out)).exit(), Exit::Unreachable);
        assert_eq!(CliError::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit(), Exit::Done);
    }
}
