//! The codecs: which there are, and bounded reading and writing of what they compress.

mod decode;
mod encode;
mod snappy;
mod zstandard;

use std::fmt;

use bytes::Bytes;

use crate::BatchError;
pub(crate) use decode::Decoder;
pub(crate) use encode::Encoder;

/// Bytes that are decompressed at a time.
const PIECE_BYTES: usize = 8 << 10;

/// Codec of a batch's records (attribute bits 0 to 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not compressed.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks in the framing of the Java library, or one bare block.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878 (KIP-110).
    Zstd,
}

impl Compression {
    /// Every codec, in the order of their codes.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The codec of an attribute value.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Compression> {
        Self::ALL.into_iter().find(|codec| codec.code() == code)
    }

    /// The attribute value.
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }

    /// The codec of a config value: `compression.type` of a producer (`none`) or of a topic (`uncompressed`).
    /// `producer` is none of these.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Compression> {
        if name == "none" {
            return Some(Compression::None);
        }
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The value of a topic's `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "uncompressed",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

/// All that `payload` decompresses to, for what else clients send in these codecs.
///
/// # Errors
/// The payload is damaged, or more than `limit` bytes come out of it.
pub fn decompress(codec: Compression, payload: Bytes, limit: u64) -> Result<Bytes, BatchError> {
    if codec == Compression::None && payload.len() as u64 <= limit {
        return Ok(payload);
    }
    let mut decoder = Decoder::new(codec, payload, limit)?;
    let mut plain = Vec::new();
    let mut piece = [0; PIECE_BYTES];
    loop {
        match decoder.read(&mut piece)? {
            0 => return Ok(plain.into()),
            read => plain.extend_from_slice(piece.get(..read).unwrap_or_default()),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How large records may become when they are decompressed.
///
/// Kafka has no such limit. Ours is far beyond what producers send, yet ends a bomb after a bounded amount of work: a small
/// batch may always grow to `floor` and by `ratio`, but not beyond `ceiling`, unless it is so large itself that an
/// ordinary ratio of 8 takes it there. The ceiling is also what a zstd stream with the largest window can make a decoder hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecompressLimit {
    /// Bytes that any batch may decompress to.
    pub floor: u64,
    /// Bytes beyond which a batch may not grow by a high ratio.
    pub ceiling: u64,
    /// Decompressed bytes for each compressed one, between floor and ceiling.
    pub ratio: u64,
}

impl Default for DecompressLimit {
    fn default() -> Self {
        DecompressLimit { floor: 32 << 20, ceiling: 48 << 20, ratio: 256 }
    }
}

impl DecompressLimit {
    /// A limit that is the same for all batches, in bytes.
    #[must_use]
    pub fn bytes(limit: u64) -> DecompressLimit {
        DecompressLimit { floor: limit, ceiling: limit, ratio: 0 }
    }

    /// The limit for `compressed` bytes of payload.
    #[must_use]
    pub fn for_payload(&self, compressed: usize) -> u64 {
        let compressed = compressed as u64;
        let ordinary = if self.ratio == 0 { 0 } else { compressed.saturating_mul(8) };
        compressed.saturating_mul(self.ratio).min(self.ceiling).max(self.floor).max(ordinary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_known_by_kafkas_numbers_and_names() {
        let names: Vec<_> = Compression::ALL.iter().map(|codec| (codec.code(), codec.name())).collect();
        assert_eq!(names, [(0, "uncompressed"), (1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")]);
        for codec in Compression::ALL {
            assert_eq!(Compression::from_code(codec.code()), Some(codec));
            assert_eq!(Compression::from_name(codec.name()), Some(codec));
        }
        assert_eq!(Compression::from_name("none"), Some(Compression::None));
        assert_eq!((Compression::from_name("producer"), Compression::from_code(5)), (None, None));
    }

    #[test]
    fn what_was_compressed_comes_back_up_to_the_limit() {
        let plain: Vec<u8> = (0..20_000u32).map(|number| (number / 7) as u8).collect();
        for codec in Compression::ALL {
            let mut encoder = Encoder::new(codec, None, Vec::new()).unwrap();
            encoder.write(&plain).unwrap();
            let compressed = Bytes::from(encoder.finish().unwrap());
            assert_eq!(decompress(codec, compressed.clone(), 20_000).unwrap(), plain, "{codec}");
            let bomb = decompress(codec, compressed, 19_999).unwrap_err();
            assert_eq!(bomb, BatchError::Bomb { limit: 19_999 }, "{codec}");
        }
    }

    #[test]
    fn the_limit_grows_with_the_payload_within_bounds() {
        let limit = DecompressLimit::default();
        let mib = |count: u64| count << 20;
        assert_eq!(limit.for_payload(100), mib(32));
        assert_eq!(limit.for_payload(160 << 10), mib(40));
        assert_eq!(limit.for_payload(1 << 20), mib(48));
        assert_eq!(limit.for_payload(100 << 20), mib(800));
        assert_eq!(DecompressLimit::bytes(5).for_payload(usize::MAX), 5);
    }
}
