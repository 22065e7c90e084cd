//! What the broker demands of a batch that a client produces, in Kafka's order.

use bytes::Bytes;
use eddy_types::{BatchFacts, ErrorCode, Millis, Offset};

use crate::codec::Decoder;
use crate::header::{HEADER_BYTES, MAGIC_END, PREFIX_BYTES};
use crate::input::{Input, ReadError, SliceInput, StreamInput};
use crate::walk::{RecordHead, next_record};
use crate::{
    Batch, BatchError, BatchHeader, Compression, DecompressLimit, Malformed, TimestampType, rewrite,
};

/// Records that are reported one by one; a batch may hold a hundred thousand that break the same rule.
const REJECTED_RECORDS_MAX: usize = 100;

/// Least length of a message in the oldest format.
const MESSAGE_OVERHEAD_BYTES: i32 = 14;

/// What a topic demands of a client's batch.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Largest batch in bytes, header included (`max.message.bytes`).
    pub max_message_bytes: usize,
    /// Size of a segment file in bytes (`segment.bytes`).
    pub segment_bytes: usize,
    /// Codec and level that batches are stored with (`compression.type`); `None` keeps the producer's.
    pub compression: Option<(Compression, Option<i32>)>,
    /// Who sets timestamps (`message.timestamp.type`).
    pub timestamp_type: TimestampType,
    /// Age that a record's timestamp may have (`message.timestamp.before.max.ms`).
    pub timestamp_before_max: Millis,
    /// Time by which it may lie in the future (`message.timestamp.after.max.ms`).
    pub timestamp_after_max: Millis,
    /// Whether every record needs a key (`cleanup.policy` contains `compact`).
    pub compacted: bool,
    /// The broker's time.
    pub now: Millis,
}

impl Rules {
    /// What a topic of Kafka's default configuration demands, at `now`.
    #[must_use]
    pub fn with_defaults(now: Millis) -> Rules {
        Rules {
            max_message_bytes: 1_048_588,
            segment_bytes: 1 << 30,
            compression: None,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max: Millis(i64::MAX),
            timestamp_after_max: Millis(3_600_000),
            compacted: false,
            now,
        }
    }
}

/// A batch that may be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What the state machines need to know of it.
    pub facts: BatchFacts,
    /// The batch to store: the producer's own bytes, unless the topic's rules made a rewrite necessary.
    pub bytes: Bytes,
    /// For the answer: the broker's time with LogAppendTime, [`Millis::NONE`] with CreateTime.
    pub log_append_time: Millis,
    /// Codec of the stored batch.
    pub codec: Compression,
}

/// Why a batch is refused, as the answer to the producer says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The code of Kafka 4.3.
    pub code: ErrorCode,
    /// A sentence for the producer's log.
    pub message: String,
    /// The records at fault where a rule speaks of records, at most a hundred.
    pub records: Vec<RejectedRecord>,
}

/// A record that broke a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Place in the batch, from 0.
    pub index: i32,
    /// What is wrong with it.
    pub message: String,
}

impl From<BatchError> for Rejected {
    fn from(error: BatchError) -> Self {
        Rejected { code: error.code(), message: error.to_string(), records: Vec::new() }
    }
}

/// Validates what one partition's entry of a Produce request holds. All of it is checked before the log is touched, the
/// insides of a compressed batch included, so that no reader meets a batch it cannot read.
///
/// The caller has checked that the request's version may carry the codec and that the partition occurs once.
///
/// # Errors
/// The first rule that is broken, in Kafka's order.
pub fn validate(records: Bytes, rules: &Rules) -> Result<Accepted, Rejected> {
    let batch = single_batch(&records)?;
    // With what follows the batch let go, its bytes can be rewritten in place.
    drop(records);
    check_batch(&batch, rules)?;
    check_header(&batch.header)?;
    let codec = batch.header.attributes.compression()?;
    let limit = DecompressLimit::default().for_payload(batch.payload().len());
    let max_timestamp = match codec {
        Compression::None => check_records(&batch, SliceInput::new(&batch.payload()), rules)?,
        _ => check_records(&batch, StreamInput::new(Decoder::new(codec, batch.payload(), limit)?), rules)?,
    };
    let header = stored_header(&batch.header, rules, max_timestamp);
    let (bytes, codec) = match rules.compression {
        Some(target) if target.0 != codec => {
            (rewrite::recompress(&batch, header, target, limit, rules.max_message_bytes)?, target.0)
        }
        _ if header == batch.header => (batch.bytes, codec),
        _ => (rewrite::with_header(batch.bytes, &header), codec),
    };
    if bytes.len() > rules.segment_bytes {
        return Err(BatchError::TooLargeForSegment { bytes: bytes.len(), max: rules.segment_bytes }.into());
    }
    let log_append_time = match rules.timestamp_type {
        TimestampType::CreateTime => Millis::NONE,
        TimestampType::LogAppendTime => rules.now,
    };
    let facts = BatchHeader::parse(&bytes)?.facts();
    Ok(Accepted { facts, bytes, log_append_time, codec })
}

/// The one batch that a partition's entry must hold. What follows it is dropped when it is no batch: Kafka trims a
/// tail that is too short for one.
fn single_batch(records: &Bytes) -> Result<Batch, BatchError> {
    if !begins_batch(records)? {
        return Err(if records.is_empty() {
            BatchError::Empty
        } else {
            BatchError::Truncated { needs: HEADER_BYTES, has: records.len() }
        });
    }
    let batch = Batch::parse(records)?;
    if begins_batch(records.get(batch.bytes.len()..).unwrap_or_default())? {
        return Err(BatchError::SeveralBatches);
    }
    Ok(batch)
}

/// Whether a whole batch or message set, of any format there ever was, is at the front. The order of the checks is that of
/// Kafka's log reader, so that damage gets the same code.
fn begins_batch(bytes: &[u8]) -> Result<bool, BatchError> {
    let Some(length) = bytes.get(8..PREFIX_BYTES).and_then(|field| field.first_chunk()) else {
        return Ok(false);
    };
    let length = i32::from_be_bytes(*length);
    if length < MESSAGE_OVERHEAD_BYTES {
        return Err(BatchError::Length(length));
    }
    let Some(&magic) = bytes.get(MAGIC_END - 1) else { return Ok(false) };
    if magic > 2 {
        return Err(BatchError::Magic(magic as i8));
    }
    Ok(bytes.len() - PREFIX_BYTES >= length as usize)
}

/// The batch as a whole.
fn check_batch(batch: &Batch, rules: &Rules) -> Result<(), BatchError> {
    if batch.header.base_offset != Offset::ZERO {
        return Err(BatchError::BaseOffset(batch.header.base_offset));
    }
    let bytes = batch.bytes.len();
    if bytes > rules.max_message_bytes {
        return Err(BatchError::TooLarge { bytes, max: rules.max_message_bytes });
    }
    batch.verify_crc()
}

/// What the header says of itself.
fn check_header(header: &BatchHeader) -> Result<(), BatchError> {
    let BatchHeader { records_count: records, last_offset_delta, .. } = *header;
    if records <= 0 || last_offset_delta != records - 1 {
        return Err(BatchError::Count { records, last_offset_delta });
    }
    if header.attributes.is_control() {
        return Err(BatchError::Control);
    }
    if header.producer_id.0 >= 0 && header.base_sequence < 0 {
        return Err(BatchError::Sequence { producer: header.producer_id, sequence: header.base_sequence });
    }
    Ok(())
}

/// Every record; the largest of their timestamps.
fn check_records(batch: &Batch, mut input: impl Input, rules: &Rules) -> Result<Millis, Rejected> {
    let header = &batch.header;
    let mut check = RecordCheck::new(header, rules);
    for index in 0..header.records_count {
        let malformed = |reason| BatchError::Record { index, reason };
        let head = next_record(&mut input).map_err(|error| match error {
            ReadError::Malformed(reason) => malformed(reason),
            ReadError::Payload(error) => error,
        })?;
        if head.offset_delta != index {
            return Err(malformed(Malformed::OffsetDelta).into());
        }
        check.record(index, head);
    }
    let surplus = match input.at_end() {
        Ok(at_end) => !at_end,
        Err(ReadError::Payload(error)) => return Err(error.into()),
        Err(ReadError::Malformed(_)) => true,
    };
    if surplus {
        return Err(BatchError::Surplus { records: header.records_count }.into());
    }
    check.verdict()
}

/// The topic's rules for single records, and what they have found.
struct RecordCheck<'a> {
    rules: &'a Rules,
    base_timestamp: Millis,
    /// Timestamps accepted, both ends included.
    earliest: Millis,
    latest: Millis,
    max_timestamp: Millis,
    /// The one timestamp of all records, if the producer claims that a broker stamped them.
    log_append_time: Option<Millis>,
    keys_missing: usize,
    timestamps_wrong: usize,
    types_wrong: usize,
    rejected: Vec<RejectedRecord>,
}

impl<'a> RecordCheck<'a> {
    fn new(header: &BatchHeader, rules: &'a Rules) -> Self {
        RecordCheck {
            rules,
            base_timestamp: header.base_timestamp,
            earliest: rules.now - rules.timestamp_before_max,
            latest: rules.now + rules.timestamp_after_max,
            max_timestamp: Millis::NONE,
            log_append_time: (header.attributes.timestamp_type() == TimestampType::LogAppendTime)
                .then_some(header.max_timestamp),
            keys_missing: 0,
            timestamps_wrong: 0,
            types_wrong: 0,
            rejected: Vec::new(),
        }
    }

    #[inline(always)]
    fn record(&mut self, index: i32, head: RecordHead) {
        let own = Millis(self.base_timestamp.0.wrapping_add(head.timestamp_delta));
        let timestamp = self.log_append_time.unwrap_or(own);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        if self.rules.compacted && !head.has_key {
            self.keys_missing += 1;
            self.reject(index, "a record of a compacted topic needs a key".to_owned());
        } else if self.rules.timestamp_type == TimestampType::CreateTime && timestamp != Millis::NONE {
            if timestamp < self.earliest || self.latest < timestamp {
                self.timestamps_wrong += 1;
                self.reject(index, format!("timestamp is out of range: {timestamp}"));
            }
        } else if self.log_append_time.is_some() {
            self.types_wrong += 1;
            self.reject(index, "a producer may not use the timestamp type LogAppendTime".to_owned());
        }
    }

    #[cold]
    fn reject(&mut self, index: i32, message: String) {
        if self.rejected.len() < REJECTED_RECORDS_MAX {
            self.rejected.push(RejectedRecord { index, message });
        }
    }

    fn verdict(self) -> Result<Millis, Rejected> {
        let error = if self.timestamps_wrong > 0 {
            let RecordCheck { timestamps_wrong: records, earliest, latest, .. } = self;
            BatchError::Timestamp { records, earliest, latest }
        } else if self.types_wrong > 0 {
            BatchError::ProducerLogAppendTime(self.types_wrong)
        } else if self.keys_missing > 0 {
            BatchError::KeyMissing(self.keys_missing)
        } else {
            return Ok(self.max_timestamp);
        };
        Err(Rejected { records: self.rejected, ..Rejected::from(error) })
    }
}

/// The header to store. It differs from the producer's only where the broker's time or the records say so.
fn stored_header(header: &BatchHeader, rules: &Rules, max_timestamp: Millis) -> BatchHeader {
    let max_timestamp = match rules.timestamp_type {
        TimestampType::CreateTime => max_timestamp,
        TimestampType::LogAppendTime => rules.now,
    };
    let attributes = header.attributes.with_timestamp_type(rules.timestamp_type);
    BatchHeader { attributes, max_timestamp, ..*header }
}

#[cfg(test)]
mod tests;
