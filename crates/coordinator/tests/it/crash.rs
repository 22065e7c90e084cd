//! Power cuts at any moment: whatever was answered is there afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eddy_core::group::JoinedGroup;
use eddy_disk::SimDisk;
use eddy_types::ErrorCode;

use crate::harness::Broker;

const GROUPS: u64 = 5;
const PARTITIONS: u64 = 3;
const POWER_CUTS: u64 = 3;
/// Commits that nobody waits for when the power goes.
const UNANSWERED: u64 = 10;

/// A small generator, so that a seed is all there is to a failing run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What clients know: for each group and partition the newest answered commit, and the newest that was sent at all. Offsets
/// only rise, so that an old one coming back would show.
#[derive(Default)]
struct Known {
    answered: BTreeMap<(u64, i32), i64>,
    sent: BTreeMap<(u64, i32), i64>,
    members: BTreeMap<String, JoinedGroup>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answered_commits_and_generations_survive_power_cuts() {
    let seeds = std::env::var("EDDY_CRASH_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    for seed in 0..seeds {
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let disk = SimDisk::new();
    let mut random = Random(seed);
    // A slow sync keeps answers waiting, where the power cut meets them.
    let pause = Duration::from_micros(random.below(3_000));
    disk.set_sync_hook(Some(Arc::new(move |path| {
        if path.starts_with("/data/wal") {
            std::thread::sleep(pause);
        }
    })));
    let mut known = Known::default();
    for cut in 0..=POWER_CUTS {
        let broker = Arc::new(Broker::start(disk.process()).await);
        verify(&broker, &known, seed, cut).await;
        let steps = 20 + random.below(80);
        work(&broker, &mut known, &mut random, cut, steps).await;
        disk.crash(random.below(u64::MAX));
    }
}

async fn work(broker: &Arc<Broker>, known: &mut Known, random: &mut Random, cut: u64, steps: u64) {
    let name = format!("members{cut}");
    let joined = broker.lone_member(&name).await;
    known.members.insert(name, joined);
    for step in 0..steps {
        let (group, partition) = (random.below(GROUPS), random.below(PARTITIONS) as i32);
        let sent = known.sent.entry((group, partition)).or_default();
        *sent += 1;
        let offset = *sent;
        if step + UNANSWERED > steps {
            let broker = Arc::clone(broker);
            tokio::spawn(async move {
                broker.begin_commit(&group.to_string(), partition, offset).await.map(drop)
            });
            tokio::time::sleep(Duration::from_micros(random.below(800))).await;
            continue;
        }
        broker.commit(&group.to_string(), partition, offset).await;
        known.answered.insert((group, partition), offset);
    }
}

async fn verify(broker: &Broker, known: &Known, seed: u64, cut: u64) {
    for group in 0..GROUPS {
        let found: BTreeMap<i32, i64> = broker.fetch(&group.to_string()).await.into_iter().collect();
        for partition in 0..PARTITIONS as i32 {
            let least = known.answered.get(&(group, partition)).copied().unwrap_or(0);
            let most = known.sent.get(&(group, partition)).copied().unwrap_or(0);
            let found = found.get(&partition).copied().unwrap_or(0);
            assert!(
                (least..=most).contains(&found),
                "seed {seed}, cut {cut}: {group}/{partition} is {found}, answered {least}, sent {most}"
            );
        }
    }
    for (group, joined) in &known.members {
        let synced = broker.sync(group, joined, &[]).await;
        assert_eq!(
            (synced.error, &*synced.assignment),
            (ErrorCode::None, &b"all"[..]),
            "seed {seed}, cut {cut}"
        );
    }
}
