//! Frames out.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;

/// Slices shorter than this are copied next to each other: an entry of a vectored write costs more.
const COPY_BELOW: usize = 512;

/// Slices of one vectored write.
const SLICES_MAX: usize = 64;

/// Collects frames and writes them together.
///
/// Bytes that were put stay queued until they are written, whichever future writes them: a dropped `drain` loses and
/// doubles nothing.
pub(crate) struct FrameWriter {
    socket: OwnedWriteHalf,
    /// Whole slices, in order.
    slices: VecDeque<Bytes>,
    /// Small pieces that follow the last slice.
    tail: BytesMut,
    queued: usize,
}

impl FrameWriter {
    pub(crate) fn new(socket: OwnedWriteHalf) -> Self {
        FrameWriter { socket, slices: VecDeque::new(), tail: BytesMut::new(), queued: 0 }
    }

    /// Bytes put and not yet written.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Puts the header of a frame. Exactly `length` bytes must be put after it.
    pub(crate) fn begin(&mut self, length: u32) {
        self.put_small(&length.to_be_bytes());
    }

    /// Puts a few bytes by copying them.
    pub(crate) fn put_small(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.queued += bytes.len();
    }

    /// Puts bytes, sharing them unless they are few.
    pub(crate) fn put(&mut self, bytes: &Bytes) {
        if bytes.len() < COPY_BELOW {
            return self.put_small(bytes);
        }
        self.close_tail();
        self.slices.push_back(bytes.clone());
        self.queued += bytes.len();
    }

    /// Writes everything that was put, with as few system calls as the socket allows.
    pub(crate) async fn drain(&mut self) -> io::Result<()> {
        self.close_tail();
        while !self.slices.is_empty() {
            let (parts, count) = first_of(&self.slices);
            let written = self.socket.write_vectored(parts.get(..count).unwrap_or_default()).await?;
            self.advance(written)?;
        }
        Ok(())
    }

    /// Writes what the socket takes at once.
    pub(crate) fn try_drain(&mut self) -> io::Result<()> {
        self.close_tail();
        while !self.slices.is_empty() {
            let (parts, count) = first_of(&self.slices);
            match self.socket.try_write_vectored(parts.get(..count).unwrap_or_default()) {
                Ok(written) => self.advance(written)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.slices.push_back(self.tail.split().freeze());
        }
    }

    fn advance(&mut self, mut written: usize) -> io::Result<()> {
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.queued = self.queued.saturating_sub(written);
        while let Some(first) = self.slices.front_mut() {
            if written < first.len() {
                first.advance(written);
                return Ok(());
            }
            written -= first.len();
            self.slices.pop_front();
        }
        Ok(())
    }
}

/// What goes into one vectored write, and how much of the array it fills.
fn first_of(slices: &VecDeque<Bytes>) -> ([IoSlice<'_>; SLICES_MAX], usize) {
    let mut parts = [IoSlice::new(&[]); SLICES_MAX];
    let mut count = 0;
    for (part, slice) in parts.iter_mut().zip(slices) {
        *part = IoSlice::new(slice);
        count += 1;
    }
    (parts, count)
}
