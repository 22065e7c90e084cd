//! The listening side: accepts, shakes hands, and hands the connection to what it is for.

mod calls;
mod handshakes;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use eddy_types::BrokerId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, warn};

pub(crate) use handshakes::Handshakes;

use crate::hello::{Hello, HelloAnswer, Opening, Purpose};
use crate::limits::HANDSHAKE_TIMEOUT;
use crate::shared::Inner;
use crate::stats::count;
use crate::{PeerStream, RefuseReason};

/// Pause after an accept that failed: out of file descriptors, most likely, and that does not pass within microseconds.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until it is dropped.
pub(crate) async fn accept(inner: Arc<Inner>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => begin(&inner, socket),
            Err(error) => {
                warn!(%error, "cannot accept a connection of a broker");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Starts a connection's task, under the bound of unfinished handshakes.
fn begin(inner: &Arc<Inner>, socket: TcpStream) {
    let id = inner.handshakes.next();
    let shared = inner.clone();
    let task = inner.spawn(async move { serve(shared, id, socket).await });
    if inner.handshakes.begun(id, task) {
        count(&inner.counters.unfinished);
    }
}

async fn serve(inner: Arc<Inner>, id: u64, mut socket: TcpStream) {
    let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, shake_hands(&inner, &mut socket)).await;
    inner.handshakes.ended(id);
    let (hello, place) = match shaken {
        Ok(Ok(Some(accepted))) => accepted,
        Ok(Ok(None)) => return,
        Ok(Err(_)) | Err(_) => return count(&inner.counters.unfinished),
    };
    count(&inner.counters.accepted);
    let (from, incarnation, purpose) = (hello.from, hello.incarnation, hello.purpose);
    inner.heard_from(hello);
    match purpose {
        Purpose::Calls => calls::serve(&inner, from, socket, place).await,
        Purpose::Stream => {
            if let Some(handler) = inner.stream_handler() {
                handler.accepted(
                    from,
                    incarnation,
                    PeerStream::new(socket, from, incarnation, Some(place), inner.closed()),
                );
            }
        }
    }
}

/// Reads a hello and answers it. `None`: the connection is not wanted, and that is counted.
async fn shake_hands(
    inner: &Inner,
    socket: &mut TcpStream,
) -> io::Result<Option<(Hello, OwnedSemaphorePermit)>> {
    socket.set_nodelay(true)?;
    let judged = match Hello::receive(socket).await? {
        Opening::Garbage => {
            count(&inner.counters.garbage);
            return Ok(None);
        }
        Opening::OtherVersion => Err(RefuseReason::Version),
        Opening::Hello(hello) => judge(inner, hello),
    };
    let answer = HelloAnswer {
        refused: judged.as_ref().err().copied(),
        broker: inner.config.me,
        incarnation: inner.config.incarnation,
        cluster: inner.cluster(),
    };
    if let Some(reason) = answer.refused {
        debug!(%reason, "connection refused");
        count(&inner.counters.refused);
    }
    answer.send(socket).await?;
    Ok(judged.ok())
}

/// Whether the connection that a hello asks for is wanted.
fn judge(inner: &Inner, hello: Hello) -> Result<(Hello, OwnedSemaphorePermit), RefuseReason> {
    let myself = (inner.config.me, inner.config.incarnation);
    if inner.is_other_cluster(hello.cluster) {
        return Err(RefuseReason::OtherCluster);
    }
    if hello.to.is_some_and(|to: BrokerId| to != inner.config.me) {
        return Err(RefuseReason::NotThisBroker);
    }
    if hello.from == myself.0 && hello.incarnation != myself.1 {
        return Err(RefuseReason::SameBrokerId);
    }
    if hello.purpose == Purpose::Stream && inner.stream_handler().is_none() {
        return Err(RefuseReason::NotServed);
    }
    let place = inner.connections.clone().try_acquire_owned().map_err(|_| RefuseReason::Overloaded)?;
    Ok((hello, place))
}
