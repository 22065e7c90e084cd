//! SIGKILL at random moments under load, again and again, over one data directory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eddy_client::{Acks, Connection, FetchLimits, PartitionName, PartitionReader, encode_batch};
use eddy_types::Offset;
use tokio::sync::Notify;

use super::ledger::{Ledger, Random};
use super::producers::{Producer, options};
use super::server::Server;
use crate::support::PATIENCE;

/// Name, partitions and configuration.
type Topic = (&'static str, i32, &'static [(&'static str, &'static str)]);

const PRODUCERS: u32 = 16;
/// Name, partitions and configuration; the second one rolls its segments all the time.
const TOPICS: [Topic; 3] =
    [("orders", 4, &[]), ("rolling", 2, &[("segment.bytes", "1048576")]), ("single", 1, &[])];
/// Where the first write after a start goes.
const PROBE: &str = "probe";
/// From the first acknowledgement of a round to the kill, in milliseconds.
const KILL_AFTER_MS: (u64, u64) = (20, 800);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_repeat_and_move_nothing_that_was_acknowledged() {
    run(&["wal.profile=high", "log.checkpoint.interval=300"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_on_a_small_machine() {
    run(&["wal.profile=low", "wal.total.bytes=64MiB", "log.checkpoint.interval=300"]).await;
}

/// What a run reports of its rounds.
#[derive(Default)]
struct Figures {
    answered: Vec<Duration>,
    written: Vec<Duration>,
    busy: Duration,
    resent: usize,
}

async fn run(settings: &[&str]) {
    let (rounds, seed) = (number("EDDY_KILL_ROUNDS", 8), number("EDDY_KILL_SEED", 1));
    let began = Instant::now();
    let mut server = Server::new(settings);
    let (connection, _) = server.start().await;
    let (partitions, probe) = create_topics(&connection).await;
    drop(connection);
    server.stop();

    let mut random = Random(seed);
    let mut producers: Vec<Producer> =
        (0..PRODUCERS).map(|number| Producer::new(number, seed, partitions.clone())).collect();
    let mut ledger = Ledger::new(partitions.len());
    let mut figures = Figures::default();
    for _ in 0..rounds {
        let (connection, answered) = server.start().await;
        let started = Instant::now();
        write_one(&connection, &probe).await;
        figures.answered.push(answered);
        figures.written.push(answered + started.elapsed());
        read_new(&connection, &partitions, &mut ledger).await;
        let delay = Duration::from_millis(random.between(KILL_AFTER_MS.0, KILL_AFTER_MS.1));
        figures.busy += delay;
        producers = produce_until_killed(&mut server, producers, delay, &mut ledger).await;
    }

    let (connection, _) = server.start().await;
    for producer in &mut producers {
        producer.settle(&server.connect_with(options()).await).await.unwrap();
        take_acknowledged(producer, &mut ledger);
        figures.resent += producer.resent;
    }
    read_new(&connection, &partitions, &mut ledger).await;
    ledger.check();
    read_again(&connection, &partitions, &ledger).await;
    report(settings, rounds, seed, &ledger, figures, began.elapsed());
}

async fn create_topics(connection: &Connection) -> (Arc<[PartitionName]>, PartitionName) {
    let mut partitions = Vec::new();
    for (name, count, configs) in TOPICS {
        connection.create_topic(name, count, configs).await.unwrap();
        partitions.extend(connection.topic_with_leaders(name, PATIENCE).await.unwrap().partitions());
    }
    connection.create_topic(PROBE, 1, &[]).await.unwrap();
    let probe = connection.topic_with_leaders(PROBE, PATIENCE).await.unwrap().partition(0);
    (partitions.into(), probe)
}

async fn write_one(connection: &Connection, partition: &PartitionName) {
    let batch = encode_batch(&[Bytes::from_static(b"probe")], 1_795_266_000_000, None);
    let pending = connection.start_produce(partition, Acks::All, PATIENCE, batch).await.unwrap();
    pending.acknowledged().await.unwrap();
}

/// Runs all producers until the broker is killed, `delay` after the first acknowledgement.
async fn produce_until_killed(
    server: &mut Server,
    producers: Vec<Producer>,
    delay: Duration,
    ledger: &mut Ledger,
) -> Vec<Producer> {
    let first_ack = Arc::new(Notify::new());
    let mut tasks = Vec::new();
    for mut producer in producers {
        let connection = server.connect_with(options()).await;
        let first_ack = first_ack.clone();
        tasks.push(tokio::spawn(async move {
            producer.run(&connection, &first_ack).await;
            producer
        }));
    }
    let acknowledged = tokio::time::timeout(PATIENCE, first_ack.notified()).await;
    acknowledged.expect("a first acknowledgement");
    tokio::time::sleep(delay).await;
    server.kill();
    let mut producers = Vec::new();
    for task in tasks {
        let mut producer = task.await.unwrap();
        take_acknowledged(&mut producer, ledger);
        producers.push(producer);
    }
    producers
}

fn take_acknowledged(producer: &mut Producer, ledger: &mut Ledger) {
    for (record, partition, offset) in producer.acknowledged.drain(..) {
        ledger.acknowledge(record, partition, offset);
    }
}

/// Reads what came since the last read. What could be read once must still be there: the high watermark never falls.
async fn read_new(connection: &Connection, partitions: &[PartitionName], ledger: &mut Ledger) {
    for (place, partition) in partitions.iter().enumerate() {
        let from = ledger.end(place);
        let latest = connection.latest_offset(partition).await.unwrap();
        assert!(latest >= from, "{partition} ends at {latest}, but was read up to {from}");
        let mut reader = PartitionReader::new(partition.clone(), from, FetchLimits::default());
        reader
            .read_all(connection, |offset, value| ledger.read(partition, place, offset, &value))
            .await
            .unwrap();
        assert_eq!(ledger.end(place), latest, "{partition}");
    }
}

async fn read_again(connection: &Connection, partitions: &[PartitionName], ledger: &Ledger) {
    for (place, partition) in partitions.iter().enumerate() {
        let mut reader = PartitionReader::new(partition.clone(), Offset::ZERO, FetchLimits::default());
        let mut records = 0;
        reader
            .read_all(connection, |offset, value| {
                records += 1;
                ledger.read_again(partition, place, offset, &value);
            })
            .await
            .unwrap();
        assert_eq!(Offset(records), ledger.end(place), "{partition}");
    }
}

fn report(settings: &[&str], rounds: u64, seed: u64, ledger: &Ledger, mut figures: Figures, took: Duration) {
    figures.answered.sort_unstable();
    figures.written.sort_unstable();
    let quantiles = |times: &[Duration]| {
        let at = |part: usize| times[(times.len() - 1) * part / 100].as_millis();
        format!("{}/{}/{} ms", at(50), at(99), at(100))
    };
    let acknowledged = ledger.acknowledged();
    println!(
        "{settings:?}: {rounds} kills (seed {seed}) in {took:.1?}; {acknowledged} records acknowledged, {:.0} a second under load; \
         {} batches sent again; from start to answer {}, to first write {} (p50/p99/max)",
        acknowledged as f64 / figures.busy.as_secs_f64(),
        figures.resent,
        quantiles(&figures.answered),
        quantiles(&figures.written),
    );
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")),
        Err(_) => default,
    }
}
