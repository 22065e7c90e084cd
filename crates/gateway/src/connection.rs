//! One client connection: requests are read and started in order, answers are sent in order.
//!
//! Both halves run in one task. Reading stops while too many requests are under way, while a request waits for memory, and
//! while a produce waits for room in the write-ahead log: the client's socket is the queue.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use eddy_wire::Frame;
use futures_util::future::poll_immediate;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::connection_state::{ConnectionState, Silence};
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
    #[error("nothing asked or read for longer than connections.max.idle.ms")]
    Idle,
    #[error("a frame was begun and not finished in time")]
    Stalled,
    #[error("the broker stops")]
    Stopping,
}

impl From<Silence> for CloseReason {
    fn from(silence: Silence) -> CloseReason {
        match silence {
            Silence::Idle => CloseReason::Idle,
            Silence::Stalled => CloseReason::Stalled,
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
    let budget = ctx.engine.request_budget().clone();
    let frames = FrameReader::new(reading, budget, ctx.settings.frame_bytes_max, Arc::clone(state));
    let reason = {
        let mut stopping = ctx.engine.stopping();
        let inbound = read_requests(ctx, frames, state, &pipeline);
        let outbound = write_answers(ctx, &mut writing, state, &pipeline);
        tokio::pin!(inbound, outbound);
        let reason = tokio::select! {
            // The writing half comes after the reading half and sees what that has queued: see `Pipeline::next`.
            biased;
            reason = &mut inbound => reason,
            reason = &mut outbound => return reason.unwrap_or(CloseReason::Stopping),
            silence = state.ended() => return silence.into(),
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
        state.unmuted().await;
        let frame = match frames.next().await {
            Ok(frame) => frame,
            Err(error) => return error.into(),
        };
        // An answer that came meanwhile may have muted the connection.
        state.unmuted().await;
        match dispatch::start(ctx, state, frame).await {
            Ok(queued) => {
                state.started();
                pipeline.push(queued);
            }
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
                        if let Err(error) = batch.send(ctx, socket, state, pipeline).await {
                            return Some(CloseReason::Send(error));
                        }
                        Some(pending.as_mut().await)
                    }
                },
            };
            if let Some(done) = frame {
                match done {
                    Some(frame) => queued.answer = Answer::Now(frame),
                    None => {
                        // The answers before it are complete, and leave.
                        let sent = batch.send(ctx, socket, state, pipeline).await;
                        return Some(sent.map_or_else(CloseReason::Send, |()| CloseReason::Encode));
                    }
                }
            }
            batch.add(queued);
            if batch.bytes < CORK_BYTES {
                next = pipeline.try_next();
            }
        }
        if let Err(error) = batch.send(ctx, socket, state, pipeline).await {
            return Some(CloseReason::Send(error));
        }
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
        state: &ConnectionState,
        pipeline: &Pipeline,
    ) -> std::io::Result<()> {
        state.set_sending(true);
        write_segments(socket, &mut self.segments, || state.touch()).await?;
        state.set_sending(false);
        pipeline.sent(self.done.len());
        state.answered(self.done.len());
        let now = Instant::now();
        for queued in self.done.drain(..) {
            queued.metrics.seconds.observe(now.saturating_duration_since(queued.started).as_secs_f64());
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
    on_progress: impl Fn(),
) -> std::io::Result<()> {
    let mut first = 0;
    while first < segments.len() {
        let mut written = {
            match segments.get(first..).unwrap_or_default() {
                [one] => socket.write(one).await?,
                rest => {
                    let slices: smallvec::SmallVec<[IoSlice<'_>; 64]> =
                        rest.iter().take(SLICES_MAX).map(|segment| IoSlice::new(segment)).collect();
                    socket.write_vectored(&slices).await?
                }
            }
        };
        if written == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        on_progress();
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
        write_segments(&mut socket, &mut segments, || {}).await.unwrap();
        assert_eq!(socket.0, b"helloworld, again");
        assert!(segments.is_empty());
    }
}
