//! Frames written down by hand, byte by byte, as the named clients and brokers write them.

use bytes::Bytes;
use eddy_types::TopicId;
use eddy_wire::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey,
};
use eddy_wire::messages::fetch::{FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData};
use eddy_wire::messages::metadata::MetadataRequest;
use eddy_wire::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use eddy_wire::messages::offset_fetch::OffsetFetchResponse;
use eddy_wire::{ApiKey, Decode, EncodeError, Frame, Reader, RequestHeader, encode_response};

/// Header and body of a request, which must fill the frame.
fn decode<M: Decode>(frame: &[u8]) -> (RequestHeader, M) {
    let mut reader = Reader::new(Bytes::copy_from_slice(frame));
    let header = RequestHeader::decode(&mut reader).unwrap();
    let message = M::decode(&mut reader, header.api_version).unwrap();
    assert_eq!(reader.remaining(), 0);
    (header, message)
}

fn bytes(frame: &Frame) -> Vec<u8> {
    let bytes = frame.segments.concat();
    assert_eq!(bytes.len(), frame.len());
    bytes
}

#[test]
fn the_first_request_of_librdkafka() {
    let frame = [
        &[0, 18, 0, 3, 0, 0, 0, 1][..], // ApiVersions v3, correlation id 1
        &[0, 7],
        b"rdkafka", // client id: INT16 length although the header is flexible
        &[0],       // no tags in the header
        &[11],
        b"librdkafka",
        &[7],
        b"2.15.0",
        &[0],
    ]
    .concat();
    let (header, request) = decode::<ApiVersionsRequest>(&frame);
    assert_eq!((header.correlation_id, header.client_id.as_deref()), (1, Some("rdkafka")));
    assert_eq!(request.client_software_name, "librdkafka");
    assert_eq!(request.client_software_version, "2.15.0");
}

#[test]
fn the_first_request_of_a_java_admin_client() {
    let frame = [
        &[0, 18, 0, 4, 0, 0, 0, 0, 0, 13][..],
        b"adminclient-1",
        &[0, 18],
        b"apache-kafka-java",
        &[6],
        b"4.3.0",
        &[0],
    ]
    .concat();
    let (header, request) = decode::<ApiVersionsRequest>(&frame);
    assert_eq!((header.api_version, header.client_id.as_deref()), (4, Some("adminclient-1")));
    assert_eq!(request.client_software_name, "apache-kafka-java");
}

#[test]
fn metadata_of_all_topics_before_nulls_existed() {
    let (header, request) = decode::<MetadataRequest>(&[0, 3, 0, 0, 0, 0, 0, 2, 0xff, 0xff, 0, 0, 0, 0]);
    assert_eq!((header.client_id, request.topics), (None, Some(Vec::new())));
    // The default of a field that version 0 lacks.
    assert!(request.allow_auto_topic_creation);
}

/// what an ApiVersions request from the future is answered with.
#[test]
fn an_unsupported_api_versions_request_is_answered_in_version_0() {
    let body = ApiVersionsResponse {
        error_code: 35,
        api_keys: vec![ApiVersion { api_key: 18, min_version: 0, max_version: 4 }],
        ..Default::default()
    };
    let frame = encode_response(ApiKey::ApiVersions, 0, 7, &body).unwrap();
    assert_eq!(bytes(&frame), [0, 0, 0, 16, 0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4]);
}

/// the body is flexible, the header is not.
#[test]
fn a_flexible_api_versions_response_keeps_the_old_header() {
    let body = ApiVersionsResponse {
        api_keys: vec![ApiVersion { api_key: 3, min_version: 0, max_version: 13 }],
        finalized_features_epoch: 5,
        finalized_features: vec![FinalizedFeatureKey {
            name: "group.version".into(),
            max_version_level: 1,
            min_version_level: 1,
        }],
        ..Default::default()
    };
    let frame = encode_response(ApiKey::ApiVersions, 3, 1, &body).unwrap();
    let expected = [
        &[0, 0, 0, 51, 0, 0, 0, 1][..],
        &[0, 0, 2, 0, 3, 0, 0, 0, 13, 0, 0, 0, 0, 0],
        &[2],
        &[1, 8, 0, 0, 0, 0, 0, 0, 0, 5],
        &[2, 20, 2, 14],
        b"group.version",
        &[0, 1, 0, 1, 0],
    ]
    .concat();
    assert_eq!(bytes(&frame), expected);
}

#[test]
fn a_metadata_response_in_version_0() {
    let body = MetadataResponse {
        brokers: vec![MetadataResponseBroker { node_id: 1, host: "b".into(), port: 9092, rack: None }],
        topics: vec![MetadataResponseTopic {
            name: Some("t".into()),
            topic_id: TopicId([9; 16]), // ignorable: lost without a fault
            partitions: vec![MetadataResponsePartition {
                leader_id: 1,
                replica_nodes: vec![1],
                isr_nodes: vec![1],
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let frame = encode_response(ApiKey::Metadata, 0, 2, &body).unwrap();
    let expected = [
        &[0, 0, 0, 58, 0, 0, 0, 2][..],
        &[0, 0, 0, 1, 0, 0, 0, 1, 0, 1, b'b', 0, 0, 0x23, 0x84],
        &[0, 0, 0, 1, 0, 0, 0, 1, b't'],
        &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
    ]
    .concat();
    assert_eq!(bytes(&frame), expected);
}

#[test]
fn fetched_records_are_sent_from_where_they_lie() {
    let batch = Bytes::from(vec![0xab; 5000]);
    let partition = |records: Bytes| PartitionData {
        high_watermark: 1,
        current_leader: LeaderIdAndEpoch { leader_id: 2, leader_epoch: 3 },
        records: Some(records.into()),
        ..Default::default()
    };
    let body = FetchResponse {
        responses: vec![FetchableTopicResponse {
            partitions: vec![
                partition(batch.clone()),
                partition(batch.slice(..10)),
                partition(batch.slice(..4000)),
            ],
            ..Default::default()
        }],
        ..Default::default()
    };
    let frame = encode_response(ApiKey::Fetch, 16, 1, &body).unwrap();
    let lengths: Vec<usize> = frame.segments.iter().map(Bytes::len).collect();
    assert_eq!((frame.segments.len(), lengths[1], lengths[3]), (5, 5000, 4000));
    assert_eq!(frame.segments[1].as_ptr(), batch.as_ptr());
    assert_eq!(frame.segments[3].as_ptr(), batch.as_ptr());

    let all = bytes(&frame);
    assert_eq!(i32::from_be_bytes(all[..4].try_into().unwrap()) as usize, all.len() - 4);
    let mut reader = Reader::new(Bytes::from(all).slice(9..)); // after prefix, correlation id and header tags
    assert_eq!(FetchResponse::decode(&mut reader, 16).unwrap(), body);
}

#[test]
fn produced_records_are_slices_of_their_frame() {
    let frame = Bytes::from([&[0xff; 8][..], &[0, 0, 0, 2, b'r', b's']].concat());
    let mut reader = Reader::new(frame.slice(8..));
    let records = reader.records(false, "records").unwrap();
    assert_eq!(records.segments()[0].as_ptr(), frame[12..].as_ptr());
}

#[test]
fn empty_records_are_not_null() {
    assert_eq!(PartitionData::default().records.map(|records| records.len()), Some(0), "R-2.44");
}

#[test]
fn what_a_version_cannot_say_is_refused() {
    let too_new = FetchResponse { session_id: 5, ..Default::default() };
    assert_eq!(
        encode_response(ApiKey::Fetch, 6, 1, &too_new).unwrap_err(),
        EncodeError::UnsupportedField { field: "FetchResponse.session_id", version: 6 }
    );
    let null = MetadataResponse {
        topics: vec![MetadataResponseTopic { name: None, ..Default::default() }],
        ..Default::default()
    };
    assert_eq!(
        encode_response(ApiKey::Metadata, 11, 1, &null).unwrap_err(),
        EncodeError::Null { field: "MetadataResponseTopic.name", version: 11 }
    );
    assert!(encode_response(ApiKey::Metadata, 12, 1, &null).is_ok());
    assert_eq!(
        encode_response(ApiKey::OffsetFetch, 11, 1, &OffsetFetchResponse::default()).unwrap_err(),
        EncodeError::UnsupportedVersion { message: "OffsetFetchResponse", version: 11 }
    );
}
