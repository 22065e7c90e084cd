//! Client quotas as their clients meet them.

use std::time::{Duration, Instant};

use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Request;

use crate::harness::{Broker, Client, produce_request, settings, text, topic_name};
use crate::records::batch;

/// Two windows of a second: a second's worth is a burst, and all measuring is over in no time.
const WINDOWS: [(&str, &str); 4] = [
    ("quota.window.num", "2"),
    ("quota.window.size.seconds", "1"),
    ("controller.quota.window.num", "2"),
    ("controller.quota.window.size.seconds", "1"),
];

type Part<'a> = (&'a str, Option<&'a str>);

async fn broker() -> Broker {
    Broker::with(settings(), &WINDOWS).await
}

fn altered(parts: &[Part<'_>], key: &str, value: Option<f64>) -> EntryData {
    let entity = parts.iter().map(|(part, name)| {
        EntityData::default().with_entity_type(text(part)).with_entity_name(name.map(text))
    });
    let op = OpData::default()
        .with_key(text(key))
        .with_value(value.unwrap_or_default())
        .with_remove(value.is_none());
    EntryData::default().with_entity(entity.collect()).with_ops(vec![op])
}

async fn codes(broker: &Broker, entries: Vec<EntryData>, validate_only: bool) -> Vec<i16> {
    let request = AlterClientQuotasRequest::default().with_entries(entries).with_validate_only(validate_only);
    broker.call(1, request).await.entries.iter().map(|entry| entry.error_code).collect()
}

async fn limit(broker: &Broker, parts: &[Part<'_>], key: &str, value: f64) {
    assert_eq!(codes(broker, vec![altered(parts, key, Some(value))], false).await, [0]);
}

/// Sends as `client`, and gives the answer and the time it took.
async fn timed<Q: Request>(
    connection: &mut Client,
    client: &str,
    version: i16,
    request: &Q,
) -> (Q::Response, Duration) {
    let began = Instant::now();
    connection.send_as(client, version, request).await;
    let (_, response) = connection.receive::<Q>(version).await;
    (response, began.elapsed())
}

#[tokio::test]
async fn quotas_are_set_found_and_removed() {
    let broker = broker().await;
    let alice = [("user", Some("alice"))];
    let app = [("user", None), ("client-id", Some("app"))];
    let entries = vec![
        altered(&alice, "producer_byte_rate", Some(1000.0)),
        altered(&app, "request_percentage", Some(12.5)),
        altered(&[("ip", Some("127.0.0.9"))], "connection_creation_rate", Some(5.0)),
        altered(&alice, "consumer_byte_rate", Some(1000.0)),
        altered(&[("user", Some(""))], "producer_byte_rate", Some(1.0)),
        altered(&[("client-id", None)], "producer_byte_rate", Some(0.5)),
    ];
    assert_eq!(codes(&broker, entries, false).await, [42, 0, 0, 42, 42], "alice twice: one answer");
    let entries = vec![altered(&alice, "producer_byte_rate", Some(1000.0))];
    assert_eq!(codes(&broker, entries.clone(), true).await, [0]);
    assert_eq!(described(&broker, &[("user", 0, Some("alice"))], true).await, "");
    assert_eq!(codes(&broker, entries, false).await, [0]);
    assert_eq!(
        described(&broker, &[("user", 0, Some("alice"))], true).await,
        "user=alice producer_byte_rate=1000"
    );
    assert_eq!(
        described(&broker, &[("user", 2, None)], false).await,
        "client-id=app user=* request_percentage=12.5; user=alice producer_byte_rate=1000"
    );
    assert_eq!(described(&broker, &[("ip", 2, None)], true).await, "ip=127.0.0.9 connection_creation_rate=5");
    assert_eq!(codes(&broker, vec![altered(&alice, "producer_byte_rate", None)], false).await, [0]);
    assert_eq!(described(&broker, &[("user", 2, None)], true).await, "");
    let filter = ComponentData::default().with_entity_type(text("foo")).with_match_type(2);
    let request = DescribeClientQuotasRequest::default().with_components(vec![filter]);
    let response = broker.call(1, request).await;
    assert_eq!((response.error_code, response.entries), (35, None));
}

async fn described(broker: &Broker, filter: &[(&str, i8, Option<&str>)], strict: bool) -> String {
    let filter = filter.iter().map(|(part, kind, name)| {
        ComponentData::default()
            .with_entity_type(text(part))
            .with_match_type(*kind)
            .with_match(name.map(text))
    });
    let request =
        DescribeClientQuotasRequest::default().with_components(filter.collect()).with_strict(strict);
    let response = broker.call(1, request).await;
    assert_eq!(response.error_code, 0);
    let mut lines: Vec<String> = response
        .entries
        .unwrap()
        .iter()
        .map(|entry| {
            let entity = entry.entity.iter().map(|part| {
                format!(
                    "{}={}",
                    part.entity_type,
                    part.entity_name.as_ref().map_or("*", |name| name.as_str())
                )
            });
            let values = entry.values.iter().map(|value| format!("{}={}", value.key, value.value));
            entity.chain(values).collect::<Vec<_>>().join(" ")
        })
        .collect();
    lines.sort();
    lines.join("; ")
}

/// KIP-219: the answer comes at once and tells the pause; the connection is not read for as long.
#[tokio::test]
async fn a_producer_over_its_quota_is_answered_at_once_and_then_left_alone() {
    let broker = broker().await;
    broker.topic("t", 1, &[]).await;
    limit(&broker, &[("client-id", Some("app"))], "producer_byte_rate", 2000.0).await;
    let request = produce_request("t", &[(0, Some(batch(&[&"x".repeat(3000)])))]);
    let mut connection = broker.connect().await;
    let (response, took) = timed(&mut connection, "app", 9, &request).await;
    let throttle = response.throttle_time_ms;
    assert!((500..700).contains(&throttle), "3.1 kB at 2 kB a second: {throttle}");
    assert!(took < Duration::from_millis(400), "{took:?}");
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    let (_, took) = timed(&mut connection, "app", 9, &MetadataRequest::default()).await;
    assert!(took >= Duration::from_millis(400), "muted: {took:?}");
    // Another client id and another connection are not concerned.
    let (response, took) = timed(&mut broker.connect().await, "other", 9, &request).await;
    assert_eq!(response.throttle_time_ms, 0);
    assert!(took < Duration::from_millis(400), "{took:?}");
    assert!(broker.metric("eddy_throttle_seconds_total{quota=\"produce\"}") > 0.4);
    // Without a quota there is no pause any more, whatever was used.
    let removed = vec![altered(&[("client-id", Some("app"))], "producer_byte_rate", None)];
    assert_eq!(codes(&broker, removed, false).await, [0]);
    assert_eq!(timed(&mut connection, "app", 9, &request).await.0.throttle_time_ms, 0);
}

#[tokio::test]
async fn each_client_has_a_default_quota_for_itself_and_each_user_for_all_his_clients() {
    let broker = broker().await;
    broker.topic("t", 1, &[]).await;
    let request = produce_request("t", &[(0, Some(batch(&[&"x".repeat(1500)])))]);
    let throttled = async |client: &str| {
        timed(&mut broker.connect().await, client, 9, &request).await.0.throttle_time_ms > 0
    };
    limit(&broker, &[("client-id", None)], "producer_byte_rate", 2000.0).await;
    assert!(!throttled("a").await && !throttled("b").await && throttled("a").await);
    limit(&broker, &[("user", Some("ANONYMOUS"))], "producer_byte_rate", 2000.0).await;
    assert!(!throttled("c").await && throttled("d").await, "the user's quota comes first, and he is one");
}

#[tokio::test]
async fn a_producer_that_wants_no_answer_is_left_alone_too() {
    let broker = broker().await;
    broker.topic("t", 1, &[]).await;
    limit(&broker, &[("user", None)], "producer_byte_rate", 2000.0).await;
    let request = produce_request("t", &[(0, Some(batch(&[&"x".repeat(3000)])))]).with_acks(0);
    let mut connection = broker.connect().await;
    connection.send(9, &request).await;
    let (_, took) = timed(&mut connection, "app", 9, &MetadataRequest::default()).await;
    assert!(took >= Duration::from_millis(400), "{took:?}");
}

fn fetch(max_bytes: i32) -> FetchRequest {
    let partition = FetchPartition::default().with_partition(0).with_partition_max_bytes(max_bytes);
    let topic = FetchTopic::default().with_topic(topic_name("t")).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_bytes(max_bytes)
        .with_min_bytes(1)
        .with_max_wait_ms(100)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

fn fetched(response: &FetchResponse) -> usize {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.records.as_ref().map_or(0, |records| records.len())).sum()
}

#[tokio::test]
async fn a_fetch_over_its_quota_brings_nothing_until_the_pause_is_over() {
    let broker = broker().await;
    broker.topic("t", 1, &[]).await;
    for _ in 0..5 {
        broker.produce("t", 0, batch(&[&"x".repeat(900)])).await;
    }
    limit(&broker, &[("client-id", None)], "consumer_byte_rate", 1500.0).await;
    let mut connection = broker.connect().await;
    // One answer is never larger than what may be used at once.
    let (first, _) = timed(&mut connection, "app", 12, &fetch(100_000)).await;
    assert!((900..1500).contains(&fetched(&first)), "{}", fetched(&first));
    assert_eq!(first.throttle_time_ms, 0);
    let (second, took) = timed(&mut connection, "app", 12, &fetch(100_000)).await;
    assert_eq!(fetched(&second), 0);
    assert!((100..1000).contains(&second.throttle_time_ms), "{}", second.throttle_time_ms);
    assert!(took < Duration::from_millis(400), "{took:?}");
    let mut bytes = 0;
    let mut tries = 0;
    while bytes == 0 && tries < 5 {
        bytes = fetched(&timed(&mut connection, "app", 12, &fetch(100_000)).await.0);
        tries += 1;
    }
    assert!(bytes > 0, "after the pauses it may");
    assert!(broker.metric("eddy_throttle_seconds_total{quota=\"fetch\"}") > 0.1);
}

#[tokio::test]
async fn a_batch_larger_than_any_quota_allows_at_once_is_delivered_and_paid_for() {
    let broker = broker().await;
    broker.topic("t", 1, &[]).await;
    broker.produce("t", 0, batch(&[&"x".repeat(3000)])).await;
    limit(&broker, &[("client-id", None)], "consumer_byte_rate", 2500.0).await;
    let (response, _) = timed(&mut broker.connect().await, "app", 12, &fetch(100_000)).await;
    assert!(fetched(&response) > 3000);
    assert!(response.throttle_time_ms > 100, "{}", response.throttle_time_ms);
}

/// and KIP-219: an empty answer because of the quota leaves the session as it was.
#[tokio::test]
async fn a_session_survives_an_answer_without_records() {
    let broker = broker().await;
    broker.topic("t", 1, &[]).await;
    let mut connection = broker.connect().await;
    let open = fetch(100_000).with_session_epoch(0);
    let (opened, _) = timed(&mut connection, "app", 12, &open).await;
    assert!(opened.session_id != 0);
    broker.produce("t", 0, batch(&[&"x".repeat(900)])).await;
    limit(&broker, &[("client-id", None)], "consumer_byte_rate", 1000.0).await;
    let next = |epoch| {
        fetch(100_000).with_topics(Vec::new()).with_session_id(opened.session_id).with_session_epoch(epoch)
    };
    let mut epoch = 1;
    let mut kinds = Vec::new();
    while epoch < 4 {
        let (response, _) = timed(&mut connection, "app", 12, &next(epoch)).await;
        assert_eq!((response.error_code, response.session_id), (0, opened.session_id));
        kinds.push((fetched(&response) > 0, response.throttle_time_ms > 0));
        epoch += 1;
    }
    assert_eq!(kinds[0], (true, false));
    assert_eq!(kinds[1], (false, true), "the same records again are too many");
    // A session is not opened by an answer that brings nothing.
    let refused = timed(&mut broker.connect().await, "app", 12, &open).await.0;
    assert!(refused.throttle_time_ms == 0 || refused.session_id == 0);
}

fn create(names: &[&str], partitions: i32) -> CreateTopicsRequest {
    let topics = names.iter().map(|name| {
        CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
    });
    CreateTopicsRequest::default().with_topics(topics.collect()).with_timeout_ms(5000)
}

///
#[tokio::test]
async fn changes_over_the_quota_are_refused_or_slowed_down_by_version() {
    let broker = broker().await;
    limit(&broker, &[("user", None)], "controller_mutation_rate", 2.0).await;
    let created = broker.call(7, create(&["a", "b", "c"], 3)).await;
    let codes: Vec<_> = created.topics.iter().map(|topic| topic.error_code).collect();
    // Two windows of two: the first topic takes three of four, the second borrows, the third is refused.
    assert_eq!(codes, [0, 0, 89]);
    assert!((500..=1100).contains(&created.throttle_time_ms), "{}", created.throttle_time_ms);
    assert!(broker.engine.image().topic("c").is_none());
    let grown =
        CreatePartitionsTopic::default().with_name(topic_name("a")).with_count(4).with_assignments(None);
    let grow = CreatePartitionsRequest::default().with_topics(vec![grown]).with_timeout_ms(5000);
    assert_eq!(broker.call(3, grow.clone()).await.results[0].error_code, 89);
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![topic_name("b")]).with_timeout_ms(5000);
    let refused = broker.call(5, delete.clone()).await;
    assert_eq!(refused.responses[0].error_code, 89);
    assert!(refused.throttle_time_ms > 0);
    // Versions that do not know the code get what they want, and a pause.
    let grown = broker.call(2, grow).await;
    assert_eq!((grown.results[0].error_code, grown.throttle_time_ms > 0), (0, true));
    let deleted = broker.call(4, delete).await;
    assert_eq!((deleted.responses[0].error_code, deleted.throttle_time_ms > 0), (0, true));
    let created = broker.call(5, create(&["c"], 1)).await;
    assert_eq!((created.topics[0].error_code, created.throttle_time_ms > 0), (0, true));
    // What is refused anyway costs nothing, and validating costs as much as doing.
    assert_eq!(broker.call(7, create(&["a b"], 3)).await.throttle_time_ms, 0);
}

#[tokio::test]
async fn a_client_that_takes_too_much_time_pauses() {
    let broker = broker().await;
    limit(&broker, &[("client-id", Some("app"))], "request_percentage", 0.000_1).await;
    let mut connection = broker.connect().await;
    let (response, _) = timed(&mut connection, "app", 9, &MetadataRequest::default()).await;
    assert_eq!(response.throttle_time_ms, 1000, "one window at most");
    let (_, took) = timed(&mut connection, "app", 9, &MetadataRequest::default()).await;
    assert!(took >= Duration::from_millis(900), "{took:?}");
    let (response, _) = timed(&mut broker.connect().await, "other", 9, &MetadataRequest::default()).await;
    assert_eq!(response.throttle_time_ms, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_takes_no_time_of_a_client_whose_time_is_limited() {
    let broker = broker().await;
    broker.topic("t", 1, &[]).await;
    limit(&broker, &[("client-id", Some("app"))], "request_percentage", 1e6).await;
    let request = produce_request("t", &[(0, Some(batch(&["value"])))]);
    let mut connection = broker.connect().await;
    let in_place = || broker.engine.wal().stats().groups_in_place;
    let until = Instant::now() + Duration::from_secs(60);
    while in_place() < 10 {
        assert!(Instant::now() < until, "nothing was committed in place");
        timed(&mut connection, "other", 9, &request).await;
    }
    let before = in_place();
    for _ in 0..10 {
        timed(&mut connection, "app", 9, &request).await;
    }
    assert_eq!(in_place(), before);
    timed(&mut connection, "other", 9, &request).await;
}

/// KIP-612.
#[tokio::test]
async fn an_address_that_connects_too_often_waits_unserved() {
    let broker = broker().await;
    limit(&broker, &[("ip", Some("127.0.0.1"))], "connection_creation_rate", 2.0).await;
    for _ in 0..2 {
        broker.call(9, MetadataRequest::default()).await;
    }
    let began = Instant::now();
    let mut refused = Vec::new();
    for _ in 0..3 {
        let mut connection = broker.connect().await;
        connection.send(9, &MetadataRequest::default()).await;
        refused.push(connection);
    }
    for connection in &mut refused {
        assert!(connection.is_closed().await);
    }
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    assert_eq!(broker.metric("eddy_connection_rejected_total{reason=\"rate_per_ip\"}"), 3.0);
    assert!(broker.metric("eddy_throttle_seconds_total{quota=\"connection\"}") > 0.3);
    // What was refused is not held against the address.
    tokio::time::sleep(Duration::from_millis(600)).await;
    broker.call(9, MetadataRequest::default()).await;
}
