//! Power cuts, cut links and elections in any order: what was acknowledged with acks=all stays, once, on every replica.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use eddy_core::Acks;
use eddy_engine::AckGroup;
use tokio::time::Instant;

use crate::brokers::{Brokers, id, until};
use crate::crash::Random;
use crate::harness::{batch, read_all, read_bytes};

const BROKERS: usize = 3;
const STEPS: u64 = 120;
/// How long a producer waits before it sends a batch again.
const PATIENCE: Duration = Duration::from_millis(40);

struct Chaos {
    brokers: Brokers,
    random: Random,
    down: Option<usize>,
    /// Sequence by offset.
    acknowledged: BTreeMap<i64, i32>,
    sequence: i32,
    /// Makes every attempt's bytes others: what was cut off must not look like what took its place.
    attempts: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_on_every_replica_once_r_3_111() {
    let seeds = std::env::var("EDDY_CRASH_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    for seed in 0..seeds {
        let mut random = Random(seed);
        let checkpoint = Duration::from_millis(5 + random.below(60));
        let brokers = Brokers::start(BROKERS, &[("min.insync.replicas", "2")], checkpoint).await;
        let mut chaos =
            Chaos { brokers, random, down: None, acknowledged: BTreeMap::new(), sequence: 0, attempts: 0 };
        for _ in 0..STEPS {
            chaos.step().await;
        }
        chaos.heal(seed).await;
    }
}

impl Chaos {
    async fn step(&mut self) {
        match self.random.below(20) {
            0 => self.crash().await,
            1 | 2 => self.restart().await,
            3 => self.elect_anyone().await,
            4 | 5 => {
                let (a, b) = (1 + self.random.below(3) as usize, 1 + self.random.below(3) as usize);
                let cut = self.random.below(2) == 0;
                self.brokers.cut(a, b, cut);
            }
            _ => {
                self.produce().await;
            }
        }
    }

    /// One broker at a time; the controller takes it out of the ISR unless it is the last there.
    async fn crash(&mut self) {
        if self.down.is_some() {
            return;
        }
        let number = 1 + self.random.below(BROKERS as u64) as usize;
        let seed = self.random.below(u64::MAX);
        self.brokers.crash(number, seed).await;
        self.down = Some(number);
        self.elect_anyone().await;
    }

    async fn restart(&mut self) {
        if let Some(number) = self.down.take() {
            self.brokers.up(number).await;
            // A new life gets a new epoch, and in the ISR only whom the controller can trust to be there.
            if self.brokers.known().leader.is_none_or(|leader| leader == id(number)) {
                self.elect_anyone().await;
            }
        }
    }

    /// Some member of the ISR that is up leads, in a new epoch.
    async fn elect_anyone(&mut self) {
        let known = self.brokers.known();
        let alive: Vec<usize> =
            (1..=BROKERS).filter(|n| Some(*n) != self.down && known.isr.contains(&id(*n))).collect();
        if alive.is_empty() {
            return;
        }
        let leader = alive[self.random.below(alive.len() as u64) as usize];
        self.brokers.elect(leader, &alive, &[]).await;
    }

    async fn produce(&mut self) -> bool {
        let Some(leader) = self.brokers.known().leader.map(|leader| leader.0 as usize) else { return false };
        if Some(leader) == self.down {
            return false;
        }
        self.attempts += 1;
        let value = format!("{} {:0200}", self.sequence, self.attempts).into_bytes();
        let log = self.brokers.replica(leader).await;
        let group = AckGroup::new(1);
        let batch = batch(1, self.sequence, std::slice::from_ref(&value));
        if log.append(Acks::All, batch, None, Some(group.token(0))).is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
            return false;
        }
        let Some(Ok(range)) = group.wait(Instant::now() + PATIENCE).await.remove(0) else { return false };
        let before = self.acknowledged.insert(range.start.0, self.sequence);
        assert_eq!(before, None, "an offset is acknowledged once");
        self.sequence += 1;
        true
    }

    async fn heal(&mut self, seed: u64) {
        for (a, b) in [(1, 2), (1, 3), (2, 3)] {
            self.brokers.cut(a, b, false);
        }
        self.restart().await;
        let brokers = self.brokers.clone();
        until("all in sync", || brokers.known().isr.len() == BROKERS).await;
        let begin = Instant::now();
        while !self.produce().await {
            assert!(begin.elapsed() < Duration::from_secs(20), "seed {seed}: no acknowledgement");
        }
        self.brokers.until_equal(&[1, 2, 3]).await;
        for number in 1..=BROKERS {
            let replica = self.brokers.replica(number).await;
            let records = read_all(&replica).await;
            let sequence = |value: &Bytes| {
                let text = std::str::from_utf8(value).unwrap();
                text.split(' ').next().unwrap().parse::<i32>().unwrap()
            };
            let sequences: BTreeMap<i64, i32> =
                records.iter().map(|(offset, value)| (*offset, sequence(value))).collect();
            for (offset, sequence) in &self.acknowledged {
                let found = sequences.get(offset);
                assert_eq!(found, Some(sequence), "seed {seed}: {offset} on broker {number}");
            }
            let distinct: BTreeSet<i32> = sequences.values().copied().collect();
            assert_eq!(distinct.len(), records.len(), "seed {seed}: a record is there twice on {number}");
            let first = self.brokers.replica(1).await;
            let is_equal = read_bytes(&replica).await == read_bytes(&first).await;
            assert!(is_equal, "seed {seed}: the logs of brokers 1 and {number}");
        }
    }
}
