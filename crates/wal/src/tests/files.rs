//! Files: made ahead, used again, bounded, and small at first.

use eddy_disk::SimDisk;

use super::*;

fn names(disk: &SimDisk) -> Vec<String> {
    let entries = disk.list(Path::new(DIR)).unwrap();
    entries.iter().map(|entry| entry.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_new_log_begins_with_one_empty_file() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    assert_eq!(names(&disk).len(), 1);
    assert_eq!(opened.wal.stats().file_bytes, 0);
    assert_eq!(disk.counters().bytes_written, 0);
    disk.power_cut();
    assert_eq!(names(&disk).len(), 1, "its name is durable");
}

#[test]
fn a_trimmed_log_uses_its_files_again_and_stays_small() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    for end in 1..=1000 {
        opened.append_durably(end, 3000);
        opened.wal.trim(Lsn(end as u64 - 1));
    }
    let stats = opened.wal.stats();
    assert!(stats.file_bytes <= 256 * KIB && names(&disk).len() <= 4, "{stats:?}");
    assert_eq!(stats.bytes_written, 1000 * 4096);
    assert_eq!((stats.groups, stats.entries, stats.syncs), (1000, 1000, 1000));
    opened.wal.close();
    let opened = open(disk.process(), 999).unwrap();
    assert_eq!(entries_of(&opened.replayed), [append(1, 1000, 3000)]);
}

#[test]
fn groups_keep_to_their_limit_and_a_large_entry_is_alone() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    let gate = disk.hold_syncs();
    opened.append(1, 10);
    gate.wait_for_sync();
    let sizes = [9_000, 9_000, 9_000, 90_000, 10, 10];
    for (end, bytes) in (2..).zip(sizes) {
        opened.append(end, bytes);
    }
    drop(gate);
    let wal = opened.wal.clone();
    opened.wal.close();
    assert_eq!(wal.stats().groups, 1 + 4, "two, one, the large one, two");
    assert_eq!(wal.stats().group_entries.counts[..2], [3, 2]);
    let opened = open(disk.process(), 0).unwrap();
    assert_eq!(opened.replayed.len(), 7);
}

#[test]
fn what_comes_during_a_sync_is_one_group() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    let gate = disk.hold_syncs();
    opened.append(1, 10);
    gate.wait_for_sync();
    for end in 2..=100 {
        opened.append(end, 10);
    }
    gate.open();
    opened.wal.close();
    assert_eq!(opened.sink.0.lock().groups, 2);
    assert_eq!(opened.sink.0.lock().ends, [(LocalPartition(1), Offset(100))]);
}

/// Trimming everything must leave the group from which the log's position is read.
#[test]
fn a_log_that_was_trimmed_to_its_end_keeps_its_position() {
    for entries in 1..60 {
        let disk = SimDisk::new();
        let opened = open(disk.process(), 0).unwrap();
        for end in 1..=entries {
            opened.append_durably(end, 5000);
            opened.wal.trim(opened.wal.durable_lsn());
        }
        opened.wal.close();
        disk.power_cut();
        let opened = open(disk.process(), entries as u64).unwrap();
        assert_eq!(opened.wal.next_lsn().0, entries as u64);
        assert!(opened.replayed.is_empty());
    }
}

#[test]
fn a_clean_stop_leaves_the_same_bytes_however_often_it_is_opened() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    for end in 1..=16 {
        opened.append_durably(end, 5000);
    }
    opened.wal.close();
    let snapshot = || {
        let paths: Vec<_> = disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.path).collect();
        paths.into_iter().map(|path| (eddy_disk::read(&disk, &path).unwrap(), path)).collect::<Vec<_>>()
    };
    let before = snapshot();
    for _ in 0..3 {
        let opened = open(disk.process(), 16).unwrap();
        assert!(opened.replayed.is_empty());
        opened.wal.close();
        assert!(before == snapshot());
    }
}

#[test]
fn a_checkpoint_that_the_log_does_not_reach_is_refused() {
    let disk = SimDisk::new();
    let refused = |from| open(disk.process(), from).err().unwrap().to_string();
    assert!(
        refused(5).contains("holds entries 0 to 0, but the checkpoint needs them from 5 on"),
        "{}",
        refused(5)
    );
    let opened = open(disk.process(), 0).unwrap();
    for end in 1..=60 {
        opened.append_durably(end, 5000);
        opened.wal.trim(Lsn(end as u64));
    }
    opened.wal.close();
    assert!(refused(61).contains("needs them from 61 on"), "{}", refused(61));
    assert!(refused(0).contains("needs them from 0 on"), "{}", refused(0));
}

#[test]
fn an_error_of_the_caller_ends_the_replay() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    opened.append_durably(1, 10);
    opened.wal.close();
    let refuse = &mut |_, _| Err("no such partition".into());
    let error = Wal::recover(disk.process(), Path::new(DIR), small(), Lsn(0), refuse).err().unwrap();
    assert_eq!(error.to_string(), "cannot replay entry 0 of the write-ahead log: no such partition");
}
