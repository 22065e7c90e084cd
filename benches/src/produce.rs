//! Producers: one record at a time, or batches in flight.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use eddy_client::{Acks, Connection, PartitionName, PendingProduce, encode_batch};
use hdrhistogram::Histogram;

use crate::report::{Report, latency_histogram};
use crate::target::Target;
use crate::{ClosedLoop, Course, Pipelined};

const PRODUCE_TIMEOUT: Duration = Duration::from_secs(30);

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// Each client has one record in flight.
pub(crate) async fn closed_loop(target: &Target, load: &ClosedLoop) -> anyhow::Result<Report> {
    let batch = Batch::new(load.bytes, 1)?;
    run(target, load.clients, 1, batch, load.course).await
}

/// Each producer has several batches in flight.
pub(crate) async fn pipelined(target: &Target, load: &Pipelined) -> anyhow::Result<Report> {
    let batch = Batch::new(load.bytes, (load.batch / load.bytes.max(1)).max(1))?;
    run(target, load.producers, load.in_flight.max(1), batch, load.course).await
}

/// A batch that is sent again and again; the broker does not look for repetitions without a producer id.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) encoded: Bytes,
    pub(crate) records: u64,
    /// Of the values alone.
    pub(crate) bytes: u64,
}

impl Batch {
    pub(crate) fn new(record_bytes: usize, records: usize) -> anyhow::Result<Batch> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let values: Vec<Bytes> = (0..records).map(|seed| noise(record_bytes, seed as u64)).collect();
        Ok(Batch {
            encoded: encode_batch(&values, i64::try_from(now.as_millis())?, None),
            records: records as u64,
            bytes: (record_bytes * records) as u64,
        })
    }
}

/// Bytes that do not compress (xorshift).
fn noise(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = BytesMut::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_be_bytes());
    }
    bytes.truncate(length);
    bytes.freeze()
}

async fn run(
    target: &Target,
    producers: usize,
    in_flight: usize,
    batch: Batch,
    course: Course,
) -> anyhow::Result<Report> {
    let topic = target.topic().await?;
    let phase = Arc::new(AtomicU8::new(WARMING_UP));
    let mut tasks = Vec::with_capacity(producers);
    for (_, partition) in (0..producers).zip(topic.partitions().collect::<Vec<_>>().into_iter().cycle()) {
        let producer = Producer {
            connection: target.connect(in_flight).await?,
            partition,
            batch: batch.encoded.clone(),
            acks: course.acks,
            phase: phase.clone(),
        };
        tasks.push(tokio::spawn(producer.run(in_flight)));
    }
    tokio::time::sleep(course.warm_up).await;
    let meter = target.meter()?;
    phase.store(MEASURING, Ordering::Relaxed);
    tokio::time::sleep(course.seconds).await;
    phase.store(OVER, Ordering::Relaxed);
    let cores = meter.stop()?;
    let mut latency = latency_histogram()?;
    for task in tasks {
        latency.add(task.await??)?;
    }
    let batches = latency.len();
    Ok(Report { records: batches * batch.records, bytes: batches * batch.bytes, cores, latency })
}

struct Producer {
    connection: Connection,
    partition: PartitionName,
    batch: Bytes,
    acks: Acks,
    phase: Arc<AtomicU8>,
}

impl Producer {
    /// Gives the latencies of the batches that were acknowledged while it counted.
    async fn run(self, in_flight: usize) -> anyhow::Result<Histogram<u64>> {
        let mut latency = latency_histogram()?;
        let mut flight: VecDeque<(Instant, PendingProduce)> = VecDeque::with_capacity(in_flight);
        loop {
            let phase = self.phase.load(Ordering::Relaxed);
            while phase != OVER && flight.len() < in_flight {
                let began = Instant::now();
                let pending = self.connection.start_produce(
                    &self.partition,
                    self.acks,
                    PRODUCE_TIMEOUT,
                    self.batch.clone(),
                );
                flight.push_back((began, pending.await?));
            }
            let Some((began, oldest)) = flight.pop_front() else { return Ok(latency) };
            oldest.acknowledged().await?;
            if self.phase.load(Ordering::Relaxed) == MEASURING {
                latency.saturating_record(u64::try_from(began.elapsed().as_micros())?);
            }
        }
    }
}
