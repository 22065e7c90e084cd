//! One connection to one broker.

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader};
use kafka_protocol::protocol::{Encodable, Message, Request, StrBytes};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use eddy_types::ErrorCode;

use crate::error::{CallError, ConnectError, Ended, RequestError, accepted};
use crate::incoming::Incoming;
use crate::link::{Link, run};
use crate::pending::{Pending, decode};
use crate::versions::Versions;

/// Limits of a connection.
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    /// What the broker's logs and metrics call us.
    pub client_id: String,
    /// Time for the socket and the exchange of versions together.
    pub connect_timeout: Duration,
    /// Time for a request, from the call to its answer, waiting for a place in flight included.
    pub request_timeout: Duration,
    /// Requests without an answer, at most; a further one waits.
    pub in_flight_max: usize,
    /// Bytes of one answer, at most.
    pub response_bytes_max: usize,
}

impl Default for ConnectionOptions {
    fn default() -> ConnectionOptions {
        ConnectionOptions {
            client_id: "eddy-client".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            in_flight_max: 64,
            response_bytes_max: 128 << 20,
        }
    }
}

/// A connection to a broker. Requests of one or many tasks go out in the order of their [`start`](Self::start) calls, and are answered
/// in that order. Closed when dropped.
#[derive(Debug)]
pub struct Connection {
    link: Arc<Link>,
    places: Arc<Semaphore>,
    versions: Versions,
    next_correlation_id: AtomicI32,
    client_id: StrBytes,
    request_timeout: Duration,
}

impl Connection {
    /// Connects and learns which versions the broker serves.
    ///
    /// # Errors
    /// The socket, the deadline, or a broker that does not answer ApiVersions.
    pub async fn open(address: SocketAddr, options: ConnectionOptions) -> Result<Connection, ConnectError> {
        let after = options.connect_timeout;
        let opened = tokio::time::timeout(after, Self::open_at_leisure(address, options));
        opened.await.unwrap_or(Err(ConnectError::TimedOut { address, after }))
    }

    async fn open_at_leisure(
        address: SocketAddr,
        options: ConnectionOptions,
    ) -> Result<Connection, ConnectError> {
        let socket = |source| ConnectError::Socket { address, source };
        let stream = TcpStream::connect(address).await.map_err(socket)?;
        stream.set_nodelay(true).map_err(socket)?;
        let stream = Arc::new(stream);
        let link = Arc::new(Link::new(stream.clone()));
        tokio::spawn(run(link.clone(), stream, Incoming::new(options.response_bytes_max)));
        let mut connection = Connection {
            link,
            places: Arc::new(Semaphore::new(options.in_flight_max.clamp(1, Semaphore::MAX_PERMITS))),
            versions: Versions::default(),
            next_correlation_id: AtomicI32::new(0),
            client_id: StrBytes::from_string(options.client_id),
            request_timeout: options.request_timeout,
        };
        let learned = connection.learn_versions().await;
        connection.versions = learned.map_err(|source| ConnectError::Handshake { address, source })?;
        Ok(connection)
    }

    /// What the broker serves.
    #[must_use]
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// See [`RequestError`]. A code inside the answer is not an error here.
    pub async fn send<R: Request>(&self, request: &R) -> Result<R::Response, RequestError> {
        self.start(request).await?.answer().await
    }

    /// Sends a request in the highest version that both sides know; waits only for a place in flight.
    ///
    /// # Errors
    /// Like [`send`](Self::send).
    pub async fn start<R: Request>(&self, request: &R) -> Result<Pending<R>, RequestError> {
        self.start_up_to(i16::MAX, request).await
    }

    /// Like [`start`](Self::start), in no version above `limit`.
    ///
    /// # Errors
    /// Like [`send`](Self::send).
    pub async fn start_up_to<R: Request>(&self, limit: i16, request: &R) -> Result<Pending<R>, RequestError> {
        let version = self.versions.choose::<R>(limit)?;
        self.start_at(version, request).await
    }

    async fn start_at<R: Request>(&self, version: i16, request: &R) -> Result<Pending<R>, RequestError> {
        let allowed = self.request_timeout;
        let deadline = Instant::now() + allowed;
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = self.frame(version, correlation_id, request)?;
        let place = match tokio::time::timeout_at(deadline, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(Ended::Here.into()),
            Err(_) => return Err(RequestError::TimedOut { api: R::KEY, after: allowed }),
        };
        let receiver = self.link.send(correlation_id, &frame, place)?;
        Ok(Pending { link: self.link.clone(), receiver, version, deadline, allowed, request: PhantomData })
    }

    /// Sends a request that has no answer; waits until the socket has taken what was sent before it.
    pub(crate) async fn post_up_to<R: Request>(&self, limit: i16, request: &R) -> Result<(), RequestError> {
        let version = self.versions.choose::<R>(limit)?;
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = self.frame(version, correlation_id, request)?;
        let after = self.request_timeout;
        match tokio::time::timeout(after, self.link.post(&frame)).await {
            Ok(posted) => Ok(posted?),
            Err(_) => Err(RequestError::TimedOut { api: R::KEY, after }),
        }
    }

    /// Whether the connection is over: no request can be sent any more.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.link.is_ended()
    }

    /// Ends the connection; requests under way fail with [`Ended::Here`].
    pub fn close(&self) {
        self.link.end(Ended::Here);
    }

    fn frame<R: Request>(
        &self,
        version: i16,
        correlation_id: i32,
        request: &R,
    ) -> Result<BytesMut, RequestError> {
        let failed = |reason: String| RequestError::Encode { api: R::KEY, version, reason };
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(self.client_id.clone()));
        let header_version = R::header_version(version);
        let size = request
            .compute_size(version)
            .and_then(|body| Ok(body + header.compute_size(header_version)?))
            .map_err(|error| failed(error.to_string()))?;
        let length = u32::try_from(size).map_err(|_| failed(format!("too long: {size}")))?;
        let mut frame = BytesMut::with_capacity(size + 4);
        frame.put_u32(length);
        header.encode(&mut frame, header_version).map_err(|error| failed(error.to_string()))?;
        request.encode(&mut frame, version).map_err(|error| failed(error.to_string()))?;
        Ok(frame)
    }

    /// Asks in our highest version; a broker that does not know it answers in version 0 and names those it knows (KIP-511, R-2.1).
    async fn learn_versions(&self) -> Result<Versions, CallError> {
        let highest = ApiVersionsRequest::VERSIONS.max;
        let mut answer = self.ask_versions(highest).await?;
        if answer.error_code == ErrorCode::UnsupportedVersion as i16 {
            let version = Versions::new(&answer.api_keys).choose::<ApiVersionsRequest>(highest).unwrap_or(0);
            answer = self.ask_versions(version).await?;
        }
        accepted(ApiKey::ApiVersions, answer.error_code, "the connection", None)?;
        Ok(Versions::new(&answer.api_keys))
    }

    async fn ask_versions(&self, version: i16) -> Result<ApiVersionsResponse, RequestError> {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request.client_software_name = StrBytes::from_static_str("eddy-client");
            request.client_software_version = StrBytes::from_static_str(env!("CARGO_PKG_VERSION"));
        }
        let bytes = self.start_at(version, &request).await?.bytes().await?;
        let version = if is_unsupported(&bytes) { 0 } else { version };
        decode::<ApiVersionsRequest>(bytes, version)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whether an answer to ApiVersions says UNSUPPORTED_VERSION: the code stands behind the correlation id in every version.
fn is_unsupported(answer: &Bytes) -> bool {
    answer.get(4..6) == Some(&(ErrorCode::UnsupportedVersion as i16).to_be_bytes()[..])
}

#[cfg(test)]
mod tests;
