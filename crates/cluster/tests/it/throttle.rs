//! Throttles of replication (KIP-73).

use std::time::Duration;

use eddy_engine::PartitionKey;
use eddy_metadata::controller::ConfigTarget;
use eddy_types::BrokerId;
use tokio::time::Instant;

use crate::harness::{World, until};

/// Bytes a second.
const RATE: u64 = 500_000;

/// What the broker that comes back lacks.
const BATCHES: i32 = 40;
const BATCH: usize = 50_000;

struct Behind {
    world: World,
    key: PartitionKey,
    leader: BrokerId,
    /// Does not run, and lacks everything.
    follower: BrokerId,
    sequence: i32,
}

impl Behind {
    async fn start() -> Behind {
        let mut world = World::start(3).await;
        let topic = world.create("t", 1, 1, "2").await;
        let key = PartitionKey { topic, index: 0 };
        world.until_isr(key, &[1, 2, 3]).await;
        let (leader, _) = world.leader(key).await;
        let follower = BrokerId(if leader.0 == 3 { 2 } else { 3 });
        world.kill(follower).await;
        let others: Vec<i32> = (1..=3).filter(|id| *id != follower.0).collect();
        world.until_isr(key, &others).await;
        let mut behind = Behind { world, key, leader, follower, sequence: 0 };
        for _ in 0..BATCHES {
            behind.produce(BATCH).await;
        }
        behind
    }

    async fn produce(&mut self, bytes: usize) {
        self.world.produce(self.key, 7, self.sequence, &[vec![b'x'; bytes]]).await;
        self.sequence += 1;
    }

    async fn throttle(&self, side: &str, rate: &str) {
        let replicas = format!("{side}.replication.throttled.replicas");
        self.world.configure(ConfigTarget::Topic("t".to_owned()), &replicas, "*").await;
        let key = format!("{side}.replication.throttled.rate");
        self.world.configure(ConfigTarget::BrokerDefault, &key, rate).await;
    }

    /// Records that the follower has.
    async fn copied(&self) -> i64 {
        let engine = self.world.node(self.follower).engine;
        engine.replica(&engine.image(), self.key).await.unwrap().offsets().log_end.0
    }

    /// What the follower lacks as its leader sees it.
    fn lag(&self) -> u64 {
        self.world.node(self.leader).cluster.stats().lags[&self.follower].records
    }

    fn is_in_sync(&self) -> bool {
        let image = self.world.node(self.leader).engine.image();
        image.partition(self.key.topic, 0).unwrap().isr.contains(&self.follower)
    }

    fn throttled_bytes(&self) -> (u64, u64) {
        let sent = self.world.node(self.leader).cluster.stats().sessions;
        let taken = self.world.node(self.follower).cluster.stats().fetchers;
        (
            sent.iter().map(|session| session.throttled_bytes).sum(),
            taken.iter().map(|fetcher| fetcher.throttled_bytes).sum(),
        )
    }
}

async fn keeps_its_rate(side: &str) -> (u64, u64) {
    let mut behind = Behind::start().await;
    assert_eq!(behind.lag(), BATCHES as u64, "the leader knows it of one that does not run, too");
    behind.throttle(side, &RATE.to_string()).await;
    let began = Instant::now();
    behind.world.restart(behind.follower).await;
    // Those in sync go on meanwhile: what they copy is not held back.
    let mut slowest = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(2) {
        let sent = Instant::now();
        behind.produce(10).await;
        slowest = slowest.max(sent.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!behind.is_in_sync(), "2 MB at {RATE} a second in 2 s");
    until("the follower is in sync", || behind.is_in_sync().then_some(())).await;
    let took = began.elapsed();
    println!("{side}: in sync after {took:?}, slowest acknowledgement {slowest:?}");
    assert!(took > Duration::from_millis(3400), "2 MB at {RATE} a second took {took:?}");
    assert!(took < Duration::from_secs(15), "2 MB at {RATE} a second took {took:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    behind.world.until_equal(behind.key).await;
    until("the leader knows it", || (behind.lag() == 0).then_some(())).await;
    let throttled = behind.throttled_bytes();
    behind.world.stop().await;
    throttled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_sends_to_those_out_of_sync_at_its_rate() {
    let (sent, taken) = keeps_its_rate("leader").await;
    assert!(sent >= 2_000_000 && taken == 0, "{sent} {taken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_out_of_sync_takes_at_its_rate() {
    let (sent, taken) = keeps_its_rate("follower").await;
    assert!(sent == 0 && taken >= 2_000_000, "{sent} {taken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttle_of_nothing_holds_everything_until_it_is_lifted_and_the_stream_lives_on() {
    for side in ["leader", "follower"] {
        let mut behind = Behind::start().await;
        behind.throttle(side, "0").await;
        behind.world.restart(behind.follower).await;
        // Longer than a stream is borne that is silent.
        tokio::time::sleep(2 * crate::harness::SESSION).await;
        assert_eq!(behind.copied().await, 0, "{side}");
        let fetchers = behind.world.node(behind.follower).cluster.stats().fetchers;
        assert!(fetchers.iter().all(|fetcher| fetcher.reconnects == 0), "{side}: {fetchers:?}");
        if side == "leader" {
            let sessions = behind.world.node(behind.leader).cluster.stats().sessions;
            assert_eq!(sessions.iter().map(|session| session.held).sum::<usize>(), 1);
        }
        let lifted = Instant::now();
        behind.throttle(side, &i64::MAX.to_string()).await;
        until("the follower is in sync", || behind.is_in_sync().then_some(())).await;
        println!("{side}: in sync {:?} after the throttle was lifted", lifted.elapsed());
        behind.world.stop().await;
    }
}
