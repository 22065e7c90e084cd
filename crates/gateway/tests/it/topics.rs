//! CreateTopics, DeleteTopics, CreatePartitions and DescribeLogDirs.

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeLogDirsRequest,
};

use crate::harness::{Broker, settings, text, topic_name};
use crate::records::batch;

fn new(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replicas)
}

fn assigned(name: &str, replicas: &[(i32, &[i32])]) -> CreatableTopic {
    let assignments = replicas.iter().map(|(index, brokers)| {
        let brokers = brokers.iter().map(|&broker| broker.into()).collect();
        CreatableReplicaAssignment::default().with_partition_index(*index).with_broker_ids(brokers)
    });
    new(name, -1, -1).with_assignments(assignments.collect())
}

fn configured(name: &str, key: &str, value: Option<&str>) -> CreatableTopic {
    let config = CreatableTopicConfig::default().with_name(text(key)).with_value(value.map(text));
    new(name, 1, 1).with_configs(vec![config])
}

async fn create(broker: &Broker, version: i16, topics: Vec<CreatableTopic>) -> Vec<(String, i16)> {
    let request = CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(5000);
    let response = broker.call(version, request).await;
    response.topics.iter().map(|topic| (topic.name.to_string(), topic.error_code)).collect()
}

fn partitions(broker: &Broker, topic: &str) -> Option<usize> {
    broker.engine.image().topic(topic).map(|topic| topic.partitions.len())
}

#[tokio::test]
async fn every_way_to_name_a_topic_wrongly_has_its_code_r_3_140() {
    let broker = Broker::start().await;
    broker.topic("there", 1, &[]).await;
    broker.topic("with.dot", 1, &[]).await;
    let (longest, too_long) = ("x".repeat(249), "x".repeat(250));
    for version in 2..=7 {
        for (name, code) in [
            ("", 17),
            (".", 17),
            ("..", 17),
            ("a b", 17),
            ("ä", 17),
            (too_long.as_str(), 17),
            ("with_dot", 17),
            ("with.dot", 36),
            ("there", 36),
            ("__cluster_metadata", 42),
            (longest.as_str(), 0),
        ] {
            let request = CreateTopicsRequest::default()
                .with_topics(vec![new(name, 1, 1)])
                .with_validate_only(true)
                .with_timeout_ms(5000);
            let response = broker.call(version, request).await;
            assert_eq!(response.topics[0].error_code, code, "{name:?} version {version}");
            assert_eq!(response.topics[0].error_message.is_some(), code != 0);
        }
    }
}

#[tokio::test]
async fn counts_and_assignments_are_checked_r_3_140() {
    let broker = Broker::start().await;
    for (what, topic, code) in [
        ("no partitions", new("t", 0, 1), 37),
        ("-2 partitions", new("t", -2, 1), 37),
        ("no replicas", new("t", 1, 0), 38),
        ("-2 replicas", new("t", 1, -2), 38),
        ("more replicas than brokers", new("t", 1, 2), 38),
        ("more partitions than a request may make", new("t", 100_000, 1), 44),
        ("a count beside an assignment", assigned("t", &[(0, &[1])]).with_num_partitions(1), 42),
        ("a gap", assigned("t", &[(0, &[1]), (2, &[1])]), 39),
        ("not from 0 on", assigned("t", &[(1, &[1])]), 39),
        ("a partition twice", assigned("t", &[(0, &[1]), (0, &[1])]), 39),
        ("an unknown broker", assigned("t", &[(0, &[7])]), 39),
        ("a broker twice", assigned("t", &[(0, &[1, 1])]), 39),
        ("nobody", assigned("t", &[(0, &[])]), 39),
    ] {
        assert_eq!(create(&broker, 7, vec![topic]).await, [("t".to_owned(), code)], "{what}");
    }
    let good = assigned("t", &[(1, &[1]), (0, &[1])]);
    assert_eq!(create(&broker, 7, vec![good]).await, [("t".to_owned(), 0)]);
    assert_eq!(partitions(&broker, "t"), Some(2));
}

#[tokio::test]
async fn minus_one_is_the_default_in_every_version_r_3_140() {
    let broker = Broker::with(settings(), &[("num.partitions", "4")]).await;
    for version in 2..=7 {
        let name = format!("t{version}");
        assert_eq!(create(&broker, version, vec![new(&name, -1, -1)]).await, [(name.clone(), 0)]);
        assert_eq!(partitions(&broker, &name), Some(4));
    }
}

#[tokio::test]
async fn bad_configurations_are_refused_r_3_140() {
    let broker = Broker::start().await;
    for (key, value) in [
        ("nope", Some("1")),
        ("retention.ms", Some("soon")),
        ("retention.ms", None),
        ("cleanup.policy", Some("burn")),
        ("segment.bytes", Some("1")),
        ("min.insync.replicas", Some("0")),
    ] {
        assert_eq!(create(&broker, 7, vec![configured("t", key, value)]).await[0].1, 40, "{key} {value:?}");
    }
    assert_eq!(create(&broker, 7, vec![configured("t", "retention.ms", Some("-1"))]).await[0].1, 0);
}

#[tokio::test]
async fn a_request_is_decided_topic_by_topic_and_a_name_twice_is_none() {
    let broker = Broker::start().await;
    let topics =
        vec![new("a", 1, 1), new("twice", 1, 1), new("a b", 1, 1), new("twice", 2, 1), new("b", 1, 1)];
    let answers = create(&broker, 7, topics).await;
    let told: Vec<(&str, i16)> = answers.iter().map(|(name, code)| (name.as_str(), *code)).collect();
    assert_eq!(told, [("a", 0), ("twice", 42), ("a b", 17), ("b", 0)]);
    assert_eq!((partitions(&broker, "a"), partitions(&broker, "twice")), (Some(1), None));
}

#[tokio::test]
async fn the_answer_describes_the_topic_from_version_5_on() {
    let broker = Broker::start().await;
    for version in 2..=7 {
        let name = format!("t{version}");
        let request = CreateTopicsRequest::default()
            .with_topics(vec![configured(&name, "retention.ms", Some("1234")).with_num_partitions(2)])
            .with_timeout_ms(5000);
        let topic = broker.call(version, request).await.topics.remove(0);
        assert_eq!((topic.error_code, topic.error_message), (0, None));
        assert_eq!(topic.num_partitions, if version >= 5 { 2 } else { -1 });
        assert_eq!(topic.topic_id.is_nil(), version < 7);
        let configs = topic.configs.unwrap_or_default();
        let retention = configs.iter().find(|config| config.name.as_str() == "retention.ms");
        assert_eq!(
            retention.map(|config| (config.value.as_deref(), config.config_source)),
            (version >= 5).then_some((Some("1234"), 1))
        );
    }
}

#[tokio::test]
async fn validation_makes_nothing_and_no_time_is_too_little() {
    let broker = Broker::start().await;
    for (validate, timeout, code) in [(true, 5000, 0), (true, 0, 7), (false, 0, 7), (false, -1, 7)] {
        let request = CreateTopicsRequest::default()
            .with_topics(vec![new("t", 1, 1)])
            .with_validate_only(validate)
            .with_timeout_ms(timeout);
        let topic = broker.call(7, request).await.topics.remove(0);
        assert_eq!((topic.error_code, topic.topic_id.is_nil()), (code, true));
        assert_eq!(partitions(&broker, "t"), None);
    }
}

async fn delete(broker: &Broker, topics: Vec<DeleteTopicState>) -> Vec<(Option<String>, i16)> {
    let request = DeleteTopicsRequest::default().with_topics(topics).with_timeout_ms(5000);
    let response = broker.call(6, request).await;
    let told = response.responses.iter();
    told.map(|one| (one.name.as_ref().map(|name| name.to_string()), one.error_code)).collect()
}

fn by_name(name: &str) -> DeleteTopicState {
    DeleteTopicState::default().with_name(Some(topic_name(name)))
}

#[tokio::test]
async fn topics_are_deleted_by_name_in_every_version_r_3_145() {
    let broker = Broker::start().await;
    for version in 1..=6 {
        broker.topic("t", 1, &[]).await;
        let mut request = DeleteTopicsRequest::default().with_timeout_ms(5000);
        if version >= 6 {
            request.topics = vec![by_name("t"), by_name("nope")];
        } else {
            request.topic_names = vec![topic_name("t"), topic_name("nope")];
        }
        let response = broker.call(version, request).await;
        let codes: Vec<i16> = response.responses.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [0, 3], "version {version}");
        assert_eq!(partitions(&broker, "t"), None);
    }
}

#[tokio::test]
async fn topics_are_deleted_by_id_r_3_145() {
    let broker = Broker::start().await;
    broker.topic("t", 1, &[]).await;
    let id = crate::metadata::topic(&broker, "t").await.topic_id;
    let by_id = |id| DeleteTopicState::default().with_name(None).with_topic_id(id);
    let unknown = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
    let both = by_name("t").with_topic_id(id);
    let neither = DeleteTopicState::default().with_name(None);
    assert_eq!(delete(&broker, vec![both]).await, [(Some("t".to_owned()), 42)]);
    assert_eq!(delete(&broker, vec![neither]).await, [(None, 42)]);
    assert_eq!(delete(&broker, vec![by_id(unknown)]).await, [(None, 100)]);
    assert_eq!(delete(&broker, vec![by_name("t"), by_id(id)]).await, [(Some("t".to_owned()), 42)]);
    assert_eq!(delete(&broker, vec![by_id(id), by_id(id)]).await, [(None, 42)]);
    assert_eq!(delete(&broker, vec![by_name("t"), by_name("t")]).await, [(Some("t".to_owned()), 42)]);
    assert_eq!(partitions(&broker, "t"), Some(1), "nothing of these deleted it");
    assert_eq!(delete(&broker, vec![by_id(id)]).await, [(Some("t".to_owned()), 0)]);
    assert_eq!(delete(&broker, vec![by_id(id)]).await, [(None, 100)]);
}

#[tokio::test]
async fn deletion_can_be_forbidden_and_needs_time_r_3_145() {
    let broker = Broker::with(settings(), &[("delete.topic.enable", "false")]).await;
    broker.topic("t", 1, &[]).await;
    assert_eq!(delete(&broker, vec![by_name("t")]).await[0].1, 73);
    let request =
        DeleteTopicsRequest::default().with_topics(vec![by_name("t"), by_name("nope")]).with_timeout_ms(0);
    let codes = async |broker: &Broker, version, request| {
        let responses = broker.call::<DeleteTopicsRequest>(version, request).await.responses;
        responses.iter().map(|one| one.error_code).collect::<Vec<i16>>()
    };
    assert_eq!(codes(&broker, 6, request.clone()).await, [73, 73]);
    // Versions before 3 do not know the code.
    let names = vec![topic_name("t"), topic_name("nope")];
    let old = DeleteTopicsRequest::default().with_topic_names(names).with_timeout_ms(5000);
    assert_eq!(codes(&broker, 2, old).await, [42, 42]);
    assert_eq!(codes(&Broker::start().await, 6, request).await, [7, 7], "no time to delete anything");
}

fn grown(name: &str, count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let assignment = |brokers: &&[i32]| {
        let brokers = brokers.iter().map(|&broker| broker.into()).collect();
        CreatePartitionsAssignment::default().with_broker_ids(brokers)
    };
    CreatePartitionsTopic::default()
        .with_name(topic_name(name))
        .with_count(count)
        .with_assignments(assignments.map(|assignments| assignments.iter().map(assignment).collect()))
}

#[tokio::test]
async fn topics_grow_and_never_shrink_r_3_141() {
    let broker = Broker::start().await;
    broker.topic("t", 2, &[]).await;
    for version in 0..=3 {
        for (what, topic, code) in [
            ("equal", grown("t", 2, None), 37),
            ("lower", grown("t", 1, None), 37),
            ("negative", grown("t", -1, None), 37),
            ("unknown", grown("nope", 5, None), 3),
            ("an assignment too short", grown("t", 4, Some(&[&[1]])), 39),
            ("an assignment too long", grown("t", 3, Some(&[&[1], &[1]])), 39),
            ("an unknown broker", grown("t", 3, Some(&[&[7]])), 39),
            ("good", grown("t", 3, None), 0),
            ("good and assigned", grown("t", 3, Some(&[&[1]])), 0),
        ] {
            let request = CreatePartitionsRequest::default()
                .with_topics(vec![topic])
                .with_timeout_ms(5000)
                .with_validate_only(true);
            let response = broker.call(version, request).await;
            assert_eq!(response.results[0].error_code, code, "{what}");
        }
    }
    assert_eq!(partitions(&broker, "t"), Some(2), "all that was validation");
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![grown("t", 3, None), grown("u", 3, None), grown("u", 4, None)])
        .with_timeout_ms(5000);
    let response = broker.call(3, request.clone()).await;
    let codes: Vec<i16> = response.results.iter().map(|one| one.error_code).collect();
    assert_eq!((codes, partitions(&broker, "t")), (vec![0, 42], Some(3)));
    assert_eq!(broker.produce("t", 2, batch(&["x"])).await.error_code, 0, "the new one is there at once");
    let late = broker.call(3, request.with_timeout_ms(0)).await;
    assert_eq!(late.results[0].error_code, 7);
}

#[tokio::test]
async fn log_dirs_tell_sizes_of_what_is_asked_for() {
    let broker = Broker::start().await;
    broker.topic("t", 3, &[]).await;
    broker.topic("u", 1, &[]).await;
    broker.produce("t", 0, batch(&["x"])).await;
    let topic = |name: &str, partitions: Vec<i32>| {
        DescribableLogDirTopic::default().with_topic(topic_name(name)).with_partitions(partitions)
    };
    for (asked, expected) in [
        (None, vec![("t", 3), ("u", 1)]),
        (Some(vec![]), vec![]),
        (Some(vec![topic("t", vec![])]), vec![]),
        (Some(vec![topic("nope", vec![0])]), vec![]),
        (
            Some(vec![topic("t", vec![0]), topic("t", vec![2, 9]), topic("u", vec![0])]),
            vec![("t", 2), ("u", 1)],
        ),
    ] {
        for version in 1..=4 {
            let request = DescribeLogDirsRequest::default().with_topics(asked.clone());
            let response = broker.call(version, request).await;
            assert_eq!((response.error_code, response.results.len()), (0, 1));
            let topics = &response.results[0].topics;
            let mut told: Vec<(&str, usize)> =
                topics.iter().map(|topic| (topic.name.as_str(), topic.partitions.len())).collect();
            told.sort_unstable();
            assert_eq!(told, expected);
        }
    }
    let all = broker.call(4, DescribeLogDirsRequest::default().with_topics(None)).await;
    assert!(all.results[0].total_bytes > 0 && all.results[0].usable_bytes > 0);
}
