//! Batches, and a disk with a log on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use eddy_batch::{BatchBuilder, Compression};
use eddy_disk::{Disk, RealDisk, SimDisk};
use eddy_log::{
    FetchedBytes, FileCache, Log, LogCheckpoint, LogConfig, LogError, ReadError, ReadOutcome, TailBatch,
    TailBudget,
};
use eddy_types::{LeaderEpoch, Millis, Offset};

/// A batch to be made: one record for each timestamp.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) base: i64,
    pub(crate) epoch: i32,
    pub(crate) timestamps: Vec<i64>,
    pub(crate) value_bytes: usize,
    pub(crate) compression: Compression,
    pub(crate) log_append_time: Option<i64>,
}

impl Plan {
    pub(crate) fn new(base: i64, timestamps: &[i64]) -> Plan {
        Plan {
            base,
            epoch: 0,
            timestamps: timestamps.to_vec(),
            value_bytes: 20,
            compression: Compression::None,
            log_append_time: None,
        }
    }

    pub(crate) fn epoch(mut self, epoch: i32) -> Plan {
        self.epoch = epoch;
        self
    }

    pub(crate) fn value_bytes(mut self, bytes: usize) -> Plan {
        self.value_bytes = bytes;
        self
    }

    pub(crate) fn build(&self) -> TailBatch {
        let mut builder = BatchBuilder::new(self.compression)
            .base_offset(Offset(self.base))
            .leader_epoch(LeaderEpoch(self.epoch));
        if let Some(now) = self.log_append_time {
            builder = builder.log_append_time(Millis(now));
        }
        for (number, timestamp) in self.timestamps.iter().enumerate() {
            // Incompressible enough that sizes stay varied.
            let value: Vec<u8> = (0..self.value_bytes)
                .map(|at| (at as i64 * 31 + self.base * 7 + number as i64 * 13) as u8)
                .collect();
            builder.append(Millis(*timestamp), None, Some(&value));
        }
        let bytes = builder.build().unwrap();
        let newest = self.timestamps.iter().copied().max().unwrap();
        TailBatch {
            base_offset: Offset(self.base),
            end_offset: Offset(self.base + self.timestamps.len() as i64),
            leader_epoch: LeaderEpoch(self.epoch),
            max_timestamp: Millis(self.log_append_time.unwrap_or(newest)),
            charge: bytes.len() + 100,
            bytes,
        }
    }
}

/// A machine that can lose its power, or only its processes.
pub(crate) enum Machine {
    Sim(SimDisk),
    Real(tempfile::TempDir),
}

impl Machine {
    pub(crate) fn sim() -> Machine {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/data")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        Machine::Sim(disk)
    }

    pub(crate) fn real() -> Machine {
        Machine::Real(tempfile::tempdir().unwrap())
    }

    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        match self {
            Machine::Sim(disk) => disk.process(),
            Machine::Real(_) => RealDisk::shared(),
        }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        match self {
            Machine::Sim(_) => PathBuf::from("/data/topic/0"),
            Machine::Real(dir) => dir.path().join("topic/0"),
        }
    }

    /// A crash: of the machine if that can be simulated.
    pub(crate) fn crash(&self, seed: u64) {
        if let Machine::Sim(disk) = self {
            match seed % 4 {
                0 => disk.kill(),
                1 => disk.power_cut(),
                _ => disk.crash(seed),
            }
        }
    }

    pub(crate) fn open(&self, config: &LogConfig, at: Option<&LogCheckpoint>) -> Log {
        self.open_with(config, at, Arc::new(TailBudget::new(usize::MAX)))
    }

    pub(crate) fn open_with(
        &self,
        config: &LogConfig,
        at: Option<&LogCheckpoint>,
        budget: Arc<TailBudget>,
    ) -> Log {
        let files = Arc::new(FileCache::new(self.disk(), 4).with_piece_bytes(300));
        Log::open(files, self.dir(), Arc::new(config.clone()), budget, at).unwrap()
    }
}

/// Small enough that every rule of rolling and indexing comes into play.
pub(crate) fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 2000,
        index_interval_bytes: 200,
        index_bytes_max: 400,
        segment_ms: Millis(1 << 40),
        retention_ms: Millis(-1),
        ..LogConfig::default()
    }
}

/// Reads as the engine does, cached if possible.
pub(crate) fn read(
    log: &Log,
    from: i64,
    limit: i64,
    max_bytes: usize,
    at_least_one: bool,
) -> Result<FetchedBytes, ReadError> {
    match log.read(Offset(from), Offset(limit), max_bytes, at_least_one)? {
        ReadOutcome::Ready(fetched) => Ok(fetched),
        ReadOutcome::Disk(disk) => match disk.try_cached() {
            Some(cached) => {
                let cached = cached?;
                match disk.run() {
                    // Retention may have come between the two.
                    Err(ReadError::Log(LogError::Moved { .. })) => {}
                    blocking => assert_eq!(blocking?, cached, "cached and blocking reads differ"),
                }
                Ok(cached)
            }
            None => disk.run(),
        },
    }
}

/// Everything from `from` on, one read after the other.
pub(crate) fn read_all(log: &Log, from: i64) -> Vec<u8> {
    let mut contents = Vec::new();
    let end = log.end_offset().0;
    let mut at = from;
    while at < end {
        let fetched = read(log, at, end, 700, true).unwrap();
        if fetched.bytes == 0 {
            break;
        }
        contents.extend(fetched.slices.concat());
        at = fetched.end_offset.0;
    }
    contents
}

pub(crate) fn concat(batches: &[TailBatch]) -> Vec<u8> {
    batches.iter().map(|batch| batch.bytes.clone()).collect::<Vec<Bytes>>().concat()
}

/// Appends batches of `records` records with the given timestamps each, flushes, and returns them.
pub(crate) fn fill(log: &Log, count: i64, records: i64, timestamp: impl Fn(i64) -> i64) -> Vec<TailBatch> {
    let mut batches = Vec::new();
    for number in 0..count {
        let base = log.end_offset().0;
        let timestamps: Vec<i64> = (0..records).map(|_| timestamp(number)).collect();
        let batch = Plan::new(base, &timestamps).build();
        log.append(batch.clone());
        batches.push(batch);
    }
    log.flush(log.end_offset()).unwrap();
    batches
}
