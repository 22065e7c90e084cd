//! Requests in, records or refusals out.

use std::sync::Arc;

use eddy_types::{BrokerId, ErrorCode, ProducerId, TopicId};

use super::*;
use crate::config::StaticConfig;
use crate::{Image, Local, Record, Resource};

pub(super) fn image_with(brokers: &[(i32, Option<&str>)], pairs: &[(&str, &str)]) -> Image {
    let config = StaticConfig::from_pairs(pairs.iter().copied()).unwrap();
    let mut image = Image::empty(Arc::new(Local { broker: BrokerId(1), config }));
    for (id, rack) in brokers {
        let rack = rack.map(str::to_owned);
        let registration = Registration {
            broker: BrokerId(*id),
            incarnation: 1,
            endpoints: Vec::new(),
            rack,
            directory: [1; 16],
        };
        let records = register_broker(&image, &registration).unwrap();
        commit(&mut image, &records);
    }
    image
}

pub(super) fn image() -> Image {
    image_with(&[(1, None)], &[])
}

pub(super) fn commit(image: &mut Image, records: &[Record]) {
    for record in records {
        image.apply(record).unwrap();
    }
}

fn topic(name: &str) -> NewTopic {
    let mut id = [0; 16];
    for (slot, byte) in id.iter_mut().zip(name.bytes()) {
        *slot = byte;
    }
    NewTopic::with_defaults(TopicId(id), name)
}

fn create(image: &mut Image, new: &NewTopic) {
    let (records, _) = create_topic(image, new).unwrap();
    commit(image, &records);
}

fn refused(image: &Image, new: &NewTopic) -> (ErrorCode, String) {
    let error = create_topic(image, new).unwrap_err();
    (error.code(), error.to_string())
}

fn brokers(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().map(|id| BrokerId(*id)).collect()
}

/// 1 to 249 of `[a-zA-Z0-9._-]`.
#[test]
fn topic_names_are_those_kafka_allows() {
    for name in ["a", "A.b_c-9", "...", &"x".repeat(249)] {
        assert_eq!(check_topic_name(name), Ok(()), "{name}");
    }
    for name in ["", ".", "..", "a b", "a/b", "é", "a\0", &"x".repeat(250)] {
        assert_eq!(check_topic_name(name).unwrap_err().code(), ErrorCode::InvalidTopicException, "{name}");
    }
    assert_eq!(refused(&image(), &topic("__cluster_metadata")).0, ErrorCode::InvalidRequest);
}

/// metric names do not tell `.` and `_` apart.
#[test]
fn names_equal_but_for_dots_and_underscores_collide() {
    let mut image = image();
    create(&mut image, &topic("a.b_c"));
    for name in ["a_b.c", "a.b.c", "a_b_c"] {
        let (code, text) = refused(&image, &topic(name));
        assert_eq!(code, ErrorCode::InvalidTopicException);
        assert_eq!(text, format!("topic name {name:?} collides with existing topic \"a.b_c\""));
    }
    assert_eq!(refused(&image, &topic("a.b_c")).0, ErrorCode::TopicAlreadyExists);
    create(&mut image, &topic("a-b-c"));
    create(&mut image, &topic("a.b_c.d"));
}

#[test]
fn minus_one_takes_the_broker_defaults() {
    let pairs = [("num.partitions", "3"), ("default.replication.factor", "2")];
    let image = image_with(&[(1, None), (2, None)], &pairs);
    let (_, created) = create_topic(&image, &topic("t")).unwrap();
    assert_eq!((created.topic.partitions.len(), created.replication_factor), (3, 2));
}

///
#[test]
fn counts_outside_their_bounds_are_refused() {
    let image = image();
    for partitions in [0, -2] {
        let new = NewTopic { partitions, ..topic("t") };
        assert_eq!(refused(&image, &new).0, ErrorCode::InvalidPartitions);
    }
    for replication_factor in [0, -2, 2] {
        let new = NewTopic { replication_factor, ..topic("t") };
        assert_eq!(refused(&image, &new).0, ErrorCode::InvalidReplicationFactor, "{replication_factor}");
    }
    let new = NewTopic { partitions: 10_001, ..topic("t") };
    assert_eq!(refused(&image, &new).0, ErrorCode::PolicyViolation);
    assert!(create_topic(&image, &NewTopic { partitions: 10_000, ..topic("t") }).is_ok());
}

/// As Kafka places them: a topic with three replicas can be made while one of three brokers is down.
#[test]
fn fenced_brokers_get_replicas_only_when_the_others_are_too_few() {
    let mut image = image_with(&[(1, None), (2, None)], &[]);
    image.apply(&Record::BrokerFenced { broker: BrokerId(1) }).unwrap();
    let (code, text) = refused(&image, &NewTopic { replication_factor: 3, ..topic("t") });
    assert_eq!(code, ErrorCode::InvalidReplicationFactor);
    assert_eq!(text, "replication factor 3 is larger than the number of available brokers: 1");
    let (_, created) = create_topic(&image, &topic("t")).unwrap();
    assert_eq!(*created.topic.partitions[0].replicas, *brokers(&[2]));
    let automatic = NewTopic { replication_factor: 2, ..topic("t") };
    let manual = NewTopic { assignments: vec![(0, brokers(&[1, 2]))], ..topic("t") };
    for (new, replicas) in [(automatic, [2, 1]), (manual, [1, 2])] {
        let (_, created) = create_topic(&image, &new).unwrap();
        let partition = &created.topic.partitions[0];
        assert_eq!(*partition.replicas, *brokers(&replicas));
        assert_eq!((partition.leader, &*partition.isr), (Some(BrokerId(2)), &brokers(&[2])[..]));
    }
    let new = NewTopic { assignments: vec![(0, brokers(&[1]))], ..topic("t") };
    assert_eq!(refused(&image, &new).0, ErrorCode::InvalidReplicaAssignment);
    image.apply(&Record::BrokerFenced { broker: BrokerId(2) }).unwrap();
    assert_eq!(refused(&image, &topic("t")).0, ErrorCode::InvalidReplicationFactor);
}

/// A broker that is being emptied, or about to stop, gets nothing new.
#[test]
fn draining_brokers_get_no_replicas() {
    let mut image = image_with(&[(1, None), (2, None), (3, None)], &[]);
    let records = drain_broker(&image, BrokerId(1)).unwrap();
    commit(&mut image, &records);
    let records = begin_shutdown(&image, BrokerId(2));
    commit(&mut image, &records);
    let new = NewTopic { partitions: 4, replication_factor: 2, ..topic("t") };
    let (_, created) = create_topic(&image, &new).unwrap();
    for partition in &created.topic.partitions {
        assert_eq!((&*partition.replicas, &*partition.isr), (&brokers(&[3, 2])[..], &brokers(&[3])[..]));
    }
    assert_eq!(
        refused(&image, &NewTopic { replication_factor: 3, ..topic("t") }).0,
        ErrorCode::InvalidReplicationFactor
    );
}

/// X24: every partition has a leader that is alive, whatever the ids of the brokers are.
#[test]
fn leaders_and_replicas_are_spread_evenly() {
    let image = image_with(&[(3, None), (7, None), (11, None)], &[]);
    let new = NewTopic { partitions: 9, replication_factor: 2, ..topic("t") };
    let (_, created) = create_topic(&image, &new).unwrap();
    for id in [3, 7, 11] {
        let partitions = &created.topic.partitions;
        assert_eq!(partitions.iter().filter(|p| p.leader == Some(BrokerId(id))).count(), 3);
        assert_eq!(partitions.iter().filter(|p| p.replicas.contains(&BrokerId(id))).count(), 6);
    }
}

#[test]
fn replicas_of_a_partition_stand_in_different_racks() {
    let image = image_with(&[(1, Some("a")), (2, Some("a")), (3, Some("b")), (4, Some("b"))], &[]);
    let new = NewTopic { partitions: 8, replication_factor: 2, ..topic("t") };
    let (_, created) = create_topic(&image, &new).unwrap();
    for partition in &created.topic.partitions {
        let racks: Vec<_> =
            partition.replicas.iter().map(|id| image.broker(*id).unwrap().rack.clone()).collect();
        assert_ne!(racks[0], racks[1]);
    }
}

///
#[test]
fn manual_assignments_are_checked() {
    let image = image_with(&[(1, None), (2, None)], &[]);
    let with = |assignments: &[(i32, &[i32])]| NewTopic {
        assignments: assignments.iter().map(|(partition, ids)| (*partition, brokers(ids))).collect(),
        ..topic("t")
    };
    let (_, created) = create_topic(&image, &with(&[(1, &[2, 1]), (0, &[1, 2])])).unwrap();
    assert_eq!(*created.topic.partitions[1].replicas, *brokers(&[2, 1]));
    let bad: [&[(i32, &[i32])]; 6] = [
        &[(0, &[1]), (2, &[1])],
        &[(1, &[1])],
        &[(0, &[1]), (1, &[1, 2])],
        &[(0, &[1, 1])],
        &[(0, &[9])],
        &[(0, &[])],
    ];
    for assignments in bad {
        let (code, text) = refused(&image, &with(assignments));
        assert_eq!(code, ErrorCode::InvalidReplicaAssignment, "{text}");
    }
    let twice = with(&[(0, &[1]), (0, &[2])]);
    assert_eq!(refused(&image, &twice).0, ErrorCode::InvalidReplicaAssignment);
    let counted = NewTopic { partitions: 1, ..with(&[(0, &[1])]) };
    assert_eq!(refused(&image, &counted).0, ErrorCode::InvalidRequest);
    let counted = NewTopic { replication_factor: 1, ..with(&[(0, &[1])]) };
    assert_eq!(refused(&image, &counted).0, ErrorCode::InvalidRequest);
}

///
#[test]
fn configs_of_a_new_topic_are_checked_and_made_canonical() {
    let image = image();
    let with = |key: &str, value: Option<&str>| NewTopic {
        configs: vec![(key.to_owned(), value.map(str::to_owned))],
        ..topic("t")
    };
    let (records, created) = create_topic(&image, &with("retention.ms", Some("1h"))).unwrap();
    assert_eq!(created.topic.config.retention_ms, 3_600_000);
    assert!(
        matches!(&records[..], [Record::TopicCreated { configs, .. }] if configs["retention.ms"] == "3600000")
    );
    let bad = [
        ("no.such.key", Some("1")),
        ("message.format.version", Some("3.0")),
        ("retention.ms", Some("soon")),
        ("retention.ms", None),
        ("min.compaction.lag.ms", Some("9223372036854775807")),
        ("remote.storage.enable", Some("true")),
        ("num.partitions", Some("3")),
    ];
    for (key, value) in bad {
        let new = with(key, value);
        if key == "min.compaction.lag.ms" {
            let mut new = new;
            new.configs.push(("max.compaction.lag.ms".to_owned(), Some("1".to_owned())));
            assert_eq!(refused(&image, &new).0, ErrorCode::InvalidConfig);
        } else {
            assert_eq!(refused(&image, &new).0, ErrorCode::InvalidConfig, "{key}");
        }
    }
}

/// X24: every topic of a request is decided, and the good ones are whole.
#[test]
fn topics_of_one_request_are_decided_one_by_one() {
    let mut image = image();
    let request = [topic("a.b"), topic("twice"), topic("a_b"), topic("twice"), topic("no name"), topic("c")];
    let (records, results) = create_topics(&image, &request);
    let codes: Vec<ErrorCode> = results
        .iter()
        .map(|result| result.as_ref().map_or_else(|error| error.code(), |_| ErrorCode::None))
        .collect();
    assert_eq!(
        codes,
        [
            ErrorCode::None,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidTopicException,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidTopicException,
            ErrorCode::None
        ]
    );
    commit(&mut image, &records);
    for created in results.into_iter().flatten() {
        assert_eq!(image.topic(&created.topic.name), Some(&created.topic));
    }
}

#[test]
fn one_request_creates_a_bounded_number_of_partitions() {
    let request = [NewTopic { partitions: 6000, ..topic("a") }, NewTopic { partitions: 6000, ..topic("b") }];
    let (records, results) = create_topics(&image(), &request);
    assert_eq!(records.len(), 1);
    assert_eq!(results[1].as_ref().unwrap_err().code(), ErrorCode::PolicyViolation);
}

///
#[test]
fn topics_are_deleted_by_name_or_id() {
    let mut image = image();
    create(&mut image, &topic("t"));
    create(&mut image, &topic("u"));
    let code = |topic| delete_topic(&image, &topic).unwrap_err().code();
    assert_eq!(code(TopicRef::Name("v")), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(code(TopicRef::Id(TopicId([9; 16]))), ErrorCode::UnknownTopicId);
    let (by_name, _) = delete_topic(&image, &TopicRef::Name("t")).unwrap();
    let (by_id, deleted) = delete_topic(&image, &TopicRef::Id(topic("u").id)).unwrap();
    assert_eq!(&*deleted.name, "u");
    commit(&mut image, &by_name);
    commit(&mut image, &by_id);
    assert_eq!(image.topic_count(), 0);
    let owed: Vec<TopicId> = image.removed_topics().map(|(id, _)| id).collect();
    assert_eq!(reclaim_directories(&image, BrokerId(2), &owed, &[]), []);
    let records = reclaim_directories(&image, BrokerId(1), &owed, &[]);
    commit(&mut image, &records);
    assert_eq!(image.removed_topics().len(), 0);
    assert_eq!(reclaim_directories(&image, BrokerId(1), &owed, &[]), []);

    let fixed = image_with(&[(1, None)], &[("delete.topic.enable", "false")]);
    assert_eq!(
        delete_topic(&fixed, &TopicRef::Name("t")).unwrap_err().code(),
        ErrorCode::TopicDeletionDisabled
    );
}

///
#[test]
fn topics_grow_and_never_shrink() {
    let mut image = image_with(&[(1, None), (2, None)], &[]);
    create(&mut image, &NewTopic { partitions: 2, replication_factor: 2, ..topic("t") });
    let grow = |image: &Image, count, assignments: Option<&[&[i32]]>| {
        let assignments = assignments.map(|all| all.iter().map(|ids| brokers(ids)).collect());
        create_partitions(image, &NewPartitions { topic: "t".into(), count, assignments })
    };
    for count in [-1, 0, 1, 2] {
        assert_eq!(grow(&image, count, None).unwrap_err().code(), ErrorCode::InvalidPartitions);
    }
    assert_eq!(grow(&image, 20_000, None).unwrap_err().code(), ErrorCode::PolicyViolation);
    let bad: [&[&[i32]]; 5] = [&[], &[&[1, 2], &[1, 2]], &[&[1]], &[&[1, 1]], &[&[1, 3]]];
    for assignments in bad {
        let error = grow(&image, 3, Some(assignments)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidReplicaAssignment, "{error}");
    }
    let records = grow(&image, 3, Some(&[&[2, 1]])).unwrap();
    commit(&mut image, &records);
    let records = grow(&image, 5, None).unwrap();
    commit(&mut image, &records);
    let topic = image.topic("t").unwrap();
    assert_eq!(topic.partitions.len(), 5);
    assert_eq!(topic.partitions[2].leader, Some(BrokerId(2)));
    assert!(topic.partitions.iter().all(|partition| partition.replicas.len() == 2));
    let unknown = NewPartitions { topic: "u".into(), count: 3, assignments: None };
    assert_eq!(create_partitions(&image, &unknown).unwrap_err().code(), ErrorCode::UnknownTopicOrPartition);
}

fn change(key: &str, operation: AlterOperation, value: Option<&str>) -> ConfigChange {
    ConfigChange { key: key.to_owned(), operation, value: value.map(str::to_owned) }
}

fn set(key: &str, value: &str) -> ConfigChange {
    change(key, AlterOperation::Set, Some(value))
}

fn on_topic() -> ConfigTarget {
    ConfigTarget::Topic("t".to_owned())
}

fn overrides(image: &Image) -> Vec<(&str, &str)> {
    image.topic("t").unwrap().overrides.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

///
#[test]
fn incremental_changes_set_delete_append_and_subtract() {
    use AlterOperation::{Append, Delete, Subtract};
    let mut image = image();
    create(&mut image, &topic("t"));
    let mut alter = |changes: &[ConfigChange]| {
        let records = alter_configs(&image, &on_topic(), changes).unwrap();
        commit(&mut image, &records);
        (
            records.len(),
            overrides(&image).iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "),
        )
    };
    let policy = |operation, value| change("cleanup.policy", operation, Some(value));
    assert_eq!(alter(&[set("retention.ms", "1s")]), (1, "retention.ms=1000".into()));
    assert_eq!(alter(&[set("retention.ms", "1000")]), (0, "retention.ms=1000".into()));
    assert_eq!(
        alter(&[policy(Append, "compact,delete"), change("retention.ms", Delete, None)]),
        (1, "cleanup.policy=delete,compact".into())
    );
    assert_eq!(alter(&[policy(Subtract, "delete,unheard")]), (1, "cleanup.policy=compact".into()));
    assert_eq!(alter(&[change("cleanup.policy", Delete, None)]), (1, String::new()));
    assert_eq!(alter(&[change("segment.ms", Delete, None)]), (0, String::new()));
}

///
#[test]
fn one_bad_change_refuses_all_of_the_resource() {
    use AlterOperation::{Append, Set, Subtract};
    let mut image = image();
    create(&mut image, &topic("t"));
    let good = || set("retention.ms", "5");
    let cases = [
        (set("no.such.key", "1"), ErrorCode::InvalidConfig),
        (set("segment.bytes", "14"), ErrorCode::InvalidConfig),
        (change("segment.ms", Append, Some("1")), ErrorCode::InvalidConfig),
        (change("segment.ms", Subtract, Some("1")), ErrorCode::InvalidConfig),
        (change("cleanup.policy", Append, Some("tea")), ErrorCode::InvalidConfig),
        (change("segment.ms", Set, None), ErrorCode::InvalidRequest),
        (set("retention.ms", "6"), ErrorCode::InvalidRequest),
        (set("remote.storage.enable", "true"), ErrorCode::InvalidConfig),
    ];
    for (bad, code) in cases {
        let error = alter_configs(&image, &on_topic(), &[good(), bad]).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    let code = |target| alter_configs(&image, &target, &[good()]).unwrap_err().code();
    assert_eq!(code(ConfigTarget::Topic("u".into())), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(code(ConfigTarget::Broker(BrokerId(9))), ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn full_replacement_returns_everything_else_to_its_default() {
    let mut image = image();
    create(&mut image, &topic("t"));
    let first =
        alter_configs(&image, &on_topic(), &[set("retention.ms", "5"), set("segment.ms", "7")]).unwrap();
    commit(&mut image, &first);
    let entries =
        [("segment.ms".to_owned(), Some("7".to_owned())), ("segment.bytes".into(), Some("1MiB".into()))];
    let records = replace_configs(&image, &on_topic(), &entries).unwrap();
    let [Record::ConfigsSet { resource: Resource::Topic(_), changes }] = &records[..] else { panic!() };
    assert_eq!(changes.len(), 2);
    commit(&mut image, &records);
    assert_eq!(overrides(&image), [("segment.bytes", "1048576"), ("segment.ms", "7")]);
    let null = [("segment.ms".to_owned(), None)];
    assert_eq!(replace_configs(&image, &on_topic(), &null).unwrap_err().code(), ErrorCode::InvalidRequest);
}

#[test]
fn broker_keys_change_dynamically_or_not_at_all() {
    let mut image = image();
    for target in [ConfigTarget::BrokerDefault, ConfigTarget::Broker(BrokerId(1))] {
        let code = |change| alter_configs(&image, &target, &[change]).unwrap_err().code();
        assert_eq!(code(set("num.partitions", "4")), ErrorCode::InvalidRequest);
        assert_eq!(code(set("foo.bar", "4")), ErrorCode::InvalidConfig);
        assert_eq!(code(set("retention.ms", "4")), ErrorCode::InvalidConfig);
    }
    let all = ConfigTarget::BrokerDefault;
    let records = alter_configs(&image, &all, &[set("log.cleaner.backoff.ms", "2s")]).unwrap();
    commit(&mut image, &records);
    assert_eq!(image.broker_config().log_cleaner_backoff_ms, 2000);
    let own = set("log.cleaner.backoff.ms", "3000");
    let records = alter_configs(&image, &ConfigTarget::Broker(BrokerId(1)), &[own]).unwrap();
    commit(&mut image, &records);
    assert_eq!(image.broker_config().log_cleaner_backoff_ms, 3000);
}

#[test]
fn groups_and_client_metrics_are_configured_within_bounds() {
    let mut image = image();
    let group = ConfigTarget::Group("g".into());
    let metrics = ConfigTarget::ClientMetrics("m".into());
    let cases = [
        (
            &group,
            set("consumer.session.timeout.ms", "100"),
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (
            &group,
            set("consumer.session.timeout.ms", "100000"),
            "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms",
        ),
        (
            &group,
            set("streams.num.standby.replicas", "3"),
            "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas",
        ),
        (&group, set("nonsense", "1"), "unknown group config name: nonsense"),
        (
            &group,
            change("consumer.session.timeout.ms", AlterOperation::Append, Some("1")),
            "can't APPEND to key consumer.session.timeout.ms because its type is not LIST",
        ),
        (
            &group,
            set("share.auto.offset.reset", "by_duration:1h"),
            "must be earliest, latest or by_duration:PnDTnHnMn.nS",
        ),
        (&metrics, set("match", "nope=1"), "illegal client matching pattern: nope=1"),
        (&metrics, set("interval.ms", "1x"), "unknown unit \"x\", use ms, s, m, h or d"),
    ];
    for (target, bad, sentence) in cases {
        let error = alter_configs(&image, target, &[bad]).unwrap_err();
        assert!(error.to_string().ends_with(sentence), "{error}");
        assert_eq!(error.code(), ErrorCode::InvalidConfig, "{error}");
    }
    for bad in [set("nonsense", "1"), set("interval.ms", "99")] {
        let error = alter_configs(&image, &metrics, &[bad]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRequest, "{error}");
    }
    let good =
        [set("share.auto.offset.reset", "by_duration:PT1H"), set("consumer.session.timeout.ms", "50s")];
    let records = alter_configs(&image, &group, &good).unwrap();
    commit(&mut image, &records);
    let records = alter_configs(&image, &metrics, &[set("metrics", "*")]).unwrap();
    commit(&mut image, &records);
    assert_eq!(image.group_config("g").consumer_session_timeout_ms, 50_000);
    assert_eq!(image.client_metrics_names().collect::<Vec<_>>(), ["m"]);
    let gone = change("metrics", AlterOperation::Delete, None);
    let records = alter_configs(&image, &metrics, &[gone]).unwrap();
    commit(&mut image, &records);
    assert_eq!(image.client_metrics_names().count(), 0);
    let records = replace_configs(&image, &group, &[]).unwrap();
    commit(&mut image, &records);
    assert_eq!(image.configured_groups().count(), 0);
}

#[test]
fn all_keys_that_only_a_restart_changes_are_named_and_deleting_them_is_nothing() {
    let image = image();
    let both = [set("broker.id", "9"), set("num.partitions", "3"), set("message.max.bytes", "1")];
    let error = alter_configs(&image, &ConfigTarget::BrokerDefault, &both).unwrap_err();
    assert_eq!(error.to_string(), "cannot update these configs dynamically: [broker.id, num.partitions]");
    let delete = [change("num.partitions", AlterOperation::Delete, None)];
    assert_eq!(alter_configs(&image, &ConfigTarget::BrokerDefault, &delete), Ok(Vec::new()));
    let bad = [set("message.max.bytes", "x")];
    let error = alter_configs(&image, &ConfigTarget::BrokerDefault, &bad).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
}

#[test]
fn a_restart_replaces_the_registration_and_a_repetition_does_nothing() {
    let mut image = image();
    let mut registration = Registration {
        broker: BrokerId(1),
        incarnation: 1,
        endpoints: Vec::new(),
        rack: None,
        directory: [1; 16],
    };
    assert_eq!(register_broker(&image, &registration), Ok(Vec::new()));
    registration.incarnation = 2;
    assert_eq!(register_broker(&image, &registration).unwrap().len(), 1);
    image.apply(&Record::BrokerFenced { broker: BrokerId(1) }).unwrap();
    registration.incarnation = 1;
    assert_eq!(register_broker(&image, &registration).unwrap().len(), 1);
}

///
#[test]
fn producer_ids_come_in_blocks_of_a_thousand() {
    let mut image = image();
    for first in [0, 1000, 2000] {
        let (records, block) = allocate_producer_ids(&image, BrokerId(1)).unwrap();
        assert_eq!(block, ProducerIdBlock { first: ProducerId(first), count: 1000 });
        commit(&mut image, &records);
    }
    let last = Record::ProducerIdsAllocated { broker: BrokerId(1), next: ProducerId(i64::MAX - 500) };
    commit(&mut image, &[last]);
    assert_eq!(allocate_producer_ids(&image, BrokerId(1)), Err(ProducerIdsExhausted));
}
