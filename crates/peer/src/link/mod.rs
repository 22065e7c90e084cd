//! The outgoing call connection to one broker.
//!
//! A [`Link`] is what callers touch: the calls that wait and those that were sent. Its driver, a task, connects and
//! moves calls from one to the other.

mod backoff;
mod driver;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use eddy_types::BrokerId;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, oneshot, watch};

pub(crate) use driver::{drive, once};

use crate::limits::CALLS_IN_FLIGHT_MAX;
use crate::{CallError, Service};

/// What the call connection to a broker tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// No attempt to connect has ended yet.
    Unknown,
    /// There is a connection, and bytes arrive on it.
    Connected {
        /// Of the process at the other end.
        incarnation: u64,
    },
    /// Not reachable: the connection broke or fell silent, or there never was one.
    Broken,
    /// An established connection broke, and a new one to the same socket address was refused by the operating system
    /// there (ECONNREFUSED): the process that we were connected to is gone, or has closed its listener for good.
    /// Stays until there is a connection again.
    ///
    /// A firewall that *rejects* looks the same; one that drops does not.
    Refused,
}

/// The answer's way back.
type Reply = oneshot::Sender<Result<Bytes, CallError>>;

/// A call that was not handed to a connection yet.
struct Waiting {
    service: Service,
    request: Bytes,
    reply: Reply,
}

#[derive(Default)]
struct Calls {
    next_id: u64,
    /// In the order in which they were made.
    waiting: BTreeMap<u64, Waiting>,
    sent: HashMap<u64, Reply>,
    closed: bool,
}

/// The callers' side of the connection to one broker.
pub(crate) struct Link {
    to: BrokerId,
    state: watch::Sender<LinkState>,
    calls: Mutex<Calls>,
    /// Bounds the entries of `calls`.
    places: Semaphore,
    /// For the driver: there is a call to send.
    work: Notify,
    /// For the driver: the broker may be reachable now, do not wait for the back-off.
    nudge: Notify,
    watched: AtomicBool,
    driven: AtomicBool,
}

impl Link {
    pub(crate) fn new(to: BrokerId) -> Self {
        Link {
            to,
            state: watch::Sender::new(LinkState::Unknown),
            calls: Mutex::default(),
            places: Semaphore::new(CALLS_IN_FLIGHT_MAX),
            work: Notify::new(),
            nudge: Notify::new(),
            watched: AtomicBool::new(false),
            driven: AtomicBool::new(false),
        }
    }

    pub(crate) fn state(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// Whether the caller must start the driver: true once.
    pub(crate) fn needs_driver(&self) -> bool {
        !self.driven.swap(true, Ordering::AcqRel)
    }

    /// Keeps the connection open, or no longer.
    pub(crate) fn watch(&self, watched: bool) {
        self.watched.store(watched, Ordering::Release);
        self.work.notify_one();
    }

    /// The broker may be reachable now.
    pub(crate) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Makes a call; the timeout covers everything, waiting for a place and for a connection included.
    pub(crate) async fn call(
        &self,
        service: Service,
        request: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        let answered = async {
            let _place =
                self.places.acquire().await.map_err(|_| CallError::from(crate::ConnectError::Closed))?;
            self.enter(service, request)?.answer().await
        };
        tokio::time::timeout(timeout, answered).await.unwrap_or(Err(CallError::Timeout))
    }

    fn enter(&self, service: Service, request: Bytes) -> Result<Entered<'_>, CallError> {
        let (reply, answer) = oneshot::channel();
        let id = {
            let mut calls = self.calls.lock();
            if calls.closed {
                return Err(crate::ConnectError::Closed.into());
            }
            let id = calls.next_id;
            calls.next_id += 1;
            calls.waiting.insert(id, Waiting { service, request, reply });
            id
        };
        self.work.notify_one();
        Ok(Entered { link: self, id, answer })
    }

    /// Ends every call, for good.
    pub(crate) fn close(&self) {
        self.places.close();
        let mut calls = self.calls.lock();
        calls.closed = true;
        for (_, waiting) in std::mem::take(&mut calls.waiting) {
            let _ = waiting.reply.send(Err(crate::ConnectError::Closed.into()));
        }
        for (_, reply) in calls.sent.drain() {
            let _ = reply.send(Err(CallError::Lost));
        }
    }

    /// Says what is known without trying: nothing after the driver has ended.
    pub(crate) fn set_state(&self, state: LinkState) {
        self.state.send_replace(state);
    }

    /// Calls that have an entry here.
    #[cfg(test)]
    pub(crate) fn entries(&self) -> usize {
        let calls = self.calls.lock();
        calls.waiting.len() + calls.sent.len()
    }
}

/// A call that has an entry; dropping it takes the entry out.
struct Entered<'a> {
    link: &'a Link,
    id: u64,
    answer: oneshot::Receiver<Result<Bytes, CallError>>,
}

impl Entered<'_> {
    async fn answer(&mut self) -> Result<Bytes, CallError> {
        (&mut self.answer).await.unwrap_or(Err(CallError::Lost))
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut calls = self.link.calls.lock();
        if calls.waiting.remove(&self.id).is_none() {
            calls.sent.remove(&self.id);
        }
    }
}
