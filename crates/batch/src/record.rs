//! Records with their contents, for those who need them: compaction, the indexer, coordinators, tools.

use bytes::{Bytes, BytesMut};
use eddy_types::{Millis, Offset};

use crate::codec::Decoder;
use crate::input::{Input, ReadError, SliceInput};
use crate::varint::{NoNumber, VARINT_BYTES_MAX, read_unsigned, zigzag32};
use crate::{Batch, BatchError, Compression, DecompressLimit, Malformed, TimestampType};

/// Bytes asked of a decompressor at a time.
const PIECE_BYTES: usize = 64 << 10;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset in the partition.
    pub offset: Offset,
    /// Its own timestamp, or the batch's with LogAppendTime.
    pub timestamp: Millis,
    /// Key, `None` for null.
    pub key: Option<Bytes>,
    /// Value, `None` for null (a tombstone on a compacted topic).
    pub value: Option<Bytes>,
    /// Headers in the order they were written; a key may occur more than once.
    pub headers: Vec<Header>,
}

/// One header of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Key: UTF-8 by contract, but nobody checks.
    pub key: Bytes,
    /// Value, `None` for null.
    pub value: Option<Bytes>,
}

/// Iterator over the records of a batch; see [`Batch::records`]. Ends after the first error.
pub struct Records {
    source: Source,
    header: crate::BatchHeader,
    /// Records read.
    read: i32,
    ended: bool,
}

enum Source {
    Plain(Bytes),
    Stream { buffer: BytesMut, decoder: Box<Decoder> },
}

impl Source {
    /// Bytes that are at hand.
    fn at_hand(&self) -> &[u8] {
        match self {
            Source::Plain(bytes) => bytes,
            Source::Stream { buffer, .. } => buffer,
        }
    }

    /// Gets more bytes; false at the end. The buffer grows with what comes out, never by what a length says.
    fn more(&mut self) -> Result<bool, BatchError> {
        let Source::Stream { buffer, decoder } = self else { return Ok(false) };
        let filled = buffer.len();
        buffer.resize(filled + PIECE_BYTES, 0);
        let count = decoder.read(buffer.get_mut(filled..).unwrap_or_default())?;
        buffer.truncate(filled + count);
        Ok(count > 0)
    }

    fn take(&mut self, count: usize) -> Bytes {
        match self {
            Source::Plain(bytes) => bytes.split_to(count.min(bytes.len())),
            Source::Stream { buffer, .. } => buffer.split_to(count.min(buffer.len())).freeze(),
        }
    }

    /// The length before a record, and how many bytes it took; `None` at the end.
    fn length(&mut self) -> Result<usize, ReadError> {
        loop {
            match read_unsigned(self.at_hand(), VARINT_BYTES_MAX) {
                Ok((raw, taken)) => {
                    self.take(taken);
                    return usize::try_from(zigzag32(raw)).map_err(|_| Malformed::NegativeLength.into());
                }
                Err(NoNumber::Long) => return Err(Malformed::Varint.into()),
                Err(NoNumber::Short) if self.more()? => {}
                Err(NoNumber::Short) => return Err(Malformed::Truncated.into()),
            }
        }
    }

    /// The next record, without its length.
    fn record(&mut self) -> Result<Bytes, ReadError> {
        let length = self.length()?;
        while self.at_hand().len() < length {
            if !self.more()? {
                return Err(Malformed::Truncated.into());
            }
        }
        Ok(self.take(length))
    }
}

impl Records {
    pub(crate) fn new(batch: &Batch, limit: &DecompressLimit) -> Result<Records, BatchError> {
        let payload = batch.payload();
        let source = match batch.header.attributes.compression()? {
            _ if batch.header.records_count <= 0 => Source::Plain(payload),
            Compression::None => Source::Plain(payload),
            codec => {
                let limit = limit.for_payload(payload.len());
                let decoder = Box::new(Decoder::new(codec, payload, limit)?);
                Source::Stream { buffer: BytesMut::new(), decoder }
            }
        };
        Ok(Records { source, header: batch.header, read: 0, ended: false })
    }

    fn next_record(&mut self) -> Result<Option<Record>, ReadError> {
        if self.read >= self.header.records_count {
            let surplus = !self.source.at_hand().is_empty() || self.source.more()?;
            let records = self.header.records_count;
            return if surplus { Err(BatchError::Surplus { records }.into()) } else { Ok(None) };
        }
        let body = self.source.record()?;
        let record = self.parse(&body)?;
        self.read += 1;
        Ok(Some(record))
    }

    fn parse(&self, body: &Bytes) -> Result<Record, ReadError> {
        let mut fields = SliceInput::new(body);
        let _attributes = fields.byte()?;
        let timestamp_delta = fields.varlong()?;
        let offset_delta = fields.varint()?;
        let key = field(&mut fields, body)?;
        let value = field(&mut fields, body)?;
        let count = fields.varint()?;
        if count < 0 {
            return Err(Malformed::NegativeLength.into());
        }
        let mut headers = Vec::new();
        for _ in 0..count {
            let key = field(&mut fields, body)?.ok_or(Malformed::NegativeLength)?;
            headers.push(Header { key, value: field(&mut fields, body)? });
        }
        if !fields.at_end()? {
            return Err(Malformed::Length.into());
        }
        let timestamp = match self.header.attributes.timestamp_type() {
            TimestampType::CreateTime => Millis(self.header.base_timestamp.0.wrapping_add(timestamp_delta)),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        let offset = Offset(self.header.base_offset.0.wrapping_add(i64::from(offset_delta)));
        Ok(Record { offset, timestamp, key, value, headers })
    }
}

/// A field with its length before it, as a slice of the record.
fn field(fields: &mut SliceInput<'_>, body: &Bytes) -> Result<Option<Bytes>, ReadError> {
    let length = fields.varint()?;
    if length < -1 {
        return Err(Malformed::NegativeLength.into());
    }
    let Ok(length) = u64::try_from(length) else { return Ok(None) };
    let start = fields.position() as usize;
    fields.skip(length)?;
    Ok(Some(body.slice(start..fields.position() as usize)))
}

impl Iterator for Records {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_record().map_err(|error| match error {
            ReadError::Malformed(reason) => BatchError::Record { index: self.read, reason },
            ReadError::Payload(error) => error,
        });
        self.ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}
