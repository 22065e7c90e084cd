//! Writes the primitive types of the protocol; shared bytes are spliced in, not copied.

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use crate::{EncodeError, Records, Str};

/// Shared bytes below this are copied: a segment of its own costs more than moving them.
const SHARED_BYTES_MIN: usize = 1024;
/// First size of the buffer: most answers without records fit.
const FIRST_CAPACITY: usize = 512;

type Result<T> = std::result::Result<T, EncodeError>;

/// Segments of encoded bytes, in order, for a vectored write.
pub type Segments = SmallVec<[Bytes; 1]>;

/// Collects encoded bytes: one buffer, and the shared bytes that belong into it at given places.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: BytesMut,
    /// Each goes before the byte of `buffer` at its position; positions ascend.
    splices: Vec<(usize, Bytes)>,
    spliced_bytes: usize,
}

macro_rules! numbers {
    ($($put:ident $number:ident)*) => {
        $(
            #[doc = concat!("A big-endian `", stringify!($number), "`.")]
            pub fn $put(&mut self, value: $number) {
                self.buffer.$put(value);
            }
        )*
    };
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Writer {
        Writer { buffer: BytesMut::with_capacity(FIRST_CAPACITY), ..Writer::default() }
    }

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len() + self.spliced_bytes
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    numbers! { put_i8 i8 put_i16 i16 put_u16 u16 put_i32 i32 put_u32 u32 put_i64 i64 put_f64 f64 }

    /// One byte, 1 or 0.
    pub fn put_bool(&mut self, value: bool) {
        self.buffer.put_u8(value.into());
    }

    /// The 16 bytes of a UUID.
    pub fn put_uuid(&mut self, value: &[u8; 16]) {
        self.buffer.put_slice(value);
    }

    /// An unsigned varint.
    pub fn put_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    /// A string of at most 32,767 bytes.
    pub fn put_string(&mut self, value: &Str, flexible: bool, field: &'static str) -> Result<()> {
        let bytes = value.as_bytes();
        let length = i16::try_from(bytes.len()).map_err(|_| too_long(field, bytes.len()))?;
        match flexible {
            true => self.put_varint(length.unsigned_abs() as u32 + 1),
            false => self.put_i16(length),
        }
        self.buffer.put_slice(bytes);
        Ok(())
    }

    /// A null string.
    pub fn put_null_string(&mut self, flexible: bool) {
        if flexible { self.put_varint(0) } else { self.put_i16(-1) }
    }

    /// A byte field, shared when it is large.
    pub fn put_bytes(&mut self, value: &Bytes, flexible: bool, field: &'static str) -> Result<()> {
        self.put_array_len(value.len(), flexible, field)?;
        self.put_shared(value);
        Ok(())
    }

    /// A null byte field, or null records.
    pub fn put_null_bytes(&mut self, flexible: bool) {
        self.put_null_array(flexible);
    }

    /// Records, their segments shared when they are large.
    pub fn put_records(&mut self, value: &Records, flexible: bool, field: &'static str) -> Result<()> {
        self.put_array_len(value.len(), flexible, field)?;
        value.segments().iter().for_each(|segment| self.put_shared(segment));
        Ok(())
    }

    /// The length of an array or of a byte field, before its elements.
    pub fn put_array_len(&mut self, length: usize, flexible: bool, field: &'static str) -> Result<()> {
        let signed = i32::try_from(length).map_err(|_| too_long(field, length))?;
        match flexible {
            true => self.put_varint(signed.unsigned_abs() + 1),
            false => self.put_i32(signed),
        }
        Ok(())
    }

    /// A null array.
    pub fn put_null_array(&mut self, flexible: bool) {
        if flexible { self.put_varint(0) } else { self.put_i32(-1) }
    }

    /// The empty tag section of a flexible version.
    pub fn put_no_tagged_fields(&mut self) {
        self.put_varint(0);
    }

    /// The tag section of a flexible version.
    pub fn put_tagged_fields(&mut self, fields: TaggedFields) {
        self.put_varint(fields.count);
        self.append(fields.writer);
    }

    /// The bytes written, cut where shared bytes were spliced in.
    #[must_use]
    pub fn finish(self) -> Segments {
        let buffer = self.buffer.freeze();
        let mut segments = Segments::new();
        let mut from = 0;
        for (at, shared) in self.splices {
            if at > from {
                segments.push(buffer.slice(from..at));
            }
            segments.push(shared);
            from = at;
        }
        if from < buffer.len() {
            segments.push(buffer.slice(from..));
        }
        segments
    }

    /// Overwrites the four bytes at the start, which must have been written, with the length of what follows them.
    pub(crate) fn patch_length(&mut self) -> Result<()> {
        let length = self.len().saturating_sub(4);
        let prefix = i32::try_from(length).map_err(|_| too_long("frame", length))?;
        debug_assert!(self.splices.first().is_none_or(|(at, _)| *at >= 4));
        if let Some(start) = self.buffer.first_chunk_mut::<4>() {
            *start = prefix.to_be_bytes();
        }
        Ok(())
    }

    fn put_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            self.buffer.put_slice(bytes);
        } else {
            self.splices.push((self.buffer.len(), bytes.clone()));
            self.spliced_bytes += bytes.len();
        }
    }

    fn append(&mut self, other: Writer) {
        let base = self.buffer.len();
        self.splices.extend(other.splices.into_iter().map(|(at, bytes)| (base + at, bytes)));
        self.spliced_bytes += other.spliced_bytes;
        self.buffer.put_slice(&other.buffer);
    }
}

/// The tagged fields of one struct, collected before their number is written.
#[derive(Debug, Default)]
pub struct TaggedFields {
    count: u32,
    writer: Writer,
}

impl TaggedFields {
    /// Adds a field. Tags must be added in ascending order.
    pub fn field(&mut self, tag: u32, write: impl FnOnce(&mut Writer) -> Result<()>) -> Result<()> {
        let mut value = Writer::default();
        write(&mut value)?;
        let size = u32::try_from(value.len()).map_err(|_| too_long("tagged field", value.len()))?;
        self.count += 1;
        self.writer.put_varint(tag);
        self.writer.put_varint(size);
        self.writer.append(value);
        Ok(())
    }
}

fn too_long(field: &'static str, length: usize) -> EncodeError {
    EncodeError::TooLong { field, length }
}

#[cfg(test)]
mod tests {
    use super::{TaggedFields, Writer};
    use bytes::Bytes;

    #[test]
    fn shared_bytes_keep_their_place_in_a_tagged_field() {
        let shared = Bytes::from(vec![7; 2000]);
        let mut tagged = TaggedFields::default();
        tagged.field(3, |writer| writer.put_bytes(&shared, false, "shared")).unwrap();
        let mut writer = Writer::new();
        writer.put_i32(-1);
        writer.put_tagged_fields(tagged);
        writer.put_i8(5);

        // Count 1, tag 3, size 2004, length 2000.
        let expected = [&[0xff; 4][..], &[1, 3, 0xd4, 0x0f, 0, 0, 0x07, 0xd0], &shared, &[5]].concat();
        assert_eq!(writer.len(), expected.len());
        let segments = writer.finish();
        assert_eq!(segments.concat(), expected);
        assert_eq!(segments[1].as_ptr(), shared.as_ptr());
    }

    #[test]
    fn nothing_written_is_no_segment() {
        assert!(Writer::new().is_empty());
        assert!(Writer::new().finish().is_empty());
    }
}
