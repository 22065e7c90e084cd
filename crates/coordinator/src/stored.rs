//! Records between the machines' form and Kafka's bytes.

mod decode;
mod encode;

use std::sync::Arc;

use bytes::Bytes;
pub(crate) use decode::decode;
use eddy_wire::{DecodeError, EncodeError};
pub(crate) use encode::encode;

/// Key and value of a record in `__consumer_offsets`; a tombstone has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    pub(crate) key: Bytes,
    pub(crate) value: Option<Bytes>,
}

/// A record that is not what its key says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoredError {
    #[error("a record without a key")]
    NoKey,
    #[error("key: {0}")]
    Key(DecodeError),
    #[error("value: {0}")]
    Value(DecodeError),
}

type Encoded = Result<StoredRecord, EncodeError>;

/// The machines' text from the codec's, which would keep the whole batch in memory.
fn text(from: &eddy_wire::Str) -> Arc<str> {
    Arc::from(from.as_str())
}

#[cfg(test)]
mod tests;
