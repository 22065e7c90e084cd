//! Producers: one record at a time, or batches in flight.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use eddy_client::{Acks, CallError, Connection, PartitionName, PendingProduce, encode_batch};
use eddy_types::Offset;
use hdrhistogram::Histogram;

use crate::report::{Report, latency_histogram};
use crate::target::Target;
use crate::verify;
use crate::{ClosedLoop, Course, OpenLoop, Pipelined};

const PRODUCE_TIMEOUT: Duration = Duration::from_secs(30);

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// Each client has one record in flight.
pub(crate) async fn closed_loop(target: &Target, load: &ClosedLoop) -> anyhow::Result<Report> {
    let batches = (0..load.clients)
        .map(|client| Batch::of_one(load.bytes, client, load.course))
        .collect::<Result<_, _>>()?;
    let (report, acknowledged) = run(target, Pace::InFlight(1), batches, load.course).await?;
    if load.verify {
        verify::read_back(target, acknowledged, load.bytes).await?;
    }
    Ok(report)
}

/// Each producer has several batches in flight.
pub(crate) async fn pipelined(target: &Target, load: &Pipelined) -> anyhow::Result<Report> {
    let batch = Batch::new(load.bytes, (load.batch / load.bytes.max(1)).max(1), load.course.lines)?;
    let batches = vec![batch; load.producers];
    Ok(run(target, Pace::InFlight(load.in_flight.max(1)), batches, load.course).await?.0)
}

/// Each client sends a record whenever one is due.
pub(crate) async fn open_loop(target: &Target, load: &OpenLoop) -> anyhow::Result<Report> {
    let batches = (0..load.clients)
        .map(|client| Batch::of_one(load.bytes, client, load.course))
        .collect::<Result<_, _>>()?;
    let every = Duration::try_from_secs_f64(load.clients as f64 / load.rate)?;
    Ok(run(target, Pace::Every(every), batches, load.course).await?.0)
}

/// When a producer sends.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// As soon as fewer batches are in flight.
    InFlight(usize),
    /// At fixed times.
    Every(Duration),
}

/// Batches in flight of a producer at fixed times: beyond it the broker is seconds behind.
const OPEN_LOOP_IN_FLIGHT_MAX: usize = 4096;

impl Pace {
    fn in_flight_max(self) -> usize {
        match self {
            Pace::InFlight(batches) => batches,
            Pace::Every(_) => OPEN_LOOP_IN_FLIGHT_MAX,
        }
    }
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
    pub(crate) fn new(record_bytes: usize, records: usize, lines: bool) -> anyhow::Result<Batch> {
        let value = if lines { line } else { noise };
        Batch::encode((0..records).map(|seed| value(record_bytes, seed)).collect())
    }

    /// A batch of one record, whose value tells the client.
    fn of_one(record_bytes: usize, client: usize, course: Course) -> anyhow::Result<Batch> {
        let value = if course.lines { line } else { noise };
        Batch::encode(vec![value(record_bytes, client)])
    }

    fn encode(values: Vec<Bytes>) -> anyhow::Result<Batch> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Batch {
            encoded: encode_batch(&values, i64::try_from(now.as_millis())?, None),
            records: values.len() as u64,
            bytes: values.iter().map(|value| value.len() as u64).sum(),
        })
    }
}

/// Bytes that do not compress (xorshift).
pub(crate) fn noise(length: usize, seed: usize) -> Bytes {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
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

/// A line of JSON of about that length.
fn line(length: usize, seed: usize) -> Bytes {
    const WORDS: [&str; 8] = ["request", "timeout", "user", "order", "cache", "retry", "failed", "done"];
    let (mut text, mut state) = (String::new(), seed.wrapping_mul(0x9e37_79b9) | 1);
    while text.len() + 130 < length {
        state ^= (state << 13) ^ (state >> 7) ^ (state << 17);
        text.push_str(WORDS.iter().cycle().nth(state % WORDS.len()).unwrap_or(&""));
        text.push_str(if state % 5 == 0 { " 4711 " } else { " " });
    }
    let line = format!(
        r#"{{"time":"2026-11-21T22:00:00.{:03}Z","level":"INFO","service":"svc-{}","trace":"{:016x}{state:016x}","took_ms":{}.5,"message":"{text}"}}"#,
        seed % 1000,
        seed % 20,
        state.wrapping_mul(31),
        state % 1000,
    );
    Bytes::from(line)
}

async fn run(
    target: &Target,
    pace: Pace,
    batches: Vec<Batch>,
    course: Course,
) -> anyhow::Result<(Report, Vec<Acknowledged>)> {
    let topic = target.topic().await?;
    let phase = Arc::new(AtomicU8::new(WARMING_UP));
    let mut tasks = Vec::with_capacity(batches.len());
    for (batch, partition) in batches.iter().zip(topic.partitions().collect::<Vec<_>>().into_iter().cycle()) {
        let producer = Producer {
            connection: target.connect_leader(&topic, &partition, pace.in_flight_max()).await?,
            partition,
            batch: batch.clone(),
            acks: course.acks,
            phase: phase.clone(),
        };
        tasks.push(match pace {
            Pace::InFlight(batches) => tokio::spawn(producer.run(batches)),
            Pace::Every(period) => tokio::spawn(producer.run_at(period)),
        });
    }
    tokio::time::sleep(course.warm_up).await;
    let meter = target.meter()?;
    phase.store(MEASURING, Ordering::Relaxed);
    tokio::select! {
        () = tokio::time::sleep(course.seconds) => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    phase.store(OVER, Ordering::Relaxed);
    let cores = meter.stop()?;
    let mut latency = latency_histogram()?;
    let (mut records, mut bytes) = (0, 0);
    let mut acknowledged = Vec::with_capacity(batches.len());
    for (task, batch) in tasks.into_iter().zip(&batches) {
        let (one, all) = task.await??;
        records += one.len() * batch.records;
        bytes += one.len() * batch.bytes;
        latency.add(one)?;
        acknowledged.push(all);
    }
    Ok((Report { records, bytes, cores, latency }, acknowledged))
}

/// The base offsets that a producer was told, in the order of sending.
pub(crate) struct Acknowledged {
    pub(crate) partition: PartitionName,
    pub(crate) offsets: Vec<Offset>,
}

struct Producer {
    connection: Connection,
    partition: PartitionName,
    batch: Batch,
    acks: Acks,
    phase: Arc<AtomicU8>,
}

impl Producer {
    /// Gives the latencies of the batches that were acknowledged while it counted, and all that were acknowledged.
    async fn run(self, in_flight: usize) -> anyhow::Result<(Histogram<u64>, Acknowledged)> {
        let mut latency = latency_histogram()?;
        let mut offsets = Vec::new();
        let mut flight: VecDeque<(Instant, PendingProduce)> = VecDeque::with_capacity(in_flight);
        loop {
            let phase = self.phase.load(Ordering::Relaxed);
            while phase != OVER && flight.len() < in_flight {
                let began = Instant::now();
                flight.push_back((began, self.send().await?));
            }
            let Some((began, oldest)) = flight.pop_front() else {
                return Ok((latency, Acknowledged { partition: self.partition, offsets }));
            };
            offsets.push(oldest.acknowledged().await?.base_offset);
            if self.phase.load(Ordering::Relaxed) == MEASURING {
                latency.saturating_record(u64::try_from(began.elapsed().as_micros())?);
            }
        }
    }

    /// Sends a batch at each time it is due; its latency counts from then, however late it is sent.
    async fn run_at(self, period: Duration) -> anyhow::Result<(Histogram<u64>, Acknowledged)> {
        let mut latency = latency_histogram()?;
        let mut offsets = Vec::new();
        let mut flight: VecDeque<(Instant, Awaited)> = VecDeque::new();
        let mut due = tokio::time::interval(period);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        loop {
            let phase = self.phase.load(Ordering::Relaxed);
            if phase == OVER && flight.is_empty() {
                return Ok((latency, Acknowledged { partition: self.partition, offsets }));
            }
            let may_send = phase != OVER && flight.len() < OPEN_LOOP_IN_FLIGHT_MAX;
            let due_at = flight.front().map(|(at, _)| *at);
            let oldest = flight.front_mut().map(|(_, awaited)| awaited);
            tokio::select! {
                at = due.tick(), if may_send => {
                    let pending = self.send().await?;
                    flight.push_back((at.into_std(), Box::pin(pending.acknowledged())));
                }
                Some(answer) = oldest_of(oldest) => {
                    offsets.push(answer?.base_offset);
                    flight.pop_front();
                    if let Some(at) = due_at.filter(|_| phase == MEASURING) {
                        latency.saturating_record(u64::try_from(at.elapsed().as_micros())?);
                    }
                }
            }
        }
    }

    async fn send(&self) -> anyhow::Result<PendingProduce> {
        let batch = self.batch.encoded.clone();
        Ok(self.connection.start_produce(&self.partition, self.acks, PRODUCE_TIMEOUT, batch).await?)
    }
}

/// An acknowledgement that is waited for.
type Awaited = Pin<Box<dyn Future<Output = Result<eddy_client::Acknowledged, CallError>> + Send>>;

/// What the oldest batch is acknowledged with; `None` without one.
async fn oldest_of(oldest: Option<&mut Awaited>) -> Option<Result<eddy_client::Acknowledged, CallError>> {
    Some(oldest?.await)
}
