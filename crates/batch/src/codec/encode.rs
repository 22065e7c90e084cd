//! Compressing records.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::snappy::SnappyWriter;
use crate::{BatchError, Compression};

/// Kafka's default levels (KIP-390); the LZ4 encoder has only one.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// Compresses what is written to it, behind bytes that are there already.
pub(crate) struct Encoder {
    codec: Compression,
    stream: Stream,
}

enum Stream {
    None(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Snappy(Box<SnappyWriter>),
    Lz4(Box<FrameEncoder<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// An encoder that appends to `out`, at a level of the codec's own scale (`None`: Kafka's default).
    pub(crate) fn new(codec: Compression, level: Option<i32>, out: Vec<u8>) -> Result<Encoder, BatchError> {
        let stream = match codec {
            Compression::None => Stream::None(out),
            Compression::Gzip => {
                // Kafka's default of -1 is zlib's name for level 6.
                let level = level.and_then(|level| u32::try_from(level).ok()).unwrap_or(GZIP_LEVEL);
                Stream::Gzip(Box::new(GzEncoder::new(out, flate2::Compression::new(level.min(9)))))
            }
            Compression::Snappy => Stream::Snappy(Box::new(SnappyWriter::new(out))),
            Compression::Lz4 => {
                // What Kafka's own writer sets; its reader refuses linked blocks.
                let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
                Stream::Lz4(Box::new(FrameEncoder::with_frame_info(info, out)))
            }
            Compression::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(out, level.unwrap_or(ZSTD_LEVEL));
                Stream::Zstd(encoder.map_err(|error| failed(codec, &error))?)
            }
        };
        Ok(Encoder { codec, stream })
    }

    /// Takes all of `input`.
    pub(crate) fn write(&mut self, input: &[u8]) -> Result<(), BatchError> {
        match &mut self.stream {
            Stream::None(out) => {
                out.extend_from_slice(input);
                Ok(())
            }
            Stream::Gzip(stream) => stream.write_all(input),
            Stream::Snappy(stream) => stream.write_all(input),
            Stream::Lz4(stream) => stream.write_all(input),
            Stream::Zstd(stream) => stream.write_all(input),
        }
        .map_err(|error| failed(self.codec, &error))
    }

    /// Bytes in the output so far.
    pub(crate) fn written(&self) -> usize {
        match &self.stream {
            Stream::None(out) => out.len(),
            Stream::Gzip(stream) => stream.get_ref().len(),
            Stream::Snappy(stream) => stream.get_ref().len(),
            Stream::Lz4(stream) => stream.get_ref().len(),
            Stream::Zstd(stream) => stream.get_ref().len(),
        }
    }

    /// Ends the stream and returns the output.
    pub(crate) fn finish(self) -> Result<Vec<u8>, BatchError> {
        match self.stream {
            Stream::None(out) => Ok(out),
            Stream::Gzip(stream) => stream.finish(),
            Stream::Snappy(stream) => stream.finish(),
            Stream::Lz4(stream) => stream.finish().map_err(io::Error::other),
            Stream::Zstd(stream) => stream.finish(),
        }
        .map_err(|error| failed(self.codec, &error))
    }
}

fn failed(codec: Compression, error: &io::Error) -> BatchError {
    BatchError::Compress { codec, reason: error.to_string() }
}
