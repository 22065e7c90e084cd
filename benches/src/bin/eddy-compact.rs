//! How long the compaction of a large log takes, in which memory, and what syncs beside it cost: a gigabyte with nine of ten
//! records dead. `eddy-compact [DIRECTORY]` writes it below the directory, by default the system's for temporary files.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::IoSlice;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use eddy_batch::{BatchBuilder, Compression};
use eddy_disk::{Disk, Open, RealDisk};
use eddy_log::{CleanRequest, Compaction, FileCache, Log, LogCheckpoint, LogConfig, TailBatch, TailBudget};
use eddy_types::{LeaderEpoch, Millis, Offset};
use parking_lot::Mutex;

/// Writes and syncs 4 KiB again and again, as the write-ahead log does for small groups, and keeps how long each took.
struct Probe {
    took: Arc<Mutex<Vec<Duration>>>,
    stop: Arc<AtomicBool>,
}

impl Probe {
    fn start(dir: &Path) -> anyhow::Result<Probe> {
        let file = RealDisk.open(&dir.join("probe"), Open::Create)?;
        file.write_at(&[IoSlice::new(&vec![1; 4 << 20])], 0)?;
        let probe = Probe { took: Arc::default(), stop: Arc::default() };
        let (took, stop) = (Arc::clone(&probe.took), Arc::clone(&probe.stop));
        std::thread::spawn(move || -> std::io::Result<()> {
            for number in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let begin = Instant::now();
                file.write_at(&[IoSlice::new(&[number as u8; 4096])], number % 1024 * 4096)?;
                file.sync_data()?;
                took.lock().push(begin.elapsed());
                std::thread::sleep(Duration::from_micros(500));
            }
            Ok(())
        });
        Ok(probe)
    }

    fn report(&self, what: &str) {
        let mut took = std::mem::take(&mut *self.took.lock());
        took.sort();
        let at = |share: usize| took.get(took.len() * share / 1000).copied().unwrap_or_default();
        println!(
            "sync {what}: {} times, p50 {:?}, p99 {:?}, p99.9 {:?}",
            took.len(),
            at(500),
            at(990),
            at(999)
        );
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

const BYTES: u64 = 1 << 30;
const MAP_BYTES_MAX: usize = 128 << 20;
const RECORDS: i64 = 4_800_000;
/// One record in ten is the newest of its key.
const KEYS: i64 = RECORDS / 10;
const BATCH: i64 = 100;

fn main() -> anyhow::Result<()> {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(parent)?;
    let config = LogConfig {
        segment_bytes: 256 << 20,
        compaction: Some(Compaction::default()),
        ..LogConfig::default()
    };
    let files = Arc::new(FileCache::new(RealDisk::shared(), 100));
    let budget = Arc::new(TailBudget::new(usize::MAX));
    let path = dir.path().join("log");
    let log = Log::open(files, path.clone(), config.into(), budget, Some(&LogCheckpoint::default()))?;
    let begin = Instant::now();
    let value: Vec<u8> = (0..200).map(|at| (at * 37) as u8).collect();
    for base in (0..RECORDS).step_by(BATCH as usize) {
        let mut builder =
            BatchBuilder::new(Compression::None).base_offset(Offset(base)).leader_epoch(LeaderEpoch(0));
        for number in base..base + BATCH {
            // Keys come back at other distances each time.
            let key = (number.wrapping_mul(7_368_787) + number / KEYS) % KEYS;
            builder.append(
                Millis(1_700_000_000_000 + number),
                Some(format!("key-{key:012}").as_bytes()),
                Some(&value),
            );
        }
        let bytes = builder.build()?;
        log.append(TailBatch {
            base_offset: Offset(base),
            end_offset: Offset(base + BATCH),
            leader_epoch: LeaderEpoch(0),
            max_timestamp: Millis(1_700_000_000_000 + base + BATCH - 1),
            charge: bytes.len(),
            bytes,
        });
        if base % (1000 * BATCH) == 0 {
            log.flush(log.end_offset())?;
            log.evict(0);
        }
    }
    log.flush(log.end_offset())?;
    log.evict(0);
    log.sync()?;
    log.checkpoint_stored();
    let before = log.size_bytes();
    println!("filled {before} bytes in {} segments in {:?}", log.segment_count(), begin.elapsed());
    ensure!(before > BYTES, "the log is too small: {before}");
    let probe = Probe::start(dir.path())?;
    std::thread::sleep(Duration::from_secs(10));
    probe.report("alone");
    let begin = Instant::now();
    // As the engine paces it: four parts of rest for one of work.
    let working = Cell::new(Instant::now());
    let pace = |_| {
        std::thread::sleep(working.get().elapsed() * 4);
        working.set(Instant::now());
        ControlFlow::Continue(())
    };
    let request = CleanRequest {
        now: Millis(1_800_000_000_000),
        stable_end: log.end_offset(),
        producers: &HashMap::new(),
        memory_bytes: MAP_BYTES_MAX,
        pace: &pace,
    };
    let cleaned = log.clean(&request)?;
    probe.report("beside the compaction");
    println!("compacted in {:?}: {cleaned:?}", begin.elapsed());
    println!("{} bytes left in {} segments in {}", log.size_bytes(), log.segment_count(), path.display());
    ensure!(!cleaned.more && cleaned.map_bytes <= MAP_BYTES_MAX, "more memory or passes than allowed");
    Ok(())
}
