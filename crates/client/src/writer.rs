//! What an idempotent producer remembers of one partition (KIP-98).

use std::collections::VecDeque;

use bytes::Bytes;
use eddy_types::{ProducerEpoch, ProducerId};
use kafka_protocol::messages::{ApiKey, InitProducerIdRequest};

use crate::batch::encode_batch;
use crate::connection::Connection;
use crate::error::{CallError, accepted};

/// Batches of a producer and partition that a broker can recognise when they are sent again, at most; so many may be in flight.
pub const SEQUENCED_IN_FLIGHT_MAX: usize = 5;

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProducerIdentity {
    /// The producer's id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
}

/// A batch with its place in the sequence; the bytes are the same each time it is sent.
#[derive(Clone, Debug)]
pub struct NumberedBatch {
    /// Sequence number of the first record.
    pub base_sequence: i32,
    /// Number of records.
    pub records: i32,
    /// The batch, ready to be sent.
    pub bytes: Bytes,
}

/// As many batches are unacknowledged as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("batches without an acknowledgement: {SEQUENCED_IN_FLIGHT_MAX}")]
pub struct WindowFull;

/// Numbers the batches of one producer for one partition, and keeps them until they are acknowledged, so that they can be sent again
/// over another connection: in order, all of them, before any new one.
#[derive(Clone, Debug)]
pub struct SequencedWriter {
    identity: ProducerIdentity,
    next_sequence: i32,
    unacknowledged: VecDeque<NumberedBatch>,
}

impl SequencedWriter {
    /// A writer at the start of its sequence.
    #[must_use]
    pub fn new(identity: ProducerIdentity) -> SequencedWriter {
        SequencedWriter { identity, next_sequence: 0, unacknowledged: VecDeque::new() }
    }

    /// Whether another batch may be numbered.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.unacknowledged.len() < SEQUENCED_IN_FLIGHT_MAX
    }

    /// Numbers a batch of these values; it waits for its acknowledgement from now on.
    ///
    /// # Errors
    /// [`WindowFull`], and nothing changed.
    pub fn number(&mut self, values: &[Bytes], timestamp: i64) -> Result<NumberedBatch, WindowFull> {
        if !self.has_room() {
            return Err(WindowFull);
        }
        let records = i32::try_from(values.len()).unwrap_or(i32::MAX);
        let batch = NumberedBatch {
            base_sequence: self.next_sequence,
            records,
            bytes: encode_batch(values, timestamp, Some((self.identity, self.next_sequence))),
        };
        self.next_sequence = sequence_after(self.next_sequence, records);
        self.unacknowledged.push_back(batch.clone());
        Ok(batch)
    }

    /// Forgets the oldest batch, which was acknowledged, or will never be sent again.
    pub fn settle_oldest(&mut self) -> Option<NumberedBatch> {
        self.unacknowledged.pop_front()
    }

    /// What must be sent again after a connection was lost, in this order.
    pub fn unacknowledged(&self) -> impl ExactSizeIterator<Item = &NumberedBatch> {
        self.unacknowledged.iter()
    }
}

/// The sequence number `records` after `base`; after 2^31 - 1 comes 0.
fn sequence_after(base: i32, records: i32) -> i32 {
    base.wrapping_add(records) & i32::MAX
}

impl Connection {
    /// A new producer id, without a transactional id.
    ///
    /// # Errors
    /// Codes of InitProducerId.
    pub async fn producer_identity(&self) -> Result<ProducerIdentity, CallError> {
        let request =
            InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(60_000);
        let answer = self.send(&request).await?;
        accepted(ApiKey::InitProducerId, answer.error_code, "a new producer", None)?;
        Ok(ProducerIdentity {
            id: ProducerId(answer.producer_id.0),
            epoch: ProducerEpoch(answer.producer_epoch),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_follow_each_other_and_wait_in_order() {
        let mut writer =
            SequencedWriter::new(ProducerIdentity { id: ProducerId(1), epoch: ProducerEpoch(0) });
        let values = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        let bases: Vec<_> = (0..5).map(|_| writer.number(&values, 0).unwrap().base_sequence).collect();
        assert_eq!(bases, [0, 2, 4, 6, 8]);
        assert!(writer.number(&values, 0).is_err());
        assert_eq!(writer.settle_oldest().unwrap().base_sequence, 0);
        assert_eq!(writer.number(&values, 0).unwrap().base_sequence, 10);
        let waiting: Vec<_> = writer.unacknowledged().map(|batch| batch.base_sequence).collect();
        assert_eq!(waiting, [2, 4, 6, 8, 10]);
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 1, 5), 3);
    }
}
