//! Building batches: for coordinators, compaction, our own client, tests.

use bytes::Bytes;
use eddy_types::{LeaderEpoch, Millis, Offset, ProducerEpoch, ProducerId};

use crate::codec::Encoder;
use crate::header::{PREFIX_BYTES, rewrite_header};
use crate::varint::{put_varint, put_varlong, varlong_bytes};
use crate::{Attributes, BatchError, BatchHeader, Compression, HEADER_BYTES, Header, Record, TimestampType};

/// Collects records and writes them as one batch.
///
/// Sizes are the caller's to bound: it knows `max.message.bytes`; see [`BatchBuilder::bytes`].
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    /// Level of the codec; `None` is Kafka's default.
    level: Option<i32>,
    /// The first record's timestamp becomes the base, unless the base was given.
    base_given: bool,
    /// The timestamp that the broker gave all records.
    log_append_time: Option<Millis>,
    records: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            batch_length: 0,
            leader_epoch: LeaderEpoch::NONE,
            magic: 2,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: -1,
            base_timestamp: Millis::NONE,
            max_timestamp: Millis::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: -1,
            records_count: 0,
        };
        BatchBuilder { header, level: None, base_given: false, log_append_time: None, records: Vec::new() }
    }
}

impl BatchBuilder {
    /// A batch without producer, transaction or broker time, at offset 0.
    #[must_use]
    pub fn new(compression: Compression) -> BatchBuilder {
        BatchBuilder::default().compression(compression)
    }

    /// A batch that takes the place of another one whose records are partly gone (compaction): same offsets, epochs,
    /// producer, flags and codec. Without records it still holds the offsets and the producer's last sequence.
    #[must_use]
    pub fn in_place_of(header: &BatchHeader) -> BatchBuilder {
        let log_append_time = match header.attributes.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(header.max_timestamp),
        };
        let header = BatchHeader { records_count: 0, max_timestamp: Millis::NONE, ..*header };
        BatchBuilder { header, base_given: true, log_append_time, ..BatchBuilder::default() }
    }

    /// Offset of the first record.
    #[must_use]
    pub fn base_offset(mut self, offset: Offset) -> Self {
        self.header.base_offset = offset;
        self
    }

    /// Epoch of the leader.
    #[must_use]
    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.header.leader_epoch = epoch;
        self
    }

    /// Codec of the records.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.header.attributes = self.header.attributes.with_compression(compression);
        self
    }

    /// Level on the codec's own scale, in place of Kafka's default.
    #[must_use]
    pub fn level(mut self, level: i32) -> Self {
        self.level = Some(level);
        self
    }

    /// Idempotent producer and the sequence of the first record.
    #[must_use]
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> Self {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Makes the batch part of its producer's transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.header.attributes = self.header.attributes.with_transactional(true);
        self
    }

    /// Makes the batch a control batch.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.header.attributes = self.header.attributes.with_control(true);
        self
    }

    /// Gives all records the broker's time.
    #[must_use]
    pub fn log_append_time(mut self, now: Millis) -> Self {
        self.header.attributes = self.header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        self.log_append_time = Some(now);
        self
    }

    /// Sets the time from which compaction may drop the batch's tombstones (KIP-534). Before the first record only: all
    /// timestamps are written relative to it.
    #[must_use]
    pub fn delete_horizon(mut self, horizon: Millis) -> Self {
        debug_assert_eq!(self.header.records_count, 0, "timestamps are relative to the horizon");
        self.header.attributes = self.header.attributes.with_delete_horizon(true);
        self.header.base_timestamp = horizon;
        self.base_given = true;
        self
    }

    /// Adds a record after the last one.
    pub fn append(&mut self, timestamp: Millis, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.append_with_headers(timestamp, key, value, &[]);
    }

    /// Adds a record with headers after the last one.
    pub fn append_with_headers(
        &mut self,
        timestamp: Millis,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) {
        let delta = self.header.last_offset_delta.saturating_add(1);
        self.header.last_offset_delta = delta;
        self.put(Fields { delta, timestamp, key, value, headers });
    }

    /// Adds a record at its own offset, which lies above those of the records before and at or above the base offset.
    pub fn append_record(&mut self, record: &Record) {
        let delta = record.offset.0.saturating_sub(self.header.base_offset.0);
        let delta = i32::try_from(delta).unwrap_or(i32::MAX);
        debug_assert!(delta >= 0, "record {} is below the base offset", record.offset);
        self.header.last_offset_delta = self.header.last_offset_delta.max(delta);
        self.put(Fields {
            delta,
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        });
    }

    fn put(&mut self, fields: Fields<'_>) {
        if !self.base_given {
            self.header.base_timestamp = fields.timestamp;
            self.base_given = true;
        }
        let timestamp_delta = fields.timestamp.0.wrapping_sub(self.header.base_timestamp.0);
        fields.write(timestamp_delta, &mut self.records);
        self.header.records_count = self.header.records_count.saturating_add(1);
        self.header.max_timestamp = self.header.max_timestamp.max(fields.timestamp);
    }

    /// Records so far.
    #[must_use]
    pub fn len(&self) -> i32 {
        self.header.records_count
    }

    /// Whether there are no records yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.header.records_count == 0
    }

    /// Size of the batch so far, before compression.
    #[must_use]
    pub fn bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// Writes the batch.
    ///
    /// # Errors
    /// [`BatchError::Compress`] when the codec refuses, [`BatchError::TooLarge`] beyond what a length field can say.
    pub fn build(&self) -> Result<Bytes, BatchError> {
        let codec = self.header.attributes.compression()?;
        let mut encoder = Encoder::new(codec, self.level, vec![0; HEADER_BYTES])?;
        // A batch that compaction emptied has no payload at all, not the end mark of a codec.
        if self.header.records_count == 0 {
            return self.finish(vec![0; HEADER_BYTES]);
        }
        encoder.write(&self.records)?;
        self.finish(encoder.finish()?)
    }

    /// Writes the batch without compression; for batches so small that nothing can fail.
    pub(crate) fn build_plain(&self) -> Bytes {
        debug_assert_eq!(self.header.attributes.compression(), Ok(Compression::None));
        let mut batch = vec![0; HEADER_BYTES];
        batch.extend_from_slice(&self.records);
        self.finish(batch).unwrap_or_default()
    }

    /// Puts the header before the payload.
    fn finish(&self, mut batch: Vec<u8>) -> Result<Bytes, BatchError> {
        let batch_length = i32::try_from(batch.len() - PREFIX_BYTES)
            .map_err(|_| BatchError::TooLarge { bytes: batch.len(), max: i32::MAX as usize })?;
        let max_timestamp = self.log_append_time.unwrap_or(self.header.max_timestamp);
        rewrite_header(&mut batch, &BatchHeader { batch_length, max_timestamp, ..self.header });
        Ok(batch.into())
    }
}

/// One record about to be written.
struct Fields<'a> {
    delta: i32,
    timestamp: Millis,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [Header],
}

impl Fields<'_> {
    fn write(&self, timestamp_delta: i64, out: &mut Vec<u8>) {
        put_varlong(out, self.body_bytes(timestamp_delta) as i64);
        out.push(0);
        put_varlong(out, timestamp_delta);
        put_varint(out, self.delta);
        put_field(out, self.key);
        put_field(out, self.value);
        put_varlong(out, self.headers.len() as i64);
        for header in self.headers {
            put_field(out, Some(&header.key));
            put_field(out, header.value.as_deref());
        }
    }

    /// Bytes of the record after its length.
    fn body_bytes(&self, timestamp_delta: i64) -> usize {
        let headers: usize =
            self.headers.iter().map(|h| field_bytes(Some(&h.key)) + field_bytes(h.value.as_deref())).sum();
        1 + varlong_bytes(timestamp_delta)
            + varlong_bytes(i64::from(self.delta))
            + field_bytes(self.key)
            + field_bytes(self.value)
            + varlong_bytes(self.headers.len() as i64)
            + headers
    }
}

fn put_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => put_varint(out, -1),
    }
}

fn field_bytes(field: Option<&[u8]>) -> usize {
    field.map_or(1, |bytes| varlong_bytes(bytes.len() as i64) + bytes.len())
}
