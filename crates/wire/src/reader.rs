//! Reads the primitive types of the protocol from a frame, and never believes a length before the bytes are there.

use bytes::Bytes;

use crate::{DecodeError, DecodeErrorKind, Records, Str};

/// Bytes a string may have at most (Kafka's limit, also where the length is a varint).
const STRING_BYTES_MAX: usize = i16::MAX as usize;
/// Memory that arrays may take for each byte of the frame. The shortest honest element, a string of one byte, takes two
/// bytes on the wire and 32 in memory; below that are only arrays of nothing.
const MEMORY_PER_BYTE: usize = 16;
/// Memory that arrays may take in any frame.
const MEMORY_FLOOR: usize = 64 << 10;

/// A position in a frame. Strings, byte fields and records that it hands out are slices of the frame, not copies.
///
/// Only arrays allocate: at most 64 KiB and 16 bytes per byte of the frame together, whatever the frame says.
#[derive(Clone, Debug)]
pub struct Reader {
    frame: Bytes,
    position: usize,
    /// End of the readable range: the frame's, or that of the tagged field being read.
    end: usize,
    /// Bytes that arrays may still take.
    memory: usize,
}

type Result<T> = std::result::Result<T, DecodeError>;

macro_rules! numbers {
    ($($name:ident)*) => {
        $(
            #[doc = concat!("A big-endian `", stringify!($name), "`.")]
            pub fn $name(&mut self, field: &'static str) -> Result<$name> {
                self.array_of(field).map($name::from_be_bytes)
            }
        )*
    };
}

impl Reader {
    /// Reads `frame` (without its length prefix) from its start.
    #[must_use]
    pub fn new(frame: Bytes) -> Reader {
        let memory = frame.len().saturating_mul(MEMORY_PER_BYTE).saturating_add(MEMORY_FLOOR);
        Reader { position: 0, end: frame.len(), memory, frame }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.end.saturating_sub(self.position)
    }

    numbers! { i8 i16 u16 i32 u32 i64 f64 }

    /// A byte; everything but 0 is true.
    pub fn bool(&mut self, field: &'static str) -> Result<bool> {
        self.i8(field).map(|byte| byte != 0)
    }

    /// The 16 bytes of a UUID.
    pub fn uuid(&mut self, field: &'static str) -> Result<[u8; 16]> {
        self.array_of(field)
    }

    /// An unsigned varint of at most 32 bits.
    pub fn varint(&mut self, field: &'static str) -> Result<u32> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array_of(field)?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.fault(field, DecodeErrorKind::VarintTooLong))
    }

    /// A string; its length is a varint in flexible versions, an `i16` otherwise.
    pub fn string(&mut self, flexible: bool, field: &'static str) -> Result<Str> {
        self.nullable_string(flexible, field)?.ok_or_else(|| self.fault(field, DecodeErrorKind::Null))
    }

    /// As [`Reader::string`]; `None` for null.
    pub fn nullable_string(&mut self, flexible: bool, field: &'static str) -> Result<Option<Str>> {
        let length = if flexible { self.compact_length(field)? } else { i32::from(self.i16(field)?) };
        // As in Kafka, every negative length means null.
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        if length > STRING_BYTES_MAX {
            return Err(self.fault(field, DecodeErrorKind::StringTooLong(length)));
        }
        let bytes = self.slice(length, field)?;
        Str::from_utf8(bytes).map(Some).ok_or_else(|| self.fault(field, DecodeErrorKind::Utf8))
    }

    /// A byte field; its length is a varint in flexible versions, an `i32` otherwise.
    pub fn bytes(&mut self, flexible: bool, field: &'static str) -> Result<Bytes> {
        self.nullable_bytes(flexible, field)?.ok_or_else(|| self.fault(field, DecodeErrorKind::Null))
    }

    /// As [`Reader::bytes`]; `None` for null.
    pub fn nullable_bytes(&mut self, flexible: bool, field: &'static str) -> Result<Option<Bytes>> {
        match self.count(flexible, field)? {
            Some(length) => self.slice(length, field).map(Some),
            None => Ok(None),
        }
    }

    /// Records; framed as a byte field is.
    pub fn records(&mut self, flexible: bool, field: &'static str) -> Result<Records> {
        self.bytes(flexible, field).map(Records::from)
    }

    /// As [`Reader::records`]; `None` for null.
    pub fn nullable_records(&mut self, flexible: bool, field: &'static str) -> Result<Option<Records>> {
        Ok(self.nullable_bytes(flexible, field)?.map(Records::from))
    }

    /// An array of what `element` reads.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        field: &'static str,
        element: impl FnMut(&mut Reader) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.nullable_array(flexible, field, element)?.ok_or_else(|| self.fault(field, DecodeErrorKind::Null))
    }

    /// As [`Reader::array`]; `None` for null.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        field: &'static str,
        mut element: impl FnMut(&mut Reader) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        let Some(count) = self.count(flexible, field)? else { return Ok(None) };
        self.allow(count, size_of::<T>(), field)?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// A struct behind a byte that says whether it is there: negative for null.
    pub fn nullable_struct<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Reader) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.i8(field)? < 0 { Ok(None) } else { read(self).map(Some) }
    }

    /// A struct that is a tagged field and can be null: behind a varint that is zero for null.
    pub fn nullable_tagged_struct<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Reader) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.varint(field)? == 0 { Ok(None) } else { read(self).map(Some) }
    }

    /// The tagged fields of a flexible version. `read` gets a reader that ends where the tagged field does and answers whether it
    /// knows the tag; unknown ones are skipped.
    pub fn tagged_fields(
        &mut self,
        owner: &'static str,
        mut read: impl FnMut(&mut Reader, u32) -> Result<bool>,
    ) -> Result<()> {
        for _ in 0..self.varint(owner)? {
            let tag = self.varint(owner)?;
            let size = self.varint(owner)? as usize;
            let after = self.need(size, owner)?;
            let end = std::mem::replace(&mut self.end, after);
            let known = read(self, tag)?;
            let left_over = self.remaining();
            self.end = end;
            if known && left_over > 0 {
                return Err(self.fault(owner, DecodeErrorKind::TaggedFieldSize(left_over)));
            }
            self.position = after;
        }
        Ok(())
    }

    /// The tagged fields of a struct that knows none.
    pub fn skip_tagged_fields(&mut self, owner: &'static str) -> Result<()> {
        self.tagged_fields(owner, |_, _| Ok(false))
    }

    /// Elements or bytes that follow; `None` for null.
    fn count(&mut self, flexible: bool, field: &'static str) -> Result<Option<usize>> {
        let count = if flexible { self.compact_length(field)? } else { self.i32(field)? };
        Ok(usize::try_from(count).ok())
    }

    /// A compact length, which is sent plus one so that 0 can mean null.
    fn compact_length(&mut self, field: &'static str) -> Result<i32> {
        match self.varint(field)? {
            0 => Ok(-1),
            // Saturating keeps the value out of reach of any frame, so it fails as too large and never as negative.
            sent => Ok(i32::try_from(sent - 1).unwrap_or(i32::MAX)),
        }
    }

    /// Lets an array of `count` elements be allocated: an element takes a byte on the wire at least, and `size` in memory.
    fn allow(&mut self, count: usize, size: usize, field: &'static str) -> Result<()> {
        let (remaining, memory) = (self.remaining(), self.memory);
        if count > remaining {
            return Err(self.fault(field, DecodeErrorKind::CountTooLarge { count, remaining }));
        }
        let needed = count.saturating_mul(size);
        let left = memory.checked_sub(needed);
        self.memory =
            left.ok_or_else(|| self.fault(field, DecodeErrorKind::MemoryExceeded { needed, memory }))?;
        Ok(())
    }

    fn slice(&mut self, length: usize, field: &'static str) -> Result<Bytes> {
        let after = self.need(length, field)?;
        let bytes = self.frame.slice(self.position..after);
        self.position = after;
        Ok(bytes)
    }

    fn array_of<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N]> {
        let after = self.need(N, field)?;
        let bytes = self.frame.get(self.position..after).and_then(|bytes| bytes.first_chunk());
        self.position = after;
        // `need` has seen that the bytes are there.
        Ok(bytes.copied().unwrap_or([0; N]))
    }

    /// Position after the next `needed` bytes, all of which are there.
    fn need(&self, needed: usize, field: &'static str) -> Result<usize> {
        let remaining = self.remaining();
        match needed <= remaining {
            true => Ok(self.position + needed),
            false => Err(self.fault(field, DecodeErrorKind::Truncated { needed, remaining })),
        }
    }

    fn fault(&self, field: &'static str, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { field, kind, position: self.position }
    }
}
