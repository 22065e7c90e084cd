//! What the state machines may know of a record batch: facts, never bytes.

use crate::{Millis, ProducerEpoch, ProducerId};

/// Facts of one record batch, read from its header after validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchFacts {
    /// Offsets that the batch takes: last offset delta + 1 (at least 1).
    pub offsets: i32,
    /// Records in the batch; below `offsets` only after compaction.
    pub records: i32,
    /// Size of the whole batch in bytes, its 12-byte prefix included.
    pub bytes: u32,
    /// Largest record timestamp, [`Millis::NONE`] when the records have none.
    pub max_timestamp: Millis,
    /// Producer id, epoch and sequences, when the producer is idempotent.
    pub producer: Option<ProducerSequence>,
    /// Whether the batch belongs to a transaction (attribute bit 4).
    pub transactional: bool,
    /// The marker in a control batch (attribute bit 5).
    pub control: Option<ControlKind>,
}

/// The idempotent producer's part of a batch header (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSequence {
    /// Id given by InitProducerId.
    pub id: ProducerId,
    /// Epoch of that id.
    pub epoch: ProducerEpoch,
    /// Sequence of the first record; -1 in control batches.
    pub first: i32,
    /// Sequence of the last record; wraps from `i32::MAX` to 0.
    pub last: i32,
}

/// What a control batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlKind {
    /// End of a transaction whose records count.
    Commit,
    /// End of a transaction whose records do not count.
    Abort,
    /// A control record of a kind this broker does not act on.
    Other(i16),
}
