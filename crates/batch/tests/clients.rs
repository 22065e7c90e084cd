//! Segments that Apache Kafka 4.3.1 wrote of what real clients sent it: Java 4.3.1, librdkafka 2.16 and kafka-python 3.0, each codec.
//!
//! Every file ends with the same 40 records, see [`row`]; the `java-txn` files hold three records of a transaction and its marker.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use bytes::Bytes;
use eddy_batch::{
    Batch, BatchBuilder, Compression, DecompressLimit, Record, Rules, batches, stamp, validate,
};
use eddy_types::{ControlKind, LeaderEpoch, Millis, Offset};

const CLIENTS: [&str; 3] = ["java", "librdkafka", "kafka-python"];
const CODECS: [(&str, Compression); 5] = [
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

fn segment(client: &str, codec: &str) -> Bytes {
    let path = format!("tests/fixtures/clients/{client}-{codec}.bin");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read(path).unwrap().into()
}

fn all(bytes: &Bytes) -> Vec<Batch> {
    batches(bytes.clone()).collect::<Result<_, _>>().unwrap()
}

fn records(batch: &Batch) -> Vec<Record> {
    batch.records(&DecompressLimit::default()).unwrap().map(Result::unwrap).collect()
}

type Row = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>, i64);

/// What the clients were told to send as record `i`. kafka-python can write neither a record that is all null nor a null header.
fn row(i: i64, codec: &str, client: &str) -> Row {
    let python = client == "kafka-python";
    let key = (i % 3 != 0).then(|| format!("key-{i}").into_bytes());
    let value = (i % 7 != 6)
        .then(|| format!("value {i} of {codec} {}", "lorem ipsum ".repeat(i as usize % 5)).into_bytes());
    let value = if python && key.is_none() { value.or(Some(Vec::new())) } else { value };
    let headers = if i % 4 == 0 {
        let second = python.then(Vec::new);
        vec![
            (b"trace".to_vec(), Some(format!("t{i}").into_bytes())),
            (b"trace".to_vec(), second),
            (Vec::new(), Some(Vec::new())),
        ]
    } else {
        Vec::new()
    };
    (key, value, headers, 1_700_000_000_000 + if i % 5 == 4 { -i } else { i })
}

fn as_row(record: &Record) -> Row {
    let vec = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| bytes.to_vec());
    let headers = record.headers.iter().map(|h| (h.key.to_vec(), vec(&h.value))).collect();
    (vec(&record.key), vec(&record.value), headers, record.timestamp.0)
}

#[test]
fn records_of_every_client_and_codec_are_read_as_they_were_sent() {
    for client in CLIENTS {
        for (name, codec) in CODECS {
            let batches = all(&segment(client, name));
            for batch in &batches {
                batch.verify_crc().unwrap();
                assert_eq!(batch.header.attributes.compression().unwrap(), codec);
            }
            let records: Vec<_> = batches.iter().flat_map(records).collect();
            let first = records.len() - 40;
            for (at, record) in records.iter().enumerate() {
                assert_eq!(record.offset, Offset(at as i64));
                if let Some(i) = at.checked_sub(first) {
                    assert_eq!(as_row(record), row(i as i64, name, client), "{client} {name} {i}");
                }
            }
        }
    }
}

/// No field is added to a format that describes itself: the batches, joined, are the file.
#[test]
fn batches_joined_are_the_segment() {
    for client in CLIENTS.into_iter().chain(["java-txn"]) {
        for (name, _) in CODECS {
            let segment = segment(client, name);
            let joined: Vec<u8> = all(&segment).iter().flat_map(|batch| batch.bytes.to_vec()).collect();
            assert_eq!(joined, segment, "{client} {name}");
        }
    }
}

fn rules(compression: Option<(Compression, Option<i32>)>) -> Rules {
    Rules { compression, ..Rules::with_defaults(Millis(1_700_000_100_000)) }
}

/// The batch as its producer sent it.
fn unstamped(batch: &Batch) -> Bytes {
    let mut bytes = batch.bytes.to_vec();
    stamp(&mut bytes, Offset::ZERO, LeaderEpoch::NONE);
    bytes.into()
}

#[test]
fn batches_of_every_client_are_accepted_verbatim() {
    for client in CLIENTS {
        for (name, codec) in CODECS {
            for batch in all(&segment(client, name)) {
                let sent = unstamped(&batch);
                let accepted = validate(sent.clone(), &rules(None)).unwrap();
                assert_eq!((accepted.bytes, accepted.codec), (sent, codec), "{client} {name}");
                assert_eq!(accepted.facts, batch.facts());
            }
        }
    }
}

#[test]
fn recompression_keeps_every_record_whatever_the_codecs() {
    //
    for (name, _) in CODECS {
        let batch = all(&segment("java", name)).remove(0);
        let expected = records(&batch);
        for (_, target) in CODECS {
            let accepted = validate(unstamped(&batch), &rules(Some((target, None)))).unwrap();
            let stored = Batch::parse(&accepted.bytes).unwrap();
            stored.verify_crc().unwrap();
            assert_eq!(stored.header.attributes.compression(), Ok(target));
            assert_eq!((stored.header.total_bytes(), accepted.codec), (accepted.bytes.len(), target));
            assert_eq!(records(&stored), expected, "{name} to {target}");
            assert_eq!(stored.header.producer_id, batch.header.producer_id);
        }
    }
}

#[test]
fn a_client_batch_built_again_from_its_records_has_the_same_bytes() {
    for client in CLIENTS {
        for batch in all(&segment(client, "none")) {
            let mut again = BatchBuilder::in_place_of(&batch.header);
            for record in records(&batch) {
                again.append_record(&record);
            }
            assert_eq!(again.build().unwrap(), batch.bytes, "{client}");
        }
    }
}

#[test]
fn transaction_markers_are_those_of_kafka() {
    // the coordinator aborted the gzip transaction and committed the others.
    for (name, _) in CODECS {
        let batches = all(&segment("java-txn", name));
        let [data, marker] = batches.as_slice() else { panic!("{name}: {} batches", batches.len()) };
        let expected = if name == "gzip" { ControlKind::Abort } else { ControlKind::Commit };
        assert!(data.facts().transactional && data.facts().control.is_none());
        assert_eq!(marker.facts().control, Some(expected), "{name}");
        let header = &marker.header;
        let producer = (header.producer_id, header.producer_epoch);
        let built = eddy_batch::end_transaction_marker(producer, expected, 0, header.max_timestamp);
        let mut built = built.to_vec();
        stamp(&mut built, header.base_offset, header.leader_epoch);
        assert_eq!(built, marker.bytes, "{name}");
    }
}
