//! The connecting side of a handshake.

use std::io;
use std::net::SocketAddr;

use eddy_types::{BrokerId, ClusterId};
use tokio::net::TcpStream;

use crate::hello::{HelloAnswer, Purpose};
use crate::limits::HANDSHAKE_TIMEOUT;
use crate::shared::Inner;
use crate::{ConnectError, PeerAddress, RefuseReason};

/// A connection with a finished handshake.
pub(crate) struct Connected {
    pub(crate) socket: TcpStream,
    pub(crate) remote: SocketAddr,
    pub(crate) broker: BrokerId,
    pub(crate) incarnation: u64,
    pub(crate) cluster: Option<ClusterId>,
}

/// A connection that did not come to be.
pub(crate) struct Failure {
    pub(crate) error: ConnectError,
    /// Where the operating system at the other end said that nobody listens.
    pub(crate) nobody_at: Vec<SocketAddr>,
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Failure { error, nobody_at: Vec::new() }
    }
}

/// Connects and shakes hands within `HANDSHAKE_TIMEOUT`. `to` is none when whoever listens there is welcome.
pub(crate) async fn connect(
    inner: &Inner,
    to: Option<BrokerId>,
    address: &PeerAddress,
    purpose: Purpose,
) -> Result<Connected, Failure> {
    let attempt = async {
        let (mut socket, remote) = dial(address).await?;
        let answer = shake_hands(inner, to, purpose, &mut socket).await?;
        Ok(Connected {
            socket,
            remote,
            broker: answer.broker,
            incarnation: answer.incarnation,
            cluster: answer.cluster,
        })
    };
    tokio::time::timeout(HANDSHAKE_TIMEOUT, attempt)
        .await
        .unwrap_or_else(|_| Err(ConnectError::Timeout.into()))
}

/// Connects to the first address of the host that answers.
async fn dial(address: &PeerAddress) -> Result<(TcpStream, SocketAddr), Failure> {
    let unreachable = |error: &io::Error| ConnectError::Unreachable(error.kind());
    let mut failure = Failure::from(ConnectError::Unreachable(io::ErrorKind::NotFound));
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    for remote in found.map_err(|error| unreachable(&error))? {
        match TcpStream::connect(remote).await {
            Ok(socket) => {
                socket.set_nodelay(true).map_err(|error| unreachable(&error))?;
                return Ok((socket, remote));
            }
            Err(error) => {
                failure.error = unreachable(&error);
                if error.kind() == io::ErrorKind::ConnectionRefused {
                    failure.nobody_at.push(remote);
                }
            }
        }
    }
    Err(failure)
}

async fn shake_hands(
    inner: &Inner,
    to: Option<BrokerId>,
    purpose: Purpose,
    socket: &mut TcpStream,
) -> Result<HelloAnswer, ConnectError> {
    let unreachable = |error: io::Error| ConnectError::Unreachable(error.kind());
    inner.hello(purpose, to).send(socket).await.map_err(unreachable)?;
    let answer = HelloAnswer::receive(socket).await.map_err(unreachable)?.ok_or(ConnectError::NotABroker)?;
    if let Some(reason) = answer.refused {
        return Err(ConnectError::Refused(reason));
    }
    // The other side has checked these too; but what it accepts is its own affair, and a cluster id may be known here
    // only.
    if to.is_some_and(|to| to != answer.broker) {
        return Err(ConnectError::Refused(RefuseReason::NotThisBroker));
    }
    if inner.is_other_cluster(answer.cluster) {
        return Err(ConnectError::Refused(RefuseReason::OtherCluster));
    }
    Ok(answer)
}
