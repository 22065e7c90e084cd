//! Headers and the version table, against what is known of Kafka 4.3 from elsewhere.

use bytes::{Bytes, BytesMut};
use eddy_wire::{ApiKey, DecodeErrorKind, Reader, RequestHeader};
use kafka_protocol::messages::{ApiKey as PeerKey, RequestHeader as PeerHeader};
use kafka_protocol::protocol::{Encodable, StrBytes};

const NEVER: i16 = i16::MAX;

/// Key, least and greatest version that a real 4.3 broker advertises, first flexible version.
const KNOWN: &[(i16, i16, i16, i16)] = &[
    (0, 3, 13, 9), // advertised from 0, for librdkafka, but not decodable below 3
    (1, 4, 18, 12),
    (2, 1, 11, 6),
    (3, 0, 13, 9),
    (8, 2, 10, 8),
    (9, 1, 10, 6),
    (10, 0, 6, 3),
    (11, 0, 9, 6),
    (12, 0, 4, 4),
    (13, 0, 5, 4),
    (14, 0, 5, 4),
    (15, 0, 6, 5),
    (16, 0, 5, 3),
    (17, 0, 1, NEVER),
    (18, 0, 4, 3),
    (19, 2, 7, 5),
    (20, 1, 6, 4),
    (21, 0, 2, 2),
    (22, 0, 6, 2), // advertised to 5: 6 is unstable
    (23, 2, 4, 4),
    (24, 0, 5, 3),
    (25, 0, 4, 3),
    (26, 0, 5, 3),
    (27, 1, 2, 1),
    (28, 0, 5, 3),
    (29, 1, 3, 2),
    (30, 1, 3, 2),
    (31, 1, 3, 2),
    (32, 1, 4, 4),
    (33, 0, 2, 2),
    (34, 1, 2, 2),
    (35, 1, 5, 2),
    (36, 0, 2, 2),
    (37, 0, 3, 2),
    (38, 1, 3, 2),
    (39, 1, 2, 2),
    (40, 1, 2, 2),
    (41, 1, 3, 2),
    (42, 0, 2, 2),
    (43, 0, 2, 2),
    (44, 0, 1, 1),
    (45, 0, 1, 0),
    (46, 0, 0, 0),
    (47, 0, 0, NEVER),
    (48, 0, 1, 1),
    (49, 0, 1, 1),
    (50, 0, 0, 0),
    (51, 0, 0, 0),
    (55, 0, 2, 0),
    (57, 0, 2, 0),
    (60, 0, 2, 0),
    (61, 0, 0, 0),
    (64, 0, 0, 0),
    (65, 0, 0, 0),
    (66, 0, 2, 0),
    (68, 0, 1, 0),
    (69, 0, 1, 0),
    (71, 0, 0, 0),
    (72, 0, 0, 0),
    (74, 0, 1, 0),
    (75, 0, 0, 0),
    (76, 1, 1, 0),
    (77, 1, 1, 0),
    (78, 1, 2, 0),
    (79, 1, 2, 0),
    (80, 0, 1, 0),
    (81, 0, 0, 0),
    (83, 0, 0, 0),
    (84, 0, 0, 0),
    (85, 0, 1, 0),
    (86, 0, 0, 0),
    (87, 0, 1, 0),
    (88, 0, 0, 0),
    (89, 0, 0, 0),
    (90, 0, 1, 0),
    (91, 0, 0, 0),
    (92, 0, 0, 0),
];

/// Spoken between Kafka's own nodes only.
const INTERNAL: &[i16] = &[52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82];

/// Traps X6.
#[test]
fn versions_and_headers_are_those_of_a_real_broker() {
    for &(code, min, max, flexible) in KNOWN {
        let key = ApiKey::from_i16(code).unwrap();
        assert_eq!((key.code(), key.valid_versions()), (code, min..=max), "{key}");
        for version in min..=max {
            let (request, response) = if version >= flexible { (2, 1) } else { (1, 0) };
            assert_eq!(key.request_header_version(version), request, "{key} v{version}");
            // ApiVersions is answered with the old header always.
            let response = if key == ApiKey::ApiVersions { 0 } else { response };
            assert_eq!(key.response_header_version(version), response, "{key} v{version}");
        }
    }
    let mut known: Vec<i16> = KNOWN.iter().map(|row| row.0).chain(INTERNAL.iter().copied()).collect();
    known.sort_unstable();
    assert_eq!(ApiKey::ALL.iter().map(|key| key.code()).collect::<Vec<_>>(), known);
}

#[test]
fn keys_that_kafka_4_removed_or_never_had_are_unknown() {
    for code in [-1, 4, 5, 6, 7, 93, i16::MAX] {
        assert_eq!(ApiKey::from_i16(code), None);
    }
    assert_eq!(ApiKey::from_i16(23).unwrap().to_string(), "OffsetForLeaderEpoch");
}

#[test]
fn every_header_of_another_codec_is_read() {
    let mut read = 0;
    for &key in ApiKey::ALL {
        let Ok(peer) = PeerKey::try_from(key.code()) else { continue };
        for version in key.valid_versions() {
            for client_id in [None, Some("rdkafka")] {
                let mut bytes = BytesMut::new();
                let mut header = PeerHeader::default();
                header.request_api_key = key.code();
                header.request_api_version = version;
                header.correlation_id = 0x0102_0304;
                header.client_id = client_id.map(StrBytes::from_static_str);
                header.encode(&mut bytes, peer.request_header_version(version)).unwrap();
                bytes.extend_from_slice(b"body");

                let mut reader = Reader::new(bytes.freeze());
                let ours = RequestHeader::decode(&mut reader).unwrap();
                assert_eq!(
                    (ours.api_key, ours.api_version, ours.correlation_id),
                    (key.code(), version, 0x0102_0304)
                );
                assert_eq!(ours.client_id.as_deref(), client_id);
                assert_eq!(reader.remaining(), 4, "{key} v{version}");
                read += 1;
            }
        }
    }
    assert!(read > 550, "{read}");
}

/// what is needed to answer or to log is known, and nothing else is looked at.
#[test]
fn a_header_of_an_unknown_key_or_version_gives_its_correlation_id() {
    for (key, version) in [(18, 99), (18, -1), (0, 2), (4, 0), (-1, 0), (i16::MAX, i16::MAX)] {
        let bytes =
            [&key.to_be_bytes()[..], &i16::to_be_bytes(version), &7i32.to_be_bytes(), &[0xff; 3]].concat();
        let mut reader = Reader::new(bytes.into());
        let header = RequestHeader::decode(&mut reader).unwrap();
        assert_eq!((header.api_key, header.api_version, header.correlation_id), (key, version, 7));
        assert_eq!((header.client_id, reader.remaining()), (None, 3));
    }
}

#[test]
fn a_frame_that_ends_in_its_header_is_an_error() {
    let whole = [0, 3, 0, 9, 0, 0, 0, 1, 0, 2, b'm', b'e', 1, 9, 1, 0];
    assert!(RequestHeader::decode(&mut Reader::new(Bytes::copy_from_slice(&whole))).is_ok());
    for length in 0..whole.len() {
        let error =
            RequestHeader::decode(&mut Reader::new(Bytes::copy_from_slice(&whole[..length]))).unwrap_err();
        assert!(matches!(error.kind, DecodeErrorKind::Truncated { .. }), "{length} bytes: {error}");
    }
}
