//! The server's side of Kafka frames and messages: a bounded, zero-copy codec generated from Kafka's message schemas.

#![deny(clippy::indexing_slicing)]

mod api_key;
mod error;
mod frame;
pub mod messages;
mod reader;
mod records;
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
