//! What one event wrote, as one batch: after a crash all of it is there, or none.

use bytes::Bytes;
use eddy_batch::{BatchBuilder, BatchError, BatchHeader, Compression};
use eddy_core::group::GroupRecord;
use eddy_engine::NewBatch;
use eddy_types::Millis;
use eddy_wire::EncodeError;

use crate::stored::{StoredRecord, encode};

/// Records that cannot be written; a fault of ours, because requests cannot say what the format cannot hold.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnwritableBatch {
    #[error(transparent)]
    Record(#[from] EncodeError),
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// The batch of `records`, of which there is at least one.
pub(crate) fn batch(now: Millis, records: &[GroupRecord]) -> Result<NewBatch, UnwritableBatch> {
    let mut builder = BatchBuilder::new(Compression::None);
    for record in records {
        let StoredRecord { key, value } = encode(record)?;
        builder.append(now, Some(&key), value.as_deref());
    }
    let bytes: Bytes = builder.build()?;
    let facts = BatchHeader::parse(&bytes)?.facts();
    Ok(NewBatch { facts, charge: bytes.len(), bytes })
}
