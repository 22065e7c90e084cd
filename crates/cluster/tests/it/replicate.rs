//! Replication while nothing fails.

use std::collections::BTreeMap;
use std::time::Duration;

use eddy_engine::PartitionKey;
use tokio::time::Instant;

use crate::harness::World;

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
