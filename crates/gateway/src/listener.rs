//! Accepts connections, within limits, and ends those that are silent too long.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;

use crate::admission::{Open, Pace};
use crate::connection::{self, CloseReason};
use crate::connection_state::ConnectionState;
use crate::context::Context;
use crate::frames::FrameError;
use crate::quota::Quotas;

const BACKLOG: i32 = 1024;
/// How often silent connections are looked for.
const SWEEP: Duration = Duration::from_secs(5);
const SWEEP_MIN: Duration = Duration::from_millis(10);
/// Pause after an accept that failed for want of file descriptors or memory: trying at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds a listener. A wildcard IPv6 address takes IPv4 too.
///
/// # Errors
/// As the operating system says; `AddrInUse` is the one to expect.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

type Connections = Arc<Mutex<Open>>;

/// Serves a listener until the engine stops.
pub(crate) async fn run(ctx: Arc<Context>, listener: TcpListener) {
    let connections = Connections::default();
    let mut stopping = ctx.engine.stopping();
    let silence = ctx.settings.idle_max.min(ctx.settings.stall_max);
    let mut sweep = tokio::time::interval(SWEEP.min(silence / 2).max(SWEEP_MIN));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_id = 0u64;
    let mut pace = Pace::new(Instant::now());
    loop {
        let rate = ctx.engine.image().broker_config().max_connection_creation_rate;
        let wait = pace.wait(rate, Instant::now());
        let accepted = tokio::select! {
            accepted = listener.accept(), if wait.is_none() => accepted,
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => continue,
            _ = sweep.tick() => {
                look_around(&ctx, &connections);
                continue;
            }
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                next_id += 1;
                pace.accepted();
                admit(&ctx, &connections, next_id, stream, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Ends silent connections, and counts the others by their client's library.
fn look_around(ctx: &Context, connections: &Connections) {
    let mut libraries = BTreeMap::new();
    for state in connections.lock().iter() {
        state.end_if_silent(ctx.settings.idle_max, ctx.settings.stall_max);
        let software = state.software();
        if !software.name.is_empty() {
            *libraries.entry((software.name, software.version)).or_default() += 1;
        }
    }
    ctx.metrics.show_libraries(libraries);
}

fn admit(ctx: &Arc<Context>, connections: &Connections, id: u64, stream: TcpStream, peer: SocketAddr) {
    let Ok(local) = stream.local_addr() else { return };
    // Answers are corked by us; Nagle would only delay them.
    let _ = stream.set_nodelay(true);
    // A peer that vanished without a word is noticed while its connection may be silent for long.
    let _ = SockRef::from(&stream).set_keepalive(true);
    let image = ctx.engine.image();
    if let Some(pause) = ctx.quotas.connected(&image, peer.ip()) {
        ctx.metrics.rejected("rate_per_ip");
        tracing::debug!(%peer, "connection refused: its address is over its connection_creation_rate");
        return Quotas::close_later(ctx, stream, pause);
    }
    let config = Arc::clone(image.broker_config());
    let admitted = connections.lock().admit(id, peer, local, &config);
    let state = match admitted {
        Ok(state) => state,
        Err(refused) => {
            ctx.metrics.rejected(refused.reason());
            tracing::warn!(%peer, reason = %refused, "connection refused");
            return;
        }
    };
    ctx.metrics.connections.inc();
    let (ctx, connections) = (Arc::clone(ctx), Arc::clone(connections));
    tokio::spawn(async move {
        match outcome(connection::serve(&ctx, stream, &state)).await {
            Some(reason) => report(&ctx, &state, &reason),
            None => ctx.metrics.rejected("panic"),
        }
        connections.lock().remove(id);
        ctx.metrics.connections.dec();
    });
}

/// Why a connection ended; `None` after a panic. A broken invariant met by a request ends its connection and no other; the
/// panic hook has reported it.
async fn outcome(serving: impl Future<Output = CloseReason>) -> Option<CloseReason> {
    AssertUnwindSafe(serving).catch_unwind().await.ok()
}

fn report(ctx: &Context, state: &ConnectionState, reason: &CloseReason) {
    let label = match reason {
        CloseReason::Frame(FrameError::Closed | FrameError::Io(_))
        | CloseReason::Send(_)
        | CloseReason::Stopping => {
            tracing::debug!(peer = %state.peer, %reason, "connection closed");
            return;
        }
        CloseReason::Frame(FrameError::Foreign(foreign)) => foreign.reason(),
        CloseReason::Frame(_) => "frame",
        CloseReason::Dispatch(_) => "request",
        CloseReason::Encode => "encode",
        CloseReason::Idle => "idle",
        CloseReason::Stalled => "stalled",
    };
    ctx.metrics.rejected(label);
    tracing::debug!(peer = %state.peer, %reason, "connection ended by the broker");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_connection_and_goes_no_further() {
        let panics = async {
            tokio::task::yield_now().await;
            panic!("an invariant is broken")
        };
        assert!(outcome(panics).await.is_none());
        assert!(matches!(outcome(async { CloseReason::Idle }).await, Some(CloseReason::Idle)));
    }
}
