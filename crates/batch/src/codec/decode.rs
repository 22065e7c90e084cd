//! Reading compressed records, piece by piece and never more than the limit.

use std::io::{self, Read};

use bytes::{Buf, Bytes, buf};
use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;

use super::snappy::SnappyReader;
use super::zstandard::ZstdReader;
use crate::{BatchError, Compression};

/// An LZ4 frame's first bytes. The crate would take legacy frames too; Kafka's clients do not.
const LZ4_MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// What an LZ4 reader reads from. That reader takes the end of its input for the end of the frame; Kafka's consumers do
/// not, so it must be known whether the frame had its end mark.
struct Lz4Input {
    rest: Bytes,
    /// Whether more was asked for than there was.
    exhausted: bool,
}

impl Read for Lz4Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.exhausted |= self.rest.len() < into.len();
        let count = self.rest.len().min(into.len());
        self.rest.split_to(count).copy_to_slice(into.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Reads the decompressed records of a batch.
///
/// Memory is that of the codec's window (at most a few MiB that are touched only as output grows), whatever the size of
/// the output.
pub(crate) struct Decoder {
    codec: Compression,
    stream: Stream,
    /// Bytes that may still come out.
    room: u64,
    limit: u64,
    ended: bool,
}

enum Stream {
    None(Bytes),
    Gzip(Box<MultiGzDecoder<buf::Reader<Bytes>>>),
    Snappy(SnappyReader),
    Lz4(Box<FrameDecoder<Lz4Input>>),
    Zstd(ZstdReader),
}

impl Decoder {
    /// A reader of `payload`, out of which at most `limit` bytes come.
    pub(crate) fn new(codec: Compression, payload: Bytes, limit: u64) -> Result<Decoder, BatchError> {
        let damaged = |error: io::Error| BatchError::Payload { codec, reason: error.to_string() };
        let stream = match codec {
            Compression::None => Stream::None(payload),
            Compression::Gzip => Stream::Gzip(Box::new(MultiGzDecoder::new(payload.reader()))),
            Compression::Snappy => Stream::Snappy(SnappyReader::new(payload).map_err(damaged)?),
            Compression::Lz4 => {
                if !payload.starts_with(&LZ4_MAGIC) {
                    return Err(damaged(io::Error::other("not an LZ4 frame")));
                }
                Stream::Lz4(Box::new(FrameDecoder::new(Lz4Input { rest: payload, exhausted: false })))
            }
            Compression::Zstd => Stream::Zstd(ZstdReader::new(payload).map_err(damaged)?),
        };
        Ok(Decoder { codec, stream, room: limit, limit, ended: false })
    }

    /// Reads at least one byte into a non-empty `into`; 0 at the end.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<usize, BatchError> {
        // After its end mark an LZ4 reader would begin another frame; Kafka's does not.
        if self.ended {
            return Ok(0);
        }
        let read = match &mut self.stream {
            Stream::None(bytes) => {
                let count = bytes.len().min(into.len());
                bytes.split_to(count).copy_to_slice(into.get_mut(..count).unwrap_or_default());
                Ok(count)
            }
            Stream::Gzip(stream) => stream.read(into),
            Stream::Snappy(stream) => stream.read(into),
            Stream::Lz4(stream) => match stream.read(into) {
                Ok(0) if stream.get_ref().exhausted => Err(io::ErrorKind::UnexpectedEof.into()),
                read => read,
            },
            Stream::Zstd(stream) => stream.read(into),
        };
        let count =
            read.map_err(|error| BatchError::Payload { codec: self.codec, reason: error.to_string() })?;
        self.ended = count == 0;
        match self.room.checked_sub(count as u64) {
            Some(room) => self.room = room,
            None => return Err(BatchError::Bomb { limit: self.limit }),
        }
        Ok(count)
    }
}
