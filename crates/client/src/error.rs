//! What can go wrong, by what the caller can do about it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use eddy_types::ErrorCode;
use kafka_protocol::messages::ApiKey;

/// No connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The socket could not be opened.
    #[error("cannot connect to {address}: {source}")]
    Socket {
        /// The broker's address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The socket was not open, or the versions not known, in time.
    #[error("no connection to {address} within {after:?}")]
    TimedOut {
        /// The broker's address.
        address: SocketAddr,
        /// The whole time that was allowed.
        after: Duration,
    },
    /// The broker did not tell its versions.
    #[error("no api versions from {address}: {source}")]
    Handshake {
        /// The broker's address.
        address: SocketAddr,
        /// Why not.
        source: CallError,
    },
}

/// Why a connection is over; every request under way fails with it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Ended {
    /// [`close`](crate::Connection::close) was called, or the connection dropped.
    #[error("closed by this side")]
    Here,
    /// The broker closed it.
    #[error("closed by the broker")]
    Broker,
    /// The socket failed.
    #[error("socket failed: {0}")]
    Socket(Arc<io::Error>),
    /// A request was not answered by its deadline. Answers come in order, so one that is late holds up all that follow.
    #[error("a request had no answer within its deadline")]
    Unanswered,
    /// An answer's length is negative or above [`response_bytes_max`](crate::ConnectionOptions::response_bytes_max).
    #[error("answer's length is not between 4 and {limit}: {length}")]
    FrameLength {
        /// As it was sent.
        length: i32,
        /// The limit in bytes.
        limit: usize,
    },
    /// An answer came that was not due.
    #[error("answer's correlation id is not the one due ({due:?}): {got}")]
    Correlation {
        /// Id of the oldest request without an answer, if there is one.
        due: Option<i32>,
        /// As it was sent.
        got: i32,
    },
}

/// A request brought no answer. Whether the broker acted on it is unknown, except for [`Unsupported`](Self::Unsupported) and
/// [`Encode`](Self::Encode), which were never sent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// The connection is over.
    #[error("connection ended: {0}")]
    Ended(#[from] Ended),
    /// No answer came within the time allowed; the connection is closed.
    #[error("{} was not answered within {after:?}", api_name(*api))]
    TimedOut {
        /// The API's key.
        api: i16,
        /// The time that was allowed.
        after: Duration,
    },
    /// Broker and codec share no version of the API.
    #[error("{} has no version that both sides know", api_name(*api))]
    Unsupported {
        /// The API's key.
        api: i16,
    },
    /// The codec refused the request: it has a field that the version does not.
    #[error("cannot encode {} version {version}: {reason}", api_name(*api))]
    Encode {
        /// The API's key.
        api: i16,
        /// Version in use.
        version: i16,
        /// The codec's words.
        reason: String,
    },
    /// The answer is not what its version says.
    #[error("cannot decode the answer to {} version {version}: {reason}", api_name(*api))]
    Decode {
        /// The API's key.
        api: i16,
        /// Version in use.
        version: i16,
        /// The codec's words.
        reason: String,
    },
}

/// A call brought no result: no answer, or one that says no.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// No answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The broker answered with an error code.
    #[error("{} refused for {about}: {} {message}", api_name(*api), code_name(*code))]
    Refused {
        /// The API's key.
        api: i16,
        /// Kafka's error code.
        code: i16,
        /// The topic or partition.
        about: String,
        /// The broker's sentence, empty when it sent none.
        message: String,
    },
    /// The answer lacks what was asked about.
    #[error("{} answered without {about}", api_name(*api))]
    Missing {
        /// The API's key.
        api: i16,
        /// The topic or partition.
        about: String,
    },
    /// Record batches of an answer cannot be read.
    #[error("cannot read a batch of {about}: {reason}")]
    Batch {
        /// The partition.
        about: String,
        /// The codec's words.
        reason: String,
    },
}

impl CallError {
    /// The broker's error code; `None` when there was no answer, or when Kafka does not use the number.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            CallError::Refused { code, .. } => ErrorCode::from_code(*code),
            CallError::Request(_) | CallError::Missing { .. } | CallError::Batch { .. } => None,
        }
    }

    /// Whether the same call may succeed later, perhaps over another connection.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            CallError::Request(RequestError::Ended(_) | RequestError::TimedOut { .. }) => true,
            CallError::Request(_) | CallError::Missing { .. } | CallError::Batch { .. } => false,
            CallError::Refused { .. } => self.code().is_some_and(ErrorCode::is_retriable),
        }
    }
}

/// `Ok` for code 0, and what was refused otherwise.
///
/// # Errors
/// [`CallError::Refused`] for every code but 0.
pub fn accepted(
    api: ApiKey,
    code: i16,
    about: impl std::fmt::Display,
    message: Option<&str>,
) -> Result<(), CallError> {
    if code == ErrorCode::None as i16 {
        return Ok(());
    }
    Err(CallError::Refused {
        api: api as i16,
        code,
        about: about.to_string(),
        message: message.unwrap_or_default().to_owned(),
    })
}

fn api_name(api: i16) -> String {
    ApiKey::try_from(api).map_or_else(|()| format!("api {api}"), |key| format!("{key:?}"))
}

fn code_name(code: i16) -> String {
    ErrorCode::from_code(code).map_or_else(|| format!("code {code}"), |known| known.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_api_and_code() {
        let refused = accepted(ApiKey::Produce, 6, "t-0", None).unwrap_err();
        assert_eq!(refused.to_string().trim(), "Produce refused for t-0: NOT_LEADER_OR_FOLLOWER");
        assert!(refused.is_retriable());
        let unknown = accepted(ApiKey::Produce, 999, "t-0", Some("no")).unwrap_err();
        assert_eq!(unknown.to_string(), "Produce refused for t-0: code 999 no");
        assert!(!unknown.is_retriable());
    }
}
