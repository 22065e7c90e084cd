//! Control batches: the markers that end transactions.

use bytes::{BufMut, Bytes};
use eddy_types::{ControlKind, Millis, ProducerEpoch, ProducerId};

use crate::BatchBuilder;

const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// What the key of a control record says: a version, then the type. Later versions may only add fields behind.
pub(crate) fn kind(key: &[u8]) -> ControlKind {
    let kind = key.get(2..).and_then(|rest| rest.first_chunk::<2>());
    match kind.map(|bytes| i16::from_be_bytes(*bytes)) {
        Some(ABORT) => ControlKind::Abort,
        Some(COMMIT) => ControlKind::Commit,
        Some(other) => ControlKind::Other(other),
        None => ControlKind::Other(-1),
    }
}

/// The control batch that ends a producer's transaction in one partition. Offset and leader epoch are stamped
/// when it is appended, as with any batch.
#[must_use]
pub fn end_transaction_marker(
    producer: (ProducerId, ProducerEpoch),
    kind: ControlKind,
    coordinator_epoch: i32,
    now: Millis,
) -> Bytes {
    let mut key = Vec::with_capacity(4);
    key.put_i16(0);
    key.put_i16(match kind {
        ControlKind::Abort => ABORT,
        ControlKind::Commit => COMMIT,
        ControlKind::Other(number) => number,
    });
    let mut value = Vec::with_capacity(6);
    value.put_i16(0);
    value.put_i32(coordinator_epoch);

    let mut batch = BatchBuilder::default().producer(producer.0, producer.1, -1).transactional().control();
    batch.append(now, Some(&key), Some(&value));
    batch.build_plain()
}
