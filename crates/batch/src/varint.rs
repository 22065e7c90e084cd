//! Kafka's variable-length numbers: zigzag, then groups of seven bits, least significant first.

use bytes::BufMut;

/// Bytes that the longest `i32` takes.
pub(crate) const VARINT_BYTES_MAX: usize = 5;
/// Bytes that the longest `i64` takes.
pub(crate) const VARLONG_BYTES_MAX: usize = 10;

/// Why no number could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoNumber {
    /// The bytes end first.
    Short,
    /// More bytes than the type can have.
    Long,
}

/// Reads an unsigned number of at most `bytes_max` bytes: the number, and how many bytes it took.
///
/// Bits that do not fit 64 are dropped, as Kafka drops them.
#[inline]
pub(crate) fn read_unsigned(bytes: &[u8], bytes_max: usize) -> Result<(u64, usize), NoNumber> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(bytes_max).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    Err(if bytes.len() < bytes_max { NoNumber::Short } else { NoNumber::Long })
}

/// Undoes zigzag for an `i32`.
#[inline]
pub(crate) fn zigzag32(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// Undoes zigzag for an `i64`.
#[inline]
pub(crate) fn zigzag64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Writes an `i32`; an `i64` of the same value has the same bytes.
pub(crate) fn put_varint(out: &mut impl BufMut, value: i32) {
    put_varlong(out, i64::from(value));
}

/// Writes an `i64`.
pub(crate) fn put_varlong(out: &mut impl BufMut, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

/// Bytes that [`put_varlong`] writes for `value`.
pub(crate) fn varlong_bytes(value: i64) -> usize {
    let bits = 64 - (((value << 1) ^ (value >> 63)) as u64 | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_end_is_refused_after_its_longest_form() {
        assert_eq!(read_unsigned(&[0x80; 4], VARINT_BYTES_MAX), Err(NoNumber::Short));
        assert_eq!(read_unsigned(&[0x80; 9], VARINT_BYTES_MAX), Err(NoNumber::Long));
    }

    proptest::proptest! {
        #[test]
        fn numbers_survive_and_take_the_bytes_foretold(value: i64, narrow: i32) {
            let mut bytes = Vec::new();
            put_varlong(&mut bytes, value);
            proptest::prop_assert_eq!(bytes.len(), varlong_bytes(value));
            let (raw, taken) = read_unsigned(&bytes, VARLONG_BYTES_MAX).unwrap();
            proptest::prop_assert_eq!((zigzag64(raw), taken), (value, bytes.len()));

            bytes.clear();
            put_varint(&mut bytes, narrow);
            let (raw, taken) = read_unsigned(&bytes, VARINT_BYTES_MAX).unwrap();
            proptest::prop_assert_eq!((zigzag32(raw), taken), (narrow, bytes.len()));
        }
    }
}
