//! Bytes that mean harm: they are refused in bounded time and memory.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use eddy_batch::{
    Batch, BatchBuilder, BatchError, BatchHeader, Compression, DecompressLimit, Rejected, Rules, batches,
    stamp, validate,
};
use eddy_types::{ErrorCode, LeaderEpoch, Millis, Offset};
use proptest::prelude::*;

use crate::support::{MIB, batch, bomb, compressed, rules};

fn refusal(bytes: Bytes) -> Rejected {
    validate(bytes, &rules()).unwrap_err()
}

#[test]
fn snappy_cannot_claim_more_than_its_bytes_can_hold() {
    // CVE-2023-34455: a length is believed and memory taken for it. Both framings; the claim is 4 GiB.
    let raw = [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0; 100]].concat();
    let mut framed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    framed.extend_from_slice(&(raw.len() as u32).to_be_bytes());
    framed.extend_from_slice(&raw);
    let mut long_block = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    long_block.extend_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0]);
    for payload in [raw, framed, long_block] {
        assert_eq!(refusal(batch(2, 1, &payload)).code, ErrorCode::InvalidRecord);
    }
}

#[test]
fn snappy_ends_at_the_limit() {
    // Its best ratio is 22, so the default limit is out of reach of a batch of ordinary size.
    let bytes = batch(2, 1, &bomb(Compression::Snappy, 8 * MIB));
    let batch = Batch::parse(&bytes).unwrap();
    let mut records = batch.records(&DecompressLimit::bytes(MIB as u64)).unwrap();
    assert_eq!(records.next(), Some(Err(BatchError::Bomb { limit: MIB as u64 })));
    assert_eq!(records.next(), None);
}

#[test]
fn iteration_ends_at_the_limit_too() {
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let bytes = batch(codec.code(), 1, &bomb(codec, 32 * MIB));
        let batch = Batch::parse(&bytes).unwrap();
        let last = batch.records(&DecompressLimit::bytes(2 * MIB as u64)).unwrap().last();
        assert_eq!(last, Some(Err(BatchError::Bomb { limit: 2 * MIB as u64 })), "{codec}");
    }
}

#[test]
fn a_count_of_records_that_are_not_there_is_refused_at_once() {
    let record = [12, 0, 0, 0, 1, 1, 0];
    for codec in Compression::ALL {
        let payload = match codec {
            Compression::Snappy => snap::raw::Encoder::new().compress_vec(&record).unwrap(),
            Compression::Lz4 => {
                [b"\x04\x22\x4d\x18\x60\x70\x73".to_vec(), compressed(codec, &record), vec![0; 4]].concat()
            }
            _ => compressed(codec, &record),
        };
        assert!(validate(batch(codec.code(), 1, &payload), &rules()).is_ok(), "{codec}");
        let start = Instant::now();
        assert_eq!(
            refusal(batch(codec.code(), i32::MAX, &payload)).code,
            ErrorCode::InvalidRecord,
            "{codec}"
        );
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

#[test]
fn a_million_empty_records_are_walked_without_memory() {
    let mut builder = BatchBuilder::new(Compression::Zstd);
    for _ in 0..1_000_000 {
        builder.append(Millis(0), None, None);
    }
    let bytes = builder.build().unwrap();
    assert!(bytes.len() < 4 * MIB);
    let accepted = validate(bytes, &rules()).unwrap();
    assert_eq!(accepted.facts.records, 1_000_000);
}

#[test]
fn a_zstd_window_of_128_mib_costs_no_memory_by_itself() {
    // Level 22 asks for such a window, so it must be accepted. A frame of a single raw block: window log 27.
    let record = [12, 0, 0, 0, 1, 1, 0];
    let mut payload = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (27 - 10) << 3];
    payload.extend_from_slice(&[(record.len() as u8) << 3 | 1, 0, 0]);
    payload.extend_from_slice(&record);
    assert!(validate(batch(4, 1, &payload), &rules()).is_ok());
}

fn good(codec: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for i in 0..50i64 {
        let value = format!("value {i}, and some text that is the same in all of them");
        builder.append(Millis(1000 + i), Some(&i.to_be_bytes()), Some(value.as_bytes()));
    }
    builder.build().unwrap()
}

/// Everything a stranger's bytes may pass through.
fn exercise(bytes: &Bytes) {
    let _ = validate(bytes.clone(), &rules());
    let _ = validate(bytes.clone(), &Rules { compression: Some((Compression::Lz4, None)), ..rules() });
    let _ = BatchHeader::parse(bytes).map(|header| header.facts());
    for batch in batches(bytes.clone()).flatten() {
        let _ = batch.facts();
        if let Ok(records) = batch.records(&DecompressLimit::bytes(MIB as u64)) {
            assert!(records.count() <= bytes.len() * 8192);
        }
    }
    let mut copy = bytes.to_vec();
    if copy.len() >= eddy_batch::HEADER_BYTES {
        stamp(&mut copy, Offset(1), LeaderEpoch(1));
    }
}

#[test]
fn every_cut_of_a_batch_is_refused() {
    for codec in Compression::ALL {
        let bytes = good(codec);
        for length in 0..bytes.len() {
            let cut = bytes.slice(..length);
            exercise(&cut);
            assert_eq!(refusal(cut).code, ErrorCode::InvalidRecord, "{codec} {length}");
        }
    }
}

/// Every cut of the payload under a length and CRC that fit, so that only the codec and the walk can notice.
#[test]
fn every_cut_of_a_payload_is_refused() {
    for codec in Compression::ALL {
        let whole = Batch::parse(&good(codec)).unwrap().payload();
        assert!(validate(batch(codec.code(), 50, &whole), &rules()).is_ok());
        for length in 0..whole.len() {
            let cut = batch(codec.code(), 50, &whole[..length]);
            exercise(&cut);
            assert_eq!(refusal(cut).code, ErrorCode::InvalidRecord, "{codec} {length}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn changed_payloads_never_panic_nor_loop(
        codec in proptest::sample::select(Compression::ALL.to_vec()),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        count in prop_oneof![Just(50), 1..60, any::<i32>()],
    ) {
        let mut payload = Batch::parse(&good(codec)).unwrap().payload().to_vec();
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        exercise(&batch(codec.code(), count.max(i32::MIN + 1), &payload));
    }

    #[test]
    fn changed_batches_never_panic_nor_loop(
        codec in proptest::sample::select(Compression::ALL.to_vec()),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = good(codec).to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len().min(80));
            bytes[at] = byte;
        }
        exercise(&bytes.into());
    }

    #[test]
    fn random_bytes_never_panic(codec in 0..8i16, payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        exercise(&batch(codec, 3, &payload));
        exercise(&payload.into());
    }
}
