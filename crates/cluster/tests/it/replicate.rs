//! Replication while nothing fails.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use eddy_engine::PartitionKey;
use eddy_metadata::controller::{NewTopic, create_topic};
use eddy_metadata::{Image, Record};
use eddy_types::{BrokerId, LeaderEpoch, Offset, PartitionEpoch, TopicId};
use tokio::time::Instant;

use crate::harness::{World, partition_state, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_on_every_replica() {
    let world = World::start(3).await;
    let topic = world.create("t", 1, 3, "2").await;
    let mut acked: BTreeMap<i32, Vec<(i64, Vec<u8>)>> = BTreeMap::new();
    for sequence in 0..100 {
        for index in 0..3 {
            let value = format!("{index}-{sequence}").into_bytes();
            let range =
                world.produce(PartitionKey { topic, index }, 7, sequence, std::slice::from_ref(&value)).await;
            acked.entry(index).or_default().push((range.start.0, value));
        }
    }
    for (index, expected) in acked {
        let records = world.until_equal(PartitionKey { topic, index }).await;
        let records: Vec<(i64, Vec<u8>)> =
            records.into_iter().map(|(at, value)| (at, value.to_vec())).collect();
        assert_eq!(records, expected);
    }
    let followed: usize = world
        .running()
        .into_iter()
        .flat_map(|node| node.cluster.stats().fetchers)
        .map(|fetcher| fetcher.partitions)
        .sum();
    assert_eq!(followed, 6, "three partitions, two followers each");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_acknowledgement_after_another_takes_milliseconds() {
    let world = World::start(3).await;
    let topic = world.create("t", 1, 1, "2").await;
    let key = PartitionKey { topic, index: 0 };
    world.produce(key, 7, 0, &[b"first".to_vec()]).await;
    let mut times: Vec<Duration> = Vec::new();
    for sequence in 1..300 {
        let began = Instant::now();
        world.produce(key, 7, sequence, &[vec![b'x'; 1000]]).await;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("acks=all on three brokers: median {median:?}, p99 {p99:?}");
    // Far above what it takes, far below any timer on the path.
    assert!(median < Duration::from_millis(50), "median {median:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_applied_everywhere_when_until_applied_returns() {
    let world = World::start(3).await;
    for id in 1..20 {
        let topic = world.create(&format!("t{id}"), id, 1, "1").await;
        for node in world.running() {
            assert!(node.engine.image().topic_by_id(topic).is_some(), "broker {} has it", node.engine.me());
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_partitions_are_followed_without_holding_up_the_runtime() {
    let world = World::start(3).await;
    let topic = world.create("many", 1, 2000, "2").await;
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    let all = || {
        let follows = |node: &crate::harness::Node| {
            let stats = node.cluster.stats();
            stats.sessions.iter().map(|session| session.partitions).sum::<usize>()
        };
        world.running().iter().map(follows).sum::<usize>() >= 4000
    };
    while !all() {
        let tick = Instant::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        slowest = slowest.max(tick.elapsed());
        assert!(began.elapsed() < crate::harness::DEADLINE, "followed in time");
    }
    println!("4000 replicas followed after {:?}, slowest tick {slowest:?}", began.elapsed());
    world.produce(PartitionKey { topic, index: 1999 }, 7, 0, &[b"x".to_vec()]).await;
    world.stop().await;
}

/// A leader that hears of its new epoch late, and a follower whose disk is done meanwhile: nobody says so twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_follower_says_before_its_leader_knows_the_epoch_is_not_forgotten() {
    let world = World::start(3).await;
    let quorum = || world.any().engine.quorum().leader().and_then(|id| world.find(id));
    let controller = until("there is a controller", quorum).await;
    let mut others = (1..=3).map(BrokerId).filter(|id| *id != controller.engine.me());
    let (leader, follower) = (others.next().unwrap(), others.next().unwrap());
    let topic = TopicId([1; 16]);
    let mut new = NewTopic::with_defaults(topic, "t");
    new.assignments = vec![(0, vec![leader, follower])];
    new.configs.push(("min.insync.replicas".to_owned(), Some("2".to_owned())));
    controller.engine.quorum().change(|image| create_topic(image, &new)).await.unwrap();
    let key = PartitionKey { topic, index: 0 };
    world.produce(key, 7, 0, &[b"both have it".to_vec()]).await;

    let replica = |id| {
        let engine = world.node(id).engine;
        async move { engine.replica(&engine.image(), key).await.unwrap() }
    };
    let (leads, follows) = (replica(leader).await, replica(follower).await);
    let log = world.hold_syncs(follower, "/data/wal");
    let brokers = (*world).clone();
    let acked = tokio::spawn(async move { brokers.produce(key, 7, 1, &[b"on its way".to_vec()]).await });
    until("the follower has it, but not on its disk", || {
        (follows.offsets().log_end == Offset(2)).then_some(())
    })
    .await;
    assert_eq!(follows.offsets().durable_end, Offset(1));

    let metadata = world.hold_syncs(leader, "/data/metadata");
    let epoch = LeaderEpoch(leads.leader_epoch().0 + 1);
    let again = |image: &Image| {
        let known = partition_state(image, key).unwrap();
        Ok::<_, std::convert::Infallible>((
            vec![Record::PartitionChanged {
                topic_id: topic,
                partition: 0,
                leader: Some(leader),
                leader_epoch: epoch,
                isr: known.isr.to_vec(),
                elr: Vec::new(),
                assignment: None,
                partition_epoch: PartitionEpoch(known.partition_epoch.0 + 1),
            }],
            (),
        ))
    };
    controller.engine.quorum().change(again).await.unwrap();
    let follower_knows = || follows.position().filter(|position| position.leader_epoch == epoch);
    until("the follower knows the new epoch", follower_knows).await;
    assert_ne!(leads.leader_epoch(), epoch, "the leader does not");
    // What is tested is what is said in this order; when it is heard cannot be seen from here.
    tokio::time::sleep(Duration::from_millis(50)).await;
    log.store(false, Ordering::SeqCst);
    until("it is on the follower's disk", || (follows.offsets().durable_end == Offset(2)).then_some(()))
        .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    metadata.store(false, Ordering::SeqCst);

    until("the leader knows it", || (leads.leader_epoch() == epoch).then_some(())).await;
    let began = Instant::now();
    assert_eq!(acked.await.unwrap().start, Offset(1));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    world.stop().await;
}
