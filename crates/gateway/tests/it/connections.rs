//! One connection: order, pipelining, its end (R-2.1 to, traps X8, X11, X12).

use std::time::Duration;

use bytes::BufMut;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{FetchRequest, MetadataRequest, ProduceRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fetch::{fetch_by_name, wants};
use crate::harness::{Broker, produce_request, settings, topic_name};
use crate::records::batch;

fn metadata() -> MetadataRequest {
    MetadataRequest::default()
}

#[tokio::test]
async fn answers_come_in_request_order_even_behind_a_parked_fetch_r_2_1_x11() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let mut client = broker.connect().await;
    let parked = client.send(12, &wants(fetch_by_name("t", 0, 0), 300, 1)).await;
    let produced = client.send(9, &produce_request("t", &[(0, Some(batch(&["x"])))])).await;
    let asked = client.send(9, &metadata()).await;
    assert_eq!(client.receive::<FetchRequest>(12).await.0, parked);
    assert_eq!(client.receive::<ProduceRequest>(9).await.0, produced);
    assert_eq!(client.receive::<MetadataRequest>(9).await.0, asked);
}

#[tokio::test]
async fn a_thousand_requests_may_be_in_flight_r_2_1() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let mut client = broker.connect().await;
    let mut sent = Vec::new();
    for number in 0..1000 {
        let records = batch(&[&number.to_string()]);
        sent.push(client.send(9, &produce_request("t", &[(0, Some(records))])).await);
    }
    for (number, correlation) in (0..).zip(sent) {
        let (received, response) = client.receive::<ProduceRequest>(9).await;
        assert_eq!(received, correlation);
        // Order of arrival is order in the log.
        assert_eq!(response.responses[0].partition_responses[0].base_offset, number);
    }
}

#[tokio::test]
async fn acks_0_has_no_answer_and_the_next_request_has_its_own_r_2_9_x11() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let mut client = broker.connect().await;
    let silent = produce_request("t", &[(0, Some(batch(&["x"])))]).with_acks(0);
    client.send(9, &silent).await;
    let asked = client.send(9, &metadata()).await;
    assert_eq!(client.receive::<MetadataRequest>(9).await.0, asked);
    broker.until("the record is there", |broker| broker.metric("eddy_produced_records_total") == 1.0).await;
}

#[tokio::test]
async fn acks_0_that_fails_closes_the_connection_after_the_answers_before_r_2_9() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    for bad in [
        produce_request("nope", &[(0, Some(batch(&["x"])))]),
        produce_request("t", &[(7, Some(batch(&["x"])))]),
        produce_request("t", &[(0, None)]),
    ] {
        let mut client = broker.connect().await;
        client.send(9, &metadata()).await;
        client.send(9, &bad.with_acks(0)).await;
        client.receive::<MetadataRequest>(9).await;
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn frames_that_cannot_be_read_close_the_connection_r_2_1_r_2_7_x8() {
    let broker = Broker::start().await;
    let header = |key: i16, version: i16| {
        let mut request = Vec::new();
        request.put_i16(key);
        request.put_i16(version);
        request.put_i32(1);
        request.put_i16(-1);
        request
    };
    let with = |key, version, body: &[u8]| [header(key, version), body.to_vec()].concat();
    for (what, frame) in [
        ("shorter than a header", vec![0, 3, 0]),
        ("an array of two billion topics", with(3, 4, &i32::MAX.to_be_bytes())),
        ("a body cut short", with(1, 4, &[255, 255])),
        ("a compact array of four billion", with(3, 9, &[0, 255, 255, 255, 255, 15])),
        ("a varint without end", with(3, 9, &[255; 40])),
        ("a client id longer than the frame", vec![0, 3, 0, 4, 0, 0, 0, 1, 127, 255]),
    ] {
        let mut client = broker.connect().await;
        client.send_frame(&frame).await;
        assert!(client.is_closed().await, "{what}");
    }
    for length in [0, -1, i32::MIN, i32::MAX, (100 << 20) + 1] {
        let mut client = broker.connect().await;
        client.stream.write_all(&length.to_be_bytes()).await.unwrap();
        assert!(client.is_closed().await, "length {length}");
    }
}

#[tokio::test]
async fn a_null_array_is_no_array_x8() {
    let broker = Broker::start().await;
    let response = broker.call(4, MetadataRequest::default().with_topics(None)).await;
    assert!(response.topics.is_empty() && response.brokers.len() == 1);
}

#[tokio::test]
async fn a_frame_may_come_byte_by_byte() {
    let broker = Broker::start().await;
    let mut client = broker.connect().await;
    let frame = [&[0u8, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 9, 255, 255][..], &[0, 0, 0, 0]].concat();
    for byte in frame {
        client.stream.write_all(&[byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(client.receive::<MetadataRequest>(1).await.0, 9);
}

#[tokio::test]
async fn a_client_that_only_stops_sending_still_gets_its_answers() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let mut client = broker.connect().await;
    for _ in 0..20 {
        client.send(9, &produce_request("t", &[(0, Some(batch(&["x"])))])).await;
    }
    client.stream.shutdown().await.unwrap();
    for offset in 0..20 {
        let (_, response) = client.receive::<ProduceRequest>(9).await;
        assert_eq!(response.responses[0].partition_responses[0].base_offset, offset);
    }
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_client_that_leaves_during_a_long_poll_leaves_nothing_behind_x11() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    for _ in 0..20 {
        let mut client = broker.connect().await;
        client.send(12, &wants(fetch_by_name("t", 0, 0), 60_000, 1)).await;
    }
    broker.until("connections are gone", |broker| broker.metric("eddy_connections{") == 0.0).await;
    assert_eq!(broker.engine.request_budget().used(), 0);
}

#[tokio::test]
async fn clients_are_told_the_address_they_reached_x12() {
    let broker = Broker::start().await;
    let response = broker.call(9, metadata()).await;
    assert_eq!(response.brokers[0].host.as_str(), "127.0.0.1");
    assert_eq!(response.brokers[0].port, i32::from(broker.address.port()));
    let mut advertised = settings();
    advertised.advertised = Some(("broker.example.org".to_owned(), 1234));
    let broker = Broker::with(advertised, &[]).await;
    let response = broker.call(9, metadata()).await;
    assert_eq!((response.brokers[0].host.as_str(), response.brokers[0].port), ("broker.example.org", 1234));
}

#[tokio::test]
async fn http_and_tls_are_told_what_this_port_is() {
    let broker = Broker::start().await;
    let mut http = broker.connect().await;
    http.stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    http.stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("Kafka port"), "{answer}");
    let mut tls = broker.connect().await;
    tls.stream.write_all(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]).await.unwrap();
    let mut answer = Vec::new();
    tls.stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, [0x15, 3, 3, 0, 2, 2, 70], "alert: protocol version");
    let rejected = |reason: &str| format!("eddy_connection_rejected_total{{reason=\"{reason}\"}}");
    broker
        .until("both are counted", |broker| {
            broker.metric(&rejected("http")) == 1.0 && broker.metric(&rejected("tls_on_plain")) == 1.0
        })
        .await;
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_closes() {
    let broker = Broker::start().await;
    let mut client = broker.connect().await;
    client.call(9, &metadata()).await;
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name("nope")));
    client.send(9, &metadata().with_topics(Some(vec![topic]))).await;
    client.receive::<MetadataRequest>(9).await;
    broker.engine.stop().await;
    assert!(client.is_closed().await);
    broker.gateway.await.unwrap();
}
