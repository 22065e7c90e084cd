//! One client connection: requests are read and started in order, answers are sent in order.
//!
//! Both halves run in one task. Reading stops while too many requests are under way, while a request waits for memory, and
//! while a produce waits for room in the write-ahead log: the client's socket is the queue.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use eddy_wire::Frame;
use futures_util::future::poll_immediate;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::context::Context;
use crate::dispatch::{self, DispatchError};
use crate::frames::{FrameError, FrameReader};
use crate::pipeline::{Answer, Pipeline, Queued};

/// Answers are collected into one write until they reach this size.
const CORK_BYTES: usize = 256 << 10;
/// Slices in one vectored write.
const SLICES_MAX: usize = 256;
/// How long answers under way are waited for once no more requests come.
const DRAIN: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloseReason {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    #[error("cannot send: {0}")]
    Send(std::io::Error),
    #[error("an answer could not be encoded")]
    Encode,
    #[error("idle for longer than connections.max.idle.ms")]
    Idle,
    #[error("a frame was begun and not finished in time")]
    Stalled,
    #[error("the broker stops")]
    Stopping,
}

/// What others may know of a connection, and how they end it.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    /// Address of the client.
    pub(crate) peer: SocketAddr,
    /// The address it reached us on.
    pub(crate) local: SocketAddr,
    opened: Instant,
    /// Milliseconds from `opened` to the last sign of life.
    last_active: AtomicU64,
    within_frame: AtomicBool,
    in_flight: AtomicBool,
    end: Notify,
    end_reason: AtomicU64,
}

const END_IDLE: u64 = 1;
const END_STALLED: u64 = 2;

impl ConnectionState {
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr) -> ConnectionState {
        ConnectionState {
            peer,
            local,
            opened: Instant::now(),
            last_active: AtomicU64::new(0),
            within_frame: AtomicBool::new(false),
            in_flight: AtomicBool::new(false),
            end: Notify::new(),
            end_reason: AtomicU64::new(0),
        }
    }

    fn touch(&self) {
        let millis = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_active.store(millis, Ordering::Relaxed);
    }

    /// Ends the connection when it has been silent too long: `stall` within a frame, `idle` otherwise. A request under way, a
    /// parked fetch for example, is activity.
    pub(crate) fn end_if_silent(&self, idle: Duration, stall: Duration) {
        let silent = self
            .opened
            .elapsed()
            .saturating_sub(Duration::from_millis(self.last_active.load(Ordering::Relaxed)));
        let within_frame = self.within_frame.load(Ordering::Relaxed);
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        let reason = match (within_frame, in_flight) {
            (true, _) if silent > stall => END_STALLED,
            (false, false) if silent > idle => END_IDLE,
            _ => return,
        };
        self.end_reason.store(reason, Ordering::Relaxed);
        self.end.notify_one();
    }

    async fn ended(&self) -> CloseReason {
        self.end.notified().await;
        match self.end_reason.load(Ordering::Relaxed) {
            END_STALLED => CloseReason::Stalled,
            _ => CloseReason::Idle,
        }
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(
    ctx: &Arc<Context>,
    stream: TcpStream,
    state: &Arc<ConnectionState>,
) -> CloseReason {
    let (reading, mut writing) = stream.into_split();
    let pipeline = Pipeline::default();
    let frames = FrameReader::new(reading, ctx.engine.request_budget().clone(), ctx.settings.frame_bytes_max);
    let reason = {
        let mut stopping = ctx.engine.stopping();
        let inbound = read_requests(ctx, frames, state, &pipeline);
        let outbound = write_answers(ctx, &mut writing, state, &pipeline);
        tokio::pin!(inbound, outbound);
        let reason = tokio::select! {
            reason = &mut inbound => reason,
            reason = &mut outbound => return reason.unwrap_or(CloseReason::Stopping),
            reason = state.ended() => return reason,
            _ = stopping.wait_for(|stopping| *stopping) => CloseReason::Stopping,
        };
        pipeline.close();
        // What is under way is answered; the time for it is bounded because a parked fetch may wait for long.
        match tokio::time::timeout(DRAIN, outbound).await {
            Ok(Some(failed)) => return failed,
            Ok(None) | Err(_) => reason,
        }
    };
    if let CloseReason::Frame(FrameError::Foreign(foreign)) = &reason {
        // The client may be gone already; the farewell is a courtesy.
        let _ = writing.write_all(foreign.farewell()).await;
    }
    let _ = writing.shutdown().await;
    reason
}

async fn read_requests(
    ctx: &Arc<Context>,
    mut frames: FrameReader<impl tokio::io::AsyncRead + Unpin>,
    state: &Arc<ConnectionState>,
    pipeline: &Pipeline,
) -> CloseReason {
    loop {
        pipeline.room().await;
        state.touch();
        if let Err(error) = frames.begin().await {
            return error.into();
        }
        state.touch();
        state.within_frame.store(true, Ordering::Relaxed);
        let frame = match frames.next().await {
            Ok(frame) => frame,
            Err(error) => return error.into(),
        };
        state.within_frame.store(false, Ordering::Relaxed);
        state.in_flight.store(true, Ordering::Relaxed);
        match dispatch::start(ctx, state, frame).await {
            Ok(queued) => pipeline.push(queued),
            Err(error) => return error.into(),
        }
        if frames.has_buffered() {
            // A client that pipelines would otherwise keep the writing half from its turn.
            tokio::task::consume_budget().await;
        }
    }
}

/// Sends answers until none comes any more (`None`), or until the connection must end.
async fn write_answers(
    ctx: &Arc<Context>,
    socket: &mut (impl AsyncWrite + Unpin),
    state: &ConnectionState,
    pipeline: &Pipeline,
) -> Option<CloseReason> {
    let mut batch = Outgoing::default();
    while let Some(first) = pipeline.next().await {
        let mut next = Some(first);
        while let Some(mut queued) = next.take() {
            let frame = match &mut queued.answer {
                Answer::Now(_) | Answer::Nothing => None,
                Answer::Later(pending) => match poll_immediate(pending.as_mut()).await {
                    Some(done) => Some(done),
                    None => {
                        // What is finished does not wait for what is not.
                        if let Err(error) = batch.send(ctx, socket, pipeline).await {
                            return Some(CloseReason::Send(error));
                        }
                        Some(pending.as_mut().await)
                    }
                },
            };
            if let Some(done) = frame {
                match done {
                    Some(frame) => queued.answer = Answer::Now(frame),
                    None => return Some(CloseReason::Encode),
                }
            }
            batch.add(queued);
            if batch.bytes < CORK_BYTES {
                next = pipeline.try_next();
            }
        }
        if let Err(error) = batch.send(ctx, socket, pipeline).await {
            return Some(CloseReason::Send(error));
        }
        state.in_flight.store(pipeline.in_flight() > 0, Ordering::Relaxed);
        state.touch();
    }
    None
}

/// Answers on their way into one write.
#[derive(Default)]
struct Outgoing {
    segments: Vec<Bytes>,
    done: Vec<Queued>,
    bytes: usize,
}

impl Outgoing {
    fn add(&mut self, mut queued: Queued) {
        if let Answer::Now(Frame { segments }) = std::mem::replace(&mut queued.answer, Answer::Nothing) {
            let bytes: usize = segments.iter().map(Bytes::len).sum();
            queued.metrics.bytes_out.inc_by(bytes as u64);
            self.bytes += bytes;
            self.segments.extend(segments);
        }
        self.done.push(queued);
    }

    async fn send(
        &mut self,
        ctx: &Context,
        socket: &mut (impl AsyncWrite + Unpin),
        pipeline: &Pipeline,
    ) -> std::io::Result<()> {
        write_segments(socket, &mut self.segments).await?;
        pipeline.sent(self.done.len());
        for queued in self.done.drain(..) {
            queued.metrics.seconds.observe(queued.started.elapsed().as_secs_f64());
            drop(queued.permit);
        }
        ctx.metrics.bytes_sent.inc_by(self.bytes as u64);
        self.bytes = 0;
        Ok(())
    }
}

/// Writes all segments with as few system calls as the kernel allows; the list is empty afterwards.
async fn write_segments(
    socket: &mut (impl AsyncWrite + Unpin),
    segments: &mut Vec<Bytes>,
) -> std::io::Result<()> {
    let mut first = 0;
    while first < segments.len() {
        let mut written = {
            let rest = segments.iter().skip(first).take(SLICES_MAX);
            let slices: smallvec::SmallVec<[IoSlice<'_>; 64]> =
                rest.map(|segment| IoSlice::new(segment)).collect();
            socket.write_vectored(&slices).await?
        };
        if written == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        while let Some(segment) = segments.get_mut(first) {
            if written < segment.len() {
                segment.advance(written);
                break;
            }
            written -= segment.len();
            first += 1;
        }
    }
    segments.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most three bytes a call, as a full socket buffer does.
    struct Trickle(Vec<u8>);

    impl AsyncWrite for Trickle {
        fn poll_write(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            bytes: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            let take = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..take]);
            std::task::Poll::Ready(Ok(take))
        }

        fn poll_flush(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn poll_shutdown(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn short_writes_lose_and_repeat_nothing() {
        let mut socket = Trickle(Vec::new());
        let mut segments: Vec<Bytes> = ["hello", "w", "orld, ", "again"]
            .iter()
            .map(|part| Bytes::from_static(part.as_bytes()))
            .collect();
        write_segments(&mut socket, &mut segments).await.unwrap();
        assert_eq!(socket.0, b"helloworld, again");
        assert!(segments.is_empty());
    }
}
