//! Random messages and a list of all codecs, for tests that must not forget one.

use std::any::Any;
use std::fmt::Debug;

use bytes::Bytes;

use crate::{ApiKey, Decode, DecodeError, Encode, EncodeError, Reader, Records, Str, Writer};

/// Of one, two and three bytes.
const LETTERS: [char; 6] = ['a', '-', 'Z', '0', 'é', '€'];

/// How large a sampler makes arrays, strings, byte fields and records.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Anything, small.
    Random,
    /// Strings, byte fields and records empty, nulls null; `count` elements in arrays nested `level` deep (0 is outermost), one in those
    /// around them, none in those within: least bytes on the wire for most elements in memory.
    Dense {
        /// Nesting of the large arrays.
        level: u32,
        /// Elements in each of them.
        count: usize,
    },
}

/// A source of random values; the same seed gives the same values.
#[derive(Debug)]
pub struct Sampler {
    state: u64,
    shape: Shape,
    level: u32,
}

macro_rules! numbers {
    ($($number:ident)*) => {
        $(
            /// Any value, with extremes among the likely ones.
            pub fn $number(&mut self) -> $number {
                match self.below(4) {
                    0 => $number::MIN,
                    1 => $number::MAX,
                    _ => self.bits() as $number,
                }
            }
        )*
    };
}

impl Sampler {
    /// A sampler of small random messages.
    pub fn new(seed: u64) -> Sampler {
        Sampler { state: seed, shape: Shape::Random, level: 0 }
    }

    /// A sampler of messages of a given shape.
    pub fn with_shape(seed: u64, shape: Shape) -> Sampler {
        Sampler { shape, ..Sampler::new(seed) }
    }

    /// 64 random bits (SplitMix64).
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    numbers! { i8 i16 u16 i32 u32 i64 }

    /// A finite number.
    pub fn f64(&mut self) -> f64 {
        f64::from(self.i32()) / 7.0
    }

    /// Either.
    pub fn bool(&mut self) -> bool {
        self.below(2) == 0
    }

    /// Any 16 bytes, often zero.
    pub fn uuid(&mut self) -> [u8; 16] {
        let high = u128::from(self.below(2) * self.bits());
        (high << 64 | u128::from(self.bits())).to_be_bytes()
    }

    /// Text of up to 20 characters, at times of more than 127 bytes.
    pub fn string(&mut self) -> Str {
        let length = match (self.shape, self.below(10)) {
            (Shape::Dense { .. }, _) => 0,
            (Shape::Random, 0) => 100 + self.below(100),
            (Shape::Random, _) => self.below(20),
        };
        let text: String =
            (0..length).map(|_| LETTERS.get(self.below(6) as usize).copied().unwrap_or_default()).collect();
        text.into()
    }

    /// Up to 30 bytes, at times a few thousand, so that segments of their own appear.
    pub fn bytes(&mut self) -> Bytes {
        let length = match (self.shape, self.below(10)) {
            (Shape::Dense { .. }, _) => 0,
            (Shape::Random, 0) => 900 + self.below(3000),
            (Shape::Random, _) => self.below(30),
        };
        (0..length).map(|_| self.bits() as u8).collect()
    }

    /// Up to three segments.
    pub fn records(&mut self) -> Records {
        (0..self.below(4)).map(|_| self.bytes()).collect()
    }

    /// `None` now and then, where it is allowed.
    pub fn nullable<T>(&mut self, allowed: bool, value: impl FnOnce(&mut Sampler) -> T) -> Option<T> {
        // A dense message keeps its arrays, and an empty string costs no more than a null one.
        let null = allowed && matches!(self.shape, Shape::Random) && self.below(4) == 0;
        if null { None } else { Some(value(self)) }
    }

    /// Up to three elements.
    pub fn array<T>(&mut self, mut element: impl FnMut(&mut Sampler) -> T) -> Vec<T> {
        let count = match self.shape {
            Shape::Random => self.below(4) as usize,
            Shape::Dense { level, .. } if self.level < level => 1,
            Shape::Dense { level, count } if self.level == level => count,
            Shape::Dense { .. } => 0,
        };
        self.level += 1;
        let elements = (0..count).map(|_| element(self)).collect();
        self.level -= 1;
        elements
    }
}

/// What a random value can be made of. Fields that `version` lacks keep their defaults.
pub trait Sample: Sized {
    /// A message or struct valid in `version`.
    fn sample(sampler: &mut Sampler, version: i16) -> Self;
}

/// A message of any type.
pub trait AnyMessage: Debug {
    /// See [`Encode::encode`].
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// Whether both are of the same type and equal.
    fn equals(&self, other: &dyn AnyMessage) -> bool;

    /// The message itself.
    fn as_any(&self) -> &dyn Any;
}

impl<M: Encode + PartialEq + Debug + 'static> AnyMessage for M {
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        Encode::encode(self, writer, version)
    }

    fn equals(&self, other: &dyn AnyMessage) -> bool {
        other.as_any().downcast_ref::<M>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A message, or what is wrong with its bytes.
pub type Decoded = Result<Box<dyn AnyMessage>, DecodeError>;

/// A message type without its type.
#[derive(Debug)]
pub struct Codec {
    /// Such as `FetchRequest`.
    pub name: &'static str,
    /// Its API.
    pub api_key: ApiKey,
    /// Whether it is the request of the API, not the response.
    pub is_request: bool,
    /// See [`Sample::sample`].
    pub sample: fn(&mut Sampler, i16) -> Box<dyn AnyMessage>,
    /// See [`Decode::decode`].
    pub decode: fn(&mut Reader, i16) -> Decoded,
}

impl Codec {
    const fn new<M: Sample + Decode + AnyMessage + 'static>(
        name: &'static str,
        api_key: ApiKey,
        is_request: bool,
    ) -> Codec {
        Codec {
            name,
            api_key,
            is_request,
            sample: |sampler, version| Box::new(M::sample(sampler, version)),
            decode: |reader, version| Ok(Box::new(M::decode(reader, version)?)),
        }
    }
}

/// A key or a value of stored records, without its type.
#[derive(Debug)]
pub struct StoredCodec {
    /// Such as `OffsetCommitValue`.
    pub name: &'static str,
    /// Versions it has.
    pub versions: std::ops::RangeInclusive<i16>,
    /// See [`Sample::sample`].
    pub sample: fn(&mut Sampler, i16) -> Box<dyn AnyMessage>,
    /// See [`Decode::decode`].
    pub decode: fn(&mut Reader, i16) -> Decoded,
}

impl StoredCodec {
    const fn new<M: Sample + Decode + AnyMessage + 'static>(
        name: &'static str,
        min: i16,
        max: i16,
    ) -> StoredCodec {
        StoredCodec {
            name,
            versions: min..=max,
            sample: |sampler, version| Box::new(M::sample(sampler, version)),
            decode: |reader, version| Ok(Box::new(M::decode(reader, version)?)),
        }
    }
}

#[allow(clippy::all, unused_variables, reason = "generated code is judged by its generator")]
mod samples {
    use super::{Codec, Sample, Sampler, StoredCodec};
    use crate::{ApiKey, Uuid};
    use eddy_types::TopicId;

    include!(concat!(env!("OUT_DIR"), "/samples.rs"));
    include!(concat!(env!("OUT_DIR"), "/stored_samples.rs"));
}

pub use samples::{CODECS, STORED};
