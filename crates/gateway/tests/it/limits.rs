//! What one client may take, and how silence ends.

use std::time::Duration;

use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{ApiVersionsRequest, IncrementalAlterConfigsRequest, MetadataRequest};
use tokio::io::AsyncWriteExt;

use crate::fetch::{fetch_by_name, wants};
use crate::harness::{Broker, Client, settings, text};

fn rejected(broker: &Broker, reason: &str) -> f64 {
    broker.metric(&format!("eddy_connection_rejected_total{{reason=\"{reason}\"}}"))
}

#[tokio::test]
async fn connections_above_the_limit_are_refused_until_others_leave() {
    let broker = Broker::with(settings(), &[("max.connections", "3")]).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = broker.connect().await;
        client.call(0, &ApiVersionsRequest::default()).await;
        clients.push(client);
    }
    assert!(broker.connect().await.is_closed().await);
    assert_eq!(rejected(&broker, "limit"), 1.0);
    clients.pop();
    broker.until("there is room", |broker| broker.metric("eddy_connections{") == 2.0).await;
    broker.connect().await.call(0, &ApiVersionsRequest::default()).await;
}

#[tokio::test]
async fn the_limit_of_one_address_acts_at_once_when_it_is_changed() {
    let broker = Broker::start().await;
    let mut first = broker.connect().await;
    first.call(0, &ApiVersionsRequest::default()).await;
    let config =
        AlterableConfig::default().with_name(text("max.connections.per.ip")).with_value(Some(text("1")));
    let resource = AlterConfigsResource::default().with_resource_type(4).with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    assert_eq!(first.call(1, &request).await.responses[0].error_code, 0);
    assert!(broker.connect().await.is_closed().await);
    assert_eq!(rejected(&broker, "limit_per_ip"), 1.0);
}

#[tokio::test]
async fn idle_connections_are_closed_and_a_parked_fetch_is_not_idle_r_2_10() {
    let mut impatient = settings();
    impatient.idle_max = Duration::from_millis(200);
    let broker = Broker::with(impatient, &[]).await;
    broker.topic("t", 1, &[]).await;
    let mut idle = broker.connect().await;
    idle.call(0, &ApiVersionsRequest::default()).await;
    let mut parked = broker.connect().await;
    let answer = parked.call(12, &wants(fetch_by_name("t", 0, 0), 700, 1)).await;
    assert_eq!(answer.responses.len(), 1, "the fetch was answered after its time");
    assert!(idle.is_closed().await);
    assert!(rejected(&broker, "idle") >= 1.0);
}

/// Sends one byte every 60 ms.
async fn trickle(client: &mut Client, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        client.stream.write_all(&[*byte]).await?;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_stalled_frame_is_closed_and_a_slow_one_is_not() {
    let mut impatient = settings();
    impatient.stall_max = Duration::from_millis(300);
    let broker = Broker::with(impatient, &[]).await;
    let mut stalled = broker.connect().await;
    stalled.stream.write_all(&[0, 0, 0, 14, 0, 3]).await.unwrap();
    let mut slow = broker.connect().await;
    trickle(&mut slow, &[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 9, 255, 255, 0, 0, 0, 0]).await.unwrap();
    slow.receive::<MetadataRequest>(1).await;
    assert!(stalled.is_closed().await);
    assert_eq!(rejected(&broker, "stalled"), 1.0);
}

#[tokio::test]
async fn a_frame_that_comes_drop_by_drop_holds_its_memory_for_a_time_only() {
    let mut impatient = settings();
    impatient.stall_max = Duration::from_millis(300);
    let broker = Broker::with(impatient, &[]).await;
    let mut dripping = broker.connect().await;
    dripping.stream.write_all(&200_000_i32.to_be_bytes()).await.unwrap();
    // It may fail before all is sent: the broker has closed the connection then.
    let _ = trickle(&mut dripping, &[0; 60]).await;
    assert_eq!(rejected(&broker, "stalled"), 1.0);
    assert_eq!(broker.engine.request_budget().used(), 0);
}

#[tokio::test]
async fn a_frame_above_the_limit_is_refused() {
    let mut small = settings();
    small.frame_bytes_max = 1000;
    let broker = Broker::with(small, &[]).await;
    let mut client = broker.connect().await;
    client.stream.write_all(&1001_i32.to_be_bytes()).await.unwrap();
    assert!(client.is_closed().await);
    assert_eq!(rejected(&broker, "frame"), 1.0);
}
