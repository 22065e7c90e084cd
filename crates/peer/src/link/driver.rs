//! The task behind a link.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::{debug, info};

use super::backoff::Backoff;
use super::{Link, LinkState, Reply};
use crate::connect::{Connected, Failure, connect};
use crate::frames::{FrameReader, FrameWriter};
use crate::hello::Purpose;
use crate::limits::{KEEP_ALIVE, LASTING, SILENCE_MAX};
use crate::message::{MESSAGE_BYTES_MAX, Message, Status, put_keep_alive, put_request};
use crate::shared::Inner;
use crate::{CallError, ConnectError, PeerAddress, Service};

/// Requests that are written together, in bytes.
const WRITE_BYTES: usize = 1 << 20;

/// Connects, carries calls, and connects again, until it is dropped.
pub(crate) async fn drive(inner: Arc<Inner>, link: Arc<Link>) {
    let seed = inner.config.incarnation ^ (inner.config.me.0 as u64) << 32 ^ link.to.0 as u64;
    let mut backoff = Backoff::new(seed);
    // Where the last established connection led: only a refusal from there says that its process is gone.
    let mut established: Option<SocketAddr> = None;
    loop {
        match attempt(&inner, &link).await {
            Ok(connected) => {
                established = Some(connected.remote);
                let since = Instant::now();
                let incarnation = connected.incarnation;
                link.state.send_replace(LinkState::Connected { incarnation });
                info!(broker = %link.to, incarnation, "connected");
                let end = carry(&link, connected).await;
                link.state.send_replace(LinkState::Broken);
                link.lose_sent();
                let end =
                    end.map_or_else(|error| error.to_string(), |()| "closed by the other side".to_owned());
                info!(broker = %link.to, end, "connection broke");
                if since.elapsed() >= LASTING {
                    backoff.reset();
                }
                // Tried again even if nobody asks: the state should tell a process that is gone from one that is
                // silent.
                link.pause(backoff.delay()).await;
                continue;
            }
            Err(failure) => {
                debug!(broker = %link.to, error = %failure.error, "not connected");
                link.failed(&failure, established);
            }
        }
        if link.pause(backoff.delay().max(crate::limits::BACKOFF_MIN / 2)).await {
            backoff.reset();
        }
        link.wanted().await;
    }
}

async fn attempt(inner: &Inner, link: &Link) -> Result<Connected, Failure> {
    let address = inner.address(link.to).ok_or(ConnectError::NoAddress(link.to))?;
    connect(inner, Some(link.to), &address, Purpose::Calls).await
}

/// Carries calls until the connection ends.
async fn carry(link: &Link, connected: Connected) -> io::Result<()> {
    let (read, write) = connected.socket.into_split();
    let mut reader = FrameReader::new(read, MESSAGE_BYTES_MAX);
    let mut writer = FrameWriter::new(write);
    tokio::select! {
        end = read_answers(link, &mut reader) => end,
        end = write_requests(link, &mut writer) => end,
    }
}

async fn read_answers(link: &Link, reader: &mut FrameReader) -> io::Result<()> {
    while let Some(frame) = reader.next_within(SILENCE_MAX).await? {
        match Message::read(frame)? {
            Message::KeepAlive => {}
            Message::Answer { id, status, payload } => {
                if let Some(reply) = link.take_sent(id) {
                    let _ = reply.send(result(status, payload));
                }
            }
            Message::Request { .. } => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a request from the other side"));
            }
        }
    }
    Ok(())
}

async fn write_requests(link: &Link, writer: &mut FrameWriter) -> io::Result<()> {
    loop {
        link.put_waiting(writer);
        if writer.queued() == 0 && tokio::time::timeout(KEEP_ALIVE, link.work.notified()).await.is_ok() {
            continue;
        }
        if writer.queued() == 0 {
            put_keep_alive(writer);
        }
        writer.drain().await?;
    }
}

/// What an answer says.
fn result(status: Status, payload: Bytes) -> Result<Bytes, CallError> {
    match status {
        Status::Done => Ok(payload),
        Status::NotServed => Err(CallError::NotServed),
        Status::Busy => Err(CallError::Busy),
        Status::Failed => Err(CallError::Failed(String::from_utf8_lossy(&payload).into_owned())),
    }
}

/// One call over a connection of its own, to whoever listens at `address`.
pub(crate) async fn once(
    inner: &Inner,
    address: &PeerAddress,
    service: Service,
    request: Bytes,
) -> Result<crate::Answer, CallError> {
    let connected = connect(inner, None, address, Purpose::Calls).await.map_err(|failure| failure.error)?;
    let (from, incarnation, cluster) = (connected.broker, connected.incarnation, connected.cluster);
    let link = Link::new(from);
    let mut entered = link.enter(service, request)?;
    let bytes = tokio::select! {
        answer = entered.answer() => answer?,
        // The answer may have been the last that arrived.
        _ = carry(&link, connected) => entered.answer.try_recv().unwrap_or(Err(CallError::Lost))?,
    };
    Ok(crate::Answer { from, incarnation, cluster, bytes })
}

impl Link {
    /// Waits until a connection is needed.
    async fn wanted(&self) {
        while !self.watched.load(Ordering::Acquire) && self.calls.lock().waiting.is_empty() {
            self.work.notified().await;
        }
    }

    /// Waits before the next attempt; true if something says that it may succeed now.
    async fn pause(&self, delay: Duration) -> bool {
        !delay.is_zero() && tokio::time::timeout(delay, self.nudge.notified()).await.is_ok()
    }

    /// Hands waiting calls to a connection, as many as are written together.
    fn put_waiting(&self, writer: &mut FrameWriter) {
        let mut calls = self.calls.lock();
        while writer.queued() < WRITE_BYTES {
            let Some((id, waiting)) = calls.waiting.pop_first() else {
                return;
            };
            put_request(writer, id, waiting.service as u8, &waiting.request);
            calls.sent.insert(id, waiting.reply);
        }
    }

    fn take_sent(&self, id: u64) -> Option<Reply> {
        self.calls.lock().sent.remove(&id)
    }

    /// The connection is gone: what was sent on it has no answer. What waits goes to the next one.
    fn lose_sent(&self) {
        for (_, reply) in self.calls.lock().sent.drain() {
            let _ = reply.send(Err(CallError::Lost));
        }
    }

    /// An attempt failed: the calls that waited for it hear why, and the state tells what is known now.
    fn failed(&self, failure: &Failure, established: Option<SocketAddr>) {
        let gone = established.is_some_and(|remote| failure.nobody_at.contains(&remote));
        self.state.send_if_modified(|state| {
            let next = match (&failure.error, *state) {
                // Nothing was tried.
                (ConnectError::NoAddress(_), state) => state,
                (_, LinkState::Refused) => LinkState::Refused,
                _ if gone => LinkState::Refused,
                _ => LinkState::Broken,
            };
            std::mem::replace(state, next) != next
        });
        let waiting = std::mem::take(&mut self.calls.lock().waiting);
        for (_, waiting) in waiting {
            let _ = waiting.reply.send(Err(failure.error.clone().into()));
        }
    }
}
