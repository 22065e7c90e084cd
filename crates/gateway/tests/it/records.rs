//! Batches made and read with the other implementation.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

/// A record without key.
pub(crate) fn record(offset: i64, value: &str, timestamp: i64) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset,
        // The encoder puts into one batch what counts on, also from "none".
        sequence: NO_SEQUENCE + i32::try_from(offset).unwrap(),
        timestamp,
        key: None,
        value: Some(Bytes::from(value.to_owned())),
        headers: Default::default(),
    }
}

/// A batch of records as they are.
pub(crate) fn encode(records: &[Record]) -> Bytes {
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, records, &options).unwrap();
    bytes.freeze()
}

/// A batch of these values.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    let records: Vec<Record> =
        (0..).zip(values).map(|(offset, value)| record(offset, value, 1_000)).collect();
    encode(&records)
}

/// A batch of one record with a timestamp.
pub(crate) fn batch_at(timestamp: i64) -> Bytes {
    encode(&[record(0, "at", timestamp)])
}

/// A batch of an idempotent producer.
pub(crate) fn sequenced(producer: i64, epoch: i16, sequence: i32, values: &[&str]) -> Bytes {
    let numbered = (0..).zip(values).map(|(at, value)| Record {
        producer_id: producer,
        producer_epoch: epoch,
        sequence: sequence + at,
        ..record(i64::from(at), value, 1_000)
    });
    encode(&numbered.collect::<Vec<_>>())
}

/// What a fetch brought: offset and value of every record.
pub(crate) fn decode(bytes: &Bytes) -> Vec<(i64, String)> {
    let sets = RecordBatchDecoder::decode_all(&mut bytes.clone()).unwrap();
    let records = sets.into_iter().flat_map(|set| set.records);
    records
        .map(|record| (record.offset, String::from_utf8(record.value.unwrap().to_vec()).unwrap()))
        .collect()
}
