//! The handle that the rest of the broker holds.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_types::{BrokerId, ClusterId};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::connect::{Connected, connect};
use crate::hello::Purpose;
use crate::limits::FRAME_BYTES_MAX;
use crate::link;
use crate::serve;
use crate::shared::Inner;
use crate::{
    CallError, ConnectError, Handler, LinkState, PeerAddress, PeerConfig, PeerStats, PeerStream, Service,
    StreamHandler,
};

/// This broker's connections to the others: a handle, cheap to clone.
///
/// Every task and handler runs on the runtime in which [`Peers::new`] was called, and lives until
/// [`Peers::shutdown`]. Calls may be made from other runtimes (with time enabled).
#[derive(Clone)]
pub struct Peers {
    pub(crate) inner: Arc<Inner>,
}

/// An answer of a broker that was not known before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who answered.
    pub from: BrokerId,
    /// Its incarnation.
    pub incarnation: u64,
    /// Its cluster, if it knows one.
    pub cluster: Option<ClusterId>,
    /// What it answered.
    pub bytes: Bytes,
}

impl Peers {
    /// A broker that listens nowhere yet and knows nobody.
    ///
    /// # Panics
    /// Outside a tokio runtime: this one runs everything.
    #[must_use]
    pub fn new(config: PeerConfig) -> Peers {
        Peers { inner: Arc::new(Inner::new(config, Handle::current())) }
    }

    /// Starts to accept connections. The listener must belong to the runtime of these `Peers`.
    pub fn listen(&self, listener: TcpListener) {
        self.inner.spawn(serve::accept(self.inner.clone(), listener));
    }

    /// This broker.
    #[must_use]
    pub fn me(&self) -> BrokerId {
        self.inner.config.me
    }

    /// This process.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.inner.config.incarnation
    }

    /// Where others reach this broker.
    #[must_use]
    pub fn advertised(&self) -> &PeerAddress {
        &self.inner.config.advertised
    }

    /// The cluster, if it is known.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        *self.inner.cluster.read()
    }

    /// Says which cluster this broker belongs to, learned after the start. Guards every later hello; connections that
    /// exist stay.
    pub fn set_cluster(&self, cluster: ClusterId) {
        *self.inner.cluster.write() = (!cluster.is_zero()).then_some(cluster);
    }

    /// Says where a broker listens. A connection that exists stays; the next one goes there.
    pub fn set_address(&self, broker: BrokerId, address: PeerAddress) {
        let before = self.inner.addresses.write().insert(broker, address.clone());
        if before.as_ref() != Some(&address) {
            self.inner.nudge(broker);
        }
    }

    /// Where a broker listens: as it was set, or, as long as nobody has, as the broker said in a hello.
    #[must_use]
    pub fn address(&self, broker: BrokerId) -> Option<PeerAddress> {
        self.inner.address(broker)
    }

    /// Serves the calls of a service from now on.
    pub fn serve(&self, service: Service, handler: Arc<dyn Handler>) {
        self.inner.handlers.write().insert(service as u8, handler);
    }

    /// Takes the streams that others open from now on; before, they are refused.
    pub fn serve_streams(&self, handler: Arc<dyn StreamHandler>) {
        *self.inner.streams.write() = Some(handler);
    }

    /// Calls a service of a broker and waits for its answer, at most `timeout`.
    ///
    /// All calls to one broker share a connection, which is made when first needed and again when it breaks. A call
    /// made without a connection waits for the attempt in progress or the next one (at most half a second away), and
    /// fails with it. Requests are sent in the order of the calls and handled concurrently; a large one delays those
    /// behind it. A call to this broker itself goes to its own handler. Dropping the future leaves nothing behind
    /// here, but the request may be carried out.
    pub async fn call(
        &self,
        to: BrokerId,
        service: Service,
        request: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        check_size(&request)?;
        if to == self.me() {
            return self.call_myself(service, request, timeout).await;
        }
        self.inner.driven_link(to).call(service, request, timeout).await
    }

    /// Calls a service of whoever listens at `address`, over a connection of its own: for the time before the brokers
    /// are known. The answer says who it was.
    pub async fn call_at(
        &self,
        address: &PeerAddress,
        service: Service,
        request: Bytes,
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        check_size(&request)?;
        let (inner, address) = (self.inner.clone(), address.clone());
        let called = self.inner.run(async move { link::once(&inner, &address, service, request).await });
        match tokio::time::timeout(timeout, called).await {
            Ok(answer) => answer.unwrap_or(Err(ConnectError::Closed.into())),
            Err(_) => Err(CallError::Timeout),
        }
    }

    /// The state of the connection for calls to a broker. Does not make one: see [`watch_link`](Self::watch_link).
    ///
    /// The link to this broker itself is always connected. The receiver sees the newest state; a short `Broken`
    /// between two `Connected` may be missed, but a new process has another incarnation.
    #[must_use]
    pub fn link(&self, broker: BrokerId) -> watch::Receiver<LinkState> {
        self.inner.link(broker).state()
    }

    /// Keeps a connection to a broker open even without calls, so that its [`link`](Self::link) tells how it is.
    pub fn watch_link(&self, broker: BrokerId) {
        if broker != self.me() {
            self.inner.driven_link(broker).watch(true);
        }
    }

    /// Takes [`watch_link`](Self::watch_link) back: once the connection has broken, it is made again only for a call.
    pub fn unwatch_link(&self, broker: BrokerId) {
        if broker != self.me() {
            self.inner.link(broker).watch(false);
        }
    }

    /// Opens a stream to a broker. One attempt, at most `timeout` long.
    pub async fn open_stream(&self, to: BrokerId, timeout: Duration) -> Result<PeerStream, ConnectError> {
        let inner = self.inner.clone();
        let opened = self.inner.run(async move {
            let address = inner.address(to).ok_or(ConnectError::NoAddress(to))?;
            connect(&inner, Some(to), &address, Purpose::Stream).await.map_err(|failure| failure.error)
        });
        let connected: Connected = match tokio::time::timeout(timeout, opened).await {
            Ok(opened) => opened.unwrap_or(Err(ConnectError::Closed))?,
            Err(_) => return Err(ConnectError::Timeout),
        };
        Ok(PeerStream::new(
            connected.socket,
            connected.broker,
            connected.incarnation,
            None,
            self.inner.closed(),
        ))
    }

    /// What happened on the listener since the start.
    #[must_use]
    pub fn stats(&self) -> PeerStats {
        self.inner.counters.read()
    }

    /// Closes the listener and every connection, drops running handlers, ends calls and streams, and waits until
    /// every task has ended. Everything fails with `Closed` from now on.
    pub async fn shutdown(&self) {
        self.inner.shutdown().await;
    }

    async fn call_myself(
        &self,
        service: Service,
        request: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        if self.inner.is_closed() {
            return Err(ConnectError::Closed.into());
        }
        let handler = self.inner.handler(service as u8).ok_or(CallError::NotServed)?;
        let from = self.me();
        let answered = async {
            let _place = self.inner.own_calls.acquire().await.map_err(|_| CallError::Lost)?;
            let answer = self.inner.spawn_for_answer(async move { handler.call(from, request).await });
            answer.await.map_err(|_| CallError::Lost)?.map_err(CallError::Failed)
        };
        tokio::time::timeout(timeout, answered).await.unwrap_or(Err(CallError::Timeout))
    }
}

fn check_size(request: &Bytes) -> Result<(), CallError> {
    let bytes = request.len();
    if bytes > FRAME_BYTES_MAX { Err(CallError::TooLarge { bytes }) } else { Ok(()) }
}
