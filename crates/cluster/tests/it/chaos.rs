//! Brokers that die and come back while producers go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eddy_engine::PartitionKey;
use eddy_types::{BrokerId, TopicId};

use crate::harness::{Brokers, World};

const PARTITIONS: i32 = 3;
const BLOWS: u64 = 8;

/// A small generator, so that a seed is all there is to the order of a run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Appends value after value until it is told to stop; gives their number.
async fn produce(brokers: Brokers, key: PartitionKey, enough: Arc<AtomicBool>) -> i32 {
    let mut sequence = 0;
    while !enough.load(Ordering::Relaxed) {
        let value = format!("value {sequence}").into_bytes();
        brokers.produce(key, 100 + i64::from(key.index), sequence, &[value]).await;
        sequence += 1;
    }
    sequence
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_is_there_once_and_in_order_after_any_deaths() {
    let seeds = std::env::var("EDDY_CHAOS_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let first = std::env::var("EDDY_CHAOS_FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        run(seed).await;
    }
}

async fn run(seed: u64) {
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut world = World::start(3).await;
    let topic: TopicId = world.create("t", 1, PARTITIONS, "2").await;
    let keys: Vec<PartitionKey> = (0..PARTITIONS).map(|index| PartitionKey { topic, index }).collect();
    let enough = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> =
        keys.iter().map(|key| tokio::spawn(produce((*world).clone(), *key, Arc::clone(&enough)))).collect();
    for _ in 0..BLOWS {
        // The time in which something may go wrong is what is tested: nothing is waited for here.
        tokio::time::sleep(Duration::from_millis(random.below(400))).await;
        let victim = BrokerId(i32::try_from(random.below(3)).unwrap() + 1);
        match random.below(4) {
            0 => world.kill(victim).await,
            1 => world.shut_down(victim).await,
            _ => world.crash(victim, random.below(u64::MAX)).await,
        }
        tokio::time::sleep(Duration::from_millis(random.below(400))).await;
        world.restart(victim).await;
    }
    enough.store(true, Ordering::Relaxed);
    for (producer, key) in producers.into_iter().zip(keys) {
        let count = producer.await.unwrap();
        world.until_isr(key, &[1, 2, 3]).await;
        let records = world.until_equal(key).await;
        let values: Vec<String> =
            records.into_iter().map(|(_, value)| String::from_utf8(value.to_vec()).unwrap()).collect();
        let expected: Vec<String> = (0..count).map(|sequence| format!("value {sequence}")).collect();
        assert_eq!(values, expected, "partition {key}, seed {seed}");
        println!("partition {} holds {count} values", key.index);
    }
    world.stop().await;
}
