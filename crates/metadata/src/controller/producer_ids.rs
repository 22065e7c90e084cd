//! Producer ids, given to brokers in blocks.

use eddy_types::{BrokerId, ProducerId};

use crate::{Image, Record};

/// Ids in a block.
pub const PRODUCER_ID_BLOCK: i64 = 1000;

/// Ids `[first, first + count)` that belong to one broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// First id.
    pub first: ProducerId,
    /// Number of ids.
    pub count: i64,
}

/// All 2^63 ids are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no producer ids are left")]
pub struct ProducerIdsExhausted;

/// Gives a broker the next block. Ids that it does not use before it restarts are lost, never given again.
pub fn allocate_producer_ids(
    image: &Image,
    broker: BrokerId,
) -> Result<(Vec<Record>, ProducerIdBlock), ProducerIdsExhausted> {
    let first = image.next_producer_id();
    let next = first.0.checked_add(PRODUCER_ID_BLOCK).ok_or(ProducerIdsExhausted)?;
    let record = Record::ProducerIdsAllocated { broker, next: ProducerId(next) };
    Ok((vec![record], ProducerIdBlock { first, count: PRODUCER_ID_BLOCK }))
}
