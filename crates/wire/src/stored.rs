//! The records that coordinators keep in internal topics, one module per type: `stored::offset_commit` holds
//! `OffsetCommitKey` and `OffsetCommitValue`.
//!
//! Written by the build script from `schemas/records`. A key is its record type and a body, a value its version and a
//! body, both numbers an `i16`; a record without a value is a tombstone. The formats are Kafka's, so its tools read our
//! topics and we read its:
//!
//! ```
//! use eddy_wire::stored::{self, StoredKey, offset_commit::{OffsetCommitKey, OffsetCommitValue}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 7 };
//! let bytes = stored::encode_key(&key)?;
//! assert_eq!(stored::record_type(&bytes), Some(OffsetCommitKey::RECORD_TYPE));
//! assert_eq!(stored::decode_key::<OffsetCommitKey>(bytes)?, key);
//!
//! let value = OffsetCommitValue { offset: 42, ..Default::default() };
//! let bytes = stored::encode_value(&value, 4)?;
//! assert_eq!(stored::decode_value::<OffsetCommitValue>(bytes)?, value);
//! # Ok(())
//! # }
//! ```

#![allow(unused_variables, reason = "not every struct differs between versions")]
#![allow(clippy::all, reason = "generated code is judged by its generator")]

use bytes::{Bytes, BytesMut};

use crate::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// A key of stored records; its body has one version.
pub trait StoredKey: Encode + Decode {
    /// What leads the key: Kafka's coordinator key.
    const RECORD_TYPE: i16;
}

/// What the generated modules use.
mod generated {
    pub(super) use bytes::Bytes;
    pub(super) use eddy_types::TopicId;

    pub(super) use crate::writer::TaggedFields;
    pub(super) use crate::{Decode, DecodeError, Encode, EncodeError, Reader, Str, Writer};
}

include!(concat!(env!("OUT_DIR"), "/stored.rs"));

/// The type of the record that has `key`; `None` when the key is too short to have one.
#[must_use]
pub fn record_type(key: &[u8]) -> Option<i16> {
    key.first_chunk().copied().map(i16::from_be_bytes)
}

/// The bytes of a key, its type before it.
///
/// # Errors
/// When a string is longer than the format allows.
pub fn encode_key<K: StoredKey>(key: &K) -> Result<Bytes, EncodeError> {
    prefixed(K::RECORD_TYPE, key, 0)
}

/// The bytes of a value in `version`, which leads them.
///
/// # Errors
/// When the value has no such version, or says what the version cannot.
pub fn encode_value<V: Encode>(value: &V, version: i16) -> Result<Bytes, EncodeError> {
    prefixed(version, value, version)
}

/// The key in `bytes`, whose type is `K`'s; see [`record_type`].
///
/// # Errors
/// When the bytes are no such key.
pub fn decode_key<K: StoredKey>(bytes: Bytes) -> Result<K, DecodeError> {
    let mut reader = Reader::new(bytes);
    match reader.i16("key.type")? {
        own if own == K::RECORD_TYPE => K::decode(&mut reader, 0),
        other => Err(DecodeError::unsupported_version("key.type", other)),
    }
}

/// The value in `bytes`, in whatever version leads it.
///
/// # Errors
/// When the bytes are no such value, or of a version that does not exist.
pub fn decode_value<V: Decode>(bytes: Bytes) -> Result<V, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16("value.version")?;
    V::decode(&mut reader, version)
}

fn prefixed<M: Encode>(prefix: i16, body: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.put_i16(prefix);
    body.encode(&mut writer, version)?;
    let segments = writer.finish();
    Ok(match segments.len() {
        1 => segments.into_iter().next().unwrap_or_default(),
        _ => segments
            .iter()
            .fold(BytesMut::new(), |mut all, segment| {
                all.extend_from_slice(segment);
                all
            })
            .freeze(),
    })
}
