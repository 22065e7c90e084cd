//! Connections to a broker of a few lines, which says what it is told to.

use std::net::SocketAddr;

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{InitProducerIdRequest, MetadataRequest, ResponseHeader};
use kafka_protocol::protocol::{Decodable, HeaderVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Serves one connection; `answer` gets key, version and correlation id, and gives the bytes to send.
async fn broker(mut answer: impl FnMut(i16, i16, i32) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while let Ok(length) = stream.read_i32().await {
            let mut frame = vec![0; length as usize];
            stream.read_exact(&mut frame).await.unwrap();
            let mut bytes = Bytes::from(frame);
            let key = i16::from_be_bytes([bytes[0], bytes[1]]);
            let version = i16::from_be_bytes([bytes[2], bytes[3]]);
            let header_version = ApiKey::try_from(key).unwrap().request_header_version(version);
            let header = RequestHeader::decode(&mut bytes, header_version).unwrap();
            stream.write_all(&answer(key, version, header.correlation_id)).await.unwrap();
        }
    });
    address
}

/// A frame of a response.
fn frame<R: Request>(correlation_id: i32, version: i16, response: &R::Response) -> Vec<u8> {
    let mut body = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    header.encode(&mut body, R::Response::header_version(version)).unwrap();
    response.encode(&mut body, version).unwrap();
    let mut frame = (body.len() as i32).to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    frame
}

/// Serves Metadata in versions 1 to 4, and says so; ApiVersions up to `highest`.
fn hello(highest: i16, version: i16, correlation_id: i32) -> Vec<u8> {
    let api =
        |key, min, max| ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max);
    let mut response = ApiVersionsResponse::default();
    response.api_keys = vec![api(ApiVersionsRequest::KEY, 0, highest), api(MetadataRequest::KEY, 1, 4)];
    if version > highest {
        response.error_code = ErrorCode::UnsupportedVersion as i16;
        return frame::<ApiVersionsRequest>(correlation_id, 0, &response);
    }
    frame::<ApiVersionsRequest>(correlation_id, version, &response)
}

fn options() -> ConnectionOptions {
    ConnectionOptions { request_timeout: Duration::from_secs(10), ..ConnectionOptions::default() }
}

fn metadata() -> MetadataRequest {
    MetadataRequest::default().with_allow_auto_topic_creation(true)
}

#[tokio::test]
async fn an_old_broker_is_asked_again_in_a_version_it_knows() {
    for highest in [0, 2, 3, 4, 9] {
        let address = broker(move |_, version, id| hello(highest, version, id)).await;
        let connection = Connection::open(address, options()).await.unwrap();
        assert_eq!(connection.versions().served(MetadataRequest::KEY).unwrap().max, 4);
    }
}

#[tokio::test]
async fn requests_are_pipelined_and_answered_in_order() {
    let address = broker(|key, version, id| match key {
        ApiVersionsRequest::KEY => hello(4, version, id),
        _ => {
            let mut response = kafka_protocol::messages::MetadataResponse::default();
            response.controller_id.0 = id;
            frame::<MetadataRequest>(id, version, &response)
        }
    })
    .await;
    let connection = Connection::open(address, options()).await.unwrap();
    let mut pending = Vec::new();
    for _ in 0..20 {
        pending.push(connection.start(&metadata()).await.unwrap());
    }
    let mut ids = Vec::new();
    for one in pending {
        assert_eq!(one.version(), 4);
        ids.push(one.answer().await.unwrap().controller_id.0);
    }
    assert_eq!(ids, (ids[0]..ids[0] + 20).collect::<Vec<_>>());
    let unserved = connection.send(&InitProducerIdRequest::default()).await;
    assert!(matches!(unserved, Err(RequestError::Unsupported { .. })));
}

#[tokio::test]
async fn a_late_answer_ends_the_connection_for_all_requests() {
    let address = broker(|key, version, id| match key {
        ApiVersionsRequest::KEY => hello(4, version, id),
        _ => Vec::new(),
    })
    .await;
    let options = ConnectionOptions { request_timeout: Duration::from_millis(50), ..options() };
    let connection = Connection::open(address, options).await.unwrap();
    let first = connection.start(&metadata()).await.unwrap();
    let second = connection.start(&metadata()).await.unwrap();
    assert!(matches!(first.answer().await, Err(RequestError::TimedOut { .. })));
    assert!(matches!(second.answer().await, Err(RequestError::Ended(Ended::Unanswered))));
    assert!(matches!(connection.send(&metadata()).await, Err(RequestError::Ended(Ended::Unanswered))));
}

#[tokio::test]
async fn a_full_flight_waits_for_a_place() {
    let address = broker(|key, version, id| match key {
        ApiVersionsRequest::KEY => hello(4, version, id),
        _ => Vec::new(),
    })
    .await;
    let options =
        ConnectionOptions { request_timeout: Duration::from_millis(50), in_flight_max: 2, ..options() };
    let connection = Connection::open(address, options).await.unwrap();
    let under_way =
        (connection.start(&metadata()).await.unwrap(), connection.start(&metadata()).await.unwrap());
    assert!(matches!(connection.start(&metadata()).await, Err(RequestError::TimedOut { .. })));
    drop(under_way);
}

#[tokio::test]
async fn foreign_answers_end_the_connection() {
    type Answer = fn(i32) -> Vec<u8>;
    let cases: [(&str, Answer); 3] = [
        ("another correlation id", |id| frame::<MetadataRequest>(id + 1, 4, &Default::default())),
        ("no Kafka", |_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("a length of nothing", |_| vec![0; 4]),
    ];
    for (name, answer) in cases {
        let address = broker(move |key, version, id| match key {
            ApiVersionsRequest::KEY => hello(4, version, id),
            _ => answer(id),
        })
        .await;
        let connection = Connection::open(address, options()).await.unwrap();
        let failed = connection.send(&metadata()).await.unwrap_err();
        assert!(
            matches!(failed, RequestError::Ended(Ended::Correlation { .. } | Ended::FrameLength { .. })),
            "{name}: {failed}"
        );
    }
}

#[tokio::test]
async fn bytes_left_over_are_an_error_of_that_answer_alone() {
    let mut calls = 0;
    let address = broker(move |key, version, id| match key {
        ApiVersionsRequest::KEY => hello(4, version, id),
        _ => {
            calls += 1;
            let mut bytes = frame::<MetadataRequest>(id, version, &Default::default());
            if calls == 1 {
                bytes.push(0);
                bytes[3] += 1;
            }
            bytes
        }
    })
    .await;
    let connection = Connection::open(address, options()).await.unwrap();
    assert!(matches!(connection.send(&metadata()).await, Err(RequestError::Decode { .. })));
    connection.send(&metadata()).await.unwrap();
}

#[tokio::test]
async fn closing_ends_requests_under_way_and_the_socket() {
    let (sent, mut ended) = tokio::sync::mpsc::unbounded_channel::<()>();
    let address = broker(move |key, version, id| {
        let _alive_with_the_socket = &sent;
        match key {
            ApiVersionsRequest::KEY => hello(4, version, id),
            _ => Vec::new(),
        }
    })
    .await;
    let connection = Connection::open(address, options()).await.unwrap();
    let pending = connection.start(&metadata()).await.unwrap();
    connection.close();
    assert!(matches!(pending.answer().await, Err(RequestError::Ended(Ended::Here))));
    // The broker's task, and the channel with it, ends when its socket does.
    assert!(tokio::time::timeout(Duration::from_secs(10), ended.recv()).await.unwrap().is_none());
}

#[tokio::test]
async fn requests_larger_than_the_socket_takes_arrive_whole() {
    let address = broker(|key, version, id| match key {
        ApiVersionsRequest::KEY => hello(4, version, id),
        _ => frame::<MetadataRequest>(id, version, &Default::default()),
    })
    .await;
    let connection = Connection::open(address, options()).await.unwrap();
    let both = (connection.start(&large()).await.unwrap(), connection.start(&metadata()).await.unwrap());
    both.0.answer().await.unwrap();
    both.1.answer().await.unwrap();
}

#[tokio::test]
async fn nobody_listening_and_a_silent_broker_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let brief = ConnectionOptions { connect_timeout: Duration::from_millis(50), ..options() };
    let silent = Connection::open(address, brief.clone()).await.unwrap_err();
    assert!(matches!(silent, ConnectError::TimedOut { .. }), "{silent}");
    drop(listener);
    let refused = Connection::open(address, brief).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Socket { .. }), "{refused}");
}

/// As large as a socket's buffers, or larger.
fn large() -> MetadataRequest {
    let name = StrBytes::from_string("t".repeat(30_000));
    let topic = kafka_protocol::messages::metadata_request::MetadataRequestTopic::default()
        .with_name(Some(kafka_protocol::messages::TopicName(name)));
    metadata().with_topics(Some(vec![topic; 500]))
}

#[tokio::test]
async fn requests_without_answers_arrive_whole_before_what_follows() {
    let mut left = 3;
    let address = broker(move |key, version, id| match key {
        ApiVersionsRequest::KEY => hello(4, version, id),
        _ if left > 0 => {
            left -= 1;
            Vec::new()
        }
        _ => frame::<MetadataRequest>(id, version, &Default::default()),
    })
    .await;
    let connection = Connection::open(address, options()).await.unwrap();
    for _ in 0..3 {
        connection.post_up_to(i16::MAX, &large()).await.unwrap();
    }
    connection.send(&metadata()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_request_without_an_answer_waits_for_the_socket_until_its_deadline() {
    let (fill, filled) = std::sync::mpsc::channel::<()>();
    let address = broker(move |key, version, id| {
        if key != ApiVersionsRequest::KEY {
            // Holds up the broker's reading; another worker runs the test.
            let _ = filled.recv();
        }
        hello(4, version, id)
    })
    .await;
    let options = ConnectionOptions { request_timeout: Duration::from_millis(200), ..options() };
    let connection = Connection::open(address, options).await.unwrap();
    let mut failed = None;
    // Some of 15 MB are in the sockets, and one in memory.
    for _ in 0..5 {
        failed = connection.post_up_to(i16::MAX, &large()).await.err();
        if failed.is_some() {
            break;
        }
    }
    assert!(matches!(failed, Some(RequestError::TimedOut { .. })), "{failed:?}");
    drop(fill);
}
