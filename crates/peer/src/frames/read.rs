//! Frames in.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

/// What is read at once, and what an announced length may claim before any of its bytes are there.
const CHUNK: usize = 64 << 10;

/// Less free room than this is not worth a system call.
const ROOM_MIN: usize = 4 << 10;

/// Reads frames. Frames that arrived together share one buffer.
pub(crate) struct FrameReader {
    socket: OwnedReadHalf,
    buffer: BytesMut,
    /// Largest frame taken.
    limit: usize,
}

impl FrameReader {
    pub(crate) fn new(socket: OwnedReadHalf, limit: usize) -> Self {
        FrameReader { socket, buffer: BytesMut::new(), limit }
    }

    /// The next frame; `None` at the end of the stream between two frames. Can be dropped and called again without
    /// loss.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            if self.fill().await? == 0 {
                return self.end();
            }
        }
    }

    /// As [`next`](Self::next), but fails with `TimedOut` when not a byte arrives for `silence`.
    pub(crate) async fn next_within(&mut self, silence: Duration) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            // The read is tried before the clock is asked: bytes that came while this process stood still count.
            let read = tokio::time::timeout(silence, self.fill()).await;
            if read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? == 0 {
                return self.end();
            }
        }
    }

    /// Cuts a whole frame off the buffer.
    fn take(&mut self) -> io::Result<Option<Bytes>> {
        let Some(&header) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(header) as usize;
        if length > self.limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes")));
        }
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    async fn fill(&mut self) -> io::Result<usize> {
        if self.buffer.capacity() - self.buffer.len() < ROOM_MIN {
            self.buffer.reserve(self.room());
        }
        self.socket.read_buf(&mut self.buffer).await
    }

    /// How much to make room for: no more than what has arrived of the frame already, so that a large one costs a few
    /// copies and a length without bytes costs one chunk.
    fn room(&self) -> usize {
        let expected = match self.buffer.first_chunk::<4>() {
            Some(&header) => u32::from_be_bytes(header) as usize + 4,
            None => 4,
        };
        expected.saturating_sub(self.buffer.len()).min(self.buffer.len()).max(CHUNK)
    }

    fn end(&self) -> io::Result<Option<Bytes>> {
        if self.buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn memory_grows_with_the_bytes_that_came_and_not_with_the_length() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (near, _) = listener.accept().await.unwrap();
        let mut reader = FrameReader::new(near.into_split().0, 64 << 20);
        far.write_all(&(64u32 << 20).to_be_bytes()).await.unwrap();
        for arrived in [100, 3 * CHUNK, 10 * CHUNK] {
            far.write_all(&vec![0; arrived + 4 - reader.buffer.len().max(4)]).await.unwrap();
            while reader.buffer.len() < 4 + arrived {
                let _ = tokio::time::timeout(Duration::from_millis(5), reader.next()).await;
            }
            let capacity = reader.buffer.capacity();
            assert!(capacity <= 2 * (arrived + CHUNK), "{capacity} for {arrived}");
        }
        drop(far);
        assert_eq!(reader.next().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
