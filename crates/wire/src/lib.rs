//! The server's side of Kafka frames and messages: a bounded, zero-copy codec generated from Kafka's message schemas.
//!
//! The gateway reads a frame, takes its [`RequestHeader`] and the request's type from it, and sends what
//! [`encode_response`] returns:
//!
//! ```
//! use eddy_wire::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
//! use eddy_wire::{ApiKey, Decode, Reader, RequestHeader, encode_response};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let frame = bytes::Bytes::from_static(b"\0\x0c\0\0\0\0\0\x07\xff\xff\0\x01g\0\0\0\x01\0\x01m");
//! let mut reader = Reader::new(frame);
//! let header = RequestHeader::decode(&mut reader)?;
//! assert_eq!(ApiKey::from_i16(header.api_key), Some(ApiKey::Heartbeat));
//! let request = HeartbeatRequest::decode(&mut reader, header.api_version)?;
//! assert_eq!(request.group_id, "g");
//!
//! let response = HeartbeatResponse { error_code: 25, ..Default::default() };
//! let frame = encode_response(ApiKey::Heartbeat, header.api_version, header.correlation_id, &response)?;
//! assert_eq!(frame.segments.concat(), b"\0\0\0\x06\0\0\0\x07\0\x19");
//! # Ok(())
//! # }
//! ```
//!
//! What a decoder accepts is what Kafka 4.3 accepts, with four exceptions that no client meets: varints of more than 32 bits,
//! tagged fields that do not fill their size, compact lengths beyond `i32`, and arrays of nothing that would take
//! far more memory than the frame has bytes (see [`Reader`]). Bytes after the end of a message are ignored, as in Kafka.
//!
//! # Generation
//!
//! The build script turns `schemas/message/*.json` (of Kafka 4.3) into one module per API under [`messages`] and into
//! the table behind [`ApiKey`]. Both halves of an API are types; what a server does with them is always compiled ([`Decode`]
//! for requests, [`Encode`] for responses), the client's side only with the feature `testing`. Conventions:
//!
//! - A field exists when any valid version has it. In other versions it is its default after decoding; encoding
//!   refuses another value ([`EncodeError::UnsupportedField`]) unless the schema calls the field ignorable.
//! - Without a default in the schema a field is zero or empty, never null, also where null is allowed.
//! - Nullable fields are `Option`s, and records are always.
//! - Unknown tagged fields are skipped (R-2.7).
//!
//! The records that coordinators keep in internal topics come from `schemas/records` in the same way, both directions
//! always compiled: see [`stored`].
//!
//! To add an API or a version, copy the schemas of its request and response into `schemas/message`; the tests under
//! `tests/it` then name the tables that must learn of it. A schema feature that the generator does not know fails the build.
//!
//! The feature `testing` adds the client's side and random messages of every type, for tests that play the client.

#![deny(clippy::indexing_slicing)]

mod api_key;
mod error;
mod frame;
pub mod messages;
mod reader;
mod records;
pub mod stored;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod writer;

pub use api_key::ApiKey;
pub use error::{DecodeError, DecodeErrorKind, EncodeError};
pub use frame::{Frame, RequestHeader, encode_response};
pub use reader::Reader;
pub use records::Records;
pub use text::Str;
pub use writer::{Segments, TaggedFields, Writer};

/// A 128-bit id of anything but a topic: a log directory, a client instance. All zero means "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

/// What can be read from a frame.
pub trait Decode: Sized {
    /// Reads the message or struct in `version`.
    ///
    /// # Errors
    /// When the bytes are not such a message, or the message has no such version.
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError>;
}

/// What can be written into a frame.
pub trait Encode {
    /// Writes the message or struct in `version`.
    ///
    /// # Errors
    /// When the message says what `version` cannot, or the message has no such version.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;
}
