//! The brokers of a cluster, as they can be reached from here.
//!
//! Begins with any of the given addresses, learns the others from metadata, connects on demand and keeps the connections. A call that
//! fails with a code that passes is repeated until the deadline, after what was known is forgotten.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use eddy_client::messages::metadata_request::MetadataRequestTopic;
use eddy_client::messages::{
    ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse, TopicName,
};
use eddy_client::protocol::{Request, StrBytes};
use eddy_client::{CallError, ConnectError, Connection, ConnectionOptions, PartitionName, accepted};
use eddy_types::{BrokerId, ErrorCode};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Address;
use crate::error::{CliError, Exit};

mod cluster;

pub use cluster::{Cluster, Node, Partition, Topic};

/// Time for one socket; the whole is bounded by `--timeout`.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// First and longest pause between two attempts.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Connections that are kept; a cluster with more brokers has the rest opened anew.
const CONNECTIONS_MAX: usize = 256;
/// From this version on one request asks for many coordinators (KIP-699).
const COORDINATORS_FROM: i16 = 4;

/// Whom a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To<'a> {
    /// Any broker.
    Any,
    /// One broker.
    Broker(BrokerId),
    /// Who changes metadata. In Kafka 4 any broker passes such requests on; metadata names one.
    Controller,
    /// The coordinator of a group.
    Group(&'a str),
    /// The coordinator of a transactional id.
    Transaction(&'a str),
    /// The leader of a partition.
    Leader(&'a PartitionName),
}

/// Connections to a cluster.
#[derive(Debug)]
pub struct Brokers {
    bootstrap: Vec<Address>,
    timeout: Duration,
    verbose: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Who answered first; asked again for everything that any broker can answer.
    first: Option<Arc<Connection>>,
    connections: HashMap<BrokerId, Arc<Connection>>,
    addresses: HashMap<BrokerId, Address>,
    controller: Option<BrokerId>,
    leaders: HashMap<(StrBytes, i32), BrokerId>,
    /// By type of key and key.
    coordinators: HashMap<(i8, String), BrokerId>,
}

impl Brokers {
    /// Connects to the first of the addresses that answers.
    ///
    /// # Errors
    /// [`Exit::Unreachable`] with what each address said. An address that refuses is not tried again: the answer comes at once.
    pub async fn connect(
        bootstrap: Vec<Address>,
        timeout: Duration,
        verbose: bool,
    ) -> Result<Brokers, CliError> {
        let brokers = Brokers { bootstrap, timeout, verbose, state: Mutex::new(State::default()) };
        brokers.first().await?;
        Ok(brokers)
    }

    /// When a call that starts now must have its answer.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// A connection to whom a request is for.
    ///
    /// # Errors
    /// The broker cannot be reached, or nobody knows who it is.
    pub async fn connection(&self, to: To<'_>) -> Result<Arc<Connection>, CliError> {
        self.find(to).await.map_err(Trouble::into_error)
    }

    /// Sends a request and reads its answer with `read`, which turns codes into [`CallError`] by [`accepted`]. Repeats it while it
    /// fails with what passes, until the deadline.
    ///
    /// # Errors
    /// The last failure.
    pub async fn call<R: Request, T>(
        &self,
        to: To<'_>,
        request: &R,
        mut read: impl FnMut(R::Response) -> Result<T, CallError>,
    ) -> Result<T, CliError> {
        // Not by `retry`: futures that hold its closure cannot be spawned.
        let mut attempts = Attempts::new(self.deadline());
        loop {
            let outcome = match self.find(to).await {
                Ok(connection) => connection
                    .send(request)
                    .await
                    .map_err(CallError::from)
                    .and_then(&mut read)
                    .map_err(Trouble::Call),
                Err(trouble) => Err(trouble),
            };
            match outcome {
                Ok(value) => return Ok(value),
                Err(trouble) => self.before_next(to, trouble, &mut attempts).await?,
            }
        }
    }

    /// Calls `attempt` with a connection to whom it is for, again and again while it fails with what passes, until the deadline.
    ///
    /// # Errors
    /// The last failure.
    pub async fn retry<T>(
        &self,
        to: To<'_>,
        mut attempt: impl AsyncFnMut(&Connection) -> Result<T, CallError>,
    ) -> Result<T, CliError> {
        let mut attempts = Attempts::new(self.deadline());
        loop {
            let outcome = match self.find(to).await {
                Ok(connection) => attempt(&connection).await.map_err(Trouble::Call),
                Err(trouble) => Err(trouble),
            };
            match outcome {
                Ok(value) => return Ok(value),
                Err(trouble) => self.before_next(to, trouble, &mut attempts).await?,
            }
        }
    }

    /// Waits before the next attempt; an error when there is none.
    async fn before_next(
        &self,
        to: To<'_>,
        trouble: Trouble,
        attempts: &mut Attempts,
    ) -> Result<(), CliError> {
        if !trouble.passes() || Instant::now() + attempts.pause >= attempts.deadline {
            return Err(trouble.into_error());
        }
        self.say(|| format!("again in {:?}: {}", attempts.pause, trouble.text()));
        self.forget(to).await;
        tokio::time::sleep(attempts.pause).await;
        attempts.pause = (attempts.pause * 2).min(PAUSE_MAX);
        Ok(())
    }

    /// The cluster and these topics, or all topics. A topic that does not exist has its error in [`Topic::error`]; none is created.
    ///
    /// # Errors
    /// No answer.
    pub async fn cluster(&self, topics: Option<&[&str]>) -> Result<Cluster, CliError> {
        let request = metadata_request(topics);
        let answer = self.call(To::Any, &request, Ok).await?;
        Ok(self.learn(answer).await)
    }

    /// Like [`cluster`](Self::cluster), once.
    async fn look_up(&self, topics: &[&str]) -> Result<Cluster, Trouble> {
        let first = self.first().await.map_err(Trouble::Final)?;
        let answer = first.send(&metadata_request(Some(topics))).await;
        Ok(self.learn(answer.map_err(|error| Trouble::Call(error.into()))?).await)
    }

    /// Who keeps a group.
    ///
    /// # Errors
    /// Nobody says.
    pub async fn group_coordinator(&self, group: &str) -> Result<(BrokerId, Address), CliError> {
        self.retry(To::Group(group), async |_| Ok(())).await?;
        let state = self.state.lock().await;
        let id = state.coordinators.get(&(0, group.to_owned())).copied();
        let known = id.and_then(|id| Some((id, state.addresses.get(&id)?.clone())));
        known.ok_or_else(|| CliError::not_found(format!("no coordinator of group {group}")))
    }

    /// Says on stderr what happens, when the user wants to know.
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("# {}", text());
        }
    }

    async fn learn(&self, answer: MetadataResponse) -> Cluster {
        let cluster = Cluster::new(answer);
        let mut state = self.state.lock().await;
        state.addresses = cluster.nodes.iter().map(|node| (node.id, node.address.clone())).collect();
        state.controller = cluster.controller;
        for topic in &cluster.topics {
            for partition in topic.partitions.iter().filter(|partition| partition.leader != BrokerId::NONE) {
                state.leaders.insert((topic.name.clone().into(), partition.index), partition.leader);
            }
        }
        drop(state);
        cluster
    }

    async fn find(&self, to: To<'_>) -> Result<Arc<Connection>, Trouble> {
        match to {
            To::Any => self.first().await.map_err(Trouble::Final),
            To::Broker(id) => self.broker(id).await,
            To::Controller => {
                if self.state.lock().await.controller.is_none() {
                    self.look_up(&[]).await?;
                }
                let controller = self.state.lock().await.controller;
                match controller {
                    Some(id) => self.broker(id).await,
                    None => self.first().await.map_err(Trouble::Final),
                }
            }
            To::Group(group) => self.coordinator(0, group).await,
            To::Transaction(id) => self.coordinator(1, id).await,
            To::Leader(partition) => self.leader(partition).await,
        }
    }

    async fn leader(&self, partition: &PartitionName) -> Result<Arc<Connection>, Trouble> {
        let key = (partition.topic.clone(), partition.index);
        let known = self.state.lock().await.leaders.get(&key).copied();
        if let Some(id) = known {
            return self.broker(id).await;
        }
        self.look_up(&[&partition.topic]).await?;
        let known = self.state.lock().await.leaders.get(&key).copied();
        match known {
            Some(id) => self.broker(id).await,
            None => Err(Trouble::Call(refusal(
                ApiKey::Metadata,
                ErrorCode::LeaderNotAvailable,
                &partition.to_string(),
            ))),
        }
    }

    async fn coordinator(&self, kind: i8, key: &str) -> Result<Arc<Connection>, Trouble> {
        let known = self.state.lock().await.coordinators.get(&(kind, key.to_owned())).copied();
        if let Some(id) = known {
            return self.broker(id).await;
        }
        let first = self.first().await.map_err(Trouble::Final)?;
        let text = StrBytes::from_string(key.to_owned());
        let mut request = FindCoordinatorRequest::default().with_key_type(kind);
        let served = first.versions().served(ApiKey::FindCoordinator as i16);
        if served.is_some_and(|served| served.max >= COORDINATORS_FROM) {
            request.coordinator_keys = vec![text];
        } else {
            request.key = text;
        }
        let answer = first.send(&request).await.map_err(|error| Trouble::Call(error.into()))?;
        let (node, address) = coordinator_of(answer, key).map_err(Trouble::Call)?;
        let mut state = self.state.lock().await;
        state.addresses.insert(node, address);
        state.coordinators.insert((kind, key.to_owned()), node);
        drop(state);
        self.broker(node).await
    }

    async fn broker(&self, id: BrokerId) -> Result<Arc<Connection>, Trouble> {
        let (connection, address) = {
            let state = self.state.lock().await;
            (state.connections.get(&id).cloned(), state.addresses.get(&id).cloned())
        };
        if let Some(connection) = connection.filter(|connection| !connection.is_ended()) {
            return Ok(connection);
        }
        let address = match address {
            Some(address) => address,
            None => {
                let cluster = self.look_up(&[]).await?;
                let node = cluster.nodes.into_iter().find(|node| node.id == id);
                node.ok_or_else(|| Trouble::Final(CliError::not_found(format!("no such broker: {id}"))))?
                    .address
            }
        };
        let opened = self.open(&address).await.map_err(|error| Trouble::Connect(id, address, error))?;
        let mut state = self.state.lock().await;
        state.connections.retain(|_, connection| !connection.is_ended());
        if state.connections.len() < CONNECTIONS_MAX {
            state.connections.insert(id, opened.clone());
        }
        Ok(opened)
    }

    async fn first(&self) -> Result<Arc<Connection>, CliError> {
        let mut state = self.state.lock().await;
        if let Some(first) = state.first.as_ref().filter(|first| !first.is_ended()) {
            return Ok(first.clone());
        }
        let mut said = Vec::new();
        for address in self.bootstrap.iter().chain(state.addresses.values()) {
            match self.open(address).await {
                Ok(connection) => {
                    state.first = Some(connection.clone());
                    return Ok(connection);
                }
                Err(reason) => said.push(format!("{address}: {reason}")),
            }
        }
        Err(unreachable(&self.bootstrap, &said))
    }

    async fn open(&self, address: &Address) -> Result<Arc<Connection>, String> {
        let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
        let mut found: Vec<SocketAddr> =
            found.map_err(|error| format!("no such host: {}", reason(&error)))?.collect();
        // A broker listens more often on IPv4 alone than on IPv6 alone.
        found.sort_by_key(SocketAddr::is_ipv6);
        let mut last = "no address".to_owned();
        for socket in found {
            let options = ConnectionOptions {
                client_id: "eddy-cli".to_owned(),
                connect_timeout: CONNECT_MAX.min(self.timeout),
                request_timeout: self.timeout,
                ..ConnectionOptions::default()
            };
            self.say(|| format!("connect to {socket} ({address})"));
            match Connection::open(socket, options).await {
                Ok(connection) => return Ok(Arc::new(connection)),
                Err(ConnectError::Socket { source, .. }) => last = reason(&source),
                Err(ConnectError::TimedOut { after, .. }) => last = format!("no connection within {after:?}"),
                Err(error @ ConnectError::Handshake { .. }) => {
                    last = format!("is it a Kafka listener? {error}")
                }
            }
        }
        Err(last)
    }

    /// Forgets what may have led to the wrong broker.
    pub(crate) async fn forget(&self, to: To<'_>) {
        let mut state = self.state.lock().await;
        match to {
            To::Any | To::Broker(_) => {}
            To::Controller => state.controller = None,
            To::Group(key) => drop(state.coordinators.remove(&(0, key.to_owned()))),
            To::Transaction(key) => drop(state.coordinators.remove(&(1, key.to_owned()))),
            To::Leader(partition) => drop(state.leaders.remove(&(partition.topic.clone(), partition.index))),
        }
    }
}

/// How long to go on, and how long to wait next.
#[derive(Debug)]
struct Attempts {
    deadline: Instant,
    pause: Duration,
}

impl Attempts {
    fn new(deadline: Instant) -> Attempts {
        Attempts { deadline, pause: PAUSE_FIRST }
    }
}

/// Why an attempt failed.
#[derive(Debug)]
enum Trouble {
    Call(CallError),
    /// A broker that metadata names does not take connections; it may be on its way down, and another one lead soon.
    Connect(BrokerId, Address, String),
    Final(CliError),
}

impl Trouble {
    fn passes(&self) -> bool {
        match self {
            // An administrative answer of this kind is about what the user named, not about metadata on its way.
            Trouble::Call(error) => error.is_retriable(),
            Trouble::Connect(..) => true,
            Trouble::Final(_) => false,
        }
    }

    fn text(&self) -> String {
        match self {
            Trouble::Call(error) => error.to_string(),
            Trouble::Connect(id, address, reason) => format!("broker {id} at {address}: {reason}"),
            Trouble::Final(error) => error.message().to_owned(),
        }
    }

    fn into_error(self) -> CliError {
        match self {
            Trouble::Call(error) => error.into(),
            Trouble::Connect(id, address, reason) => CliError::new(
                Exit::Unreachable,
                format!("cannot connect to broker {id} at {address}: {reason}"),
            )
            .fact("the address is the one that the broker advertises")
            .fix("eddy doctor", "check every address from here"),
            Trouble::Final(error) => error,
        }
    }
}

fn coordinator_of(answer: FindCoordinatorResponse, key: &str) -> Result<(BrokerId, Address), CallError> {
    let address = |host: &StrBytes, port: i32| Address {
        host: host.to_string(),
        port: u16::try_from(port).unwrap_or_default(),
    };
    if let Some(found) = answer.coordinators.into_iter().next() {
        accepted(ApiKey::FindCoordinator, found.error_code, key, found.error_message.as_deref())?;
        return Ok((BrokerId(found.node_id.0), address(&found.host, found.port)));
    }
    accepted(ApiKey::FindCoordinator, answer.error_code, key, answer.error_message.as_deref())?;
    Ok((BrokerId(answer.node_id.0), address(&answer.host, answer.port)))
}

fn refusal(api: ApiKey, code: ErrorCode, about: &str) -> CallError {
    CallError::Refused { api: api as i16, code: code as i16, about: about.to_owned(), message: String::new() }
}

fn unreachable(bootstrap: &[Address], said: &[String]) -> CliError {
    let names: Vec<String> = bootstrap.iter().map(Address::to_string).collect();
    let mut error =
        CliError::new(Exit::Unreachable, format!("cannot reach the cluster at {}", names.join(", ")));
    for line in said {
        error = error.fact(line.clone());
    }
    error
        .fix(format!("eddy doctor -b {}", names.join(",")), "find out what is in the way")
        .fix("eddy up", "start a local cluster on port 9092")
}

/// What the operating system said, without its number and in the case of our own messages.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

fn metadata_request(topics: Option<&[&str]>) -> MetadataRequest {
    let asked = topics.map(|names| {
        let topic = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        names.iter().map(topic).collect()
    });
    MetadataRequest::default().with_topics(asked).with_allow_auto_topic_creation(false)
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
