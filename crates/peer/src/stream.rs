//! Streams: a connection of frames that its two ends use as they like.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use eddy_types::BrokerId;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::frames::{FrameReader, FrameWriter};
use crate::limits::FRAME_BYTES_MAX;

/// What [`StreamWriter::write`] collects before it writes by itself, in bytes.
const COLLECTED_BYTES_MAX: usize = 256 << 10;

/// A connection of frames between two brokers.
///
/// It has no keep-alive of its own and does not come back when it breaks; `Peers::shutdown` of either side ends it.
/// Back-pressure is that of TCP: a writer waits while the other side does not read.
pub struct PeerStream {
    reader: StreamReader,
    writer: StreamWriter,
    broker: BrokerId,
    incarnation: u64,
}

/// The reading half.
pub struct StreamReader {
    frames: FrameReader,
    closed: watch::Receiver<bool>,
    _place: Place,
}

/// The writing half. Dropping it tells the other side's reader that the stream has ended.
pub struct StreamWriter {
    frames: FrameWriter,
    closed: watch::Receiver<bool>,
    _place: Place,
}

/// The place of an accepted connection, free again when both halves are gone.
type Place = Option<std::sync::Arc<OwnedSemaphorePermit>>;

impl PeerStream {
    pub(crate) fn new(
        socket: TcpStream,
        broker: BrokerId,
        incarnation: u64,
        place: Option<OwnedSemaphorePermit>,
        closed: watch::Receiver<bool>,
    ) -> Self {
        let place = place.map(std::sync::Arc::new);
        let (read, write) = socket.into_split();
        let reader = StreamReader {
            frames: FrameReader::new(read, FRAME_BYTES_MAX),
            closed: closed.clone(),
            _place: place.clone(),
        };
        let writer = StreamWriter { frames: FrameWriter::new(write), closed, _place: place };
        PeerStream { reader, writer, broker, incarnation }
    }

    /// The broker at the other end.
    #[must_use]
    pub fn broker(&self) -> BrokerId {
        self.broker
    }

    /// The process at the other end.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The two halves, for two tasks.
    #[must_use]
    pub fn split(self) -> (StreamReader, StreamWriter) {
        (self.reader, self.writer)
    }
}

impl StreamReader {
    /// The next frame; `None` when the other side has ended the stream. May be dropped and called again without loss.
    ///
    /// Frames that arrived together share memory: whoever keeps a small one for long should copy it.
    ///
    /// # Errors
    /// Those of the socket; `InvalidData` for a frame over [`FRAME_BYTES_MAX`]; `UnexpectedEof` for a stream that
    /// ends within a frame; `NotConnected` after `Peers::shutdown` on this side.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        until_closed(&mut self.closed, self.frames.next()).await
    }

    /// As [`next`](Self::next), but fails with `TimedOut` when not a byte arrives for `silence`: for streams on which
    /// something is sent at least that often.
    pub async fn next_within(&mut self, silence: Duration) -> io::Result<Option<Bytes>> {
        until_closed(&mut self.closed, self.frames.next_within(silence)).await
    }
}

impl StreamWriter {
    /// Queues a frame made of `parts`, which are shared and not copied unless they are small. Writes when enough is
    /// queued, so that many small frames leave together: [`flush`](Self::flush) sends the rest. A future that is
    /// dropped while it waits for the socket has queued its frame whole.
    ///
    /// # Errors
    /// `InvalidInput` for a frame over [`FRAME_BYTES_MAX`], of which nothing is queued; else those of
    /// [`flush`](Self::flush).
    pub async fn write(&mut self, parts: &[Bytes]) -> io::Result<()> {
        self.put(parts)?;
        if self.frames.queued() >= COLLECTED_BYTES_MAX { self.flush().await } else { Ok(()) }
    }

    fn put(&mut self, parts: &[Bytes]) -> io::Result<()> {
        let length = parts.iter().map(Bytes::len).sum::<usize>();
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a frame of {length} bytes")));
        }
        self.frames.begin(length as u32);
        parts.iter().for_each(|part| self.frames.put(part));
        Ok(())
    }

    /// Writes everything that is queued. May be dropped and called again: it goes on where it was.
    ///
    /// # Errors
    /// Those of the socket, after which the stream is of no use; `NotConnected` after `Peers::shutdown` on this side.
    pub async fn flush(&mut self) -> io::Result<()> {
        until_closed(&mut self.closed, self.frames.drain()).await
    }

    /// Queues a frame and writes what the socket takes at once; the rest stays queued for [`flush`](Self::flush). For any
    /// thread that must not wait.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub fn try_write(&mut self, frame: &Bytes) -> io::Result<()> {
        if *self.closed.borrow() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.put(std::slice::from_ref(frame))?;
        self.frames.try_drain()
    }

    /// Bytes that are queued and not yet written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.frames.queued()
    }
}

/// Does something with the socket unless `Peers::shutdown` was called, or is meanwhile.
async fn until_closed<T>(
    closed: &mut watch::Receiver<bool>,
    operation: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    if *closed.borrow() {
        return Err(io::ErrorKind::NotConnected.into());
    }
    tokio::select! {
        // The socket first: while it has something there is no need to ask.
        biased;
        result = operation => result,
        _ = closed.wait_for(|closed| *closed) => Err(io::ErrorKind::NotConnected.into()),
    }
}
