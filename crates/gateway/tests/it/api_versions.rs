//! What is advertised, and what happens to those who ask for something else.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest};

use crate::harness::{Broker, text};

fn asked(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(text(name))
        .with_client_software_version(text(version))
}

async fn ranges(broker: &Broker) -> BTreeMap<i16, (i16, i16)> {
    let response: ApiVersionsResponse = broker.call(4, asked("test", "1")).await;
    assert_eq!(response.error_code, 0);
    response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect()
}

#[tokio::test]
async fn versions_are_those_of_kafka_4_3_r_1_3() {
    let served = ranges(&Broker::start().await).await;
    let kafka = [
        (0, (0, 13)),
        (1, (4, 18)),
        (2, (1, 11)),
        (3, (0, 13)),
        (8, (2, 10)),
        (9, (1, 10)),
        (10, (0, 6)),
        (11, (0, 9)),
        (12, (0, 4)),
        (13, (0, 5)),
        (14, (0, 5)),
        (15, (0, 6)),
        (16, (0, 5)),
        (18, (0, 4)),
        (19, (2, 7)),
        (20, (1, 6)),
        (21, (0, 2)),
        (22, (0, 5)),
        (23, (2, 4)),
        (32, (1, 4)),
        (33, (0, 2)),
        (29, (1, 3)),
        (30, (1, 3)),
        (31, (1, 3)),
        (34, (1, 2)),
        (35, (1, 5)),
        (37, (0, 3)),
        (38, (1, 3)),
        (39, (1, 2)),
        (40, (1, 2)),
        (41, (1, 3)),
        (43, (0, 2)),
        (45, (0, 1)),
        (46, (0, 0)),
        (48, (0, 1)),
        (49, (0, 1)),
        (50, (0, 0)),
        (55, (0, 2)),
        (57, (0, 2)),
        (64, (0, 0)),
        (65, (0, 0)),
        (66, (0, 2)),
        (42, (0, 2)),
        (44, (0, 1)),
        (47, (0, 0)),
        (68, (0, 1)),
        (69, (0, 1)),
        (60, (0, 2)),
        (61, (0, 0)),
        (75, (0, 0)),
    ];
    for (key, range) in kafka {
        assert_eq!(served.get(&key), Some(&range), "api key {key}");
    }
}

#[tokio::test]
async fn brokers_own_apis_are_not_advertised_r_1_2() {
    let served = ranges(&Broker::start().await).await;
    for key in [4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82] {
        assert!(!served.contains_key(&key), "api key {key}");
    }
}

#[tokio::test]
async fn features_are_finalized_with_an_epoch_r_1_5() {
    let broker = Broker::start().await;
    for version in [3, 4] {
        let response: ApiVersionsResponse = broker.call(version, asked("test", "1")).await;
        assert!(response.finalized_features_epoch >= 0);
        let metadata = response.finalized_features.iter().find(|f| f.name.as_str() == "metadata.version");
        assert!(metadata.is_some_and(|level| level.max_version_level >= 7));
        // Clients of version 3 cannot read a feature whose lowest level is 0.
        assert!(version >= 4 || response.supported_features.iter().all(|f| f.min_version > 0));
    }
}

#[tokio::test]
async fn a_version_from_the_future_gets_version_0_and_the_range_to_use_r_2_4_x7() {
    let broker = Broker::start().await;
    for version in [5_i16, 99, i16::MAX, -1] {
        let mut client = broker.connect().await;
        let mut request = Vec::new();
        request.put_i16(18);
        request.put_i16(version);
        request.put_i32(4711);
        request.extend_from_slice(b"\xff\xff whatever the future puts here");
        client.send_frame(&request).await;
        let mut answer = client.receive_frame().await.unwrap();
        assert_eq!(answer.get_i32(), 4711, "the correlation id is kept");
        assert_eq!(answer.get_i16(), 35);
        assert_eq!(answer.get_i32(), 1, "one entry");
        assert_eq!((answer.get_i16(), answer.get_i16(), answer.get_i16()), (18, 0, 4));
        assert!(answer.is_empty());
        // And the client goes on over the same connection.
        let response = client.call(0, &ApiVersionsRequest::default()).await;
        assert_eq!(response.error_code, 0);
    }
}

#[tokio::test]
async fn names_of_software_are_checked_r_2_6() {
    let broker = Broker::start().await;
    for (name, version, code) in [
        ("librdkafka", "2.15.0", 0),
        ("", "1", 42),
        ("a", "", 42),
        ("a b", "1", 42),
        ("-a", "1", 42),
        ("a", "1-", 42),
    ] {
        for api_version in [3, 4] {
            let response: ApiVersionsResponse = broker.call(api_version, asked(name, version)).await;
            assert_eq!(response.error_code, code, "{name:?} {version:?}");
        }
    }
    let response: ApiVersionsResponse = broker.call(2, ApiVersionsRequest::default()).await;
    assert_eq!(response.error_code, 0, "older versions have no names");
}

#[tokio::test]
async fn unknown_apis_and_versions_close_the_connection_after_the_answers_before_r_2_5() {
    let broker = Broker::start().await;
    for (key, version) in
        [(999_i16, 0_i16), (-1, 0), (4, 0), (3, 99), (3, -1), (0, 2), (1, 3), (10, 7), (73, 0)]
    {
        let mut client = broker.connect().await;
        client.send(9, &MetadataRequest::default()).await;
        let mut request = Vec::new();
        request.put_i16(key);
        request.put_i16(version);
        request.put_i32(1);
        request.put_i16(-1);
        request.put_u64(0);
        client.send_frame(&request).await;
        client.receive::<MetadataRequest>(9).await;
        assert!(client.is_closed().await, "api key {key} version {version}");
    }
    assert_eq!(broker.metric("eddy_connection_rejected_total{reason=\"request\"}"), 9.0);
}
