//! What a crash, a lost file or a full disk leaves, and what is made of it.

use std::io::IoSlice;
use std::path::PathBuf;

use eddy_disk::sim::Fault;
use eddy_disk::{Open, SimDisk};
use eddy_log::{Log, LogCheckpoint};
use eddy_types::{Millis, Offset, OffsetRange};

use crate::support::{Machine, Plan, concat, fill, read, read_all, small};

fn path(machine: &Machine, base: i64, suffix: &str) -> PathBuf {
    machine.dir().join(format!("{base:020}.{suffix}"))
}

fn overwrite(machine: &Machine, path: PathBuf, position: u64, contents: &[u8]) {
    let file = machine.disk().open(&path, Open::Create).unwrap();
    file.write_at(&[IoSlice::new(contents)], position).unwrap();
}

fn sim(machine: &Machine) -> &SimDisk {
    let Machine::Sim(disk) = machine else { panic!("not simulated") };
    disk
}

/// The index files and what is in them.
fn indexes(machine: &Machine) -> Vec<(PathBuf, Vec<u8>)> {
    let disk = machine.disk();
    let paths = disk.list(&machine.dir()).unwrap().into_iter().map(|entry| entry.path);
    paths
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "index" || suffix == "timeindex"))
        .map(|path| (path.clone(), eddy_disk::read(disk.as_ref(), &path).unwrap()))
        .collect()
}

/// A log of several segments, synced.
fn synced(machine: &Machine) -> (Log, LogCheckpoint, Vec<u8>) {
    let log = machine.open(&small(), None);
    let batches = fill(&log, 60, 3, |number| (number * 37) % 100);
    let checkpoint = log.sync().unwrap();
    assert!(log.segment_count() > 4);
    (log, checkpoint, concat(&batches))
}

#[test]
fn what_lies_above_the_checkpoint_is_cut() {
    for machine in [Machine::sim(), Machine::real()] {
        let (log, checkpoint, contents) = synced(&machine);
        drop(log);
        overwrite(
            &machine,
            path(&machine, checkpoint.active_segment.0, "log"),
            checkpoint.active_bytes,
            b"torn",
        );
        overwrite(&machine, path(&machine, checkpoint.flushed_end.0 + 5, "log"), 0, b"a later segment");
        overwrite(&machine, path(&machine, checkpoint.flushed_end.0 + 5, "index"), 0, b"its index");
        overwrite(&machine, machine.dir().join("leader-epoch-checkpoint.new"), 0, b"half");
        let log = machine.open(&small(), Some(&checkpoint));
        assert_eq!(log.end_offset(), checkpoint.flushed_end);
        assert_eq!(read_all(&log, 0), contents);
        assert_eq!(log.sync().unwrap(), checkpoint);
        let files = machine.disk().list(&machine.dir()).unwrap();
        assert_eq!(files.len(), log.segment_count() * 3 + 1, "{files:?}");
    }
}

#[test]
fn a_log_made_after_the_checkpoint_begins_anew() {
    let machine = Machine::sim();
    drop(synced(&machine));
    let log = machine.open(&small(), Some(&LogCheckpoint::default()));
    assert_eq!((log.end_offset(), log.segment_count(), log.missing()), (Offset(0), 0, None));
    assert_eq!(fill(&log, 3, 1, |_| 5).len(), 3);
    assert_eq!(read_all(&log, 0).len() as u64, log.size_bytes());
}

#[test]
fn opening_by_a_checkpoint_looks_at_no_batch() {
    let machine = Machine::sim();
    let (log, checkpoint, _) = synced(&machine);
    drop(log);
    for base in 0..checkpoint.flushed_end.0 {
        if let Ok(file) = machine.disk().open(&path(&machine, base, "log"), Open::Existing) {
            file.write_at(&[IoSlice::new(&vec![0xff; file.size().unwrap() as usize])], 0).unwrap();
        }
    }
    let log = machine.open(&small(), Some(&checkpoint));
    assert_eq!(log.end_offset(), checkpoint.flushed_end);
    assert!(read(&log, 0, 10, 100, true).is_err(), "damage is an error, not an answer");
}

#[test]
fn lost_or_damaged_indexes_are_rebuilt_as_they_were() {
    let damages: [fn(&Machine, PathBuf); 4] = [
        |machine, path| machine.disk().remove_file(&path).unwrap(),
        |machine, path| machine.disk().open(&path, Open::Existing).unwrap().set_size(5).unwrap(),
        |machine, path| machine.disk().open(&path, Open::Existing).unwrap().set_size(0).unwrap(),
        |machine, path| {
            let size = machine.disk().open(&path, Open::Existing).unwrap().size().unwrap();
            overwrite(machine, path, 0, &vec![0x5a; size as usize]);
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let machine = Machine::sim();
        let (log, checkpoint, contents) = synced(&machine);
        drop(log);
        let before = indexes(&machine);
        for (path, _) in &before {
            damage(&machine, path.clone());
        }
        let log = machine.open(&small(), Some(&checkpoint));
        assert_eq!(read_all(&log, 0), contents, "damage {number}");
        log.max_timestamp(log.end_offset()).unwrap();
        assert!(indexes(&machine) == before, "damage {number}");
    }
}

#[test]
fn zeros_in_place_of_an_unsynced_entry_are_no_entry() {
    let machine = Machine::sim();
    let log = machine.open(&small(), None);
    log.append(Plan::new(0, &[40]).build());
    log.flush(Offset(1)).unwrap();
    let checkpoint = log.sync().unwrap();
    drop(log);
    overwrite(&machine, path(&machine, 0, "timeindex"), 0, &[0; 12]);
    let log = machine.open(&small(), Some(&checkpoint));
    log.append(Plan::new(1, &[0]).build());
    log.flush(Offset(2)).unwrap();
    log.evict(0);
    assert_eq!(log.offset_for_timestamp(Millis(40), Offset(2)).unwrap().unwrap().offset, Offset(0));
}

#[test]
fn index_that_leads_astray_is_noticed_and_rebuilt() {
    let machine = Machine::sim();
    let (log, checkpoint, contents) = synced(&machine);
    drop(log);
    // The last entry stays right, so that nothing is noticed before an entry is used.
    let before = indexes(&machine);
    let (index, entries) = &before[0];
    let entry = i32::from_be_bytes(entries[4..8].try_into().unwrap()) - 7;
    overwrite(&machine, index.clone(), 4, &entry.to_be_bytes());
    let log = machine.open(&small(), Some(&checkpoint));
    assert_eq!(read_all(&log, 0), contents);
    assert!(indexes(&machine) == before);
}

#[test]
fn files_that_hold_less_than_promised_are_told() {
    for lost in [0, 1, 2] {
        let machine = Machine::sim();
        let (log, checkpoint, contents) = synced(&machine);
        drop(log);
        let active = path(&machine, checkpoint.active_segment.0, "log");
        let disk = machine.disk();
        let readable = match lost {
            0 => disk.remove_file(&active).map(|()| checkpoint.active_segment.0).unwrap(),
            1 => {
                let file = disk.open(&active, Open::Existing).unwrap();
                file.set_size(checkpoint.active_bytes - 1).unwrap();
                checkpoint.flushed_end.0 - 3
            }
            _ => {
                overwrite(&machine, active.clone(), 0, &[0xff; 17]);
                disk.open(&active, Open::Existing).unwrap().set_size(checkpoint.active_bytes - 1).unwrap();
                checkpoint.active_segment.0
            }
        };
        let log = machine.open(&small(), Some(&checkpoint));
        let missing = OffsetRange { start: Offset(readable), end: checkpoint.flushed_end };
        assert_eq!(log.missing(), Some(missing), "case {lost}");
        // The write-ahead log repeats a truncation that had reached the files.
        log.truncate(Offset(readable));
        assert_eq!(log.missing(), None);
        let batch = Plan::new(readable, &[1]).build();
        log.append(batch.clone());
        log.flush(log.end_offset()).unwrap();
        log.evict(0);
        let mut expected = contents;
        expected.truncate(log.size_bytes() as usize - batch.bytes.len());
        expected.extend(&batch.bytes);
        assert_eq!(read_all(&log, 0), expected, "case {lost}");
    }
}

#[test]
fn segments_deleted_since_the_checkpoint_are_not_missed() {
    let machine = Machine::sim();
    let (log, checkpoint, contents) = synced(&machine);
    log.set_start_offset(Offset(100));
    assert!(log.delete_below_start().unwrap().segments >= 1);
    let (end, left) = (log.end_offset(), log.size_bytes() as usize);
    drop(log);
    let log = machine.open(&small(), Some(&checkpoint));
    log.set_start_offset(Offset(100));
    assert_eq!((log.missing(), log.end_offset()), (None, end));
    assert!(contents[contents.len() - left..].ends_with(&read_all(&log, 100)));
    // All of them, down to the one that was active then.
    log.set_start_offset(end);
    log.delete_below_start().unwrap();
    drop(log);
    let log = machine.open(&small(), Some(&checkpoint));
    assert!(log.missing().is_some());
    log.set_start_offset(end);
    assert_eq!((log.missing(), log.end_offset()), (None, end));
}

#[test]
fn without_a_checkpoint_every_batch_is_checked() {
    let machine = Machine::sim();
    let (log, _, contents) = synced(&machine);
    let epochs_end = log.epoch_end(eddy_types::LeaderEpoch(0));
    drop(log);
    let before = indexes(&machine);
    let log = machine.open(&small(), None);
    assert_eq!(read_all(&log, 0), contents);
    assert!(indexes(&machine) == before);
    assert_eq!(log.epoch_end(eddy_types::LeaderEpoch(0)), epochs_end);
    drop(log);
    // One bit in the records of a batch in the second segment: all behind it is as good as unknown.
    let second = machine
        .disk()
        .list(&machine.dir())
        .unwrap()
        .into_iter()
        .map(|entry| entry.path)
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "log"))
        .nth(1)
        .unwrap();
    let mut bytes = eddy_disk::read(machine.disk().as_ref(), &second).unwrap();
    let at = bytes.len() - 3;
    bytes[at] ^= 1;
    overwrite(&machine, second.clone(), 0, &bytes);
    let log = machine.open(&small(), None);
    assert_eq!(log.segment_count(), 2);
    let read = read_all(&log, 0);
    assert!(contents.starts_with(&read) && read.len() as u64 == log.size_bytes());
    assert!(log.size_bytes() < contents.len() as u64 / 2);
    // Nothing is deleted on doubt.
    let aside: Vec<u8> = machine
        .disk()
        .list(&machine.dir())
        .unwrap()
        .into_iter()
        .filter(|entry| entry.path.extension().is_some_and(|suffix| suffix == "damaged"))
        .flat_map(|entry| eddy_disk::read(machine.disk().as_ref(), &entry.path).unwrap())
        .collect();
    assert_eq!(aside.len() + read.len(), contents.len());
    fill(&log, 5, 1, |_| 3);
}

#[test]
fn without_a_checkpoint_a_torn_end_is_cut() {
    let machine = Machine::sim();
    let (log, checkpoint, contents) = synced(&machine);
    drop(log);
    let active = path(&machine, checkpoint.active_segment.0, "log");
    let torn = Plan::new(checkpoint.flushed_end.0, &[1]).build().bytes;
    overwrite(&machine, active, checkpoint.active_bytes, &torn[..torn.len() - 1]);
    let files = machine.disk().list(&machine.dir()).unwrap().len();
    let log = machine.open(&small(), None);
    assert_eq!((log.end_offset(), read_all(&log, 0)), (checkpoint.flushed_end, contents));
    assert_eq!(machine.disk().list(&machine.dir()).unwrap().len(), files);
}

#[test]
fn a_failed_write_can_be_tried_again() {
    for nth in 1..12 {
        let machine = Machine::sim();
        let log = machine.open(&small(), None);
        let mut batches = fill(&log, 20, 3, |number| number);
        for number in 0..30 {
            let batch = Plan::new(log.end_offset().0, &[number]).value_bytes(90).build();
            log.append(batch.clone());
            batches.push(batch);
        }
        sim(&machine).fail_write(nth, Fault::NoSpace);
        let mut failures = 0;
        while log.flush(log.end_offset()).is_err() {
            failures += 1;
            // The next attempt may decide otherwise where to roll.
            let config = eddy_log::LogConfig { segment_bytes: 700, ..small() };
            log.set_config(config.into());
        }
        assert!(failures == 1 || nth > 8, "write {nth} did not fail");
        if failures == 0 {
            break;
        }
        log.evict(0);
        assert_eq!(read_all(&log, 0), concat(&batches), "write {nth}");
        let checkpoint = log.sync().unwrap();
        sim(&machine).power_cut();
        let log = machine.open(&small(), Some(&checkpoint));
        assert_eq!(read_all(&log, 0), concat(&batches), "write {nth}, after a crash");
        assert_eq!(log.size_bytes(), concat(&batches).len() as u64);
    }
}

#[test]
fn a_failed_sync_is_an_error() {
    let machine = Machine::sim();
    let log = machine.open(&small(), None);
    fill(&log, 3, 3, |number| number);
    sim(&machine).fail_sync(1, Fault::Io);
    assert!(log.sync().is_err());
}
