//! Bytes that no client sends: nothing panics, and no length is believed before its bytes are there.

use bytes::Bytes;
use eddy_wire::messages::fetch::FetchRequest;
use eddy_wire::testing::{CODECS, Codec, Decoded, Sampler, Shape};
use eddy_wire::{ApiKey, DecodeError, DecodeErrorKind, Reader};
use proptest::prelude::*;

use crate::allocation::peak_of;
use crate::encode;

/// Decodes and checks what [`Reader`] promises of memory.
fn decode(codec: &Codec, bytes: &[u8], version: i16) -> Decoded {
    let mut reader = Reader::new(Bytes::copy_from_slice(bytes));
    let (result, peak) = peak_of(|| (codec.decode)(&mut reader, version));
    // The test's box around the message comes on top of what the reader counts.
    let allowed = (64 << 10) + 16 * bytes.len() + 1024;
    assert!(peak <= allowed, "{} v{version}: {peak} bytes for {}", codec.name, bytes.len());
    result
}

fn for_each_version(mut check: impl FnMut(&Codec, i16)) {
    let mut checked = 0;
    for codec in CODECS {
        for version in codec.api_key.valid_versions() {
            check(codec, version);
            checked += 1;
        }
    }
    assert_eq!(checked, 604);
}

fn codec(api_key: ApiKey, is_request: bool) -> &'static Codec {
    CODECS.iter().find(|codec| codec.api_key == api_key && codec.is_request == is_request).unwrap()
}

#[test]
fn no_repeated_byte_makes_a_decoder_panic_or_allocate() {
    for_each_version(|codec, version| {
        for byte in [0x00, 0x01, 0x02, 0x7f, 0x80, 0xff] {
            for length in [0, 1, 7, 64, 4096] {
                _ = decode(codec, &vec![byte; length], version);
            }
        }
    });
}

#[test]
fn every_truncated_message_is_an_error() {
    let mut prefixes = 0;
    for_each_version(|codec, version| {
        for seed in 0..3 {
            let whole = encode(&*(codec.sample)(&mut Sampler::new(seed), version), version);
            // Byte by byte is slow in long records, and every byte of them fails alike.
            for length in (0..whole.len()).filter(|length| *length < 512 || length % 97 == 0) {
                assert!(
                    decode(codec, &whole[..length], version).is_err(),
                    "{} v{version}: {length} bytes",
                    codec.name
                );
                prefixes += 1;
            }
        }
    });
    assert!(prefixes > 100_000, "{prefixes}");
}

#[test]
fn no_count_is_believed_wherever_it_stands() {
    const BOMBS: &[&[u8]] = &[
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff],
        &[0x80, 0x00, 0x00, 0x00],
        &[0x00, 0x00, 0x03, 0xe8],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0xff, 0xff, 0x07],
        &[0xe8, 0x07],
    ];
    for_each_version(|codec, version| {
        let whole = encode(&*(codec.sample)(&mut Sampler::new(7), version), version);
        for at in 0..whole.len().min(256) {
            for bomb in BOMBS {
                let mut bytes = whole.to_vec();
                bytes.resize(bytes.len().max(at + bomb.len()), 0);
                bytes[at..at + bomb.len()].copy_from_slice(bomb);
                _ = decode(codec, &bytes, version);
            }
        }
    });
}

#[test]
fn a_count_beyond_the_remaining_bytes_is_refused_before_the_first_element() {
    let error = decode(codec(ApiKey::Metadata, true), &[0, 0, 0, 9, 0, 1, b't'], 0).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::CountTooLarge { count: 9, remaining: 3 });
    assert_eq!(
        error.to_string(),
        "cannot decode MetadataRequest.topics at byte 4: claims 9 elements, 3 bytes remain"
    );
}

#[test]
fn arrays_of_nothing_are_refused_before_they_fill_the_memory() {
    let mut refused = 0;
    for_each_version(|codec, version| {
        for level in 0..5 {
            let shape = Shape::Dense { level, count: 3000 };
            let bytes = encode(&*(codec.sample)(&mut Sampler::with_shape(1, shape), version), version);
            match decode(codec, &bytes, version) {
                Ok(_) => {}
                Err(DecodeError { kind: DecodeErrorKind::MemoryExceeded { .. }, .. }) => refused += 1,
                Err(error) => panic!("{} v{version}: {error}", codec.name),
            }
        }
    });
    assert!(refused > 30, "{refused}");
}

#[test]
fn a_hundred_thousand_short_topic_names_are_still_served() {
    let metadata = codec(ApiKey::Metadata, true);
    let mut bytes = vec![0xa1, 0x8d, 0x06]; // 100,000 topics, plus one
    (0..100_000).for_each(|_| bytes.extend([0x02, b't', 0x00]));
    bytes.extend([1, 0, 0, 0]); // auto-creation, authorized operations twice, no tags
    assert!(decode(metadata, &bytes, 9).is_ok());
}

/// Traps X8: null (-1) in an array that is not nullable.
#[test]
fn null_is_an_error_where_it_is_not_allowed() {
    let null_array: &[u8] = &[0xff; 4];
    let cases: [(ApiKey, i16, &[&[u8]], &str); 6] = [
        (ApiKey::Metadata, 0, &[null_array], "MetadataRequest.topics"),
        (ApiKey::Produce, 3, &[&[0xff, 0xff, 0, 1, 0, 0, 0, 0], null_array], "ProduceRequest.topic_data"),
        (ApiKey::Produce, 9, &[&[0, 0, 1, 0, 0, 0, 0], &[0]], "ProduceRequest.topic_data"),
        (ApiKey::OffsetFetch, 1, &[&[0, 1, b'g'], null_array], "OffsetFetchRequest.topics"),
        (ApiKey::DescribeGroups, 0, &[null_array], "DescribeGroupsRequest.groups"),
        (ApiKey::Heartbeat, 0, &[&[0xff, 0xff]], "HeartbeatRequest.group_id"),
    ];
    for (api_key, version, parts, field) in cases {
        let error = decode(codec(api_key, true), &parts.concat(), version).unwrap_err();
        assert_eq!((error.field, error.kind), (field, DecodeErrorKind::Null), "{api_key} v{version}");
    }
    // From version 1 null topics ask for all.
    assert!(decode(codec(ApiKey::Metadata, true), null_array, 1).is_ok());
}

#[test]
fn malformed_primitives_are_named() {
    let compact = |length: &[u8]| [length, &[0; 40_000]].concat();
    let cases: [(Vec<u8>, i16, DecodeErrorKind); 6] = [
        (vec![0xff, 0xfe], 0, DecodeErrorKind::Null),
        (vec![0, 1, 0xff], 0, DecodeErrorKind::Utf8),
        (vec![0, 9, b'g'], 0, DecodeErrorKind::Truncated { needed: 9, remaining: 1 }),
        (vec![0xff, 0xff, 0xff, 0xff, 0x1f], 4, DecodeErrorKind::VarintTooLong),
        (vec![0x80, 0x80, 0x80, 0x80, 0x80, 0], 4, DecodeErrorKind::VarintTooLong),
        (compact(&[0x81, 0x80, 0x02]), 4, DecodeErrorKind::StringTooLong(32_768)),
    ];
    for (bytes, version, kind) in cases {
        let error = decode(codec(ApiKey::Heartbeat, true), &bytes, version).unwrap_err();
        assert_eq!((error.field, error.kind), ("HeartbeatRequest.group_id", kind));
    }
}

#[test]
fn unknown_tags_are_skipped_and_known_ones_must_fill_their_size() {
    let fetch = codec(ApiKey::Fetch, true);
    let mut message = encode(&FetchRequest::default(), 13).to_vec();
    let plain = decode(fetch, &message, 13).unwrap();
    let tags = message.len() - 1;
    assert_eq!(message.pop(), Some(0), "there are no tags to begin with");
    message.extend([2, 98, 3, 1, 2, 3, 99, 1, 7]);
    let mut reader = Reader::new(Bytes::from(message.clone()));
    assert!((fetch.decode)(&mut reader, 13).unwrap().equals(&*plain));
    assert_eq!(reader.remaining(), 0);

    message.truncate(tags);
    message.extend([1, 0, 3, 2, b'c', 9]); // tag 0: cluster id "c", and a byte too many
    assert_eq!(decode(fetch, &message, 13).unwrap_err().kind, DecodeErrorKind::TaggedFieldSize(1));
}

#[test]
fn versions_that_do_not_exist_are_refused() {
    for codec in CODECS {
        let versions = codec.api_key.valid_versions();
        for version in [i16::MIN, versions.start() - 1, versions.end() + 1, i16::MAX] {
            let error = decode(codec, &[0; 64], version).unwrap_err();
            assert_eq!((error.field, error.kind), (codec.name, DecodeErrorKind::UnsupportedVersion(version)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn damaged_messages_never_panic(
        message in 0..CODECS.len(),
        seed: u64,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let codec = &CODECS[message];
        let versions = codec.api_key.valid_versions();
        let span = (versions.end() - versions.start() + 1) as u64;
        let version = versions.start() + (seed % span) as i16;
        let mut bytes = encode(&*(codec.sample)(&mut Sampler::new(seed), version), version).to_vec();
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        _ = decode(codec, &bytes, version);
    }

    #[test]
    fn random_bytes_never_panic(message in 0..CODECS.len(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let codec = &CODECS[message];
        for version in codec.api_key.valid_versions() {
            _ = decode(codec, &bytes, version);
        }
    }
}
