//! A topic for compaction: a given share of its records has a newer one of the same key. `eddy bench produce` writes records without keys.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Parser;
use eddy_batch::{BatchBuilder, Compression};
use eddy_client::{Acks, Connection, ConnectionOptions};
use eddy_types::Millis;

const IN_FLIGHT: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(30);
const BATCH_RECORDS: u64 = 100;
/// Keys of the records that die: few, so that nearly all of these do.
const HOT_KEYS: u64 = 1000;

#[derive(Debug, Parser)]
#[command(about = "Records with keys, most of them replaced by newer ones: work for compaction")]
struct Arguments {
    /// Address of the broker, as host:port
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    /// Topic, whose first partition is written; it must be there
    #[arg(long, default_value = "bench")]
    topic: String,
    /// MiB to be written
    #[arg(long, default_value_t = 1024)]
    mebibytes: usize,
    /// Of a hundred records so many have a newer one of the same key
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u8).range(..=100))]
    dead: u8,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 200)]
    bytes: usize,
}

/// Each hundredth record by hundredth: the survivors lie evenly, so that compaction has to take nearly every batch apart.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let load = Arguments::parse();
    let mut found = tokio::net::lookup_host(&load.bootstrap).await.context("looking up --bootstrap")?;
    let address = found.next().context("--bootstrap has no address")?;
    let options = ConnectionOptions { in_flight_max: IN_FLIGHT, ..ConnectionOptions::default() };
    let connection = Connection::open(address, options).await?;
    let topic = connection.topic_with_leaders(&load.topic, TIMEOUT).await?;
    ensure!(!topic.leaders.is_empty(), "the topic has no partitions");
    let partition = topic.partition(0);
    let mut value = vec![0; load.bytes];
    fastrand::Rng::with_seed(1).fill(&mut value);
    let began = Instant::now();
    let (mut bytes, mut records) = (0, 0);
    let mut flight = VecDeque::with_capacity(IN_FLIGHT);
    while bytes < load.mebibytes << 20 {
        let batch = batch(records, u64::from(load.dead), &value)?;
        bytes += batch.len();
        records += BATCH_RECORDS;
        flight.push_back(connection.start_produce(&partition, Acks::All, TIMEOUT, batch).await?);
        if flight.len() == IN_FLIGHT
            && let Some(oldest) = flight.pop_front()
        {
            oldest.acknowledged().await?;
        }
    }
    for pending in flight {
        pending.acknowledged().await?;
    }
    println!("{records} records, {bytes} bytes in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

fn batch(first: u64, dead: u64, value: &[u8]) -> anyhow::Result<Bytes> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let mut builder = BatchBuilder::new(Compression::None);
    for number in first..first + BATCH_RECORDS {
        // 37 has no factor in common with 100: the survivors are spread over the batch.
        let dies = number * 37 % 100 < dead;
        let key = if dies { format!("hot-{:012}", number % HOT_KEYS) } else { format!("key-{number:012}") };
        builder.append(Millis(now), Some(key.as_bytes()), Some(value));
    }
    Ok(builder.build()?)
}
