//! A disk that fails or is full.

use eddy_disk::sim::{Counters, Fault};
use eddy_disk::{Open, SimDisk};
use tokio::time::Instant;

use super::*;
use crate::{Cause, Full, Pressure, Stopped};

/// Fills the log until its active file is a full one.
fn fill_one_file(opened: &Opened) -> i64 {
    let mut end = 0;
    while opened.wal.stats().file_bytes <= 64 * KIB || end < 16 {
        end += 1;
        opened.append_durably(end, 5000);
    }
    end
}

#[test]
fn a_failed_sync_stops_the_log_once_and_for_all() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    opened.append_durably(1, 100);
    let Counters { syncs, .. } = disk.counters();
    disk.fail_sync(1, Fault::Io);
    let room = opened.wal.try_admit(1, 100);
    let lost = opened.wal.submit(append(1, 2, 100), room);
    assert_eq!(opened.wal.wait_durable(lost), Err(Stopped));
    let after = opened.append(3, 100);
    assert_eq!(after, lost.next(), "a submit does not fail");
    opened.wal.wait_durable(after).unwrap_err();
    assert!(opened.wal.try_admit(1, 1).is_none());
    let wal = opened.wal.clone();
    opened.wal.close();
    assert_eq!(opened.sink.upto(), Lsn(1));
    assert_eq!(opened.sink.failures().len(), 1, "{:?}", opened.sink.failures());
    assert!(
        opened.sink.failures()[0].starts_with("cannot sync /data/wal/wal-"),
        "{:?}",
        opened.sink.failures()
    );
    assert_eq!(disk.counters().syncs, syncs + 1, "a failed sync is not tried again");
    assert_eq!(wal.durable_lsn(), Lsn(1));

    disk.power_cut();
    let opened = open(disk.process(), 0).unwrap();
    assert_eq!(entries_of(&opened.replayed), [append(1, 1, 100)]);
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_written_again() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    disk.fail_sync(1, Fault::Io);
    opened.append(1, 100);
    opened.wal.close();
    disk.kill();
    // The next process finds the group in the cache, and a sync alone would not bring it to the disk.
    let opened = open(disk.process(), 0).unwrap();
    assert_eq!(opened.replayed.len(), 1);
    disk.power_cut();
    assert_eq!(open(disk.process(), 0).unwrap().replayed.len(), 1);
}

#[test]
fn a_failed_write_stops_the_log() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    disk.fail_write(1, Fault::Io);
    let lost = opened.append(1, 100);
    assert_eq!(opened.wal.wait_durable(lost), Err(Stopped));
    opened.wal.close();
    assert!(opened.sink.failures()[0].starts_with("cannot write"), "{:?}", opened.sink.failures());
}

#[test]
fn a_wait_ends_when_the_log_closes() {
    let opened = open(SimDisk::new().process(), 0).unwrap();
    let wal = opened.wal.clone();
    let waits = std::thread::spawn(move || wal.wait_durable(Lsn(5)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    opened.append(1, 10);
    runtime.block_on(opened.wal.until_durable(Lsn(0))).unwrap();
    let wal = opened.wal.clone();
    opened.wal.close();
    assert_eq!(waits.join().unwrap(), Err(Stopped));
    assert_eq!(runtime.block_on(wal.until_durable(Lsn(5))), Err(Stopped));
    assert_eq!(wal.wait_durable(Lsn(0)), Ok(()));
}

#[test]
fn a_full_disk_is_pressure_and_passes_when_there_is_space() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    let ballast = disk.open(Path::new("/ballast"), Open::Create).unwrap();
    ballast.write_at(&[std::io::IoSlice::new(&[0; 8192])], 0).unwrap();
    disk.set_capacity(Some(8192 + 4096));
    opened.append_durably(1, 100);
    let waits = opened.append(2, 5000);
    let mut pressure = opened.wal.pressure();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(pressure.wait_for(|pressure| *pressure == Pressure::Full)).unwrap();
    assert!(opened.wal.try_admit(1, 1).is_none());
    let full =
        runtime.block_on(async { opened.wal.admit(1, 1, Instant::now() + Duration::from_millis(1)).await });
    assert_eq!(full.unwrap_err(), Full { cause: Cause::DiskFull });
    assert_eq!(opened.wal.durable_lsn(), Lsn(1));

    ballast.set_size(0).unwrap();
    opened.wal.wait_durable(waits).unwrap();
    runtime.block_on(pressure.wait_for(|pressure| *pressure == Pressure::Normal)).unwrap();
    opened.wal.close();
    assert_eq!(opened.sink.failures(), [] as [String; 0]);
    disk.power_cut();
    assert_eq!(open(disk.process(), 0).unwrap().replayed.len(), 2);
}

#[test]
fn a_log_at_its_limit_goes_on_when_it_is_trimmed() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    let mut end = fill_one_file(&opened);
    let pressure = opened.wal.pressure();
    while *pressure.borrow() != Pressure::Full {
        if opened.wal.durable_lsn() == opened.wal.next_lsn() {
            end += 1;
            opened.append(end, 5000);
        }
        std::thread::yield_now();
    }
    assert!(opened.wal.stats().file_bytes <= 256 * KIB);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let full = runtime.block_on(async { opened.wal.admit(1, 1, Instant::now()).await });
    assert_eq!(full.unwrap_err(), Full { cause: Cause::Untrimmed });
    while opened.wal.durable_lsn() < opened.wal.next_lsn() {
        opened.wal.trim(opened.wal.durable_lsn());
        std::thread::yield_now();
    }
    assert!(opened.wal.stats().file_bytes <= 256 * KIB);
    opened.wal.close();
    assert_eq!(opened.sink.upto().0, end as u64);
}

#[test]
fn closing_a_log_without_space_does_not_hang() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    disk.set_capacity(Some(0));
    opened.append(1, 100);
    opened.wal.close();
    assert_eq!(opened.sink.failures(), [] as [String; 0]);
    assert_eq!(opened.sink.upto(), Lsn(0));
}

#[test]
fn what_comes_while_the_log_closes_leaves_no_gap() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    let gate = disk.hold_syncs();
    opened.append(1, 10);
    gate.wait_for_sync();
    opened.append(2, 10);
    let wal = opened.wal.clone();
    let closes = std::thread::spawn(move || wal.close());
    while opened.wal.try_admit(0, 0).is_some() {
        std::thread::yield_now();
    }
    let late = opened.append(3, 10);
    gate.open();
    closes.join().unwrap();
    assert_eq!(opened.wal.wait_durable(late), Err(Stopped));
    let opened = open(disk.process(), 0).unwrap();
    assert_eq!(entries_of(&opened.replayed), [append(1, 1, 10), append(1, 2, 10)]);
}

#[test]
fn dropping_the_last_handle_writes_what_is_queued() {
    let disk = SimDisk::new();
    let Opened { wal, sink, .. } = open(disk.process(), 0).unwrap();
    let gate = disk.hold_syncs();
    wal.submit(append(1, 1, 100), None);
    gate.wait_for_sync();
    wal.submit(append(1, 2, 100), None);
    drop(wal);
    gate.open();
    while sink.upto() < Lsn(2) {
        std::thread::yield_now();
    }
}
