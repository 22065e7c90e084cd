//! What is in a partition's directory, byte for byte.

use std::path::Path;

use eddy_log::{Log, LogConfig};
use eddy_types::{Millis, Offset};

use crate::support::{Machine, Plan, concat, fill, read, read_all, small};

fn contents(machine: &Machine, name: &str) -> Vec<u8> {
    eddy_disk::read(machine.disk().as_ref(), &machine.dir().join(name)).unwrap()
}

/// Entries of an index, which a segment that grows lacks until there is one.
fn entries(machine: &Machine, name: &str) -> Vec<u8> {
    eddy_disk::read(machine.disk().as_ref(), &machine.dir().join(name)).unwrap_or_default()
}

fn names(machine: &Machine) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    machine.disk().list(&machine.dir()).unwrap().iter().map(|entry| name(&entry.path)).collect()
}

fn bases(machine: &Machine) -> Vec<i64> {
    names(machine).iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect()
}

/// Appends one batch a pair of timestamp and number of records, flushing after each.
fn bases_after(config: &LogConfig, batches: &[(i64, usize, usize)]) -> Vec<i64> {
    let machine = Machine::sim();
    let log = machine.open(config, None);
    for (timestamp, records, value_bytes) in batches {
        append(&log, *timestamp, *records, *value_bytes);
    }
    bases(&machine)
}

fn append(log: &Log, timestamp: i64, records: usize, value_bytes: usize) {
    let batch = Plan::new(log.end_offset().0, &vec![timestamp; records]).value_bytes(value_bytes).build();
    log.append(batch);
    log.flush(log.end_offset()).unwrap();
}

#[test]
fn a_log_without_data_has_no_directory() {
    let machine = Machine::sim();
    let log = machine.open(&small(), None);
    log.assign_epoch(eddy_types::LeaderEpoch(1), Offset(0));
    assert_eq!(log.sync().unwrap(), eddy_log::LogCheckpoint::default());
    assert!(machine.disk().list(&machine.dir()).is_err());
    log.destroy().unwrap();
}

#[test]
fn large_flushes_go_past_the_page_cache_unless_somebody_reads_behind() {
    for machine in [Machine::sim(), Machine::real()] {
        let past_cache = || match &machine {
            Machine::Sim(disk) => disk.counters().bytes_past_cache,
            Machine::Real(_) => 0,
        };
        let log = machine.open(&LogConfig::default(), None);
        let mut batches = Vec::new();
        let flush = |batches: &mut Vec<_>, records: usize| {
            let before = past_cache();
            // An odd size, so that no flush but the first begins at a block.
            let batch =
                Plan::new(log.end_offset().0, &vec![5; records]).value_bytes(70_001 / records).build();
            log.append(batch.clone());
            log.flush(log.end_offset()).unwrap();
            log.evict(0);
            batches.push(batch);
            past_cache() - before
        };
        let (first, second) = (flush(&mut batches, 1), flush(&mut batches, 7));
        assert_eq!(read_all(&log, 0), concat(&batches));
        log.expect_reads();
        let after_a_read = flush(&mut batches, 3);
        let and_then = flush(&mut batches, 1);
        assert_eq!(read_all(&log, 0), concat(&batches));
        assert_eq!(contents(&machine, "00000000000000000000.log"), concat(&batches));
        if matches!(machine, Machine::Sim(_)) {
            assert!(first > 60_000 && second > 60_000 && and_then > 60_000, "{first} {second} {and_then}");
            assert_eq!(after_a_read, 0);
        }
    }
}

#[test]
fn segment_files_are_the_batches_and_nothing_else() {
    for machine in [Machine::sim(), Machine::real()] {
        let log = machine.open(&small(), None);
        let batches = fill(&log, 100, 3, |number| number);
        let files: Vec<Vec<u8>> =
            bases(&machine).iter().map(|base| contents(&machine, &format!("{base:020}.log"))).collect();
        assert!(files.len() > 5, "{} segments", files.len());
        assert_eq!(files.concat(), concat(&batches));
        assert_eq!(log.segment_count(), files.len());
        assert_eq!(log.size_bytes(), files.concat().len() as u64);
    }
}

#[test]
fn index_entries_lead_to_their_batches() {
    let machine = Machine::sim();
    let log = machine.open(&small(), None);
    let batches = fill(&log, 100, 3, |number| (number * 37) % 100);
    let mut count = 0;
    let bases = bases(&machine);
    for (index, base) in bases.iter().enumerate() {
        let end = bases.get(index + 1).copied().unwrap_or(i64::MAX);
        let here = || batches.iter().filter(|batch| (*base..end).contains(&batch.base_offset.0));
        let mut last = 0;
        for entry in entries(&machine, &format!("{base:020}.index")).chunks(8) {
            let offset = base + i64::from(i32::from_be_bytes(entry[..4].try_into().unwrap()));
            let position = i32::from_be_bytes(entry[4..].try_into().unwrap()) as usize;
            let below: usize =
                here().filter(|batch| batch.end_offset.0 <= offset).map(|batch| batch.bytes.len()).sum();
            assert!(here().any(|batch| batch.end_offset.0 - 1 == offset), "offset {offset}");
            assert_eq!(position, below);
            assert!(position - last > 200, "entries at {last} and {position}");
            last = position;
            count += 1;
        }
        let mut last_time = -1;
        for entry in entries(&machine, &format!("{base:020}.timeindex")).chunks(12) {
            let timestamp = i64::from_be_bytes(entry[..8].try_into().unwrap());
            let offset = base + i64::from(i32::from_be_bytes(entry[8..].try_into().unwrap()));
            let first = here().find(|batch| batch.max_timestamp.0 >= timestamp).unwrap();
            assert_eq!((first.max_timestamp.0, first.end_offset.0 - 1), (timestamp, offset));
            assert!(timestamp > last_time);
            last_time = timestamp;
        }
        let is_sealed = index + 1 < bases.len();
        let newest = here().map(|batch| batch.max_timestamp.0).max().unwrap();
        assert!(!is_sealed || last_time == newest, "segment {base} ends with {last_time}, not {newest}");
    }
    assert!(count > 20, "{count} entries");
}

#[test]
fn log_rolls_by_size() {
    let one = Plan::new(0, &[1]).value_bytes(100).build().bytes.len() as u32;
    let config = LogConfig { segment_bytes: 2 * one, ..small() };
    assert_eq!(bases_after(&config, &[(1, 1, 100); 5]), [0, 2, 4]);
    let config = LogConfig { segment_bytes: 2 * one - 1, ..small() };
    assert_eq!(bases_after(&config, &[(1, 1, 100); 3]), [0, 1, 2]);
}

#[test]
fn batch_larger_than_a_segment_gets_one_of_its_own() {
    let config = LogConfig { segment_bytes: 300, ..small() };
    assert_eq!(bases_after(&config, &[(1, 1, 50), (1, 1, 900), (1, 1, 900), (1, 1, 50)]), [0, 1, 2, 3]);
}

#[test]
fn log_rolls_by_time_of_the_records() {
    let config = LogConfig { segment_ms: Millis(100), ..small() };
    assert_eq!(bases_after(&config, &[(1000, 1, 9), (1100, 1, 9), (1101, 1, 9)]), [0, 2]);
    assert_eq!(
        bases_after(&config, &[(1000, 1, 9), (5, 1, 9), (1050, 1, 9)]),
        [0],
        "older records never roll"
    );
    assert_eq!(bases_after(&config, &[(-1, 1, 9), (9_000, 1, 9)]), [0], "no timestamp to count from");
    let jitter = LogConfig { segment_ms: Millis(100), segment_jitter_ms: Millis(100), ..small() };
    assert_eq!(bases_after(&jitter, &[(1000, 1, 9), (1101, 1, 9)]), [0, 1], "jitter only shortens");
}

#[test]
fn log_rolls_when_an_index_is_full() {
    // An entry for each batch but the first: four fit.
    let config = LogConfig { index_interval_bytes: 0, index_bytes_max: 36, ..small() };
    assert_eq!(bases_after(&config, &[(-1, 1, 9); 11]), [0, 5, 10]);
    // Of the larger time index entries three fit, and one is left for the roll.
    let rising: Vec<(i64, usize, usize)> = (0..7).map(|number| (number, 1, 9)).collect();
    assert_eq!(bases_after(&config, &rising), [0, 3, 6]);
}

#[test]
fn log_rolls_before_an_offset_does_not_fit_its_index() {
    let machine = Machine::sim();
    let log = machine.open(&LogConfig { index_interval_bytes: 0, ..small() }, None);
    let far = i64::from(i32::MAX);
    for base in [0, far, far + 1, 3 * far, 3 * far + 1, 9 * far] {
        log.append(Plan::new(base, &[1]).build());
        log.flush(log.end_offset()).unwrap();
    }
    // A segment is named by the end before it, or else by its first batch.
    assert_eq!(bases(&machine), [0, far + 1, 3 * far, 9 * far]);
    log.evict(0);
    for (from, end) in [(1, far + 1), (far + 5, 3 * far + 1), (5 * far, 9 * far + 1)] {
        assert_eq!(read(&log, from, i64::MAX, 1, true).unwrap().end_offset.0, end);
    }
}

#[test]
fn leader_epochs_are_written_as_kafka_does() {
    let machine = Machine::sim();
    let log = machine.open(&small(), None);
    for (base, epoch) in [(0, 0), (1, 0), (2, 4), (3, 5)] {
        log.append(Plan::new(base, &[1]).epoch(epoch).build());
    }
    log.flush(Offset(3)).unwrap();
    log.sync().unwrap();
    assert_eq!(contents(&machine, "leader-epoch-checkpoint"), b"0\n2\n0 0\n4 2\n");
}

#[test]
fn destroyed_log_leaves_nothing() {
    for machine in [Machine::sim(), Machine::real()] {
        let log = machine.open(&small(), None);
        fill(&log, 30, 3, |number| number);
        log.sync().unwrap();
        log.destroy().unwrap();
        assert!(machine.disk().list(&machine.dir()).is_err());
        assert_eq!(log.size_bytes(), 0);
    }
}
