//! Frames from a socket: a length, then that many bytes, bounded in size and in the memory they may take.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use eddy_engine::{BudgetPermit, MemoryBudget};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::foreign::Foreign;

/// Frames up to this size get their memory in one piece as soon as the budget grants it; larger ones grow with the bytes
/// that arrive, so that a length alone never makes the broker allocate much.
const RESERVE_AT_ONCE_BYTES: usize = 2 << 20;
/// Read buffer of a connection without a large frame.
const READ_BYTES: usize = 16 << 10;
/// Room asked for while a large frame grows.
const GROW_BYTES: usize = 1 << 20;
const LENGTH_BYTES: usize = 4;

/// One request's bytes, and the memory they are counted against.
#[derive(Debug)]
pub(crate) struct RequestFrame {
    pub(crate) bytes: Bytes,
    pub(crate) permit: BudgetPermit,
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
    first: bool,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(socket: R, budget: MemoryBudget, frame_bytes_max: usize) -> FrameReader<R> {
        FrameReader { socket, buffer: BytesMut::new(), budget, frame_bytes_max, first: true }
    }

    /// Whether bytes of a next frame are here already.
    pub(crate) fn has_buffered(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Waits for the first bytes of a frame; the connection is idle meanwhile.
    pub(crate) async fn begin(&mut self) -> Result<(), FrameError> {
        if self.buffer.is_empty() {
            self.buffer.reserve(READ_BYTES);
            self.fill(FrameError::Closed).await?;
        }
        Ok(())
    }

    /// The next frame, without its length prefix. Waits for memory when the broker is full.
    pub(crate) async fn next(&mut self) -> Result<RequestFrame, FrameError> {
        while self.buffer.len() < LENGTH_BYTES {
            self.buffer.reserve(READ_BYTES);
            self.fill(FrameError::ClosedWithinFrame).await?;
        }
        let length = self.take_length()?;
        let permit = self.budget.take(length).await;
        while self.buffer.len() < length {
            let missing = length - self.buffer.len();
            let reserve = if length <= RESERVE_AT_ONCE_BYTES {
                missing
            } else {
                missing.min(self.buffer.len().max(GROW_BYTES))
            };
            self.buffer.reserve(reserve);
            self.fill(FrameError::ClosedWithinFrame).await?;
        }
        let bytes = self.buffer.split_to(length).freeze();
        if self.buffer.is_empty() {
            // Nothing but the frame is in this memory: let go of it, so that its batch can be stamped in place.
            self.buffer = BytesMut::new();
        }
        Ok(RequestFrame { bytes, permit })
    }

    fn take_length(&mut self) -> Result<usize, FrameError> {
        if std::mem::take(&mut self.first) {
            if let Some(foreign) = Foreign::recognise(&self.buffer) {
                return Err(FrameError::Foreign(foreign));
            }
        }
        let length = self.buffer.get_i32();
        match usize::try_from(length) {
            Ok(bytes) if (1..=self.frame_bytes_max).contains(&bytes) => Ok(bytes),
            _ => Err(FrameError::Length { length, limit: self.frame_bytes_max }),
        }
    }

    async fn fill(&mut self, on_end: FrameError) -> Result<(), FrameError> {
        if self.socket.read_buf(&mut self.buffer).await? == 0 { Err(on_end) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> FrameReader<&[u8]> {
        FrameReader::new(bytes, MemoryBudget::new(1 << 20), 1000)
    }

    #[tokio::test]
    async fn pipelined_frames_come_one_by_one() {
        let mut frames = reader(b"\0\0\0\x02ab\0\0\0\x01c");
        assert_eq!(frames.next().await.unwrap().bytes, "ab");
        assert_eq!(frames.next().await.unwrap().bytes, "c");
        assert!(matches!(frames.begin().await, Err(FrameError::Closed)));
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
}
