//! Batches that are built, parsed and iterated give back what went in.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use eddy_batch::{
    Batch, BatchBuilder, BatchError, Compression, DecompressLimit, Header, Record, TimestampType, batches,
};
use eddy_types::{LeaderEpoch, Millis, Offset, ProducerEpoch, ProducerId};
use proptest::prelude::*;

fn bytes(size_max: usize) -> impl Strategy<Value = Bytes> {
    // Repeated bytes, so that codecs find something to do.
    (proptest::collection::vec(any::<u8>(), 0..24), 1..=size_max.div_ceil(24))
        .prop_map(|(piece, times)| piece.repeat(times).into())
}

fn record() -> impl Strategy<Value = Record> {
    let header = (bytes(8), proptest::option::of(bytes(48))).prop_map(|(key, value)| Header { key, value });
    let key = proptest::option::of(bytes(64));
    let value = proptest::option::of(bytes(4096));
    let timestamp = prop_oneof![Just(-1), 0..2_000_000_000_000i64, any::<i64>()];
    (key, value, proptest::collection::vec(header, 0..5), timestamp).prop_map(
        |(key, value, headers, timestamp)| Record {
            offset: Offset::ZERO,
            timestamp: Millis(timestamp),
            key,
            value,
            headers,
        },
    )
}

fn codec() -> impl Strategy<Value = Compression> {
    proptest::sample::select(Compression::ALL.to_vec())
}

fn read(batch: &Batch) -> Vec<Record> {
    batch.records(&DecompressLimit::default()).unwrap().map(Result::unwrap).collect()
}

fn build(codec: Compression, base: i64, records: &[Record]) -> Bytes {
    let mut builder = BatchBuilder::new(codec).base_offset(Offset(base));
    for record in records {
        builder.append_with_headers(
            record.timestamp,
            record.key.as_deref(),
            record.value.as_deref(),
            &record.headers,
        );
    }
    builder.build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn records_survive(codec in codec(), base in 0..i64::MAX / 2, sent in proptest::collection::vec(record(), 1..40)) {
        let batch = Batch::parse(&build(codec, base, &sent)).unwrap();
        batch.verify_crc().unwrap();
        prop_assert_eq!(batch.header.records_count as usize, sent.len());
        prop_assert_eq!(batch.header.last_offset(), Offset(base + sent.len() as i64 - 1));
        let expected: Vec<_> = (base..).zip(&sent).map(|(at, r)| Record { offset: Offset(at), ..r.clone() }).collect();
        prop_assert_eq!(read(&batch), expected);
    }

    #[test]
    fn batches_joined_come_apart_again(parts in proptest::collection::vec((codec(), record()), 0..6), cut in 0..60usize) {
        let built: Vec<_> = parts.iter().map(|(codec, record)| build(*codec, 0, std::slice::from_ref(record))).collect();
        let mut file = built.concat();
        let walked: Vec<_> = batches(file.clone().into()).map(|batch| batch.unwrap().bytes).collect();
        prop_assert_eq!(&walked, &built);

        // A torn tail ends the walk with an error, once, after everything that is whole.
        file.extend_from_slice(&build(Compression::None, 0, &[])[..cut]);
        let walked: Vec<_> = batches(file.into()).collect();
        prop_assert_eq!(walked.len(), built.len() + usize::from(cut > 0));
        if cut > 0 {
            let is_cut = matches!(walked.last(), Some(Err(BatchError::Truncated { .. })));
            prop_assert!(is_cut);
        }
    }

    #[test]
    fn compaction_keeps_offsets_epochs_and_sequences(
        codec in codec(),
        sent in proptest::collection::vec((record(), any::<bool>()), 1..30),
    ) {
        let mut builder = BatchBuilder::new(codec)
            .base_offset(Offset(70))
            .leader_epoch(LeaderEpoch(4))
            .producer(ProducerId(9), ProducerEpoch(2), i32::MAX - 3)
            .transactional();
        for (record, _) in &sent {
            builder.append_with_headers(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
        }
        let batch = Batch::parse(&builder.build().unwrap()).unwrap();
        let kept: Vec<_> = read(&batch).into_iter().zip(&sent).filter(|(_, (_, keep))| *keep).map(|(r, _)| r).collect();
        let mut rebuilt = BatchBuilder::in_place_of(&batch.header);
        for record in &kept {
            rebuilt.append_record(record);
        }
        let after = Batch::parse(&rebuilt.build().unwrap()).unwrap();
        after.verify_crc().unwrap();
        prop_assert_eq!(read(&after), kept);
        prop_assert_eq!(after.header.last_offset(), batch.header.last_offset());
        prop_assert_eq!(after.header.leader_epoch, LeaderEpoch(4));
        prop_assert_eq!(after.facts().producer, batch.facts().producer);
        prop_assert!(after.facts().transactional);
    }
}

#[test]
fn headers_of_one_name_all_survive_in_order() {
    let header = |key: &'static str, value: Option<&'static str>| Header {
        key: Bytes::from_static(key.as_bytes()),
        value: value.map(|value| Bytes::from_static(value.as_bytes())),
    };
    let headers = [header("a", Some("1")), header("b", None), header("a", Some("2")), header("", Some(""))];
    let mut builder = BatchBuilder::new(Compression::Zstd);
    builder.append_with_headers(Millis(5), None, None, &headers);
    let records = read(&Batch::parse(&builder.build().unwrap()).unwrap());
    assert_eq!(records[0].headers, headers);
}

#[test]
fn log_append_time_counts_for_all_records() {
    let mut builder = BatchBuilder::default().log_append_time(Millis(900));
    builder.append(Millis(5), Some(b"k"), None);
    builder.append(Millis(7), Some(b"k"), None);
    let batch = Batch::parse(&builder.build().unwrap()).unwrap();
    assert_eq!(batch.header.attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert!(read(&batch).iter().all(|record| record.timestamp == Millis(900)));
}

#[test]
fn timestamps_relative_to_a_delete_horizon_stay_absolute() {
    // KIP-534: the base timestamp then is the horizon.
    let mut builder = BatchBuilder::default().delete_horizon(Millis(1_000_000));
    builder.append(Millis(5), Some(b"k"), None);
    let batch = Batch::parse(&builder.build().unwrap()).unwrap();
    assert!(batch.header.attributes.has_delete_horizon());
    assert_eq!(batch.header.base_timestamp, Millis(1_000_000));
    assert_eq!(read(&batch)[0].timestamp, Millis(5));
}

#[test]
fn a_batch_that_compaction_emptied_still_holds_its_offsets() {
    for codec in Compression::ALL {
        let mut builder =
            BatchBuilder::new(codec).base_offset(Offset(3)).producer(ProducerId(1), ProducerEpoch(0), 8);
        builder.append(Millis(1), None, Some(b"a"));
        builder.append(Millis(1), None, Some(b"b"));
        let full = Batch::parse(&builder.build().unwrap()).unwrap();
        let empty = Batch::parse(&BatchBuilder::in_place_of(&full.header).build().unwrap()).unwrap();
        assert_eq!(empty.header.total_bytes(), 61, "{codec}");
        assert_eq!(empty.header.last_offset(), Offset(4));
        assert_eq!(empty.facts().producer.unwrap().last, 9);
        assert_eq!(read(&empty), []);
    }
}

#[test]
fn sequences_wrap_to_zero() {
    // after the largest sequence comes 0.
    let mut builder = BatchBuilder::default().producer(ProducerId(1), ProducerEpoch(0), i32::MAX);
    builder.append(Millis(1), None, None);
    builder.append(Millis(1), None, None);
    let facts = Batch::parse(&builder.build().unwrap()).unwrap().facts();
    assert_eq!(
        (facts.offsets, facts.producer.unwrap().first, facts.producer.unwrap().last),
        (2, i32::MAX, 0)
    );
}
