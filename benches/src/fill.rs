//! A topic for compaction: a given share of its records has a newer one of the same key.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use bytes::Bytes;
use eddy_batch::{BatchBuilder, Compression};
use eddy_client::Acks;
use eddy_types::Millis;

use crate::Fill;
use crate::produce::noise;
use crate::target::Target;

const IN_FLIGHT: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(30);
const BATCH_RECORDS: u64 = 100;
/// Keys of the records that die: few, so that nearly all of these do.
const HOT_KEYS: u64 = 1000;

/// Writes the topic's first partition. Each hundredth record by hundredth: the survivors lie evenly, so that compaction has to
/// take nearly every batch apart.
pub(crate) async fn run(target: &Target, load: &Fill) -> anyhow::Result<()> {
    ensure!(load.dead <= 100, "--dead is a share of a hundred");
    let (topic, _) = target.topic_of(1).await?;
    let partition = topic.partition(0);
    let connection = target.connect_leader(&topic, &partition, IN_FLIGHT).await?;
    let value = noise(load.bytes, 0);
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

fn batch(first: u64, dead: u64, value: &Bytes) -> anyhow::Result<Bytes> {
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
