//! Produce: one batch to one partition a request.

use std::time::Duration;

use bytes::Bytes;
use eddy_types::Offset;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiKey, ProduceRequest};

use crate::connection::Connection;
use crate::error::{CallError, RequestError, accepted};
use crate::pending::Pending;
use crate::topics::{PartitionName, missing};

/// From version 13 on the topic goes by its id; a partition without one needs an older version.
const BY_NAME_MAX: i16 = 12;

/// Whose confirmation a produce waits for; see [`Connection::produce_unacknowledged`] for that of nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// The leader's.
    Leader,
    /// That of all in-sync replicas.
    All,
}

/// A batch is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Offset of its first record. [`Offset::NONE`] when the broker knows that it has the batch, and no longer where.
    pub base_offset: Offset,
    /// Start of the partition's log.
    pub log_start: Offset,
}

/// A produce under way.
#[must_use = "an answer that nobody waits for has no deadline"]
#[derive(Debug)]
pub struct PendingProduce {
    pending: Pending<ProduceRequest>,
    partition: PartitionName,
}

impl Connection {
    /// Sends one batch; waits only for a place in flight. `timeout` is the broker's, for its replicas and its own room.
    ///
    /// # Errors
    /// Like [`send`](Connection::send).
    pub async fn start_produce(
        &self,
        partition: &PartitionName,
        acks: Acks,
        timeout: Duration,
        batch: Bytes,
    ) -> Result<PendingProduce, RequestError> {
        let acks = match acks {
            Acks::Leader => 1,
            Acks::All => -1,
        };
        let request = request(partition, acks, timeout, batch);
        let pending = self.start_up_to(limit(partition), &request).await?;
        Ok(PendingProduce { pending, partition: partition.clone() })
    }

    /// Sends one batch that nobody confirms: such a request has no answer, and what the broker thinks of it shows at most in a
    /// connection that ends. Waits until the socket has taken what was sent before.
    ///
    /// # Errors
    /// The connection is over, or its socket took nothing for the time of a request.
    pub async fn produce_unacknowledged(
        &self,
        partition: &PartitionName,
        batch: Bytes,
    ) -> Result<(), RequestError> {
        let request = request(partition, 0, Duration::ZERO, batch);
        self.post_up_to(limit(partition), &request).await
    }
}

fn request(partition: &PartitionName, acks: i16, timeout: Duration, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition.index).with_records(Some(batch));
    let mut topic = TopicProduceData::default().with_name(partition.topic_name());
    topic.topic_id = partition.topic_id.0.to_vec().try_into().unwrap_or_default();
    topic.partition_data = vec![data];
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
        .with_topic_data(vec![topic])
}

/// The highest version for a partition: later ones know a topic only by its id.
fn limit(partition: &PartitionName) -> i16 {
    if partition.topic_id.is_zero() { BY_NAME_MAX } else { i16::MAX }
}

impl PendingProduce {
    /// Waits for the acknowledgement.
    ///
    /// # Errors
    /// Codes of Produce; nothing of the batch was written unless the code is a timeout.
    pub async fn acknowledged(self) -> Result<Acknowledged, CallError> {
        let PendingProduce { pending, partition } = self;
        let answer = pending.answer().await?;
        let result = answer
            .responses
            .into_iter()
            .next()
            .and_then(|topic| topic.partition_responses.into_iter().next());
        let result = result.ok_or_else(|| missing(ApiKey::Produce, &partition))?;
        accepted(ApiKey::Produce, result.error_code, &partition, result.error_message.as_deref())?;
        Ok(Acknowledged {
            base_offset: Offset(result.base_offset),
            log_start: Offset(result.log_start_offset),
        })
    }
}
