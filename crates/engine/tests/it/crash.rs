//! Power cuts at any moment, again and again, with flushes, checkpoints and recycled WAL files in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_disk::SimDisk;
use eddy_engine::{Engine, Partition};
use eddy_types::TopicId;

use crate::harness::{append, batch, create, partition, read_all, start};

const PARTITIONS: i32 = 3;
const PRODUCERS: i64 = 4;
const POWER_CUTS: u64 = 4;
/// Batches under way when the power goes.
const UNANSWERED: u64 = 10;

/// A small generator, so that a seed is all there is to a failing run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What a producer knows of one partition.
#[derive(Default, Clone)]
struct Sent {
    next_sequence: i32,
    /// The newest batch whose fate is unknown: it is sent again before anything else.
    open: Option<(i32, Vec<Vec<u8>>)>,
}

#[derive(Default)]
struct Client {
    sent: BTreeMap<(i64, i32), Sent>,
    /// Acknowledged values by partition and offset.
    acked: BTreeMap<(i32, i64), Bytes>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_power_cuts_exactly_once() {
    let seeds = std::env::var("EDDY_CRASH_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    for seed in 0..seeds {
        run(seed).await;
    }
}

async fn run(seed: u64) {
    let disk = SimDisk::new();
    let mut random = Random(seed);
    // A WAL that syncs slowly keeps batches between "appended" and "durable", where checkpoints and power cuts meet them.
    let pause = Duration::from_micros(random.below(3_000));
    disk.set_sync_hook(Some(Arc::new(move |path| {
        if path.starts_with("/data/wal") {
            std::thread::sleep(pause);
        }
    })));
    let mut client = Client::default();
    let topic = TopicId([1; 16]);
    for cut in 0..=POWER_CUTS {
        let interval = Duration::from_millis(1 + random.below(40));
        let engine = start(disk.process(), interval).await;
        if cut == 0 {
            assert_eq!(create(&engine, "t", 1, PARTITIONS).await, topic);
        }
        verify(&engine, topic, &client, seed, cut).await;
        if cut < POWER_CUTS {
            let steps = 20 + random.below(150);
            work(&engine, topic, &mut client, &mut random, steps).await;
            disk.crash(random.below(u64::MAX));
        } else {
            engine.stop().await;
        }
    }
}

/// All producers send; the last few batches are left without an answer, as a power cut leaves them.
async fn work(engine: &Arc<Engine>, topic: TopicId, client: &mut Client, random: &mut Random, steps: u64) {
    for step in 0..steps {
        let (producer, index) =
            (random.below(PRODUCERS as u64) as i64, random.below(PARTITIONS as u64) as i32);
        let partition = partition(engine, topic, index).await;
        let sent = client.sent.entry((producer, index)).or_default();
        let (first, values) = sent.open.take().unwrap_or_else(|| {
            let values = (0..1 + random.below(4)).map(|at| {
                let number = i64::from(sent.next_sequence) + at as i64;
                let mut value = format!("{producer}/{index}/{number}/").into_bytes();
                value.resize(value.len() + random.below(900) as usize, b'.');
                value
            });
            (sent.next_sequence, values.collect())
        });
        sent.next_sequence = sent.next_sequence.max(first + values.len() as i32);
        sent.open = Some((first, values.clone()));
        if step + UNANSWERED > steps {
            // Nobody waits for this one.
            let (engine, batch) = (Arc::clone(engine), batch(producer, first, &values));
            tokio::spawn(async move { append(&engine, &partition, batch).await });
            tokio::time::sleep(Duration::from_micros(random.below(800))).await;
            continue;
        }
        let range = append(engine, &partition, batch(producer, first, &values)).await.unwrap();
        client.sent.entry((producer, index)).or_default().open = None;
        for (offset, value) in (range.start.0..range.end.0).zip(values) {
            let before = client.acked.insert((index, offset), value.into());
            assert_eq!(before, None, "an offset is acknowledged once");
        }
    }
}

async fn verify(engine: &Engine, topic: TopicId, client: &Client, seed: u64, cut: u64) {
    for index in 0..PARTITIONS {
        let partition: Arc<Partition> = partition(engine, topic, index).await;
        let records = read_all(&partition).await;
        let mut seen = BTreeMap::new();
        for (offset, value) in &records {
            let again = seen.insert(value.clone(), *offset);
            assert_eq!(again, None, "seed {seed}, cut {cut}: {index}@{offset} is there twice");
        }
        for ((_, offset), value) in client.acked.range((index, 0)..(index + 1, 0)) {
            let found = records.get(*offset as usize).map(|(_, value)| value);
            assert_eq!(
                found,
                Some(value),
                "seed {seed}, cut {cut}: acknowledged {index}@{offset} is not there"
            );
        }
    }
}
