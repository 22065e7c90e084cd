//! Measures the log on this machine's disk: `cargo run --release -p eddy-wal --example commit_rate -- <dir>`.
//!
//! A closed loop: each producer waits until its batch is durable before it sends the next. Prints acknowledged batches
//! per second, entries per group, and what one `submit` costs.

use std::collections::VecDeque;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eddy_disk::RealDisk;
use eddy_types::{LeaderEpoch, LocalPartition, Offset};
use eddy_wal::{Entry, Lsn, Profile, Sink, Wal, WalConfig};
use parking_lot::Mutex;
use tokio::sync::oneshot;

type Failure = Box<dyn Error + Send + Sync>;

const RUN: Duration = Duration::from_secs(2);

/// Who waits for which entry, in the order of the log.
#[derive(Default)]
struct Waiters(Mutex<VecDeque<(Lsn, oneshot::Sender<()>)>>);

impl Sink for Waiters {
    fn durable(&self, _ends: &[(LocalPartition, Offset)], upto: Lsn) {
        let mut waiters = self.0.lock();
        while let Some((_, waiter)) = waiters.pop_front_if(|(lsn, _): &mut (Lsn, _)| *lsn < upto) {
            let _ = waiter.send(());
        }
    }
}

fn main() -> Result<(), Failure> {
    let dir = std::env::args().nth(1).ok_or("usage: commit_rate <empty directory>")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let begun = Instant::now();
    let sink = Arc::new(Waiters::default());
    let wal = open(Path::new(&dir), sink.clone(), Lsn(0))?;
    println!("ready in {:.1?}", begun.elapsed());
    for bytes in [1 << 10, 16 << 10] {
        for producers in [1, 8, 64, 128] {
            let before = wal.stats();
            let rate = runtime.block_on(closed_loop(&wal, &sink, producers, bytes))?;
            let after = wal.stats();
            let groups = after.groups - before.groups;
            let per_group = (after.entries - before.entries) as f64 / groups as f64;
            let sync = (after.sync_seconds.sum - before.sync_seconds.sum) / groups as f64 * 1e6;
            println!(
                "{bytes:>6} B, {producers:>3} producers: {rate:>8.0}/s, {per_group:.1} per group, sync {sync:.0} us"
            );
        }
    }
    submit_cost(&wal)?;
    let end = wal.next_lsn();
    wal.close();
    let begun = Instant::now();
    open(Path::new(&dir), sink, end)?;
    println!("opened again in {:.1?}", begun.elapsed());
    Ok(())
}

fn open(dir: &Path, sink: Arc<Waiters>, from: Lsn) -> Result<Wal, Failure> {
    let config = WalConfig::new(Profile::High);
    let recovered = Wal::recover(RealDisk::shared(), dir, config, from, &mut |_, _| Ok(()))?;
    Ok(recovered.start(sink)?)
}

fn append(producer: u32, batch: Bytes) -> Entry {
    Entry::Append {
        partition: LocalPartition(producer),
        base_offset: Offset(0),
        end_offset: Offset(1),
        leader_epoch: LeaderEpoch(0),
        after_gap: None,
        batch,
    }
}

async fn closed_loop(wal: &Wal, sink: &Arc<Waiters>, producers: u32, bytes: usize) -> Result<f64, Failure> {
    let begun = Instant::now();
    let loops: Vec<_> = (0..producers)
        .map(|producer| tokio::spawn(produce(wal.clone(), sink.clone(), producer, bytes, begun + RUN)))
        .collect();
    let mut acknowledged = 0;
    for producer in loops {
        acknowledged += producer.await??;
    }
    Ok(acknowledged as f64 / begun.elapsed().as_secs_f64())
}

async fn produce(
    wal: Wal,
    sink: Arc<Waiters>,
    producer: u32,
    bytes: usize,
    until: Instant,
) -> Result<u64, Failure> {
    let batch = Bytes::from(vec![7; bytes]);
    let mut acknowledged = 0;
    while Instant::now() < until {
        let room = wal.admit(1, bytes, (until + RUN).into()).await?;
        let (waiter, durable) = oneshot::channel();
        {
            let mut waiters = sink.0.lock();
            let lsn = wal.submit(append(producer, batch.clone()), Some(room));
            waiters.push_back((lsn, waiter));
        }
        durable.await?;
        acknowledged += 1;
        // A checkpoint that is always in time.
        wal.trim(wal.durable_lsn());
    }
    Ok(acknowledged)
}

/// Submits from one thread as fast as it goes, to the depth of the queue at most.
fn submit_cost(wal: &Wal) -> Result<(), Failure> {
    const ROUNDS: u32 = 20;
    const ENTRIES: u32 = 2_000;
    let batch = Bytes::from(vec![7; 100]);
    let (mut admitting, mut submitting) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let rooms: Vec<_> = (0..ENTRIES).map(|_| wal.try_admit(1, batch.len())).collect();
        let admitted = Instant::now();
        let mut last = Lsn(0);
        for room in rooms {
            last = wal.submit(append(0, batch.clone()), room);
        }
        submitting += admitted.elapsed();
        admitting += admitted - begun;
        wal.wait_durable(last)?;
    }
    let calls = ROUNDS * ENTRIES;
    println!("one admit {:.0?}, one submit {:.0?}", admitting / calls, submitting / calls);
    Ok(())
}
