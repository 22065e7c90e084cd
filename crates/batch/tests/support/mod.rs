//! Batches that no producer would write.

use bytes::{BufMut, Bytes, BytesMut};
use eddy_batch::{Compression, Rules};
use eddy_types::Millis;

pub(crate) const MIB: usize = 1 << 20;

pub(crate) fn rules() -> Rules {
    let any_age = Millis(i64::MAX);
    Rules {
        max_message_bytes: 8 * MIB,
        timestamp_after_max: any_age,
        ..Rules::with_defaults(Millis(1_000_000))
    }
}

/// A batch with any header and payload, and a CRC that fits.
pub(crate) fn batch(codec: i16, records_count: i32, payload: &[u8]) -> Bytes {
    let mut body = BytesMut::new();
    body.put_i16(codec);
    body.put_i32(records_count - 1);
    body.put_i64(0);
    body.put_i64(0);
    body.put_i64(-1);
    body.put_i16(-1);
    body.put_i32(-1);
    body.put_i32(records_count);
    body.put_slice(payload);
    let mut whole = BytesMut::new();
    whole.put_i64(0);
    whole.put_i32(body.len() as i32 + 9);
    whole.put_i32(-1);
    whole.put_u8(2);
    whole.put_u32(crc32c::crc32c(&body));
    whole.put_slice(&body);
    whole.freeze()
}

/// The start of a record that claims a value of nearly 2 GiB: all that follows is taken for value.
pub(crate) fn endless_record() -> Vec<u8> {
    let mut bytes = vec![0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0x01];
    bytes.extend_from_slice(&[0xb0, 0xff, 0xff, 0xff, 0x0f]);
    bytes
}

pub(crate) fn compressed(codec: Compression, input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    match codec {
        Compression::None => input.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(input).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Snappy => {
            let block = snap::raw::Encoder::new().compress_vec(input).unwrap();
            [&(block.len() as u32).to_be_bytes()[..], &block].concat()
        }
        Compression::Lz4 => {
            let block = lz4_flex::block::compress(input);
            [&(block.len() as u32).to_le_bytes()[..], &block].concat()
        }
        Compression::Zstd => zstd::bulk::compress(input, 19).unwrap(),
    }
}

/// A payload that decompresses to a little over `total` bytes: one compressed piece, again and again.
pub(crate) fn bomb(codec: Compression, total: usize) -> Vec<u8> {
    let mut payload = match codec {
        Compression::Snappy => b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec(),
        // Independent blocks of at most 4 MiB, no checksums.
        Compression::Lz4 => b"\x04\x22\x4d\x18\x60\x70\x73".to_vec(),
        _ => Vec::new(),
    };
    payload.extend_from_slice(&compressed(codec, &endless_record()));
    let zeros = vec![0; 4 * MIB];
    let piece = compressed(codec, &zeros);
    for _ in 0..total.div_ceil(zeros.len()) {
        payload.extend_from_slice(&piece);
    }
    payload
}
