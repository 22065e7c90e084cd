//! A request under way.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::{Ended, RequestError};
use crate::link::{Answer, Link};

/// A request that was sent. Its answer is read whether or not somebody waits for it; dropping this gives up the answer, not the
/// request.
#[must_use = "an answer that nobody waits for has no deadline"]
#[derive(Debug)]
pub struct Pending<R> {
    pub(crate) link: Arc<Link>,
    pub(crate) receiver: oneshot::Receiver<Answer>,
    pub(crate) version: i16,
    pub(crate) deadline: Instant,
    pub(crate) allowed: Duration,
    pub(crate) request: PhantomData<fn() -> R>,
}

impl<R: Request> Pending<R> {
    /// The version the request was sent in.
    #[must_use]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// [`RequestError::TimedOut`] at the deadline, which ends the connection: later answers could only come after this one.
    pub async fn answer(self) -> Result<R::Response, RequestError> {
        let version = self.version;
        let bytes = self.bytes().await?;
        decode::<R>(bytes, version)
    }

    /// The answer's bytes, header included.
    pub(crate) async fn bytes(self) -> Result<Bytes, RequestError> {
        match tokio::time::timeout_at(self.deadline, self.receiver).await {
            Ok(Ok(answer)) => Ok(answer?),
            // The sender is only dropped with the connection.
            Ok(Err(_)) => Err(Ended::Here.into()),
            Err(_) => {
                self.link.end(Ended::Unanswered);
                Err(RequestError::TimedOut { api: R::KEY, after: self.allowed })
            }
        }
    }
}

/// Decodes an answer and checks that nothing of it is left over.
pub(crate) fn decode<R: Request>(mut bytes: Bytes, version: i16) -> Result<R::Response, RequestError> {
    let failed = |reason: String| RequestError::Decode { api: R::KEY, version, reason };
    ResponseHeader::decode(&mut bytes, R::Response::header_version(version))
        .map_err(|error| failed(error.to_string()))?;
    let response = R::Response::decode(&mut bytes, version).map_err(|error| failed(error.to_string()))?;
    if bytes.has_remaining() {
        return Err(failed(format!("bytes left over: {}", bytes.remaining())));
    }
    Ok(response)
}
