//! Why a batch is refused, and the Kafka code for each reason.

use eddy_types::{ErrorCode, Millis, Offset, ProducerId};

use crate::Compression;

/// What is wrong with a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// There are no bytes where a batch must be.
    #[error("there is no record batch")]
    Empty,
    /// The bytes end before the batch does: a torn tail, or the cut end of a fetch answer.
    #[error("batch is cut off: it needs {needs} bytes and there are {has}")]
    Truncated {
        /// Bytes from the start of the batch to its end, as far as they are known.
        needs: usize,
        /// Bytes that are there.
        has: usize,
    },
    /// The length field is too small for a header.
    #[error("batch length is too small for a header: {0}")]
    Length(i32),
    /// Not format v2.
    #[error("record format is not 2 but {0}")]
    Magic(i8),
    /// The checksum does not fit the bytes.
    #[error("checksum does not fit the batch: stored {stored:#010x}, computed {computed:#010x}")]
    Crc {
        /// CRC in the header.
        stored: u32,
        /// CRC of the bytes.
        computed: u32,
    },
    /// More than one batch for one partition in a produce request.
    #[error("a produce request holds more than one batch for a partition")]
    SeveralBatches,
    /// A client's batch does not start at offset 0.
    #[error("base offset of a produced batch is not 0 but {0}")]
    BaseOffset(Offset),
    /// The batch exceeds `max.message.bytes`.
    #[error("batch of {bytes} bytes exceeds max.message.bytes = {max}")]
    TooLarge {
        /// Size of the whole batch.
        bytes: usize,
        /// The topic's limit.
        max: usize,
    },
    /// The batch exceeds `segment.bytes`.
    #[error("batch of {bytes} bytes exceeds segment.bytes = {max}")]
    TooLargeForSegment {
        /// Size of the whole batch.
        bytes: usize,
        /// The topic's segment size.
        max: usize,
    },
    /// The numbers of offsets and records in the header do not agree.
    #[error("batch claims {records} records in an offset range that ends at {last_offset_delta}")]
    Count {
        /// Records according to the header.
        records: i32,
        /// Last offset delta according to the header.
        last_offset_delta: i32,
    },
    /// A client sent a control batch.
    #[error("a client may not write a control batch")]
    Control,
    /// An idempotent producer's batch without a sequence.
    #[error("batch of producer {producer} has the sequence {sequence}")]
    Sequence {
        /// The producer.
        producer: ProducerId,
        /// Its base sequence.
        sequence: i32,
    },
    /// Attribute bits 0 to 2 name no codec.
    #[error("compression type is unknown: {0}")]
    Codec(i16),
    /// The compressed bytes are not what the codec writes.
    #[error("{codec} data is damaged: {reason}")]
    Payload {
        /// Codec according to the attributes.
        codec: Compression,
        /// What the decompressor says.
        reason: String,
    },
    /// The records are larger, decompressed, than the limit: a decompression bomb or close to one.
    #[error("records exceed the limit of {limit} bytes when decompressed")]
    Bomb {
        /// The limit.
        limit: u64,
    },
    /// A record is not in record format.
    #[error("record {index} is malformed: {reason}")]
    Record {
        /// Place in the batch, from 0.
        index: i32,
        /// What is wrong.
        reason: Malformed,
    },
    /// Bytes follow the last record.
    #[error("bytes follow the last of {records} records")]
    Surplus {
        /// Records according to the header.
        records: i32,
    },
    /// The batch says that the broker stamped its time; only the broker may.
    #[error("a producer may not use the timestamp type LogAppendTime: {0} records")]
    ProducerLogAppendTime(usize),
    /// Records are refused by the topic's rules: no key on a compacted topic.
    #[error("records without a key on a compacted topic: {0}")]
    KeyMissing(usize),
    /// Records are refused by the topic's rules: timestamp out of range.
    #[error("records whose timestamp is before {earliest} or after {latest}: {records}")]
    Timestamp {
        /// Records with such a timestamp, up to the number that is reported.
        records: usize,
        /// First accepted timestamp.
        earliest: Millis,
        /// Last accepted timestamp.
        latest: Millis,
    },
    /// The compressor refused, for instance a level that the codec does not have.
    #[error("{codec} cannot compress: {reason}")]
    Compress {
        /// Codec asked for.
        codec: Compression,
        /// What the compressor says.
        reason: String,
    },
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The records end within this one.
    #[error("it is cut off")]
    Truncated,
    /// A varint of more bytes than its type can have.
    #[error("a number is too long")]
    Varint,
    /// A length below -1, or below 0 where null is not allowed.
    #[error("a length is negative")]
    NegativeLength,
    /// The fields do not end where the record does.
    #[error("its length does not fit its fields")]
    Length,
    /// Offset deltas of a produced batch count 0, 1, 2, …
    #[error("its offset does not follow")]
    OffsetDelta,
}

impl BatchError {
    /// The code that answers a producer: Kafka 4.3's, except where Kafka answers UNKNOWN_SERVER_ERROR (damaged payloads,
    /// unknown codecs), which tells a producer nothing and which some take for fatal.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            // Formats that were once in use are refused for good; other bytes there mean damage, worth another try.
            BatchError::Magic(0 | 1) => ErrorCode::InvalidRecord,
            BatchError::Magic(_) | BatchError::Length(_) | BatchError::Crc { .. } => {
                ErrorCode::CorruptMessage
            }
            BatchError::Codec(_) => ErrorCode::UnsupportedCompressionType,
            BatchError::TooLarge { .. } => ErrorCode::MessageTooLarge,
            BatchError::TooLargeForSegment { .. } => ErrorCode::RecordListTooLarge,
            BatchError::ProducerLogAppendTime(_) | BatchError::Timestamp { .. } => {
                ErrorCode::InvalidTimestamp
            }
            BatchError::Compress { .. } => ErrorCode::UnknownServerError,
            BatchError::Empty
            | BatchError::Truncated { .. }
            | BatchError::SeveralBatches
            | BatchError::BaseOffset(_)
            | BatchError::Count { .. }
            | BatchError::Control
            | BatchError::Sequence { .. }
            | BatchError::Payload { .. }
            | BatchError::Bomb { .. }
            | BatchError::Record { .. }
            | BatchError::Surplus { .. }
            | BatchError::KeyMissing(_) => ErrorCode::InvalidRecord,
        }
    }
}
