//! A consumer that is behind.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::ensure;
use eddy_client::{Acks, Connection, FetchLimits, PartitionName, batches_end, walk};
use eddy_types::Offset;

use crate::CatchUp;
use crate::produce::Batch;
use crate::report::{Report, latency_histogram};
use crate::target::Target;

const FILL_IN_FLIGHT: usize = 16;
const FILL_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) async fn run(target: &Target, load: &CatchUp) -> anyhow::Result<Report> {
    let (topic, created) = target.topic_of(1).await?;
    let partition = topic.partition(0);
    let connection = target.connect(FILL_IN_FLIGHT).await?;
    if created {
        fill(&connection, &partition, load).await?;
    }
    let end = connection.latest_offset(&partition).await?;
    ensure!(end > Offset::ZERO, "the topic is empty");
    read(&connection, &partition, end, load, &mut latency_histogram()?).await?;
    let meter = target.meter()?;
    let mut latency = latency_histogram()?;
    let (mut records, mut bytes) = (0, 0);
    for _ in 1..load.times.max(2) {
        bytes += read(&connection, &partition, end, load, &mut latency).await?;
        records += u64::try_from(end.0)?;
    }
    Ok(Report { records, bytes, cores: meter.stop()?, latency })
}

async fn fill(connection: &Connection, partition: &PartitionName, load: &CatchUp) -> anyhow::Result<()> {
    let batch = Batch::new(load.bytes, (load.batch / load.bytes.max(1)).max(1), false)?;
    let mut left = (load.mebibytes << 20).div_ceil(usize::try_from(batch.bytes)?.max(1));
    let mut flight = VecDeque::new();
    while left > 0 || !flight.is_empty() {
        while left > 0 && flight.len() < FILL_IN_FLIGHT {
            left -= 1;
            let pending = connection.start_produce(partition, Acks::All, FILL_TIMEOUT, batch.encoded.clone());
            flight.push_back(pending.await?);
        }
        if let Some(oldest) = flight.pop_front() {
            oldest.acknowledged().await?;
        }
    }
    Ok(())
}

/// Reads up to `end` in one fetch after the other; gives the bytes of the batches.
async fn read(
    connection: &Connection,
    partition: &PartitionName,
    end: Offset,
    load: &CatchUp,
    latency: &mut hdrhistogram::Histogram<u64>,
) -> anyhow::Result<u64> {
    let limits = FetchLimits { bytes_max: load.fetch, ..FetchLimits::default() };
    let (mut next, mut bytes) = (Offset::ZERO, 0);
    while next < end {
        let began = Instant::now();
        let fetched = connection.fetch(partition, next, limits).await?;
        latency.saturating_record(u64::try_from(began.elapsed().as_micros())?);
        bytes += fetched.batches.len() as u64;
        let after = if load.decode {
            walk(partition, next, fetched.batches, |_, _| {})?
        } else {
            batches_end(next, fetched.batches)
        };
        ensure!(after > next, "nothing at {next} of {end}");
        next = after;
    }
    Ok(bytes)
}
