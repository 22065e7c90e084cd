use bytes::Bytes;
use eddy_types::{ControlKind, ErrorCode, Millis, ProducerEpoch, ProducerId, ProducerSequence};

use super::{REJECTED_RECORDS_MAX, Rejected, Rules, validate};
use crate::{Batch, BatchBuilder, Compression, TimestampType, end_transaction_marker};

const NOW: Millis = Millis(1_700_000_000_000);

fn rules() -> Rules {
    Rules::with_defaults(NOW)
}

fn batch(codec: Compression, keys: &[Option<&[u8]>]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for key in keys {
        builder.append(NOW, *key, Some(b"value"));
    }
    builder.build().unwrap()
}

fn of_value(size: usize) -> Bytes {
    let mut builder = BatchBuilder::default();
    builder.append(NOW, None, Some(&vec![b'v'; size]));
    builder.build().unwrap()
}

fn refused(bytes: Bytes, rules: &Rules) -> Rejected {
    validate(bytes, rules).unwrap_err()
}

#[test]
fn max_message_bytes_is_exact() {
    // and as measured: a value of 1,048,516 bytes is the largest under the default limit.
    assert_eq!(validate(of_value(1_048_516), &rules()).unwrap().facts.bytes, 1_048_588);
    assert_eq!(refused(of_value(1_048_517), &rules()).code, ErrorCode::MessageTooLarge);
}

#[test]
fn segment_bytes_is_exact_and_asked_last() {
    let rules = Rules { segment_bytes: 1000, timestamp_after_max: Millis(-1), ..rules() };
    assert_eq!(refused(of_value(2000), &rules).code, ErrorCode::InvalidTimestamp);
    let rules = Rules { timestamp_after_max: Millis(0), ..rules };
    let head = of_value(1000).len() - 1000;
    assert!(validate(of_value(1000 - head), &rules).is_ok());
    assert_eq!(refused(of_value(1001 - head), &rules).code, ErrorCode::RecordListTooLarge);
}

#[test]
fn a_batch_that_breaks_no_rule_keeps_its_very_bytes() {
    // not even a copy is made.
    for codec in Compression::ALL {
        let sent = batch(codec, &[Some(b"a"), None]);
        let accepted = validate(sent.clone(), &rules()).unwrap();
        assert_eq!(accepted.bytes.as_ptr(), sent.as_ptr(), "{codec}");
        assert_eq!((accepted.codec, accepted.log_append_time), (codec, Millis::NONE));
    }
}

#[test]
fn facts_are_those_of_the_batch() {
    let mut builder = BatchBuilder::default().producer(ProducerId(7), ProducerEpoch(3), 40).transactional();
    builder.append(NOW, None, None);
    builder.append(NOW + Millis(5), None, None);
    let facts = validate(builder.build().unwrap(), &rules()).unwrap().facts;
    let producer = ProducerSequence { id: ProducerId(7), epoch: ProducerEpoch(3), first: 40, last: 41 };
    assert_eq!((facts.offsets, facts.records, facts.producer), (2, 2, Some(producer)));
    assert_eq!((facts.max_timestamp, facts.transactional, facts.control), (NOW + Millis(5), true, None));
}

#[test]
fn clients_may_not_write_markers() {
    //
    let marker = end_transaction_marker((ProducerId(1), ProducerEpoch(0)), ControlKind::Commit, 0, NOW);
    assert_eq!(refused(marker, &rules()).code, ErrorCode::InvalidRecord);
}

#[test]
fn keyless_records_of_a_compacted_topic_are_named() {
    // in every codec.
    let rules = Rules { compacted: true, ..rules() };
    for codec in Compression::ALL {
        let rejected = refused(batch(codec, &[Some(b"a"), None, Some(b""), None]), &rules);
        assert_eq!(rejected.code, ErrorCode::InvalidRecord);
        let indexes: Vec<_> = rejected.records.iter().map(|record| record.index).collect();
        assert_eq!(indexes, [1, 3], "{codec}");
    }
}

#[test]
fn a_long_list_of_rejected_records_is_cut() {
    let rules = Rules { compacted: true, ..rules() };
    let rejected = refused(batch(Compression::Zstd, &[None; 10_000]), &rules);
    assert_eq!(rejected.records.len(), REJECTED_RECORDS_MAX);
    assert!(rejected.message.ends_with("10000"), "{}", rejected.message);
}

#[test]
fn timestamps_at_the_very_bounds_are_accepted() {
    //
    let rules = Rules { timestamp_before_max: Millis(1000), timestamp_after_max: Millis(50), ..rules() };
    let at = |offset: i64| {
        let mut builder = BatchBuilder::default();
        builder.append(Millis(NOW.0 + offset), None, None);
        validate(builder.build().unwrap(), &rules).map_err(|rejected| rejected.code)
    };
    for inside in [-1000, 0, 50] {
        assert!(at(inside).is_ok(), "{inside}");
    }
    for outside in [-1001, 51] {
        assert_eq!(at(outside), Err(ErrorCode::InvalidTimestamp), "{outside}");
    }
    assert!(at(-1 - NOW.0).is_ok(), "-1 is no timestamp");
}

#[test]
fn the_brokers_time_is_set_when_the_topic_wants_it() {
    // bit 3, max timestamp, a new CRC, and the time in the answer.
    let rules = Rules { timestamp_type: TimestampType::LogAppendTime, now: NOW + Millis(77), ..rules() };
    for codec in Compression::ALL {
        let accepted = validate(batch(codec, &[None, None]), &rules).unwrap();
        let stored = Batch::parse(&accepted.bytes).unwrap();
        stored.verify_crc().unwrap();
        assert_eq!(stored.header.attributes.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(stored.header.attributes.compression(), Ok(codec));
        let times = [stored.header.max_timestamp, accepted.log_append_time, accepted.facts.max_timestamp];
        assert_eq!(times, [NOW + Millis(77); 3]);
    }
}

#[test]
fn size_counts_again_after_the_broker_compressed() {
    // what the broker makes of the batch must fit as well.
    let small = batch(Compression::Zstd, &[Some([b'k'; 100].as_slice()); 50]);
    let target = |codec| Rules { compression: Some((codec, None)), max_message_bytes: 500, ..rules() };
    assert!(small.len() < 500);
    assert!(validate(small.clone(), &target(Compression::Gzip)).is_ok());
    assert_eq!(refused(small, &target(Compression::None)).code, ErrorCode::MessageTooLarge);
}

#[test]
fn every_level_a_topic_can_have_works() {
    let sent = batch(Compression::None, &[Some([b'k'; 100].as_slice()); 50]);
    let levels = (1..=9).map(|level| (Compression::Gzip, level)).chain([(Compression::Gzip, -1)]);
    let levels = levels.chain((1..=17).map(|level| (Compression::Lz4, level)));
    let levels = levels.chain([-131_072, -7, 1, 3, 22].map(|level| (Compression::Zstd, level)));
    for (codec, level) in levels {
        let rules = Rules { compression: Some((codec, Some(level))), ..rules() };
        assert_eq!(validate(sent.clone(), &rules).unwrap().codec, codec, "{level}");
    }
}
