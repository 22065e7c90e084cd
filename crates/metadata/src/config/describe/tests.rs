use std::sync::Arc;

use eddy_types::{BrokerId, TopicId};

use super::*;
use crate::config::{Foreign, foreign};
use crate::{Local, PartitionAssignment, Record, Resource};

const ME: BrokerId = BrokerId(1);

fn image(pairs: &[(&str, &str)], overrides: &[(&str, &str)]) -> Image {
    let config = StaticConfig::from_pairs(pairs.iter().copied()).unwrap();
    let mut image = Image::empty(Arc::new(Local { broker: ME, config }));
    let replicas = vec![ME];
    let created = Record::TopicCreated {
        topic_id: TopicId([1; 16]),
        name: "t".into(),
        partitions: vec![PartitionAssignment { isr: replicas.clone(), leader: Some(ME), replicas }],
        configs: overrides.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
    };
    image.apply(&created).unwrap();
    image
}

fn set(image: &mut Image, resource: Resource, key: &str, value: &str) {
    let changes = [(key.to_owned(), Some(value.to_owned()))].into();
    image.apply(&Record::ConfigsSet { resource, changes }).unwrap();
}

fn line(described: &Described) -> String {
    let synonym = |s: &Synonym| format!("{}={}@{:?}", s.name, s.value.as_deref().unwrap_or("null"), s.source);
    let synonyms: Vec<_> = described.synonyms.iter().map(synonym).collect();
    let value = described.value.as_deref().unwrap_or("null");
    format!("{}={value} {:?} [{}]", described.name, described.source, synonyms.join(", "))
}

fn topic(image: &Image, key: &str) -> String {
    let described = describe_topic(image, image.topic("t").unwrap());
    line(described.iter().find(|described| described.key.name == key).unwrap())
}

fn broker(image: &Image, name: &str) -> String {
    line(describe_broker(image).iter().find(|described| described.name == name).unwrap())
}

fn group(image: &Image, key: &str) -> String {
    line(describe_group(image, "g").iter().find(|described| described.name == key).unwrap())
}

/// The file holds what a broker of Kafka 4.3.1 answers for a new topic; the keys of search are ours.
#[test]
fn a_new_topic_is_described_as_kafka_describes_it() {
    let image = image(&[], &[]);
    let described = describe_topic(&image, image.topic("t").unwrap());
    let lines: Vec<String> = described
        .iter()
        .filter(|described| !described.key.name.starts_with("search."))
        .map(|described| {
            assert_eq!((described.source, described.read_only), (Source::Default, false));
            let value = described.value.as_deref().unwrap_or("null");
            let synonym = described.synonyms.first().map_or("-", |synonym| synonym.name);
            format!("{}={value} type={} synonym={synonym}\n", described.key.name, described.key.kind.code())
        })
        .collect();
    assert_eq!(lines.concat(), include_str!("../kafka_topic_keys.txt"));
}

#[test]
fn the_nearest_value_is_in_force_and_the_others_are_synonyms() {
    let mut image = image(&[("log.segment.bytes", "2MiB")], &[("segment.bytes", "5242880")]);
    set(&mut image, Resource::BrokerDefault, "log.segment.bytes", "3145728");
    set(&mut image, Resource::Broker(BrokerId(2)), "log.segment.bytes", "9999999");
    set(&mut image, Resource::Broker(ME), "log.segment.bytes", "4194304");
    let broker_level = "log.segment.bytes=4194304@DynamicBroker, log.segment.bytes=3145728@DynamicDefaultBroker, \
         log.segment.bytes=2097152@StaticBroker, log.segment.bytes=1073741824@Default";
    assert_eq!(
        topic(&image, "segment.bytes"),
        format!("segment.bytes=5242880 Topic [segment.bytes=5242880@Topic, {broker_level}]")
    );
    assert_eq!(
        broker(&image, "log.segment.bytes"),
        format!("log.segment.bytes=4194304 DynamicBroker [{broker_level}]")
    );
    assert_eq!(image.topic("t").unwrap().config.segment_bytes, 5 << 20);
    assert_eq!(image.topic_defaults().segment_bytes, 4 << 20);
}

/// Seen on Kafka 4.3.1: `log.retention.hours` is in force, but no synonym of its own accord.
#[test]
fn retention_in_hours_is_in_force_and_shown_as_a_default() {
    let mut image = image(&[("log.retention.hours", "24")], &[]);
    assert_eq!(topic(&image, "retention.ms"), "retention.ms=86400000 Default []");
    assert_eq!(image.topic("t").unwrap().config.retention_ms, 86_400_000);
    assert_eq!(broker(&image, "log.retention.ms"), "log.retention.ms=null Default []");
    set(&mut image, Resource::BrokerDefault, "log.retention.ms", "1000");
    let synonyms = "log.retention.ms=1000@DynamicDefaultBroker, log.retention.hours=24@StaticBroker, \
         log.retention.hours=168@Default";
    assert_eq!(topic(&image, "retention.ms"), format!("retention.ms=1000 DynamicDefaultBroker [{synonyms}]"));
}

#[test]
fn negative_retention_means_no_limit_in_every_unit() {
    let image = image(&[("log.retention.hours", "-1")], &[]);
    assert_eq!(image.topic("t").unwrap().config.retention_ms, -1);
}

#[test]
fn brokers_as_such_are_described_by_what_is_set_for_all() {
    let mut image = image(&[("num.partitions", "3")], &[]);
    assert!(describe_broker_default(&image).is_empty());
    set(&mut image, Resource::BrokerDefault, "min.insync.replicas", "2");
    let lines: Vec<String> = describe_broker_default(&image).iter().map(line).collect();
    assert_eq!(
        lines,
        ["min.insync.replicas=2 DynamicDefaultBroker [min.insync.replicas=2@DynamicDefaultBroker]"]
    );
    assert_eq!(
        broker(&image, "num.partitions"),
        "num.partitions=3 StaticBroker [num.partitions=3@StaticBroker, num.partitions=1@Default]"
    );
    // X13: ksqlDB reads this key of the broker and fails when it is not there.
    assert!(broker(&image, "default.replication.factor").starts_with("default.replication.factor=1 Default"));
    let read_only =
        |name: &str| describe_broker(&image).iter().find(|d| d.name == name).is_some_and(|d| d.read_only);
    assert!(read_only("num.partitions") && !read_only("message.max.bytes"));
}

/// Broker keys that have another default, type or possibility of change than in Kafka, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    ("advertised.listeners", "one address, no list"),
    ("listeners", "one address, by default of this machine only"),
    ("node.id", "1 unless it is set"),
    ("broker.id", "another name of node.id"),
    ("log.dir", "another name of log.dirs"),
    ("log.dirs", "one directory, ./eddy-data by default"),
    ("log.flush.offset.checkpoint.interval.ms", "another name of log.checkpoint.interval"),
    ("broker.heartbeat.interval.ms", "a dead broker is noticed sooner"),
    ("broker.session.timeout.ms", "a dead broker is noticed sooner"),
];

/// Broker keys that a running Kafka takes, and that are read at the start here.
const READ_AT_START: &[&str] = &["producer.id.expiration.ms"];

/// The file holds what a broker of Kafka 4.3.1 knows: each key is described alike, or its use is refused (X13).
#[test]
fn every_broker_key_of_kafka_is_described_or_refused() {
    let image = image(&[], &[]);
    let described = describe_broker(&image);
    for line in include_str!("../kafka_broker_keys.txt").lines() {
        let name = line.split('=').next().unwrap();
        let Some(one) = described.iter().find(|one| one.listed && one.name == name) else {
            let refused = matches!(foreign(name, "x"), Some(Foreign::Unsupported(_)));
            assert!(refused || foreign(name, "x").is_some(), "{name}");
            continue;
        };
        if DIFFERENCES.iter().any(|(differs, _)| *differs == name) {
            continue;
        }
        let value = one.value.as_deref().unwrap_or("null");
        let change = if one.read_only { "ro" } else { "rw" };
        let ours = format!("{name}={value} type={} {change}", one.key.kind.code());
        // A key that changes nothing cannot be changed either, and CLASS is text here.
        let starts_only = (one.key.inert.is_some() && !one.key.dynamic) || READ_AT_START.contains(&name);
        let theirs = if starts_only { line.replace(" rw", " ro") } else { line.to_owned() };
        assert_eq!(ours, theirs.replace("type=8", "type=2"));
    }
}

#[test]
fn kafka_names_of_our_keys_are_listed_and_all_names_are_answered() {
    let mut image = image(&[("listeners", "PLAINTEXT://h:1"), ("node.id", "1")], &[]);
    assert_eq!(
        broker(&image, "listeners"),
        "listeners=PLAINTEXT://h:1 StaticBroker [listeners=PLAINTEXT://h:1@StaticBroker, \
         listeners=PLAINTEXT://127.0.0.1:9092@Default]"
    );
    assert!(broker(&image, "listeners.kafka").starts_with("listeners.kafka=h:1 StaticBroker"));
    assert!(broker(&image, "broker.id").starts_with("broker.id=1 StaticBroker [broker.id=1@StaticBroker"));
    assert!(broker(&image, "wal.profile").starts_with("wal.profile=auto Default"));
    let listed = |name: &str| describe_broker(&image).iter().any(|one| one.listed && one.name == name);
    assert!(listed("log.dirs") && listed("broker.id") && listed("wal.profile"));
    assert!(!listed("data.dir") && !listed("listeners.kafka") && !listed("backpressure.max.wait.ms"));
    set(&mut image, Resource::BrokerDefault, "backpressure.max.wait", "7");
    let names: Vec<_> = describe_broker_default(&image).iter().map(|one| (one.name, one.listed)).collect();
    assert_eq!(names, [("backpressure.max.wait", true), ("backpressure.max.wait.ms", false)]);
}

/// Seen on Kafka 4.3.1.
#[test]
fn a_group_takes_what_it_does_not_set_from_the_broker() {
    let mut image = image(&[("group.consumer.heartbeat.interval.ms", "6000")], &[]);
    set(&mut image, Resource::Group("g".into()), "consumer.session.timeout.ms", "50000");
    assert_eq!(
        group(&image, "consumer.session.timeout.ms"),
        "consumer.session.timeout.ms=50000 Group [consumer.session.timeout.ms=50000@Group, \
         group.consumer.session.timeout.ms=45000@Default]"
    );
    assert_eq!(
        group(&image, "consumer.heartbeat.interval.ms"),
        "consumer.heartbeat.interval.ms=6000 StaticBroker [group.consumer.heartbeat.interval.ms=6000@StaticBroker, \
         group.consumer.heartbeat.interval.ms=5000@Default]"
    );
    assert_eq!(
        group(&image, "share.auto.offset.reset"),
        "share.auto.offset.reset=latest Default [share.auto.offset.reset=latest@Default]"
    );
    let config = image.group_config("g");
    assert_eq!((config.consumer_session_timeout_ms, config.consumer_heartbeat_interval_ms), (50_000, 6000));
    assert_eq!(image.group_config("other").consumer_session_timeout_ms, 45_000);
    assert_eq!(describe_group(&image, "g").len(), 17, "as many as Kafka 4.3 has");
}

#[test]
fn a_subscription_to_client_metrics_is_what_is_set() {
    let mut image = image(&[], &[]);
    let resource = || Resource::ClientMetrics("all".into());
    set(&mut image, resource(), "match", "client_id=app-.*,client_source_port=[0-9]+");
    set(&mut image, resource(), "metrics", "*");
    let lines: Vec<_> = describe_client_metrics(&image, "all").iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "interval.ms=300000 Default []",
            "match=client_id=app-.*,client_source_port=[0-9]+ ClientMetrics \
             [match=client_id=app-.*,client_source_port=[0-9]+@ClientMetrics]",
            "metrics=* ClientMetrics [metrics=*@ClientMetrics]",
        ]
    );
    let (name, config) = image.client_metrics_subscriptions().next().unwrap();
    assert_eq!(
        (name, config.interval_ms, config.metrics.as_slice()),
        ("all", 300_000, &["*".to_owned()][..])
    );
    assert!(config.matches[0].pattern.is_match("app-1") && !config.matches[0].pattern.is_match("my-app-1"));
}
