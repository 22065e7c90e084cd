//! The log as its callers use it, on a simulated disk unless said otherwise.

mod admission;
mod damage;
mod failure;
mod files;
mod in_place;
mod model;
mod real;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_disk::Disk;
use eddy_types::{LeaderEpoch, LocalPartition, Offset};
use parking_lot::Mutex;

use crate::{Entry, Limits, Lsn, Profile, Sink, Wal, WalConfig, WalError};

const DIR: &str = "/data/wal";
const KIB: u64 = 1 << 10;

/// Small files and groups, so that a few entries see all of them.
fn small() -> WalConfig {
    WalConfig {
        profile: Profile::Low,
        limits: Limits {
            queue_depth: 1000,
            queue_bytes_max: 1 << 20,
            group_bytes_max: 20_000,
            latency_budget: Duration::from_secs(60),
            memory_bytes: 2 << 20,
        },
        file_bytes: 64 * KIB,
        total_bytes_max: 256 * KIB,
    }
}

/// What a sink was told.
#[derive(Default)]
struct Recorder(Mutex<Told>);

#[derive(Default)]
struct Told {
    upto: Lsn,
    ends: Vec<(LocalPartition, Offset)>,
    groups: usize,
    /// Who told it last.
    by: Option<std::thread::ThreadId>,
    failures: Vec<WalError>,
}

impl Recorder {
    fn upto(&self) -> Lsn {
        self.0.lock().upto
    }

    fn failures(&self) -> Vec<String> {
        self.0.lock().failures.iter().map(|error| error.to_string()).collect()
    }
}

impl Sink for Recorder {
    fn durable(&self, ends: &[(LocalPartition, Offset)], upto: Lsn) {
        let mut told = self.0.lock();
        assert!(told.failures.is_empty(), "nothing is durable after a failure");
        assert!(upto > told.upto, "{upto} follows {}", told.upto);
        told.upto = upto;
        told.ends = ends.to_vec();
        told.groups += 1;
        told.by = Some(std::thread::current().id());
    }

    fn failed(&self, error: WalError) {
        self.0.lock().failures.push(error);
    }
}

/// A log that was opened, and what it replayed.
struct Opened {
    wal: Wal,
    sink: Arc<Recorder>,
    replayed: Vec<(Lsn, Entry)>,
}

impl Opened {
    /// Submits an append of `bytes` to partition 1 and returns its position.
    fn append(&self, end: i64, bytes: usize) -> Lsn {
        self.wal.submit(append(1, end, bytes), None)
    }

    fn append_durably(&self, end: i64, bytes: usize) {
        self.wal.wait_durable(self.append(end, bytes)).unwrap();
    }
}

fn open(disk: Arc<dyn Disk>, from: u64) -> Result<Opened, WalError> {
    open_with(disk, Path::new(DIR), small(), from)
}

fn open_with(disk: Arc<dyn Disk>, dir: &Path, config: WalConfig, from: u64) -> Result<Opened, WalError> {
    let mut replayed = Vec::new();
    let recovered = Wal::recover(disk, dir, config, Lsn(from), &mut |lsn, entry| {
        replayed.push((lsn, entry));
        Ok(())
    })?;
    assert_eq!(recovered.end().0, from + recovered.replayed());
    let sink = Arc::new(Recorder::default());
    Ok(Opened { wal: recovered.start(sink.clone())?, sink, replayed })
}

/// An append whose bytes tell where they begin and end.
fn append(partition: u32, end: i64, bytes: usize) -> Entry {
    let mut batch: Vec<u8> = (0..bytes).map(|at| (at as i64 * 7 + end) as u8).collect();
    let stamp = end.to_be_bytes();
    let length = batch.len().min(stamp.len());
    batch[..length].copy_from_slice(&stamp[..length]);
    Entry::Append {
        partition: LocalPartition(partition),
        base_offset: Offset(end - 1),
        end_offset: Offset(end),
        leader_epoch: LeaderEpoch(3),
        after_gap: None,
        batch: Bytes::from(batch),
    }
}

fn entries_of(replayed: &[(Lsn, Entry)]) -> Vec<Entry> {
    replayed.iter().map(|(_, entry)| entry.clone()).collect()
}
