//! Records in and out of partitions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_batch::{BatchBuilder, BatchHeader, Compression, DecompressLimit, batches};
use eddy_core::Acks;
use eddy_engine::{AckGroup, AppendError, Engine, NewBatch, Partition, ReadRequest};
use eddy_types::{LeaderEpoch, Millis, Offset, OffsetRange, ProducerEpoch, ProducerId};
use tokio::time::Instant;

/// A batch of records, one value each, of an idempotent producer.
pub(crate) fn batch(producer: i64, first_sequence: i32, values: &[Vec<u8>]) -> NewBatch {
    let mut builder =
        BatchBuilder::new(Compression::None).producer(ProducerId(producer), ProducerEpoch(0), first_sequence);
    for value in values {
        builder.append(Millis(1_700_000_000_000), None, Some(value));
    }
    let bytes = builder.build().unwrap();
    NewBatch { facts: BatchHeader::parse(&bytes).unwrap().facts(), charge: bytes.len(), bytes }
}

/// Appends and waits for the acknowledgement.
pub(crate) async fn append(
    engine: &Engine,
    partition: &Arc<Partition>,
    acks: Acks,
    batch: NewBatch,
) -> Result<OffsetRange, AppendError> {
    let group = AckGroup::new(1);
    let deadline = Instant::now() + Duration::from_secs(2);
    let room = engine.admit(1, batch.bytes.len(), deadline).await?;
    partition.append(acks, batch, Some(room), Some(group.token(0)))?;
    group.wait(deadline).await.remove(0).unwrap_or(Err(AppendError::PartitionGone))
}

/// Every record below the high watermark, as (offset, value).
pub(crate) async fn read_all(partition: &Arc<Partition>) -> Vec<(i64, Bytes)> {
    let mut at = partition.offsets().log_start;
    let mut records = Vec::new();
    loop {
        let request = ReadRequest {
            offset: at,
            leader_epoch: LeaderEpoch::NONE,
            last_fetched_epoch: LeaderEpoch::NONE,
            max_bytes: 1 << 16,
            at_least_one: true,
            committed_only: false,
        };
        let read = partition.read(request).await.unwrap();
        if read.slices.is_empty() {
            return records;
        }
        for found in read.slices.into_iter().flat_map(batches) {
            let found = found.unwrap();
            for record in found.records(&DecompressLimit::default()).unwrap() {
                let record = record.unwrap();
                records.push((record.offset.0, record.value.unwrap()));
            }
            at = Offset(found.header.last_offset().0 + 1);
        }
    }
}
