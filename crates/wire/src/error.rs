//! What can be wrong with bytes, and with messages.

use thiserror::Error;

/// Bytes that are no message of the version they claim. The connection they came from is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("cannot decode {field} at byte {position}: {kind}")]
pub struct DecodeError {
    /// Struct and field, such as `FetchPartition.fetch_offset`.
    pub field: &'static str,
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// Bytes of the frame read before the fault was seen.
    pub position: usize,
}

/// What is wrong with the bytes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeErrorKind {
    /// The frame, or the tagged field, ends before the value does.
    #[error("needs {needed} bytes, {remaining} remain")]
    Truncated {
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// An array claims more elements than there are bytes.
    #[error("claims {count} elements, {remaining} bytes remain")]
    CountTooLarge {
        /// Elements claimed.
        count: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// Arrays of many empty elements would take far more memory than the frame has bytes (see [`crate::Reader`]).
    #[error("array needs {needed} bytes of memory, {memory} are left to the frame")]
    MemoryExceeded {
        /// Bytes that the array takes.
        needed: usize,
        /// Bytes that are left of the frame's allowance.
        memory: usize,
    },
    /// Null where the version does not allow it.
    #[error("null is not allowed")]
    Null,
    /// A string longer than Kafka's 32,767 bytes.
    #[error("string of {0} bytes exceeds 32767")]
    StringTooLong(usize),
    /// A varint of more than five bytes, or of more than 32 bits.
    #[error("varint exceeds 32 bits")]
    VarintTooLong,
    /// A string that is not UTF-8.
    #[error("not utf-8")]
    Utf8,
    /// A tagged field does not take the bytes that its size claims.
    #[error("{0} bytes of the tagged field are left over")]
    TaggedFieldSize(usize),
    /// The message does not exist in this version.
    #[error("version {0} is not supported")]
    UnsupportedVersion(i16),
}

impl DecodeError {
    pub(crate) fn unsupported_version(message: &'static str, version: i16) -> DecodeError {
        DecodeError { field: message, kind: DecodeErrorKind::UnsupportedVersion(version), position: 0 }
    }
}

/// A message that cannot be written in the wanted version. For a response this is a fault of the broker, never of the
/// client: the answer cannot be sent, so the connection is to be closed and the error logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The message does not exist in this version.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Name of the message.
        message: &'static str,
        /// Version asked for.
        version: i16,
    },
    /// A field is set that the version cannot carry and whose loss the schema does not allow.
    #[error("{field} is set, but does not exist in version {version}")]
    UnsupportedField {
        /// Struct and field.
        field: &'static str,
        /// Version asked for.
        version: i16,
    },
    /// Null where the version does not allow it.
    #[error("{field} is null, which version {version} does not allow")]
    Null {
        /// Struct and field.
        field: &'static str,
        /// Version asked for.
        version: i16,
    },
    /// A string, byte field or array exceeds what its length prefix can say, or the frame exceeds `i32::MAX` bytes.
    #[error("{field} is too long: {length}")]
    TooLong {
        /// Struct and field, or `frame`.
        field: &'static str,
        /// Its length.
        length: usize,
    },
}

impl EncodeError {
    pub(crate) fn unsupported_version(message: &'static str, version: i16) -> EncodeError {
        EncodeError::UnsupportedVersion { message, version }
    }

    pub(crate) fn unsupported_field(field: &'static str, version: i16) -> EncodeError {
        EncodeError::UnsupportedField { field, version }
    }

    pub(crate) fn null(field: &'static str, version: i16) -> EncodeError {
        EncodeError::Null { field, version }
    }
}
