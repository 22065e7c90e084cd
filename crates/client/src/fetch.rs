//! Fetch: one partition a request, without a session.

use std::time::Duration;

use bytes::Bytes;
use eddy_types::{LeaderEpoch, Offset};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{ApiKey, FetchRequest};

use crate::batch::walk;
use crate::connection::Connection;
use crate::error::{CallError, accepted};
use crate::topics::{PartitionName, missing};

/// From version 13 on the topic goes by its id.
const BY_NAME_MAX: i16 = 12;
/// A session epoch that asks for none (KIP-227).
const NO_SESSION_EPOCH: i32 = -1;

/// How much to fetch, and how long to wait for it.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// Bytes at most; a broker sends a first batch that is larger all the same (KIP-74).
    pub bytes_max: i32,
    /// Bytes for which the broker waits.
    pub bytes_min: i32,
    /// How long it waits for them.
    pub wait_max: Duration,
}

impl Default for FetchLimits {
    fn default() -> FetchLimits {
        FetchLimits { bytes_max: 1 << 20, bytes_min: 1, wait_max: Duration::from_millis(500) }
    }
}

/// What a fetch brought.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The offset after the last record that can be read.
    pub high_watermark: Offset,
    /// The first offset that the partition still has.
    pub log_start: Offset,
    /// Record batches, the last one perhaps cut: see [`walk`].
    pub batches: Bytes,
}

impl Connection {
    /// Fetches from one partition.
    ///
    /// # Errors
    /// OFFSET_OUT_OF_RANGE and other codes of Fetch.
    pub async fn fetch(
        &self,
        partition: &PartitionName,
        from: Offset,
        limits: FetchLimits,
    ) -> Result<Fetched, CallError> {
        let asked = FetchPartition::default()
            .with_partition(partition.index)
            .with_current_leader_epoch(LeaderEpoch::NONE.0)
            .with_fetch_offset(from.0)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(limits.bytes_max);
        let mut topic = FetchTopic::default().with_topic(partition.topic_name());
        topic.topic_id = partition.topic_id.0.to_vec().try_into().unwrap_or_default();
        topic.partitions = vec![asked];
        let request = FetchRequest::default()
            .with_max_wait_ms(i32::try_from(limits.wait_max.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(limits.bytes_min)
            .with_max_bytes(limits.bytes_max)
            .with_session_epoch(NO_SESSION_EPOCH)
            .with_topics(vec![topic]);
        let limit = if partition.topic_id.is_zero() { BY_NAME_MAX } else { i16::MAX };
        let answer = self.start_up_to(limit, &request).await?.answer().await?;
        accepted(ApiKey::Fetch, answer.error_code, partition, None)?;
        let data = answer.responses.into_iter().next().and_then(|topic| topic.partitions.into_iter().next());
        let data = data.ok_or_else(|| missing(ApiKey::Fetch, partition))?;
        accepted(ApiKey::Fetch, data.error_code, partition, None)?;
        Ok(Fetched {
            high_watermark: Offset(data.high_watermark),
            log_start: Offset(data.log_start_offset),
            batches: data.records.unwrap_or_default(),
        })
    }
}

/// Reads one partition from an offset on, record by record.
#[derive(Debug)]
pub struct PartitionReader {
    partition: PartitionName,
    next: Offset,
    limits: FetchLimits,
}

impl PartitionReader {
    /// A reader whose first record is the one at `from`.
    #[must_use]
    pub fn new(partition: PartitionName, from: Offset, limits: FetchLimits) -> PartitionReader {
        PartitionReader { partition, next: from, limits }
    }

    /// The offset that is read next.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.next
    }

    /// Fetches once and calls `each` for each record; gives the high watermark.
    ///
    /// # Errors
    /// Like [`Connection::fetch`] and [`walk`].
    pub async fn read_some(
        &mut self,
        connection: &Connection,
        each: impl FnMut(Offset, Bytes),
    ) -> Result<Offset, CallError> {
        let fetched = connection.fetch(&self.partition, self.next, self.limits).await?;
        self.next = walk(&self.partition, self.next, fetched.batches, each)?;
        Ok(fetched.high_watermark)
    }

    /// Reads until the high watermark, as it is at the last fetch.
    ///
    /// # Errors
    /// Like [`read_some`](Self::read_some); [`CallError::Batch`] when a fetch below the high watermark brings nothing.
    pub async fn read_all(
        &mut self,
        connection: &Connection,
        mut each: impl FnMut(Offset, Bytes),
    ) -> Result<(), CallError> {
        loop {
            let before = self.next;
            let high_watermark = self.read_some(connection, &mut each).await?;
            if self.next >= high_watermark {
                return Ok(());
            }
            if self.next == before {
                return Err(CallError::Batch {
                    about: self.partition.to_string(),
                    reason: format!("nothing at {before}, below the high watermark {high_watermark}"),
                });
            }
        }
    }
}
