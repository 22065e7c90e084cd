//! Metrics that clients push (KIP-714, R-3.180).

use bytes::Bytes;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Request;

use crate::harness::{Broker, Client, settings, text};

/// One OTLP gauge of the value 2.5, with the name and a label.
fn otlp(name: &str, topic: &str) -> Bytes {
    let message = |number: u8, body: &[u8]| {
        let mut bytes = vec![number << 3 | 2, u8::try_from(body.len()).unwrap()];
        assert!(body.len() < 128);
        bytes.extend_from_slice(body);
        bytes
    };
    let label = [message(1, b"topic"), message(2, &message(1, topic.as_bytes()))].concat();
    let point = [message(7, &label), [&[4 << 3 | 1][..], &2.5f64.to_le_bytes()].concat()].concat();
    let metric = [message(1, name.as_bytes()), message(5, &message(1, &point))].concat();
    message(1, &message(2, &message(2, &metric))).into()
}

async fn subscribe(broker: &Broker, name: &str, configs: &[(&str, &str)]) {
    let configs = configs
        .iter()
        .map(|(key, value)| AlterableConfig::default().with_name(text(key)).with_value(Some(text(value))));
    let resource = AlterConfigsResource::default()
        .with_resource_type(16)
        .with_resource_name(text(name))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    assert_eq!(broker.call(1, request).await.responses[0].error_code, 0);
}

type Asked = GetTelemetrySubscriptionsResponse;

/// Asks as `client`, after saying what library it is; for the second time with what it was told.
async fn ask(connection: &mut Client, client: &str, before: Option<&Asked>) -> Asked {
    let versions = ApiVersionsRequest::default()
        .with_client_software_name(text("test-library"))
        .with_client_software_version(text("1.2"));
    send(connection, client, 4, &versions).await;
    let id = before.map(|before| before.client_instance_id).unwrap_or_default();
    let request = GetTelemetrySubscriptionsRequest::default().with_client_instance_id(id);
    send(connection, client, 0, &request).await
}

async fn send<Q: Request>(connection: &mut Client, client: &str, version: i16, request: &Q) -> Q::Response {
    connection.send_as(client, version, request).await;
    connection.receive::<Q>(version).await.1
}

fn push(asked: &Asked, metrics: Bytes) -> PushTelemetryRequest {
    PushTelemetryRequest::default()
        .with_client_instance_id(asked.client_instance_id)
        .with_subscription_id(asked.subscription_id)
        .with_metrics(metrics)
}

/// Whether a client that connects now finds the telemetry APIs.
async fn is_advertised(broker: &Broker) -> bool {
    let versions = ApiVersionsRequest::default()
        .with_client_software_name(text("test-library"))
        .with_client_software_version(text("1.2"));
    let answer = broker.call(4, versions).await;
    let is_listed = |key: i16| answer.api_keys.iter().any(|api| api.api_key == key);
    assert_eq!(is_listed(71), is_listed(72));
    is_listed(71)
}

#[tokio::test]
async fn without_a_subscription_clients_are_asked_for_nothing() {
    let broker = Broker::start().await;
    assert!(!is_advertised(&broker).await);
    let asked = ask(&mut broker.connect().await, "app", None).await;
    assert_eq!(
        (asked.error_code, asked.push_interval_ms, asked.telemetry_max_bytes),
        (0, 300_000, 1_048_576)
    );
    assert!(asked.requested_metrics.is_empty() && !asked.client_instance_id.is_nil());
    assert_eq!(asked.accepted_compression_types, [4, 3, 1, 2]);
    let other = ask(&mut broker.connect().await, "app", None).await;
    assert_ne!(asked.client_instance_id, other.client_instance_id);
}

#[tokio::test]
async fn clients_are_chosen_by_what_they_are() {
    let broker = Broker::start().await;
    subscribe(&broker, "all", &[("metrics", "b.,a."), ("interval.ms", "5000")]).await;
    assert!(is_advertised(&broker).await);
    let matches = "client_id=app.*,client_software_name=test-library,client_source_address=127.0.0.1";
    subscribe(&broker, "app", &[("metrics", "*"), ("interval.ms", "1000"), ("match", matches)]).await;
    let mut connection = broker.connect().await;
    let app = ask(&mut connection, "app-1", None).await;
    assert_eq!((app.push_interval_ms, app.requested_metrics), (1000, vec![text("*")]));
    let other = ask(&mut connection, "other", None).await;
    assert_eq!(other.push_interval_ms, 5000);
    assert_eq!(other.requested_metrics, [text("a."), text("b.")]);
    let again = ask(&mut connection, "other", Some(&other)).await;
    assert_eq!(again.error_code, 89, "once in an interval");
}

#[tokio::test]
async fn what_is_pushed_is_shown_and_forgotten() {
    let broker = Broker::start().await;
    subscribe(&broker, "all", &[("metrics", "*"), ("interval.ms", "100")]).await;
    let mut connection = broker.connect().await;
    let asked = ask(&mut connection, "app", None).await;
    let metrics = otlp("org.apache.kafka.producer.queue.time", "t");
    let pushed = send(&mut connection, "app", 0, &push(&asked, metrics.clone())).await;
    assert_eq!(pushed.error_code, 0);
    let shown = "eddy_client_producer_queue_time{client_id=\"app\"";
    assert_eq!(broker.metric(shown), 2.5);
    let early = send(&mut connection, "app", 0, &push(&asked, metrics.clone())).await;
    assert_eq!(early.error_code, 89);
    broker.until("three intervals are over", |broker| broker.metric(shown) == 0.0).await;
    let last = push(&asked, metrics).with_terminating(true);
    assert_eq!(send(&mut connection, "app", 0, &last).await.error_code, 0);
    assert_eq!(broker.metric(shown), 2.5);
    assert_eq!(send(&mut connection, "app", 0, &last).await.error_code, 42, "the last was the last");
}

#[tokio::test]
async fn pushes_that_cannot_be_taken_say_why() {
    let broker = Broker::with(settings(), &[("telemetry.max.bytes", "1000")]).await;
    subscribe(&broker, "all", &[("metrics", "*")]).await;
    let mut connection = broker.connect().await;
    let zeros = Bytes::from(vec![0; 1001]);
    // A block of Snappy: its length, a zero, and a hundred times 64 copies of it.
    let bomb: Bytes = [&[0x81, 0x32, 0, 0][..], &[0xfe, 1, 0].repeat(100)].concat().into();
    for (codec, metrics, code) in [
        (0, Bytes::new(), 0),
        (0, otlp("m", "t"), 0),
        (5, otlp("m", "t"), 76),
        (-1, otlp("m", "t"), 76),
        (0, zeros, 118),
        (2, bomb, 118),
        (1, otlp("m", "t"), 87),
        (0, Bytes::from_static(b"\x0a\x7f"), 87),
    ] {
        let asked = ask(&mut connection, "app", None).await;
        let request = push(&asked, metrics).with_compression_type(codec);
        assert_eq!(send(&mut connection, "app", 0, &request).await.error_code, code, "codec {codec}");
    }
    let asked = ask(&mut connection, "app", None).await;
    let unknown = push(&asked, otlp("m", "t")).with_subscription_id(asked.subscription_id ^ 1);
    assert_eq!(send(&mut connection, "app", 0, &unknown).await.error_code, 117);
    let nobody = PushTelemetryRequest::default().with_subscription_id(asked.subscription_id);
    assert_eq!(send(&mut connection, "app", 0, &nobody).await.error_code, 42);
}
