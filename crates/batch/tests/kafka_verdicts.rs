//! What Apache Kafka 4.3.1 answered to odd batches (`fixtures/ask_kafka.py` asked it) is what we answer, but for the differences
//! listed here with their reasons.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bytes::Bytes;
use eddy_batch::{Batch, Compression, DecompressLimit, Record, Rules, TimestampType, validate};
use eddy_types::{ErrorCode, LeaderEpoch, Millis, Offset};

const VERDICTS: &str = include_str!("fixtures/kafka-4.3-verdicts.tsv");

/// Kafka takes these, we refuse them with INVALID_RECORD: no client writes them, and other readers than Java's stumble over
/// them or hand out wrong offsets.
const STRICTER: &[&str] = &[
    "offset deltas 0, 2",
    "offset deltas 0, 0",
    "offset deltas 1, 0",
    "offset delta -1",
    "key length -2",
    "value length -2",
    "gzip key length -2",
    "snappy key length -2",
    "lz4 key length -2",
    "zstd key length -2",
    "gzip record length too small",
    "snappy record length too small",
    "lz4 record length too small",
    "zstd record length too small",
    "gzip record length too large",
    "snappy record length too large",
    "lz4 record length too large",
    "zstd record length too large",
    "gzip trailing byte after payload",
    "snappy trailing byte after payload",
];

/// Kafka refuses this, we take it: some JavaScript clients write such frames, and most consumers read them.
const MORE_LENIENT: &[&str] = &["lz4 linked blocks, four of them"];

/// The transactional id is the request's, so its check (TRANSACTIONAL_ID_AUTHORIZATION_FAILED) is the caller's.
const CALLERS: &[&str] = &["control and transactional", "transactional without producer"];

struct Verdict {
    name: &'static str,
    topic: &'static str,
    code: &'static str,
    stored: &'static str,
    now: Millis,
    sent: Bytes,
}

fn from_hex(hex: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn verdicts() -> impl Iterator<Item = Verdict> {
    VERDICTS.lines().map(|line| {
        let columns: Vec<_> = line.split('\t').collect();
        let &[name, topic, code, stored, now, sent, _] = columns.as_slice() else { panic!("{line}") };
        // The gateway hands on null records as no bytes.
        let sent = if sent == "null" { Bytes::new() } else { from_hex(sent) };
        Verdict { name, topic, code, stored, now: Millis(now.parse().unwrap()), sent }
    })
}

fn rules(topic: &str, now: Millis) -> Rules {
    let mut rules = Rules::with_defaults(now);
    match topic {
        "gzip" | "gzipsmall" => rules.compression = Some((Compression::Gzip, None)),
        "uncompressed" | "plainsmall" => rules.compression = Some((Compression::None, None)),
        "appendtime" => rules.timestamp_type = TimestampType::LogAppendTime,
        "narrow" => rules.timestamp_before_max = Millis(3_600_000),
        "compacted" => rules.compacted = true,
        _ => {}
    }
    if topic.ends_with("small") {
        rules.max_message_bytes = 300;
    }
    rules
}

fn expected_code(verdict: &Verdict) -> ErrorCode {
    if STRICTER.contains(&verdict.name) || verdict.code == "silence" {
        return ErrorCode::InvalidRecord;
    }
    if MORE_LENIENT.contains(&verdict.name) {
        return ErrorCode::None;
    }
    match verdict.code.parse().unwrap() {
        // Kafka says UNKNOWN_SERVER_ERROR where a decompressor fails or a codec does not exist.
        -1 if verdict.name.starts_with("codec") => ErrorCode::UnsupportedCompressionType,
        -1 => ErrorCode::InvalidRecord,
        code => ErrorCode::from_code(code).unwrap(),
    }
}

#[test]
fn answers_are_those_of_kafka() {
    let mut differences = Vec::new();
    for verdict in verdicts().filter(|verdict| !CALLERS.contains(&verdict.name)) {
        let ours = match validate(verdict.sent.clone(), &rules(verdict.topic, verdict.now)) {
            Ok(_) => (ErrorCode::None, String::new()),
            Err(rejected) => (rejected.code, rejected.message),
        };
        let kafkas = expected_code(&verdict);
        if ours.0 != kafkas {
            differences.push(format!("{} on {}: {kafkas}, not {ours:?}", verdict.name, verdict.topic));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn records(bytes: &Bytes) -> Vec<Record> {
    let batch = Batch::parse(bytes).unwrap();
    batch.verify_crc().unwrap();
    batch.records(&DecompressLimit::default()).unwrap().map(Result::unwrap).collect()
}

#[test]
fn accepted_batches_are_stored_as_kafka_stores_them() {
    for verdict in verdicts().filter(|verdict| verdict.code == "0" && !STRICTER.contains(&verdict.name)) {
        let accepted = validate(verdict.sent.clone(), &rules(verdict.topic, verdict.now)).unwrap();
        if verdict.stored == "=" {
            assert_eq!(accepted.bytes, verdict.sent, "{} on {}", verdict.name, verdict.topic);
            continue;
        }
        let kafkas = from_hex(verdict.stored);
        if accepted.codec == Compression::None || !matches!(verdict.topic, "gzip" | "uncompressed") {
            assert_eq!(accepted.bytes, kafkas, "{} on {}", verdict.name, verdict.topic);
        } else {
            // Two gzip encoders agree on the contents only.
            assert_eq!(records(&accepted.bytes), records(&kafkas), "{} on {}", verdict.name, verdict.topic);
        }
    }
}

/// The table is what the other tests stand on: it must not lose its rows.
#[test]
fn table_covers_every_kind_of_answer() {
    let mut codes = BTreeMap::<_, usize>::new();
    for verdict in verdicts() {
        *codes.entry(verdict.code).or_default() += 1;
    }
    for code in ["0", "2", "10", "32", "87", "-1"] {
        assert!(codes.get(code).is_some_and(|&rows| rows >= 4), "{code}: {codes:?}");
    }
    for name in STRICTER.iter().chain(MORE_LENIENT).chain(CALLERS) {
        assert!(verdicts().any(|verdict| verdict.name == *name), "no such case: {name}");
    }
}

#[test]
fn bits_flipped_anywhere_under_the_crc_are_refused() {
    // a good batch of each codec, every single bit from the attributes to the end.
    for name in ["good", "gzip good", "snappy good", "lz4 good", "zstd good"] {
        let verdict = verdicts().find(|verdict| verdict.name == name && verdict.topic == "plain").unwrap();
        for bit in 17 * 8..verdict.sent.len() * 8 {
            let mut bytes = verdict.sent.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let rejected = validate(bytes.into(), &rules("plain", verdict.now)).unwrap_err();
            assert_eq!(rejected.code, ErrorCode::CorruptMessage, "{name}, bit {bit}");
        }
    }
}

#[test]
fn stamping_keeps_the_crc_and_all_other_bytes() {
    //
    let verdict = verdicts().find(|verdict| verdict.name == "lz4 good").unwrap();
    let mut bytes = verdict.sent.to_vec();
    eddy_batch::stamp(&mut bytes, Offset(i64::MAX - 7), LeaderEpoch(9));
    let batch = Batch::parse(&Bytes::from(bytes.clone())).unwrap();
    batch.verify_crc().unwrap();
    assert_eq!((batch.header.base_offset, batch.header.leader_epoch), (Offset(i64::MAX - 7), LeaderEpoch(9)));
    assert_eq!((&bytes[8..12], &bytes[16..]), (&verdict.sent[8..12], &verdict.sent[16..]));
}
