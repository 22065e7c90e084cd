//! DescribeConfigs, AlterConfigs and IncrementalAlterConfigs.

use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::incremental_alter_configs_request as incremental;
use kafka_protocol::messages::list_config_resources_request::ListConfigResourcesRequest;
use kafka_protocol::messages::{AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use crate::harness::{Broker, settings, text};
use crate::records::batch;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

async fn describe(broker: &Broker, kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| text(key)).collect()));
    let request =
        DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
    broker.call(4, request).await.results.remove(0)
}

/// Value and source of a topic's key.
async fn value(broker: &Broker, topic: &str, key: &str) -> (Option<String>, i8) {
    value_of(broker, TOPIC, topic, key).await
}

/// Value and source of a key.
async fn value_of(broker: &Broker, kind: i8, name: &str, key: &str) -> (Option<String>, i8) {
    let described = describe(broker, kind, name, Some(&[key])).await;
    let config = &described.configs[0];
    (config.value.as_ref().map(|value| value.to_string()), config.config_source)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn alter(broker: &Broker, kind: i8, name: &str, changes: &[(&str, i8, Option<&str>)]) -> i16 {
    let configs = changes.iter().map(|(key, operation, value)| {
        incremental::AlterableConfig::default()
            .with_name(text(key))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    });
    let resource = incremental::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    broker.call(1, request).await.responses[0].error_code
}

#[tokio::test]
async fn null_and_empty_lists_of_keys_mean_all_r_3_142() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[("retention.ms", "1234")]).await;
    let all = describe(&broker, TOPIC, "t", None).await.configs.len();
    assert_eq!(all, 33 + 5, "as many as Kafka 4.3 has, and those of search");
    assert_eq!(describe(&broker, TOPIC, "t", Some(&[])).await.configs.len(), all);
    let two = describe(&broker, TOPIC, "t", Some(&["retention.ms", "nope"])).await;
    let retention = &two.configs[0];
    assert_eq!((two.configs.len(), retention.value.as_deref()), (1, Some("1234")));
    assert_eq!((retention.config_source, retention.read_only, retention.is_sensitive), (1, false, false));
    assert_eq!(value(&broker, "t", "cleanup.policy").await, (Some("delete".to_owned()), 5));
}

#[tokio::test]
async fn resources_that_are_not_there_have_their_codes_r_3_142() {
    let broker = Broker::start().await;
    for (kind, name, code) in [
        (TOPIC, "nope", 3),
        (TOPIC, "a b", 17),
        (TOPIC, "", 17),
        (BROKER, "1", 0),
        (BROKER, "", 0),
        (BROKER, "9", 42),
        (BROKER, "one", 42),
        (BROKER_LOGGER, "1", 0),
        (BROKER_LOGGER, "9", 42),
        (BROKER_LOGGER, "", 42),
        (CLIENT_METRICS, "any", 0),
        (CLIENT_METRICS, "", 42),
        (GROUP, "any", 0),
        (GROUP, "", 42),
        (0, "x", 42),
        (99, "x", 42),
    ] {
        let described = describe(&broker, kind, name, None).await;
        assert_eq!(described.error_code, code, "type {kind} name {name:?}");
        assert_eq!(described.error_message.is_some_and(|message| !message.is_empty()), code != 0);
    }
}

#[tokio::test]
async fn lists_grow_and_shrink_and_other_kinds_do_not_r_3_143() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    assert_eq!(alter(&broker, TOPIC, "t", &[("cleanup.policy", APPEND, Some("compact"))]).await, 0);
    assert_eq!(value(&broker, "t", "cleanup.policy").await, (Some("delete,compact".to_owned()), 1));
    assert_eq!(alter(&broker, TOPIC, "t", &[("cleanup.policy", SUBTRACT, Some("delete"))]).await, 0);
    assert_eq!(value(&broker, "t", "cleanup.policy").await, (Some("compact".to_owned()), 1));
    assert_eq!(alter(&broker, TOPIC, "t", &[("cleanup.policy", DELETE, None)]).await, 0);
    assert_eq!(value(&broker, "t", "cleanup.policy").await, (Some("delete".to_owned()), 5));
    for operation in [APPEND, SUBTRACT] {
        assert_eq!(alter(&broker, TOPIC, "t", &[("retention.ms", operation, Some("5"))]).await, 40);
    }
}

#[tokio::test]
async fn a_resource_changes_whole_or_not_at_all_r_3_143() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    for (what, changes, code) in [
        ("a bad value", &[("retention.ms", SET, Some("5")), ("segment.ms", SET, Some("x"))][..], 40),
        ("an unknown key", &[("retention.ms", SET, Some("5")), ("nope", SET, Some("1"))], 40),
        ("a key twice", &[("retention.ms", SET, Some("5")), ("retention.ms", DELETE, None)], 42),
        ("no value", &[("retention.ms", SET, None)], 42),
        ("an unknown operation", &[("retention.ms", 9, Some("5"))], 42),
    ] {
        assert_eq!(alter(&broker, TOPIC, "t", changes).await, code, "{what}");
        assert_eq!(value(&broker, "t", "retention.ms").await.1, 5, "{what}");
    }
    // What nobody knows is at its default already.
    assert_eq!(alter(&broker, TOPIC, "t", &[("nope", DELETE, None)]).await, 0);
    for (kind, name, code) in
        [(TOPIC, "nope", 3), (TOPIC, "a b", 17), (TOPIC, "", 42), (BROKER, "9", 42), (99, "x", 42)]
    {
        assert_eq!(alter(&broker, kind, name, &[("retention.ms", SET, Some("5"))]).await, code, "{name:?}");
    }
}

#[tokio::test]
async fn one_resource_twice_is_refused_and_validation_changes_nothing_r_3_143() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let config =
        incremental::AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text("5")));
    let resource = incremental::AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("t"))
        .with_configs(vec![config]);
    let twice =
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource.clone(), resource.clone()]);
    assert!(broker.call(1, twice).await.responses.iter().all(|one| one.error_code == 42));
    let validated =
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(true);
    assert_eq!(broker.call(1, validated).await.responses[0].error_code, 0);
    assert_eq!(value(&broker, "t", "retention.ms").await.1, 5);
}

#[tokio::test]
async fn alter_configs_replaces_the_whole_set_r_3_143() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[("retention.ms", "1234"), ("segment.ms", "99999")]).await;
    let config = AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text("5")));
    let resource = |name: &str, configs: Vec<AlterableConfig>| {
        AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(name))
            .with_configs(configs)
    };
    for version in 0..=2 {
        let request = AlterConfigsRequest::default().with_resources(vec![
            resource("t", vec![config.clone()]),
            resource("nope", vec![config.clone()]),
        ]);
        let response = broker.call(version, request).await;
        let codes: Vec<i16> = response.responses.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [0, 3]);
    }
    assert_eq!(value(&broker, "t", "retention.ms").await, (Some("5".to_owned()), 1));
    assert_eq!(value(&broker, "t", "segment.ms").await.1, 5);
    let none = AlterConfigsRequest::default().with_resources(vec![resource("t", Vec::new())]);
    assert_eq!(broker.call(2, none).await.responses[0].error_code, 0);
    assert_eq!(value(&broker, "t", "retention.ms").await.1, 5);
}

#[tokio::test]
async fn a_change_acts_on_a_topic_in_use_r_3_144() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let large = batch(&["x".repeat(500).as_str()]);
    assert_eq!(broker.produce("t", 0, large.clone()).await.error_code, 0);
    assert_eq!(alter(&broker, TOPIC, "t", &[("max.message.bytes", SET, Some("300"))]).await, 0);
    assert_eq!(broker.produce("t", 0, large.clone()).await.error_code, 10);
    assert_eq!(alter(&broker, TOPIC, "t", &[("max.message.bytes", DELETE, None)]).await, 0);
    assert_eq!(broker.produce("t", 0, large.clone()).await.error_code, 0);
    // A default of all brokers shows through, too.
    assert_eq!(alter(&broker, BROKER, "", &[("message.max.bytes", SET, Some("300"))]).await, 0);
    assert_eq!(value(&broker, "t", "max.message.bytes").await, (Some("300".to_owned()), 3));
    assert_eq!(broker.produce("t", 0, large).await.error_code, 10);
}

#[tokio::test]
async fn a_broker_is_described_by_the_names_of_kafka_and_ours() {
    let config = [("listeners.kafka", "h:1"), ("default.replication.factor", "3")];
    let broker = Broker::with(settings(), &config).await;
    let all = describe(&broker, BROKER, "1", None).await.configs;
    let listed = |name: &str| all.iter().find(|one| one.name.as_str() == name);
    for name in ["listeners", "log.dirs", "num.partitions", "offsets.topic.replication.factor", "wal.profile"]
    {
        assert!(listed(name).is_some(), "{name}");
    }
    assert!(listed("listeners.kafka").is_none() && listed("ssl.keystore.location").is_none());
    assert_eq!(value_of(&broker, BROKER, "1", "listeners").await, (some("PLAINTEXT://h:1"), 4));
    assert_eq!(value_of(&broker, BROKER, "1", "listeners.kafka").await, (some("h:1"), 4));
    // X13.
    let replication = listed("default.replication.factor").unwrap();
    assert_eq!((replication.value.as_deref(), replication.read_only), (Some("3"), true));
    let names: Vec<_> = replication.synonyms.iter().map(|one| (one.value.as_deref(), one.source)).collect();
    assert_eq!(names, [(Some("3"), 4), (Some("1"), 5)]);
    assert!(!listed("message.max.bytes").unwrap().read_only);
    assert_eq!(alter(&broker, BROKER, "1", &[("num.io.threads", SET, Some("3"))]).await, 42);
    assert_eq!(alter(&broker, BROKER, "1", &[("ssl.keystore.location", SET, Some("/k"))]).await, 40);
    assert_eq!(alter(&broker, BROKER, "1", &[("message.max.bytes", SET, Some("x"))]).await, 42);
}

#[tokio::test]
async fn groups_are_configured_within_the_bounds_of_the_broker() {
    let broker = Broker::start().await;
    let session = "consumer.session.timeout.ms";
    assert_eq!(value_of(&broker, GROUP, "g", session).await, (some("45000"), 5));
    assert_eq!(alter(&broker, GROUP, "g", &[(session, SET, Some("50000"))]).await, 0);
    assert_eq!(value_of(&broker, GROUP, "g", session).await, (some("50000"), 8));
    assert_eq!(broker.engine.image().group_config("g").consumer_session_timeout_ms, 50_000);
    for (key, operation, value, code) in [
        (session, SET, "100", 40),
        (session, SET, "100000", 40),
        (session, APPEND, "1", 40),
        ("nonsense", SET, "1", 40),
        ("share.isolation.level", SET, "nope", 40),
        ("share.auto.offset.reset", SET, "by_duration:PT1H", 0),
    ] {
        assert_eq!(alter(&broker, GROUP, "g", &[(key, operation, Some(value))]).await, code, "{key} {value}");
    }
    assert_eq!(alter(&broker, GROUP, "", &[(session, SET, Some("50000"))]).await, 42);
    assert_eq!(alter(&broker, GROUP, "g", &[(session, DELETE, None)]).await, 0);
    assert_eq!(value_of(&broker, GROUP, "g", session).await, (some("45000"), 5));
}

#[tokio::test]
async fn subscriptions_to_client_metrics_come_and_go_with_their_keys() {
    let broker = Broker::start().await;
    let changes = [("interval.ms", SET, Some("1000")), ("match", SET, Some("client_id=a.*"))];
    assert_eq!(alter(&broker, CLIENT_METRICS, "cm", &changes).await, 0);
    assert_eq!(value_of(&broker, CLIENT_METRICS, "cm", "interval.ms").await, (some("1000"), 7));
    assert_eq!(alter(&broker, CLIENT_METRICS, "cm", &[("match", SET, Some("nope=1"))]).await, 40);
    assert_eq!(alter(&broker, CLIENT_METRICS, "cm", &[("nonsense", SET, Some("1"))]).await, 42);
    assert_eq!(alter(&broker, CLIENT_METRICS, "", &[("interval.ms", SET, Some("1000"))]).await, 42);
    assert_eq!(alter(&broker, GROUP, "g", &[("consumer.heartbeat.interval.ms", SET, Some("6000"))]).await, 0);
    broker.topic("t", 1, &[]).await;

    let list = |version: i16, types: Vec<i8>| {
        let broker = &broker;
        async move {
            let request = ListConfigResourcesRequest::default().with_resource_types(types);
            let response = broker.call(version, request).await;
            let resources = response.config_resources.iter();
            let mut found: Vec<_> =
                resources.map(|one| (one.resource_type, one.resource_name.to_string())).collect();
            found.sort();
            (response.error_code, found)
        }
    };
    let named = |kind: i8, name: &str| (kind, name.to_owned());
    let all = vec![
        named(TOPIC, "t"),
        named(BROKER, "1"),
        named(BROKER_LOGGER, "1"),
        named(CLIENT_METRICS, "cm"),
        named(GROUP, "g"),
    ];
    assert_eq!(list(1, Vec::new()).await, (0, all));
    assert_eq!(list(1, vec![GROUP, TOPIC]).await, (0, vec![named(TOPIC, "t"), named(GROUP, "g")]));
    assert_eq!(list(0, Vec::new()).await, (0, vec![named(CLIENT_METRICS, "cm")]));
    assert_eq!(list(1, vec![0]).await, (35, Vec::new()));

    let gone = [("interval.ms", DELETE, None), ("match", DELETE, None)];
    assert_eq!(alter(&broker, CLIENT_METRICS, "cm", &gone).await, 0);
    assert_eq!(list(0, Vec::new()).await, (0, Vec::new()));
}

/// The codes of Kafka 4.3.1.
#[tokio::test]
async fn levels_of_loggers_are_set_all_or_none() {
    let broker = Broker::start().await;
    assert_eq!(value_of(&broker, BROKER_LOGGER, "1", "root").await, (some("INFO"), 6));
    assert_eq!(describe(&broker, BROKER_LOGGER, "1", None).await.configs.len(), 3);
    for (changes, code) in [
        (&[("root", SET, Some("DEBUG")), ("eddy_engine", SET, Some("WARN"))][..], 0),
        (&[("root", SET, Some("ERROR")), ("nobody", SET, Some("INFO"))], 40),
        (&[("root", SET, Some("NOPE"))], 40),
        (&[("root", SET, Some("debug"))], 40),
        (&[("root", SET, None)], 40),
        (&[("root", DELETE, None)], 42),
        (&[("root", APPEND, Some("INFO"))], 42),
        (&[("root", SET, Some("INFO")), ("root", SET, Some("WARN"))], 42),
    ] {
        assert_eq!(alter(&broker, BROKER_LOGGER, "1", changes).await, code, "{changes:?}");
        assert_eq!(value_of(&broker, BROKER_LOGGER, "1", "root").await, (some("DEBUG"), 6));
    }
    assert_eq!(value_of(&broker, BROKER_LOGGER, "1", "eddy_engine").await, (some("WARN"), 6));
    assert_eq!(alter(&broker, BROKER_LOGGER, "1", &[("eddy_engine", DELETE, None)]).await, 0);
    assert_eq!(value_of(&broker, BROKER_LOGGER, "1", "eddy_engine").await, (some("DEBUG"), 6));
    assert_eq!(alter(&broker, BROKER_LOGGER, "9", &[("root", SET, Some("INFO"))]).await, 42);
}
