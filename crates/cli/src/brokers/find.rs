//! Who a request goes to, and the connection there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use eddy_client::messages::{ApiKey, FindCoordinatorRequest, FindCoordinatorResponse};
use eddy_client::protocol::StrBytes;
use eddy_client::{CallError, ConnectError, Connection, ConnectionOptions, PartitionName, accepted};
use eddy_types::{BrokerId, ErrorCode};

use super::trouble::{Trouble, reason, unreachable};
use super::{Brokers, To};
use crate::Address;
use crate::error::CliError;

/// Time for one socket; the whole is bounded by `--timeout`.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Connections that are kept; a cluster with more brokers has the rest opened anew.
const CONNECTIONS_MAX: usize = 256;
/// From this version on one request asks for many coordinators (KIP-699).
const COORDINATORS_FROM: i16 = 4;

impl Brokers {
    pub(super) async fn find(&self, to: To<'_>) -> Result<Arc<Connection>, Trouble> {
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

    pub(super) async fn coordinator(&self, kind: i8, key: &str) -> Result<Arc<Connection>, Trouble> {
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
        let connection = self.state.lock().await.connections.get(&id).cloned();
        if let Some(connection) = connection.filter(|connection| !connection.is_ended()) {
            return Ok(connection);
        }
        let address = self.address(id).await?;
        let opened =
            self.open_shared(&address).await.map_err(|error| Trouble::Connect(id, address, error))?;
        let mut state = self.state.lock().await;
        state.connections.retain(|_, connection| !connection.is_ended());
        if state.connections.len() < CONNECTIONS_MAX {
            state.connections.insert(id, opened.clone());
        }
        Ok(opened)
    }

    pub(super) async fn first(&self) -> Result<Arc<Connection>, CliError> {
        let mut state = self.state.lock().await;
        if let Some(first) = state.first.as_ref().filter(|first| !first.is_ended()) {
            return Ok(first.clone());
        }
        let mut said = Vec::new();
        for address in self.bootstrap.iter().chain(state.addresses.values()) {
            match self.open_shared(address).await {
                Ok(connection) => {
                    state.first = Some(connection.clone());
                    return Ok(connection);
                }
                Err(reason) => said.push(format!("{address}: {reason}")),
            }
        }
        Err(unreachable(&self.bootstrap, &said))
    }

    /// A connection to a broker that nobody else uses.
    ///
    /// # Errors
    /// The broker cannot be reached, or is unknown.
    pub(crate) async fn dedicated(&self, id: BrokerId, in_flight_max: usize) -> Result<Connection, CliError> {
        let address = self.address(id).await.map_err(Trouble::into_error)?;
        let opened = self.open(&address, in_flight_max).await;
        opened.map_err(|reason| Trouble::Connect(id, address, reason).into_error())
    }

    async fn address(&self, id: BrokerId) -> Result<Address, Trouble> {
        let known = self.state.lock().await.addresses.get(&id).cloned();
        if let Some(address) = known {
            return Ok(address);
        }
        let cluster = self.look_up(&[]).await?;
        let node = cluster.nodes.into_iter().find(|node| node.id == id);
        let node =
            node.ok_or_else(|| Trouble::Final(CliError::not_found(format!("no such broker: {id}"))))?;
        Ok(node.address)
    }

    async fn open_shared(&self, address: &Address) -> Result<Arc<Connection>, String> {
        self.open(address, ConnectionOptions::default().in_flight_max).await.map(Arc::new)
    }

    async fn open(&self, address: &Address, in_flight_max: usize) -> Result<Connection, String> {
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
                in_flight_max,
                ..ConnectionOptions::default()
            };
            self.say(|| format!("connect to {socket} ({address})"));
            match Connection::open(socket, options).await {
                Ok(connection) => return Ok(connection),
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
            To::Leader(partition) => drop(state.leaders.remove(&(partition.topic.clone(), partition.index))),
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
