//! The brokers of a cluster, as they can be reached from here.
//!
//! Begins with any of the given addresses, learns the others from metadata, connects on demand and keeps the connections. A call that
//! fails with a code that passes is repeated until the deadline, after what was known is forgotten.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use eddy_client::messages::metadata_request::MetadataRequestTopic;
use eddy_client::messages::{MetadataRequest, MetadataResponse, TopicName};
use eddy_client::protocol::{Request, StrBytes};
use eddy_client::{CallError, Connection, PartitionName};
use eddy_types::BrokerId;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Address;
use crate::error::CliError;

mod cluster;
mod find;
mod trouble;

pub(crate) use cluster::{Cluster, Node, Partition, Topic};
use trouble::{Attempts, Trouble};

/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Whom a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To<'a> {
    /// Any broker.
    Any,
    /// One broker.
    Broker(BrokerId),
    /// Who changes metadata. In Kafka 4 any broker passes such requests on; metadata names one.
    Controller,
    /// The coordinator of a group.
    Group(&'a str),
    /// The leader of a partition.
    Leader(&'a PartitionName),
}

/// Connections to a cluster.
#[derive(Debug)]
pub(crate) struct Brokers {
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
    pub(crate) async fn connect(
        bootstrap: Vec<Address>,
        timeout: Duration,
        verbose: bool,
    ) -> Result<Brokers, CliError> {
        let brokers = Brokers { bootstrap, timeout, verbose, state: Mutex::new(State::default()) };
        brokers.first().await?;
        Ok(brokers)
    }

    /// How long a call may take.
    #[must_use]
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When a call that starts now must have its answer.
    #[must_use]
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// A connection to whom a request is for.
    ///
    /// # Errors
    /// The broker cannot be reached, or nobody knows who it is.
    pub(crate) async fn connection(&self, to: To<'_>) -> Result<Arc<Connection>, CliError> {
        self.find(to).await.map_err(Trouble::into_error)
    }

    /// Sends a request and reads its answer with `read`, which turns codes into [`CallError`] by [`accepted`]. Repeats it while it
    /// fails with what passes, until the deadline.
    ///
    /// # Errors
    /// The last failure.
    pub(crate) async fn call<R: Request, T>(
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
    pub(crate) async fn retry<T>(
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
    pub(crate) async fn cluster(&self, topics: Option<&[&str]>) -> Result<Cluster, CliError> {
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
    pub(crate) async fn group_coordinator(&self, group: &str) -> Result<(BrokerId, Address), CliError> {
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
