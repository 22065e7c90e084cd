//! Records in, image out.

use std::collections::BTreeMap;
use std::sync::Arc;

use eddy_types::{BrokerId, ClusterId, LeaderEpoch, PartitionEpoch, ProducerId, TopicId};
use proptest::prelude::*;

use crate::config::StaticConfig;
use crate::quota::{QuotaEntity, QuotaKey, QuotaName, QuotaValue};
use crate::{
    ApplyError, Assignment, Endpoint, Image, Local, PartitionAssignment, PartitionCounts, PlacedPartition,
    Record, Resource, SnapshotError,
};

const ME: BrokerId = BrokerId(1);
const TOPIC: TopicId = TopicId([1; 16]);

fn local() -> Arc<Local> {
    Arc::new(Local { broker: ME, config: StaticConfig::default() })
}

fn assignment(replicas: &[i32]) -> PartitionAssignment {
    let replicas: Vec<BrokerId> = replicas.iter().map(|id| BrokerId(*id)).collect();
    PartitionAssignment { leader: replicas.first().copied(), isr: replicas.clone(), replicas }
}

fn created(id: TopicId, name: &str, replicas: &[i32]) -> Record {
    Record::TopicCreated {
        topic_id: id,
        name: name.into(),
        partitions: vec![assignment(replicas)],
        configs: BTreeMap::new(),
    }
}

fn registered(broker: i32, incarnation: u64) -> Record {
    Record::BrokerRegistered {
        broker: BrokerId(broker),
        incarnation,
        endpoints: Vec::new(),
        rack: None,
        directory: [0; 16],
    }
}

fn changed(leader_epoch: i32, partition_epoch: i32) -> Record {
    Record::PartitionChanged {
        topic_id: TOPIC,
        partition: 0,
        leader: Some(BrokerId(2)),
        leader_epoch: LeaderEpoch(leader_epoch),
        isr: vec![BrokerId(2)],
        elr: Vec::new(),
        assignment: None,
        partition_epoch: PartitionEpoch(partition_epoch),
    }
}

/// Replicas move from one broker to another.
fn moved(partition_epoch: i32, from: i32, to: i32) -> Record {
    Record::PartitionChanged {
        topic_id: TOPIC,
        partition: 0,
        leader: None,
        leader_epoch: LeaderEpoch(3),
        isr: vec![BrokerId(to)],
        elr: vec![BrokerId(from)],
        assignment: Some(Assignment {
            replicas: vec![BrokerId(to), BrokerId(from)],
            adding: vec![BrokerId(to)],
            removing: vec![BrokerId(from)],
        }),
        partition_epoch: PartitionEpoch(partition_epoch),
    }
}

fn image(records: &[Record]) -> Image {
    let mut image = Image::empty(local());
    for record in records {
        image.apply(record).unwrap();
    }
    image
}

/// A refused record leaves no trace.
fn refuse(image: &mut Image, record: &Record) -> ApplyError {
    let before = (image.version(), image.to_snapshot());
    let error = image.apply(record).unwrap_err();
    assert_eq!((image.version(), image.to_snapshot()), before, "{error}");
    error
}

#[test]
fn a_cluster_is_created_once() {
    let mut image = image(&[Record::ClusterCreated { cluster_id: ClusterId([1; 16]) }]);
    let again = Record::ClusterCreated { cluster_id: ClusterId([2; 16]) };
    assert_eq!(refuse(&mut image, &again), ApplyError::ClusterExists);
}

#[test]
fn each_registration_has_a_higher_broker_epoch() {
    let mut image = image(&[registered(1, 7)]);
    let first = image.broker(ME).unwrap().epoch;
    image.apply(&Record::BrokerFenced { broker: ME }).unwrap();
    assert_eq!(image.alive_brokers().count(), 0);
    image.apply(&registered(1, 8)).unwrap();
    assert!(image.broker(ME).unwrap().epoch > first);
    assert_eq!(image.alive_brokers().count(), 1);
    let unknown = Record::BrokerFenced { broker: BrokerId(2) };
    assert_eq!(refuse(&mut image, &unknown), ApplyError::UnknownBroker(BrokerId(2)));
}

/// R-3.131: a topic made again under an old name is another topic.
#[test]
fn a_recreated_topic_has_nothing_of_the_old_one() {
    let overrides = BTreeMap::from([("retention.ms".to_owned(), Some("5".to_owned()))]);
    let mut image = image(&[
        created(TOPIC, "t", &[1]),
        Record::ConfigsSet { resource: Resource::Topic(TOPIC), changes: overrides },
    ]);
    assert_eq!(image.topic("t").unwrap().config.retention_ms, 5);
    let same_name = created(TopicId([2; 16]), "t", &[1]);
    assert!(matches!(refuse(&mut image, &same_name), ApplyError::TopicExists { .. }));
    image.apply(&Record::TopicRemoved { topic_id: TOPIC }).unwrap();
    assert!(image.topic("t").is_none() && image.topic_by_id(TOPIC).is_none());
    // Until its directories are gone, nothing else may take the id.
    assert!(matches!(refuse(&mut image, &created(TOPIC, "u", &[1])), ApplyError::TopicExists { .. }));
    image.apply(&same_name).unwrap();
    let topic = image.topic("t").unwrap();
    assert_eq!((topic.id, topic.config.retention_ms), (TopicId([2; 16]), 604_800_000));
}

/// Data is deleted only on a committed tombstone, which stands until every replica has told that it did so.
#[test]
fn a_removed_topic_is_remembered_until_every_replica_has_reclaimed_it() {
    let mut image = image(&[created(TOPIC, "t", &[1, 2]), Record::TopicRemoved { topic_id: TOPIC }]);
    assert_eq!(image.removed_topic(TOPIC).unwrap().brokers, [BrokerId(1), BrokerId(2)].into());
    let reclaimed = |broker| Record::DirectoriesReclaimed {
        broker: BrokerId(broker),
        topic_ids: vec![TOPIC],
        partitions: Vec::new(),
    };
    image.apply(&reclaimed(1)).unwrap();
    image.apply(&reclaimed(1)).unwrap();
    assert_eq!(image.removed_topic(TOPIC).unwrap().brokers, [BrokerId(2)].into());
    image.apply(&reclaimed(2)).unwrap();
    assert_eq!(image.removed_topics().len(), 0);
}

#[test]
fn partitions_follow_those_there_are() {
    let mut image = image(&[created(TOPIC, "t", &[1])]);
    let added =
        |first| Record::PartitionsAdded { topic_id: TOPIC, first, partitions: vec![assignment(&[1])] };
    for first in [-1, 0, 2] {
        let gap = ApplyError::PartitionGap { topic_id: TOPIC, first, count: 1 };
        assert_eq!(refuse(&mut image, &added(first)), gap);
    }
    image.apply(&added(1)).unwrap();
    assert_eq!(image.topic("t").unwrap().partitions.len(), 2);
}

/// R-2.28, KIP-497.
#[test]
fn epochs_of_a_partition_never_go_backwards() {
    let mut image = image(&[created(TOPIC, "t", &[1, 2]), changed(3, 1)]);
    for (leader_epoch, partition_epoch) in [(2, 2), (3, 1), (3, 3), (4, 0)] {
        let stale = refuse(&mut image, &changed(leader_epoch, partition_epoch));
        assert!(matches!(stale, ApplyError::StaleEpoch { .. }), "{stale}");
    }
    image.apply(&changed(3, 2)).unwrap();
    let partition = &image.topic("t").unwrap().partitions[0];
    assert_eq!((partition.leader_epoch, &*partition.isr), (LeaderEpoch(3), &[BrokerId(2)][..]));
}

#[test]
fn producer_ids_are_never_given_twice() {
    let allocated = |next| Record::ProducerIdsAllocated { broker: ME, next: ProducerId(next) };
    let mut image = image(&[allocated(1000)]);
    assert_eq!(refuse(&mut image, &allocated(999)), ApplyError::ProducerIdsGoBack(ProducerId(999)));
}

/// R-3.144: broker-level values reach topics that are there.
#[test]
fn a_change_of_a_default_reaches_topics_without_an_override() {
    let mut image = image(&[created(TOPIC, "t", &[1])]);
    let default = |value: Option<&str>| Record::ConfigsSet {
        resource: Resource::BrokerDefault,
        changes: BTreeMap::from([("log.retention.ms".to_owned(), value.map(str::to_owned))]),
    };
    image.apply(&default(Some("77"))).unwrap();
    assert_eq!(image.topic("t").unwrap().config.retention_ms, 77);
    image.apply(&default(None)).unwrap();
    assert_eq!(image.topic("t").unwrap().config.retention_ms, 604_800_000);
}

#[test]
fn old_images_do_not_change() {
    let mut image = image(&[created(TOPIC, "t", &[1, 2])]);
    let old = image.clone();
    let before = old.to_snapshot();
    image.apply(&changed(1, 1)).unwrap();
    image.apply(&Record::TopicRemoved { topic_id: TOPIC }).unwrap();
    assert_eq!(old.to_snapshot(), before);
}

#[test]
fn a_snapshot_of_a_newer_version_or_of_nothing_is_refused() {
    let newer = Image::from_snapshot(br#"{"snapshot":3,"tea":true}"#, local()).unwrap_err();
    assert_eq!(newer, SnapshotError::NewerVersion { version: 3 });
    let empty = Image::from_snapshot(b"{}", local()).unwrap_err();
    assert!(matches!(empty, SnapshotError::Malformed { .. }));
}

/// What a broker of one node wrote before brokers had directories and partitions eligible leaders.
#[test]
fn a_snapshot_of_the_first_version_is_read() {
    let old = r#"{"snapshot":1,"version":3,"cluster_id":null,
        "brokers":[{"id":1,"incarnation":7,"epoch":0,"endpoints":[],"rack":null,"fenced":false}],
        "topics":[{"id":"AQEBAQEBAQEBAQEBAQEBAQ","name":"t","configs":{},"partitions":[
            {"replicas":[1,2],"leader":1,"leader_epoch":4,"isr":[1],"partition_epoch":5}]}],
        "removed":{},"broker_configs":{},"broker_default_configs":{},"next_producer_id":0}"#;
    let image = Image::from_snapshot(old.as_bytes(), local()).unwrap();
    let broker = image.broker(ME).unwrap();
    assert_eq!((broker.directory, broker.is_active(), broker.takes_more()), ([0; 16], true, true));
    let partition = image.partition(TOPIC, 0).unwrap();
    assert_eq!((partition.leader_epoch, partition.partition_epoch), (LeaderEpoch(4), PartitionEpoch(5)));
    assert!(partition.elr.is_empty() && !partition.is_reassigning());
    assert_eq!(image.removed_replicas_of(ME).count(), 0);
    let again = Image::from_snapshot(&image.to_snapshot(), local()).unwrap();
    assert_eq!(again.to_snapshot(), image.to_snapshot());
}

/// A drain is an operator's wish: only an operator ends it. A shutdown ends with the process.
#[test]
fn a_registration_ends_a_shutdown_and_not_a_drain() {
    let mut image = image(&[
        registered(1, 7),
        Record::BrokerDraining { broker: ME, draining: true },
        Record::BrokerShuttingDown { broker: ME },
    ]);
    assert!(!image.broker(ME).unwrap().is_active());
    image.apply(&registered(1, 8)).unwrap();
    let broker = image.broker(ME).unwrap();
    assert!(broker.is_active() && broker.draining && !broker.takes_more());
    image.apply(&Record::BrokerRemoved { broker: ME }).unwrap();
    for gone in [
        Record::BrokerRemoved { broker: ME },
        Record::BrokerDraining { broker: ME, draining: false },
        Record::BrokerShuttingDown { broker: ME },
    ] {
        assert_eq!(refuse(&mut image, &gone), ApplyError::UnknownBroker(ME));
    }
}

#[test]
fn partitions_are_found_and_counted_by_what_they_are() {
    let endpoint = Endpoint { listener: "kafka".into(), host: "h".into(), port: 9092 };
    let image = image(&[
        Record::BrokerRegistered {
            broker: ME,
            incarnation: 1,
            endpoints: vec![endpoint.clone()],
            rack: None,
            directory: [1; 16],
        },
        created(TOPIC, "t", &[1, 2]),
        created(TopicId([2; 16]), "u", &[2]),
        Record::ConfigsSet {
            resource: Resource::Topic(TOPIC),
            changes: [("min.insync.replicas".to_owned(), Some("2".to_owned()))].into(),
        },
        changed(1, 1),
        Record::PartitionsAdded { topic_id: TOPIC, first: 1, partitions: vec![assignment(&[1, 2])] },
    ]);
    assert_eq!(image.endpoint(ME, "kafka"), Some(&endpoint));
    assert_eq!((image.endpoint(ME, "admin"), image.endpoint(BrokerId(2), "kafka")), (None, None));
    let names = |placed: PlacedPartition<'_>| format!("{}-{}", placed.topic.name, placed.index);
    assert_eq!(image.partitions_of(ME).map(names).collect::<Vec<_>>(), ["t-0", "t-1"]);
    assert_eq!(image.leads(BrokerId(2)).map(names).collect::<Vec<_>>(), ["t-0", "u-0"]);
    assert_eq!(image.partition(TOPIC, 2), None);
    let counts = PartitionCounts {
        total: 3,
        leaderless: 0,
        under_replicated: 1,
        under_min_isr: 1,
        at_min_isr: 0,
        reassigning: 0,
        not_preferred: 1,
    };
    assert_eq!(image.partition_counts(), counts);
}

fn quota(user: &str, limit: Option<u32>) -> Record {
    let key = QuotaKey::ProducerByteRate;
    let value = limit.map(|limit| QuotaValue::new(key, limit.into()).unwrap());
    let entity = QuotaEntity { user: Some(QuotaName::Exact(user.to_owned())), ..QuotaEntity::default() };
    Record::ClientQuotasSet { entity, changes: [(key, value)].into() }
}

fn any_record() -> impl Strategy<Value = Record> {
    let id = || (0u8..4).prop_map(|n| TopicId([n; 16]));
    let value = || prop::option::of((1i64..5).prop_map(|n| n.to_string()));
    let set = |resource, key: &str, value| Record::ConfigsSet {
        resource,
        changes: [(key.to_owned(), value)].into(),
    };
    prop_oneof![
        (0i32..3, any::<u64>()).prop_map(|(broker, incarnation)| registered(broker, incarnation)),
        (0i32..3).prop_map(|broker| Record::BrokerFenced { broker: BrokerId(broker) }),
        (id(), "[ab]", 1i32..4).prop_map(|(id, name, broker)| created(id, &name, &[1, broker + 1])),
        id().prop_map(|topic_id| Record::TopicRemoved { topic_id }),
        (0i32..3, any::<bool>())
            .prop_map(|(broker, draining)| Record::BrokerDraining { broker: BrokerId(broker), draining }),
        (0i32..3).prop_map(|broker| Record::BrokerShuttingDown { broker: BrokerId(broker) }),
        (0i32..3).prop_map(|broker| Record::BrokerRemoved { broker: BrokerId(broker) }),
        (id(), 0i32..3, any::<bool>()).prop_map(|(topic, broker, moved)| Record::DirectoriesReclaimed {
            broker: BrokerId(broker),
            topic_ids: if moved { Vec::new() } else { vec![topic] },
            partitions: if moved { vec![(topic, 0)] } else { Vec::new() },
        }),
        (0i32..4, 0i32..3, 0i32..3).prop_map(|(partition_epoch, one, other)| moved(
            partition_epoch,
            one,
            other
        )),
        (0i32..4, 0i32..4).prop_map(|(leader_epoch, partition_epoch)| changed(leader_epoch, partition_epoch)),
        (id(), value()).prop_map(move |(id, value)| set(Resource::Topic(id), "retention.ms", value)),
        value().prop_map(move |value| set(Resource::BrokerDefault, "log.retention.ms", value)),
        value().prop_map(move |value| set(Resource::Broker(ME), "log.retention.ms", value)),
        value().prop_map(move |value| set(Resource::Group("g".into()), "streams.session.timeout.ms", value)),
        value().prop_map(move |value| set(Resource::ClientMetrics("m".into()), "interval.ms", value)),
        ("[ab]", prop::option::of(1u32..5)).prop_map(|(user, limit)| quota(&user, limit)),
        (0i64..9).prop_map(|next| Record::ProducerIdsAllocated { broker: ME, next: ProducerId(next) }),
    ]
}

proptest! {
    /// X25: a broker that starts from a snapshot holds the same image as one that applied every record.
    #[test]
    fn image_comes_back_from_its_snapshot(records in prop::collection::vec(any_record(), 0..40), split in 0usize..40) {
        let mut straight = Image::empty(local());
        let mut restarted = Image::empty(local());
        for (index, record) in records.iter().enumerate() {
            if index == split {
                restarted = Image::from_snapshot(&restarted.to_snapshot(), local()).unwrap();
            }
            prop_assert_eq!(straight.apply(record), restarted.apply(record));
        }
        prop_assert_eq!(straight.to_snapshot(), restarted.to_snapshot());
        for (one, other) in straight.topics().zip(restarted.topics()) {
            prop_assert_eq!(one, other);
            prop_assert_eq!(straight.topic_by_id(one.id), Some(one));
        }
        prop_assert_eq!(straight.broker_config(), restarted.broker_config());
        prop_assert_eq!(straight.client_quotas(), restarted.client_quotas());
    }
}
