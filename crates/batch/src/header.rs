//! The 61 bytes before the records.

use std::fmt;

use eddy_types::{
    BatchFacts, ControlKind, LeaderEpoch, Millis, Offset, ProducerEpoch, ProducerId, ProducerSequence,
};

use crate::{BatchError, Compression};

/// Size of a v2 header.
pub const HEADER_BYTES: usize = 61;

/// Base offset and length field: what the length does not count.
pub(crate) const PREFIX_BYTES: usize = 12;
/// Up to and with the magic byte: enough to tell the formats apart.
pub(crate) const MAGIC_END: usize = 17;
/// Where the CRC's range begins: attributes to the end of the batch.
pub(crate) const CRC_START: usize = 21;

/// The fields of a v2 header, as they stand: [`BatchHeader::parse`] checks only that there is a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; 0 in a client's batch, the broker's from then on.
    pub base_offset: Offset,
    /// Bytes after this field.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch (KIP-101).
    pub leader_epoch: LeaderEpoch,
    /// Format, always 2.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: Attributes,
    /// Offset of the last record, relative to the base; survives compaction of the record itself.
    pub last_offset_delta: i32,
    /// What the records' timestamps are relative to; with a delete horizon, that horizon.
    pub base_timestamp: Millis,
    /// Largest record timestamp, or the broker's time with LogAppendTime.
    pub max_timestamp: Millis,
    /// Idempotent producer, -1 when there is none.
    pub producer_id: ProducerId,
    /// Epoch of the producer id.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record, -1 when there is none.
    pub base_sequence: i32,
    /// Records in the batch.
    pub records_count: i32,
}

/// Takes `N` bytes off the front.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`; what follows need not be whole, and no CRC is computed.
    ///
    /// # Errors
    /// [`BatchError::Truncated`] when the header is not whole, [`BatchError::Magic`] for another format,
    /// [`BatchError::Length`] for a length that cannot hold a header.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        if let Some(&magic) = bytes.get(MAGIC_END - 1)
            && magic != 2
        {
            return Err(BatchError::Magic(magic as i8));
        }
        let cut = BatchError::Truncated { needs: HEADER_BYTES, has: bytes.len() };
        let header = Self::read(bytes).ok_or(cut)?;
        if (header.batch_length as i64) < (HEADER_BYTES - PREFIX_BYTES) as i64 {
            return Err(BatchError::Length(header.batch_length));
        }
        Ok(header)
    }

    fn read(mut bytes: &[u8]) -> Option<BatchHeader> {
        let rest = &mut bytes;
        Some(BatchHeader {
            base_offset: Offset(i64::from_be_bytes(take(rest)?)),
            batch_length: i32::from_be_bytes(take(rest)?),
            leader_epoch: LeaderEpoch(i32::from_be_bytes(take(rest)?)),
            magic: i8::from_be_bytes(take(rest)?),
            crc: u32::from_be_bytes(take(rest)?),
            attributes: Attributes(i16::from_be_bytes(take(rest)?)),
            last_offset_delta: i32::from_be_bytes(take(rest)?),
            base_timestamp: Millis(i64::from_be_bytes(take(rest)?)),
            max_timestamp: Millis(i64::from_be_bytes(take(rest)?)),
            producer_id: ProducerId(i64::from_be_bytes(take(rest)?)),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(take(rest)?)),
            base_sequence: i32::from_be_bytes(take(rest)?),
            records_count: i32::from_be_bytes(take(rest)?),
        })
    }

    /// The header's bytes, as [`BatchHeader::parse`] reads them.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut rest: &mut [u8] = &mut bytes;
        let mut put = |field: &[u8]| bytes::BufMut::put_slice(&mut rest, field);
        put(&self.base_offset.0.to_be_bytes());
        put(&self.batch_length.to_be_bytes());
        put(&self.leader_epoch.0.to_be_bytes());
        put(&self.magic.to_be_bytes());
        put(&self.crc.to_be_bytes());
        put(&self.attributes.0.to_be_bytes());
        put(&self.last_offset_delta.to_be_bytes());
        put(&self.base_timestamp.0.to_be_bytes());
        put(&self.max_timestamp.0.to_be_bytes());
        put(&self.producer_id.0.to_be_bytes());
        put(&self.producer_epoch.0.to_be_bytes());
        put(&self.base_sequence.to_be_bytes());
        put(&self.records_count.to_be_bytes());
        bytes
    }

    /// Size of the whole batch in bytes, its 12-byte prefix included.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        PREFIX_BYTES + usize::try_from(self.batch_length).unwrap_or(0)
    }

    /// Offset of the last record the batch was written with.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.saturating_add(i64::from(self.last_offset_delta)))
    }

    /// What the state machines may know. The kind of a control batch stands in its record, not here: it comes out as
    /// `Other(-1)`; ask [`crate::Batch::facts`] where control batches can occur.
    #[must_use]
    pub fn facts(&self) -> BatchFacts {
        BatchFacts {
            offsets: self.last_offset_delta.saturating_add(1).max(1),
            records: self.records_count,
            bytes: u32::try_from(self.total_bytes()).unwrap_or(u32::MAX),
            max_timestamp: self.max_timestamp,
            producer: (self.producer_id.0 >= 0).then(|| ProducerSequence {
                id: self.producer_id,
                epoch: self.producer_epoch,
                first: self.base_sequence,
                last: self.last_sequence(),
            }),
            transactional: self.attributes.is_transactional(),
            control: self.attributes.is_control().then_some(ControlKind::Other(-1)),
        }
    }

    /// Sequences count up to `i32::MAX` and go on at 0.
    fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return self.base_sequence;
        }
        self.base_sequence.wrapping_add(self.last_offset_delta.max(0)) & i32::MAX
    }
}

/// Attributes of a batch: codec and flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0b111;
    const LOG_APPEND_TIME: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;
    const DELETE_HORIZON: i16 = 1 << 6;

    /// The codec of the records.
    ///
    /// # Errors
    /// [`BatchError::Codec`] for the numbers 5 to 7, which are not in use.
    pub fn compression(self) -> Result<Compression, BatchError> {
        let code = self.0 & Self::CODEC;
        Compression::from_code(code).ok_or(BatchError::Codec(code))
    }

    /// Who set the timestamps.
    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds a control record, which applications never see.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the base timestamp is the time from which compaction may drop tombstones and markers (KIP-534).
    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// The same with another codec.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Attributes {
        Attributes(self.0 & !Self::CODEC | compression.code())
    }

    /// The same with another timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Attributes {
        self.with(Self::LOG_APPEND_TIME, timestamp_type == TimestampType::LogAppendTime)
    }

    /// The same with the transactional bit set or cleared.
    #[must_use]
    pub fn with_transactional(self, transactional: bool) -> Attributes {
        self.with(Self::TRANSACTIONAL, transactional)
    }

    /// The same with the control bit set or cleared.
    #[must_use]
    pub fn with_control(self, control: bool) -> Attributes {
        self.with(Self::CONTROL, control)
    }

    /// The same with the delete horizon bit set or cleared.
    #[must_use]
    pub fn with_delete_horizon(self, horizon: bool) -> Attributes {
        self.with(Self::DELETE_HORIZON, horizon)
    }

    fn with(self, bit: i16, set: bool) -> Attributes {
        Attributes(if set { self.0 | bit } else { self.0 & !bit })
    }
}

/// Who set the timestamps of a batch (`message.timestamp.type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer: each record has its own.
    #[default]
    CreateTime,
    /// The broker: the batch's max timestamp counts for all records.
    LogAppendTime,
}

impl TimestampType {
    /// The type of a config value.
    #[must_use]
    pub fn from_name(name: &str) -> Option<TimestampType> {
        match name {
            "CreateTime" => Some(TimestampType::CreateTime),
            "LogAppendTime" => Some(TimestampType::LogAppendTime),
            _ => None,
        }
    }

    /// Kafka's config value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        }
    }
}

impl fmt::Display for TimestampType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes the batch's place in the log into its header, in place. Both fields lie outside the CRC, so the rest
/// stays as the producer wrote it. Bytes shorter than the two fields are left alone.
pub fn stamp(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    debug_assert!(batch.len() >= HEADER_BYTES, "only whole batches are stamped");
    if let Some((offset, rest)) = batch.split_first_chunk_mut::<8>()
        && let Some(epoch) = rest.get_mut(4..8)
    {
        *offset = base_offset.0.to_be_bytes();
        epoch.copy_from_slice(&leader_epoch.0.to_be_bytes());
    }
}

/// CRC-32C of a batch's bytes, as its header must hold it; `None` for bytes shorter than that.
pub(crate) fn checksum(batch: &[u8]) -> Option<u32> {
    batch.get(CRC_START..).map(crc32c::crc32c)
}

/// Replaces the header of a batch and gives it the CRC that now fits; the records stay.
pub(crate) fn rewrite_header(batch: &mut [u8], header: &BatchHeader) {
    let Some(fields) = batch.first_chunk_mut::<HEADER_BYTES>() else { return };
    *fields = header.to_bytes();
    if let Some(crc) = checksum(batch)
        && let Some(field) = batch.get_mut(MAGIC_END..CRC_START)
    {
        field.copy_from_slice(&crc.to_be_bytes());
    }
}
