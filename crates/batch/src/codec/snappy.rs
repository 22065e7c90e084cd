//! Snappy as Kafka's clients write it: blocks in the framing of the Java library (xerial), or one bare block.
//!
//! The framing is 16 bytes of header (magic, version, lowest compatible version), then blocks, each after its length as a
//! big-endian `i32`. Java, kafka-python and sarama write it, librdkafka and franz-go write a bare block; all read both.

use std::io::{self, Read, Write};

use bytes::{Buf, BufMut, Bytes};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;
/// What the Java library cuts its input into.
const BLOCK_BYTES: usize = 32 << 10;
/// A copy element writes at most 64 bytes and takes at least 3 (2 for at most 11), so no valid block grows by more.
const RATIO_MAX: usize = 22;

/// Reads the blocks of a payload one after the other.
pub(super) struct SnappyReader {
    rest: Bytes,
    framed: bool,
    decoder: snap::raw::Decoder,
    block: Vec<u8>,
    /// Bytes of `block` that were read.
    taken: usize,
}

fn damaged(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

impl SnappyReader {
    pub(super) fn new(mut rest: Bytes) -> io::Result<SnappyReader> {
        let framed = rest.starts_with(&MAGIC);
        skip_headers(&mut rest)?;
        Ok(SnappyReader { rest, framed, decoder: snap::raw::Decoder::new(), block: Vec::new(), taken: 0 })
    }

    /// Decompresses the next block, of which there is at least one byte.
    fn next_block(&mut self) -> io::Result<()> {
        let length = if self.framed {
            let length = self.rest.try_get_i32().map_err(|_| damaged("a block's length is cut off"))?;
            usize::try_from(length).map_err(|_| damaged("a block's length is negative"))?
        } else {
            self.rest.len()
        };
        if length > self.rest.len() {
            return Err(damaged("a block is cut off"));
        }
        let compressed = self.rest.split_to(length);
        let claimed = snap::raw::decompress_len(&compressed)?;
        if claimed > compressed.len().saturating_mul(RATIO_MAX) {
            return Err(damaged("a block claims to be larger than its bytes can make it"));
        }
        self.block.resize(claimed, 0);
        let written = self.decoder.decompress(&compressed, &mut self.block)?;
        self.block.truncate(written);
        self.taken = 0;
        if self.framed {
            skip_headers(&mut self.rest)?;
        }
        Ok(())
    }
}

/// Passes over the framing's header; another one may stand between blocks, where two streams were joined.
fn skip_headers(rest: &mut Bytes) -> io::Result<()> {
    while rest.starts_with(&MAGIC) {
        // The versions say nothing: every one ever written is 1, and other readers pass over them.
        if rest.len() < HEADER_BYTES {
            return Err(damaged("the framing's header is cut off"));
        }
        rest.advance(HEADER_BYTES);
    }
    Ok(())
}

impl Read for SnappyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.block.len() {
            if self.rest.is_empty() {
                return Ok(0);
            }
            self.next_block()?;
        }
        let count = self.block.get(self.taken..).unwrap_or_default().read(into)?;
        self.taken += count;
        Ok(count)
    }
}

/// Writes blocks in the framing of the Java library.
pub(super) struct SnappyWriter {
    encoder: snap::raw::Encoder,
    /// Input of the block that is not full yet.
    pending: Vec<u8>,
    out: Vec<u8>,
}

impl SnappyWriter {
    /// A writer that appends to `out`.
    pub(super) fn new(mut out: Vec<u8>) -> SnappyWriter {
        out.put_slice(&MAGIC);
        out.put_u32(VERSION);
        out.put_u32(VERSION);
        SnappyWriter { encoder: snap::raw::Encoder::new(), pending: Vec::new(), out }
    }

    pub(super) fn get_ref(&self) -> &Vec<u8> {
        &self.out
    }

    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        self.end_block()?;
        Ok(self.out)
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let compressed = self.encoder.compress_vec(&self.pending)?;
        self.out.put_u32(compressed.len() as u32);
        self.out.put_slice(&compressed);
        self.pending.clear();
        Ok(())
    }
}

impl Write for SnappyWriter {
    fn write(&mut self, input: &[u8]) -> io::Result<usize> {
        let count = input.len().min(BLOCK_BYTES - self.pending.len());
        self.pending.extend_from_slice(input.get(..count).unwrap_or_default());
        if self.pending.len() == BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
