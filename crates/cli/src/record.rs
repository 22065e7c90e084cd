//! A record as a consumer sees it.

use std::sync::Arc;

use bytes::Bytes;
use eddy_batch::{Batch, Compression, Header};

/// A record and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// In milliseconds since the epoch, -1 for none.
    pub(crate) timestamp: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// Codec of its batch; none for one that this program does not know.
    pub(crate) compression: Option<Compression>,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<Header>,
}

impl Record {
    pub(crate) fn new(topic: Arc<str>, partition: i32, batch: &Batch, record: eddy_batch::Record) -> Record {
        Record {
            topic,
            partition,
            offset: record.offset.0,
            timestamp: record.timestamp.0,
            leader_epoch: batch.header.leader_epoch.0,
            producer_id: batch.header.producer_id.0,
            producer_epoch: batch.header.producer_epoch.0,
            compression: batch.header.attributes.compression().ok(),
            key: record.key,
            value: record.value,
            headers: record.headers,
        }
    }

    #[cfg(test)]
    pub(crate) fn sample() -> Record {
        Record {
            topic: "orders".into(),
            partition: 1,
            offset: 42,
            timestamp: 1_795_243_622_123,
            leader_epoch: 3,
            producer_id: -1,
            producer_epoch: -1,
            compression: Some(Compression::None),
            key: Some(Bytes::from_static(b"key")),
            value: Some(Bytes::from_static(b"some value")),
            headers: Vec::new(),
        }
    }
}
