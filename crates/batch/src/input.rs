//! Where the record walk reads from: bytes at hand, or a decompressor with a small buffer.

use std::cell::RefCell;

use crate::codec::Decoder;
use crate::varint::{self, NoNumber, VARINT_BYTES_MAX, VARLONG_BYTES_MAX};
use crate::{BatchError, Malformed};

/// Why a read failed.
pub(crate) enum ReadError {
    /// The record is at fault.
    Malformed(Malformed),
    /// The payload is.
    Payload(BatchError),
}

impl From<Malformed> for ReadError {
    fn from(reason: Malformed) -> Self {
        ReadError::Malformed(reason)
    }
}

impl From<BatchError> for ReadError {
    fn from(error: BatchError) -> Self {
        ReadError::Payload(error)
    }
}

/// A sequence of bytes, read from the front.
pub(crate) trait Input {
    /// Bytes that were read.
    fn position(&self) -> u64;
    /// Whether there are no more bytes.
    fn at_end(&mut self) -> Result<bool, ReadError>;
    /// One byte.
    fn byte(&mut self) -> Result<u8, ReadError>;
    /// An unsigned number of seven bits a byte.
    fn unsigned(&mut self, bytes_max: usize) -> Result<u64, ReadError>;
    /// Passes over bytes.
    fn skip(&mut self, count: u64) -> Result<(), ReadError>;

    /// A zigzag number.
    #[inline(always)]
    fn varint(&mut self) -> Result<i32, ReadError> {
        Ok(varint::zigzag32(self.unsigned(VARINT_BYTES_MAX)?))
    }

    /// A long zigzag number.
    #[inline(always)]
    fn varlong(&mut self) -> Result<i64, ReadError> {
        Ok(varint::zigzag64(self.unsigned(VARLONG_BYTES_MAX)?))
    }
}

/// Bytes at hand.
pub(crate) struct SliceInput<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> SliceInput<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> SliceInput<'a> {
        SliceInput { rest: bytes, total: bytes.len() }
    }
}

impl Input for SliceInput<'_> {
    #[inline(always)]
    fn position(&self) -> u64 {
        (self.total - self.rest.len()) as u64
    }

    #[inline(always)]
    fn at_end(&mut self) -> Result<bool, ReadError> {
        Ok(self.rest.is_empty())
    }

    #[inline(always)]
    fn byte(&mut self) -> Result<u8, ReadError> {
        let (&byte, rest) = self.rest.split_first().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline(always)]
    fn unsigned(&mut self, bytes_max: usize) -> Result<u64, ReadError> {
        // Nearly all numbers in a record have one or two bytes.
        match *self.rest {
            [byte, ref rest @ ..] if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            [low, high, ref rest @ ..] if high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => {
                let (value, taken) =
                    varint::read_unsigned(self.rest, bytes_max).map_err(|none| match none {
                        NoNumber::Short => Malformed::Truncated,
                        NoNumber::Long => Malformed::Varint,
                    })?;
                self.rest = self.rest.get(taken..).unwrap_or_default();
                Ok(value)
            }
        }
    }

    #[inline(always)]
    fn skip(&mut self, count: u64) -> Result<(), ReadError> {
        let rest = usize::try_from(count).ok().and_then(|count| self.rest.get(count..));
        self.rest = rest.ok_or(Malformed::Truncated)?;
        Ok(())
    }
}

/// Size of the buffer behind a decompressor.
const BUFFER_BYTES: usize = 64 << 10;

thread_local! {
    static SPARE: RefCell<Option<Box<[u8]>>> = const { RefCell::new(None) };
}

/// What comes out of a decompressor. Holds one buffer, whatever the size of a record.
pub(crate) struct StreamInput {
    decoder: Decoder,
    buffer: Box<[u8]>,
    /// Unread bytes of the buffer: `start..end`.
    start: usize,
    end: usize,
    /// Bytes read from earlier contents of the buffer.
    before: u64,
}

impl StreamInput {
    pub(crate) fn new(decoder: Decoder) -> StreamInput {
        let buffer = SPARE.take().unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice());
        StreamInput { decoder, buffer, start: 0, end: 0, before: 0 }
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Moves what is unread to the front and reads more; false at the end.
    fn refill(&mut self) -> Result<bool, BatchError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.before += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        let count = self.decoder.read(self.buffer.get_mut(self.end..).unwrap_or_default())?;
        self.end += count;
        Ok(count > 0)
    }
}

impl Drop for StreamInput {
    fn drop(&mut self) {
        SPARE.set(Some(std::mem::take(&mut self.buffer)));
    }
}

impl Input for StreamInput {
    #[inline(always)]
    fn position(&self) -> u64 {
        self.before + self.start as u64
    }

    #[inline(always)]
    fn at_end(&mut self) -> Result<bool, ReadError> {
        Ok(self.start == self.end && !self.refill()?)
    }

    #[inline(always)]
    fn byte(&mut self) -> Result<u8, ReadError> {
        if self.at_end()? {
            return Err(Malformed::Truncated.into());
        }
        let byte = self.buffer.get(self.start).copied().ok_or(Malformed::Truncated)?;
        self.start += 1;
        Ok(byte)
    }

    #[inline(always)]
    fn unsigned(&mut self, bytes_max: usize) -> Result<u64, ReadError> {
        loop {
            match varint::read_unsigned(self.unread(), bytes_max) {
                Ok((value, taken)) => {
                    self.start += taken;
                    return Ok(value);
                }
                Err(NoNumber::Long) => return Err(Malformed::Varint.into()),
                Err(NoNumber::Short) if self.refill()? => {}
                Err(NoNumber::Short) => return Err(Malformed::Truncated.into()),
            }
        }
    }

    #[inline(always)]
    fn skip(&mut self, mut count: u64) -> Result<(), ReadError> {
        loop {
            let here = count.min((self.end - self.start) as u64);
            self.start += here as usize;
            count -= here;
            if count == 0 {
                return Ok(());
            }
            if !self.refill()? {
                return Err(Malformed::Truncated.into());
            }
        }
    }
}
