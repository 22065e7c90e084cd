//! Reads over all three parts of a log, memory, and many threads at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eddy_batch::{BatchHeader, batches};
use eddy_disk::SimDisk;
use eddy_log::{FileCache, LogConfig, ReadError, ReadOutcome, TailBatch, TailBudget};
use eddy_types::Offset;

use crate::support::{Machine, Plan, fill, read, small};

#[test]
fn offset_inside_a_batch_gets_the_whole_batch() {
    let machine = Machine::sim();
    let log = machine.open(&small(), None);
    let batches = fill(&log, 3, 4, |_| 1);
    for evict in [false, true] {
        if evict {
            log.evict(0);
        }
        for from in 4..8 {
            let fetched = read(&log, from, 12, 1, true).unwrap();
            assert_eq!((fetched.slices.concat(), fetched.end_offset), (batches[1].bytes.to_vec(), Offset(8)));
        }
    }
}

#[test]
fn reads_that_memory_serves_touch_no_disk() {
    let machine = Machine::sim();
    let log = machine.open(&small(), None);
    fill(&log, 10, 1, |_| 1);
    for base in 10..20 {
        log.append(Plan::new(base, &[1]).build());
    }
    assert!(
        matches!(log.read(Offset(0), Offset(20), 100, true), Ok(ReadOutcome::Ready(_))),
        "flushed and cached"
    );
    let kept = log.evict(0);
    assert!(kept > 0);
    for (from, limit, on_disk) in
        [(0, 20, true), (9, 20, true), (10, 20, false), (20, 20, false), (5, 5, false), (5, 2, false)]
    {
        let outcome = log.read(Offset(from), Offset(limit), 100, true).unwrap();
        assert_eq!(matches!(outcome, ReadOutcome::Disk(_)), on_disk, "{from}..{limit}");
    }
    assert!(matches!(
        log.read(Offset(21), Offset(99), 1, true),
        Err(ReadError::OutOfRange { start: Offset(0), end: Offset(20) })
    ));
}

#[test]
fn a_cold_cache_is_told_and_not_waited_for() {
    let machine = Machine::sim();
    let Machine::Sim(disk) = &machine else { unreachable!() };
    let log = machine.open(&small(), None);
    fill(&log, 10, 1, |_| 1);
    log.evict(0);
    disk.set_cache_cold(true);
    let Ok(ReadOutcome::Disk(read)) = log.read(Offset(3), Offset(10), 100, true) else {
        panic!("not on disk")
    };
    assert!(read.try_cached().is_none());
    assert!(read.run().unwrap().bytes > 0);
}

#[test]
fn memory_is_charged_and_given_back() {
    let machine = Machine::sim();
    let budget = Arc::new(TailBudget::new(10_000));
    let log = machine.open_with(&small(), None, budget.clone());
    let batches: Vec<_> = (0..10).map(|base| Plan::new(base, &[1]).build()).collect();
    let bytes: usize = batches.iter().map(|batch| batch.charge).sum();
    batches.into_iter().for_each(|batch| log.append(batch));
    let one = budget.used() / 10;
    assert!(one * 10 >= bytes + 10 * size_of::<TailBatch>(), "{one} each: its place in the cache counts");
    assert_eq!((budget.used(), log.evict(0)), (10 * one, 0), "what is not flushed stays");
    log.flush(Offset(5)).unwrap();
    assert_eq!(log.evict(7 * one), 3 * one);
    assert_eq!(log.evict(0), 2 * one);
    log.truncate(Offset(8));
    assert_eq!(budget.used(), 3 * one);
    assert_eq!(log.unflushed_bytes(), 3 * Plan::new(0, &[1]).build().bytes.len());
    drop(log);
    assert_eq!(budget.used(), 0);
}

#[test]
fn few_files_stay_open_however_many_logs_there_are() {
    let disk = SimDisk::new();
    let files = Arc::new(FileCache::new(disk.process(), 7));
    let budget = Arc::new(TailBudget::new(1 << 20));
    let logs: Vec<eddy_log::Log> = (0..40)
        .map(|number| {
            let dir = format!("/data/{number}").into();
            eddy_log::Log::open(files.clone(), dir, Arc::new(small()), budget.clone(), None).unwrap()
        })
        .collect();
    for _ in 0..3 {
        for log in &logs {
            fill(log, 3, 1, |_| 1);
            log.evict(0);
            assert!(read(log, 0, 100, 100, true).unwrap().bytes > 0);
            assert!(files.open_files() <= 7, "{} files are open", files.open_files());
        }
    }
}

/// Readers follow the log from memory to disk and back while it grows, is flushed, evicted, cut at the front, and synced.
#[test]
fn readers_see_every_batch_once_whatever_else_goes_on() {
    let machine = Machine::real();
    let config = LogConfig { segment_bytes: 20_000, ..small() };
    let log = &machine.open(&config, None);
    let last = 3_000;
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for base in 0..last {
                log.append(Plan::new(base, &[base]).value_bytes((base % 300) as usize).build());
            }
        });
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                log.flush(log.end_offset()).unwrap();
                log.evict(5_000);
                log.sync().unwrap();
            }
        });
        let readers: Vec<_> =
            (0..3).map(|reader| scope.spawn(move || follow(log, last, 500 << reader))).collect();
        for reader in readers {
            reader.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}

fn follow(log: &eddy_log::Log, last: i64, max_bytes: usize) {
    let mut next = 0;
    while next < last {
        let fetched = read(log, next, i64::MAX, max_bytes, true).unwrap();
        for batch in batches(fetched.slices.concat().into()) {
            let batch = batch.unwrap();
            assert_eq!(batch.header.base_offset, Offset(next));
            batch.verify_crc().unwrap();
            next += 1;
        }
    }
}

#[test]
fn readers_survive_retention() {
    let machine = Machine::real();
    let config = LogConfig { segment_bytes: 3_000, ..small() };
    let log = &machine.open(&config, None);
    fill(log, 400, 1, |_| 1);
    log.evict(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for start in (0..=400).step_by(10) {
                log.set_start_offset(Offset(start));
                log.delete_below_start().unwrap();
            }
        });
        for round in 0..3 {
            scope.spawn(move || {
                let mut next = log.start_offset().0;
                while next < 400 {
                    match read(log, next, 400, 200 + round * 300, true) {
                        Ok(fetched) => {
                            let first = BatchHeader::parse(&fetched.slices[0]).unwrap();
                            assert_eq!(first.base_offset, Offset(next));
                            next = fetched.end_offset.0;
                        }
                        Err(ReadError::OutOfRange { start, .. }) => next = start.0,
                        Err(ReadError::Log(eddy_log::LogError::Moved { .. })) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
}
