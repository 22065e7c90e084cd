//! Frames from a socket: a length, then that many bytes, bounded in size and in the memory they may take.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use eddy_engine::{BudgetPermit, MemoryBudget};
use futures_util::future::poll_immediate;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::connection_state::{ConnectionState, Turn};
use crate::foreign::Foreign;

/// Read buffer of a connection without a large frame.
const READ_BYTES: usize = 16 << 10;
/// The largest one: an idle connection keeps it.
const READ_BYTES_MAX: usize = 32 << 10;
/// How much larger than the last frame the next one may be to fit into one buffer.
const SLACK_BYTES: usize = 512;
const LENGTH_BYTES: usize = 4;
/// Memory that a frame takes before its bytes are here: a length alone never makes the broker hold much.
const CLAIM_BYTES: usize = 128 << 10;
const API_KEY_BYTES: usize = 2;
/// API key of Produce, as a frame begins with it.
const PRODUCE: [u8; API_KEY_BYTES] = [0, 0];
/// Requests other than Produce up to this size are counted by their bytes.
const CONTROL_BYTES_SMALL: usize = 1 << 20;
/// Decoded memory for a byte of a frame, at most.
const DECODED_FACTOR: usize = 16;

/// One request's bytes, and the memory they are counted against.
#[derive(Debug)]
pub(crate) struct RequestFrame {
    pub(crate) bytes: Bytes,
    /// Size of the allocation that `bytes`, or any slice of it, keeps.
    pub(crate) memory: usize,
    pub(crate) permit: BudgetPermit,
    /// Whether the client was waited for, and has sent nothing after it so far: one that waits for its answers, it seems.
    pub(crate) alone: bool,
}

/// Why no further frame comes from a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the client closed the connection")]
    Closed,
    #[error("the client closed the connection within a frame")]
    ClosedWithinFrame,
    #[error("frame of {length} bytes, allowed are 1 to {limit}")]
    Length { length: i32, limit: usize },
    #[error("not the Kafka protocol: {0}")]
    Foreign(Foreign),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Cuts a byte stream into frames.
pub(crate) struct FrameReader<R> {
    socket: R,
    buffer: BytesMut,
    budget: MemoryBudget,
    frame_bytes_max: usize,
    state: Arc<ConnectionState>,
    first: bool,
    /// Room for a frame like the last one: it is read in one go, and nearly alone in its memory.
    read_bytes: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(
        socket: R,
        budget: MemoryBudget,
        frame_bytes_max: usize,
        state: Arc<ConnectionState>,
    ) -> FrameReader<R> {
        let (buffer, read_bytes) = (BytesMut::new(), READ_BYTES);
        FrameReader { socket, buffer, budget, frame_bytes_max, state, first: true, read_bytes }
    }

    /// Whether bytes of a next frame are here already.
    pub(crate) fn has_buffered(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next frame, without its length prefix. Waits for memory when the broker is full.
    pub(crate) async fn next(&mut self) -> Result<RequestFrame, FrameError> {
        let mut waited = false;
        if self.buffer.is_empty() {
            self.state.set_turn(Turn::Idle);
            self.buffer.reserve(self.read_bytes);
            let begins = self.fill(FrameError::Closed);
            tokio::pin!(begins);
            match poll_immediate(&mut begins).await {
                Some(begun) => begun?,
                None => {
                    waited = true;
                    begins.await?;
                }
            }
        }
        self.state.set_turn(Turn::Client);
        self.buffer_start(LENGTH_BYTES).await?;
        let length = self.take_length()?;
        // The API key is needed to know what the request will cost; a frame too short for one is refused later.
        self.buffer_start(length.min(API_KEY_BYTES)).await?;
        self.state.set_turn(Turn::Broker);
        let permit = self.read_body(length).await?;
        let (bytes, memory) = self.take_frame(length);
        self.state.set_turn(Turn::Broker);
        let alone = waited && self.buffer.is_empty();
        Ok(RequestFrame { bytes, memory, permit, alone })
    }

    /// The first `length` bytes of the buffer, and the memory they keep. It is theirs alone, so that a batch can be stamped in place
    /// and keeps nothing else in the tail cache: a frame that is small, or smaller than what follows it, is copied out, else
    /// what follows is.
    fn take_frame(&mut self, length: usize) -> (Bytes, usize) {
        self.read_bytes = (length + LENGTH_BYTES + SLACK_BYTES).clamp(READ_BYTES, READ_BYTES_MAX);
        if length < READ_BYTES || self.buffer.len() - length > length {
            let bytes = Bytes::copy_from_slice(&self.buffer[..length]);
            self.buffer.advance(length);
            return (bytes, length);
        }
        let memory = self.buffer.capacity();
        let rest = BytesMut::from(&self.buffer[length..]);
        let mut frame = std::mem::replace(&mut self.buffer, rest);
        frame.truncate(length);
        (frame.freeze(), memory)
    }

    /// Memory that a request is counted with. A produce is decoded without copying. Decoding another request may take up to
    /// sixteen times its bytes: large ones are counted so, small ones by their bytes, since they are answered at once or,
    /// as a parked fetch, kept as little more than they were.
    fn cost(&self, length: usize) -> usize {
        let is_produce = self.buffer.starts_with(&PRODUCE);
        if is_produce || length <= CONTROL_BYTES_SMALL {
            length
        } else {
            length.saturating_mul(DECODED_FACTOR)
        }
    }

    /// Reads until the buffer holds the first `length` bytes of a frame; what comes with them is kept.
    async fn buffer_start(&mut self, length: usize) -> Result<(), FrameError> {
        while self.buffer.len() < length {
            self.buffer.reserve(READ_BYTES);
            self.fill(FrameError::ClosedWithinFrame).await?;
        }
        Ok(())
    }

    /// Reads until the buffer holds a frame's `length` bytes, with room for no more, so that the frame is alone in it. Memory is
    /// taken as the bytes arrive, twice what is there: who claims much and sends little holds little.
    async fn read_body(&mut self, length: usize) -> Result<BudgetPermit, FrameError> {
        let cost = self.cost(length);
        let mut taken = cost.min(CLAIM_BYTES);
        let mut permit = self.budget.take(taken).await;
        self.state.begin_body(length);
        while self.buffer.len() < length {
            let missing = length - self.buffer.len();
            self.buffer.reserve(missing.min(self.buffer.len().max(CLAIM_BYTES)));
            self.fill(FrameError::ClosedWithinFrame).await?;
            let due = (cost / length * self.buffer.len() * 2).min(cost);
            if due > taken {
                self.state.set_turn(Turn::Broker);
                self.budget.grow(&mut permit, due - taken).await;
                taken = due;
                self.state.begin_body(length.saturating_sub(self.buffer.len()));
            }
        }
        // What came in one piece with the length has not been counted yet.
        if taken < cost {
            self.state.set_turn(Turn::Broker);
            self.budget.grow(&mut permit, cost - taken).await;
        }
        Ok(permit)
    }

    fn take_length(&mut self) -> Result<usize, FrameError> {
        if std::mem::take(&mut self.first)
            && let Some(foreign) = Foreign::recognise(&self.buffer)
        {
            return Err(FrameError::Foreign(foreign));
        }
        let length = self.buffer.get_i32();
        match usize::try_from(length) {
            Ok(bytes) if (1..=self.frame_bytes_max).contains(&bytes) => Ok(bytes),
            _ => Err(FrameError::Length { length, limit: self.frame_bytes_max }),
        }
    }

    async fn fill(&mut self, on_end: FrameError) -> Result<(), FrameError> {
        let read = self.socket.read_buf(&mut self.buffer).await?;
        self.state.touch();
        if read == 0 { Err(on_end) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> FrameReader<&[u8]> {
        limited(bytes, 1 << 20, 1000)
    }

    fn limited(bytes: &[u8], budget: usize, frame_bytes_max: usize) -> FrameReader<&[u8]> {
        let address = "127.0.0.1:1".parse().unwrap();
        let state = Arc::new(ConnectionState::new(address, address));
        FrameReader::new(bytes, MemoryBudget::new(budget), frame_bytes_max, state)
    }

    #[tokio::test]
    async fn pipelined_frames_come_one_by_one() {
        let mut frames = reader(b"\0\0\0\x02ab\0\0\0\x01c");
        assert_eq!(frames.next().await.unwrap().bytes, "ab");
        assert_eq!(frames.next().await.unwrap().bytes, "c");
        assert!(matches!(frames.next().await, Err(FrameError::Closed)));
    }

    #[tokio::test]
    async fn a_frame_is_alone_when_it_was_waited_for_and_none_follows() {
        let (mut client, broker) = tokio::io::duplex(1000);
        let address = "127.0.0.1:1".parse().unwrap();
        let state = Arc::new(ConnectionState::new(address, address));
        let mut frames = FrameReader::new(broker, MemoryBudget::new(1000), 1000, state);
        for (sent, alone) in
            [(&b"\0\0\0\x02ab"[..], [true].as_slice()), (b"\0\0\0\x02ab\0\0\0\x02cd", &[false, false])]
        {
            let sends = async { tokio::io::AsyncWriteExt::write_all(&mut client, sent).await.unwrap() };
            let (first, ()) = tokio::join!(frames.next(), sends);
            let mut seen = vec![first.unwrap().alone];
            while frames.has_buffered() {
                seen.push(frames.next().await.unwrap().alone);
            }
            assert_eq!(seen, alone);
        }
        tokio::io::AsyncWriteExt::write_all(&mut client, b"\0\0\0\x02ab").await.unwrap();
        assert!(!frames.next().await.unwrap().alone, "it was there");
    }

    #[tokio::test]
    async fn lengths_that_lie_are_refused_before_memory_is_taken() {
        for length in [0, -1, i32::MIN, 1001, i32::MAX] {
            let mut frames = reader(Box::leak(Box::new(length.to_be_bytes())));
            assert!(matches!(frames.next().await, Err(FrameError::Length { .. })), "{length}");
            assert_eq!(frames.budget.used(), 0);
        }
    }

    #[tokio::test]
    async fn a_frame_that_ends_early_is_told_from_an_end() {
        assert!(matches!(reader(b"\0\0\0\x05abc").next().await, Err(FrameError::ClosedWithinFrame)));
        assert!(matches!(reader(b"\0\0").next().await, Err(FrameError::ClosedWithinFrame)));
    }

    #[tokio::test]
    async fn a_frame_alone_in_its_memory_can_be_changed_in_place() {
        let mut frames = reader(b"\0\0\0\x02ab");
        assert!(frames.next().await.unwrap().bytes.try_into_mut().is_ok());
    }

    #[tokio::test]
    async fn a_large_request_is_counted_with_what_decoding_may_take() {
        let frame = |key: i16, bytes: usize| {
            let mut frame = i32::try_from(bytes).unwrap().to_be_bytes().to_vec();
            frame.extend_from_slice(&key.to_be_bytes());
            frame.resize(4 + bytes, 0);
            frame
        };
        for (key, bytes, cost) in
            [(0, 9 << 20, 9 << 20), (3, 3 << 20, 48 << 20), (3, 1 << 20, 1 << 20), (1, 10, 10)]
        {
            let frame = frame(key, bytes);
            let mut frames = limited(&frame, 64 << 20, 64 << 20);
            let request = frames.next().await.unwrap();
            assert_eq!(frames.budget.used(), cost, "key {key}, {bytes} bytes");
            drop(request);
            assert_eq!(frames.budget.used(), 0);
        }
    }

    #[tokio::test]
    async fn a_frame_that_does_not_come_holds_little() {
        let mut claims = (64_i32 << 20).to_be_bytes().to_vec();
        claims.extend_from_slice(&[0; 100]);
        let (mut client, broker) = tokio::io::duplex(1000);
        tokio::io::AsyncWriteExt::write_all(&mut client, &claims).await.unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let state = Arc::new(ConnectionState::new(address, address));
        let mut frames = FrameReader::new(broker, MemoryBudget::new(100 << 20), 100 << 20, state);
        let budget = frames.budget.clone();
        let next = frames.next();
        tokio::pin!(next);
        assert!(futures_util::future::poll_immediate(&mut next).await.is_none());
        assert_eq!(budget.used(), CLAIM_BYTES);
    }

    #[tokio::test]
    async fn a_frame_too_short_for_an_api_key_is_a_frame() {
        assert_eq!(reader(b"\0\0\0\x01x").next().await.unwrap().bytes, "x");
    }
}
