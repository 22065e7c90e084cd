//! How calls and connections fail.

use std::io;

use eddy_types::BrokerId;

/// Why a broker turned a connection away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefuseReason {
    /// It belongs to another cluster.
    #[error("it belongs to another cluster")]
    OtherCluster,
    /// Another broker listens at that address.
    #[error("another broker listens there")]
    NotThisBroker,
    /// It has our own broker id, and is not us.
    #[error("it has the same broker id")]
    SameBrokerId,
    /// It speaks another version of this protocol.
    #[error("it speaks another version")]
    Version,
    /// It does not take streams (yet).
    #[error("it does not take streams")]
    NotServed,
    /// It has as many connections as it takes.
    #[error("it has too many connections")]
    Overloaded,
    /// A reason that this version does not know.
    #[error("reason {0}")]
    Other(u8),
}

/// Why there is no connection. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nobody has said where this broker listens.
    #[error("no address of broker {0} is known")]
    NoAddress(BrokerId),
    /// A broker answered, and one of the two sides does not want the other.
    #[error("the connection was refused: {0}")]
    Refused(RefuseReason),
    /// The network or the operating system said no.
    #[error("unreachable: {0}")]
    Unreachable(io::ErrorKind),
    /// No connection, or no answer to the hello, in time.
    #[error("no connection in time")]
    Timeout,
    /// What listens there is not a broker.
    #[error("what listens there is not a broker")]
    NotABroker,
    /// `Peers::shutdown` was called here.
    #[error("this broker is shutting down")]
    Closed,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no connection; the request was not sent.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No answer in time. The request may have been carried out.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke after the request was handed to it. It may have been carried out.
    #[error("the connection broke before the answer")]
    Lost,
    /// The other broker does not serve this service (yet).
    #[error("the service is not served there")]
    NotServed,
    /// The other broker runs as many handlers as it may; it did not look at the request.
    #[error("the other broker is busy")]
    Busy,
    /// The handler there failed, with its words.
    #[error("failed there: {0}")]
    Failed(String),
    /// The request is larger than a frame may be; it was not sent.
    #[error("a request of {bytes} bytes is over the limit of {}", crate::limits::FRAME_BYTES_MAX)]
    TooLarge {
        /// Size of the request.
        bytes: usize,
    },
}

impl CallError {
    /// Whether the request may have been carried out although there is no answer.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, CallError::Timeout | CallError::Lost | CallError::Failed(_))
    }
}
