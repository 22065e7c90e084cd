//! How a search fails.

use std::collections::BTreeMap;
use std::time::Duration;

/// Per topic and partition: the first offset that is not indexed yet.
pub type SearchedThrough = BTreeMap<String, BTreeMap<i32, i64>>;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, thiserror::Error)]
pub enum SearchError {
    /// No topic of that name, or none that the glob matches.
    #[error("no topic {targets}; eddy topic list shows the topics there are")]
    UnknownTopic {
        /// What was asked for.
        targets: String,
    },
    /// The topic is there, and has no index.
    #[error(
        "topic {topic} is not indexed; eddy topic alter {topic} --set search.enable=true makes it searchable"
    )]
    NotIndexed {
        /// Its name.
        topic: String,
    },
    /// The query cannot be understood, or asks for what is not served.
    #[error("{message} (line {line}, column {column})")]
    BadQuery {
        /// What is wrong, and what would be right.
        message: String,
        /// Line, from 1, in the query string or in the body.
        line: usize,
        /// Column, from 1, in characters.
        column: usize,
        /// JSON pointer (RFC 6901) to the part of the body that is wrong: see [`SearchError::located`].
        pointer: String,
    },
    /// It would take more than one query may take.
    #[error("{message}")]
    TooExpensive {
        /// Which limit, and how to stay below it.
        message: String,
    },
    /// The index did not get in time as far as the query wanted.
    #[error(
        "the index has not caught up within {waited:?}; ask again, wait longer with timeout=, or leave out refresh and min_offset to search what is indexed"
    )]
    NotCaughtUp {
        /// How long it was waited for.
        waited: Duration,
        /// How far each partition got.
        searched_through: SearchedThrough,
    },
    /// The deadline passed before there was anything to answer.
    #[error("no answer within {after:?}; narrow the time range or give a longer timeout=")]
    Timeout {
        /// The deadline.
        after: Duration,
    },
    /// As many searches wait as may.
    #[error("{waiting} searches are waiting already; try again in a second")]
    TooBusy {
        /// How many.
        waiting: usize,
    },
    /// No partition could be asked.
    #[error("no partition could be searched: {reason}")]
    Unavailable {
        /// Why the first of them could not.
        reason: String,
    },
}

impl SearchError {
    /// The HTTP status that says it.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            SearchError::UnknownTopic { .. } => 404,
            SearchError::NotIndexed { .. }
            | SearchError::BadQuery { .. }
            | SearchError::TooExpensive { .. } => 400,
            SearchError::TooBusy { .. } => 429,
            SearchError::Unavailable { .. } => 503,
            SearchError::NotCaughtUp { .. } | SearchError::Timeout { .. } => 504,
        }
    }

    /// The code under which `eddy explain` describes it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            SearchError::UnknownTopic { .. } => "ED-4501",
            SearchError::NotIndexed { .. } => "ED-4502",
            SearchError::BadQuery { .. } => "ED-4503",
            SearchError::TooExpensive { .. } => "ED-4504",
            SearchError::NotCaughtUp { .. } => "ED-4505",
            SearchError::Timeout { .. } => "ED-4506",
            SearchError::TooBusy { .. } => "ED-4507",
            SearchError::Unavailable { .. } => "ED-4508",
        }
    }

    /// What Elasticsearch calls it in `error.type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            SearchError::UnknownTopic { .. } => "index_not_found_exception",
            SearchError::NotIndexed { .. } => "index_closed_exception",
            SearchError::BadQuery { .. } => "parsing_exception",
            SearchError::TooExpensive { .. } => "illegal_argument_exception",
            SearchError::NotCaughtUp { .. } | SearchError::Timeout { .. } => "timeout_exception",
            SearchError::TooBusy { .. } => "es_rejected_execution_exception",
            SearchError::Unavailable { .. } => "no_shard_available_action_exception",
        }
    }

    /// The same error with the line and column that its place in the body has in `text`, the body as it was sent. A place
    /// inside a query string counts from that string's first character.
    #[must_use]
    pub fn located(self, text: &str) -> SearchError {
        let SearchError::BadQuery { message, line, column, pointer } = self else { return self };
        let (line, column) = match crate::query::locate(text, &pointer) {
            Some((at_line, at_column)) if line == 1 => (at_line, at_column + column - 1),
            Some(_) | None => (line, column),
        };
        SearchError::BadQuery { message, line, column, pointer }
    }
}
