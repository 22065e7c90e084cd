//! What the tasks of one broker's connections share.

use std::collections::HashMap;
use std::sync::Arc;

use eddy_types::{BrokerId, ClusterId};
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use crate::hello::{Hello, Purpose};
use crate::limits::{CALLS_IN_FLIGHT_MAX, CONNECTIONS_MAX, HANDLERS_MAX};
use crate::link::{self, Link};
use crate::serve::Handshakes;
use crate::stats::Counters;
use crate::{Handler, LinkState, PeerAddress, PeerConfig, StreamHandler};

/// What the tasks share.
pub(crate) struct Inner {
    pub(crate) config: PeerConfig,
    runtime: Handle,
    pub(crate) cluster: RwLock<Option<ClusterId>>,
    pub(crate) addresses: RwLock<HashMap<BrokerId, PeerAddress>>,
    links: Mutex<HashMap<BrokerId, Arc<Link>>>,
    pub(crate) handlers: RwLock<HashMap<u8, Arc<dyn Handler>>>,
    pub(crate) streams: RwLock<Option<Arc<dyn StreamHandler>>>,
    pub(crate) counters: Counters,
    pub(crate) handshakes: Handshakes,
    /// Accepted connections.
    pub(crate) connections: Arc<Semaphore>,
    /// Running handlers of all connections.
    pub(crate) handling: Arc<Semaphore>,
    /// Running calls of this broker to itself.
    pub(crate) own_calls: Semaphore,
    closed: watch::Sender<bool>,
    /// Every task holds a clone of the sender until it ends.
    alive: Mutex<Option<mpsc::Sender<()>>>,
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Inner {
    pub(crate) fn new(config: PeerConfig, runtime: Handle) -> Self {
        let (alive, ended) = mpsc::channel(1);
        let cluster = config.cluster.filter(|id| !id.is_zero());
        Inner {
            config,
            runtime,
            cluster: RwLock::new(cluster),
            addresses: RwLock::default(),
            links: Mutex::default(),
            handlers: RwLock::default(),
            streams: RwLock::default(),
            counters: Counters::default(),
            handshakes: Handshakes::default(),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            handling: Arc::new(Semaphore::new(HANDLERS_MAX)),
            own_calls: Semaphore::new(CALLS_IN_FLIGHT_MAX),
            closed: watch::Sender::new(false),
            alive: Mutex::new(Some(alive)),
            ended: tokio::sync::Mutex::new(ended),
        }
    }

    /// Ends everything; see [`Peers::shutdown`](crate::Peers::shutdown).
    pub(crate) async fn shutdown(&self) {
        self.closed.send_replace(true);
        self.alive.lock().take();
        let links: Vec<_> = self.links.lock().values().cloned().collect();
        links.iter().for_each(|link| link.close());
        // Nothing is ever sent: this ends when the last task has dropped its sender.
        let _ = self.ended.lock().await.recv().await;
        links.iter().for_each(|link| link.set_state(LinkState::Unknown));
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    pub(crate) fn hello(&self, purpose: Purpose, to: Option<BrokerId>) -> Hello {
        Hello {
            purpose,
            cluster: *self.cluster.read(),
            from: self.config.me,
            incarnation: self.config.incarnation,
            to,
            address: self.config.advertised.clone(),
        }
    }

    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        *self.cluster.read()
    }

    /// Whether both sides know their cluster and it is not the same.
    pub(crate) fn is_other_cluster(&self, theirs: Option<ClusterId>) -> bool {
        matches!((self.cluster(), theirs), (Some(ours), Some(theirs)) if ours != theirs)
    }

    pub(crate) fn address(&self, broker: BrokerId) -> Option<PeerAddress> {
        self.addresses.read().get(&broker).cloned()
    }

    /// A broker has said hello: it lives, and its address is known.
    pub(crate) fn heard_from(&self, hello: Hello) {
        if hello.from == self.config.me {
            return;
        }
        if !hello.address.host.is_empty() {
            self.addresses.write().entry(hello.from).or_insert(hello.address);
        }
        self.nudge(hello.from);
    }

    pub(crate) fn nudge(&self, broker: BrokerId) {
        if let Some(link) = self.links.lock().get(&broker) {
            link.nudge();
        }
    }

    pub(crate) fn handler(&self, service: u8) -> Option<Arc<dyn Handler>> {
        self.handlers.read().get(&service).cloned()
    }

    pub(crate) fn stream_handler(&self) -> Option<Arc<dyn StreamHandler>> {
        self.streams.read().clone()
    }

    pub(crate) fn closed(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    pub(crate) fn link(&self, broker: BrokerId) -> Arc<Link> {
        let mut links = self.links.lock();
        let link = links.entry(broker).or_insert_with(|| Arc::new(Link::new(broker)));
        if broker == self.config.me {
            link.set_state(LinkState::Connected { incarnation: self.config.incarnation });
        }
        // `shutdown` says so first and then closes the links it finds under this lock.
        if self.is_closed() {
            link.close();
        }
        link.clone()
    }

    pub(crate) fn driven_link(self: &Arc<Self>, broker: BrokerId) -> Arc<Link> {
        let link = self.link(broker);
        if link.needs_driver() {
            self.spawn(link::drive(self.clone(), link.clone()));
        }
        link
    }

    /// Runs a task until it ends or `shutdown` drops it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let alive = self.alive.lock().clone();
        let mut closed = self.closed();
        let task = async move {
            // Dropped last: `shutdown` waits for it.
            let _alive = alive;
            tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => {}
                () = task => {}
            }
        };
        self.runtime.spawn(task).abort_handle()
    }

    /// Runs a task whose result somebody may still want.
    pub(crate) fn spawn_for_answer<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (reply, answer) = oneshot::channel();
        self.spawn(async move {
            let _ = reply.send(task.await);
        });
        answer
    }

    /// Runs a task on the runtime of these `Peers`, wherever the caller is; dropped with the returned future. `None`
    /// after `shutdown`.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (mut reply, answer) = oneshot::channel();
        self.spawn(async move {
            tokio::select! {
                biased;
                () = reply.closed() => {}
                result = task => { let _ = reply.send(result); }
            }
        });
        answer.await.ok()
    }
}
