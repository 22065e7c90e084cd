//! A lone append commits itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use eddy_disk::SimDisk;
use eddy_disk::sim::{Fault, SyncGate};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::Stopped;

/// More appends than it takes to be known to be alone, and to reach a file that has been prepared.
const APPENDS_MAX: i64 = 10_000;
const DEADLINE: Duration = Duration::from_secs(30);

impl Opened {
    fn append_in_place(&self, end: i64) -> Lsn {
        self.wal.trim(self.wal.durable_lsn());
        self.wal.commit_in_place(|| self.append(end, 100))
    }

    fn was_told_here(&self) -> bool {
        self.sink.0.lock().by == Some(thread::current().id())
    }

    /// Appends alone until appends are committed in place; returns the end after them.
    fn be_alone(&self) -> i64 {
        for end in 1..APPENDS_MAX {
            let lsn = self.append_in_place(end);
            let is_durable = self.wal.durable_lsn() > lsn;
            self.wal.wait_durable(lsn).unwrap();
            if self.was_told_here() {
                assert!(is_durable, "it was told before it returned");
                return end;
            }
        }
        panic!("nothing was committed in place");
    }
}

/// An append of a task of its own whose sync waits at the gate.
fn held_append(disk: &SimDisk, opened: &Arc<Opened>, end: i64) -> (SyncGate, JoinHandle<Lsn>) {
    let gate = disk.hold_syncs();
    let before = opened.wal.next_lsn();
    let append = tokio::spawn({
        let opened = opened.clone();
        async move { opened.append_in_place(end) }
    });
    // The next file of the log may be the first to wait there.
    while opened.wal.next_lsn() == before {
        thread::yield_now();
    }
    gate.wait_for_sync();
    (gate, append)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_append_is_durable_when_it_returns() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    let end = opened.be_alone();
    let (from, next) = (opened.wal.durable_lsn(), opened.append_in_place(end + 1));
    opened.wal.close();
    disk.power_cut();
    let replayed = open(disk.process(), from.0).unwrap().replayed;
    assert_eq!(replayed, [(next, append(1, end + 1, 100))]);
}

#[test]
fn without_threads_for_the_other_tasks_the_log_commits() {
    let opened = open(SimDisk::new().process(), 0).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for end in 1..500 {
        opened.wal.wait_durable(runtime.block_on(async { opened.append_in_place(end) })).unwrap();
        assert!(!opened.was_told_here());
    }
    for end in 500..1000 {
        opened.wal.wait_durable(opened.append_in_place(end)).unwrap();
        assert!(!opened.was_told_here());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_meanwhile_is_left_to_the_thread() {
    let disk = SimDisk::new();
    let opened = Arc::new(open(disk.process(), 0).unwrap());
    let end = opened.be_alone();
    let (gate, alone) = held_append(&disk, &opened, end + 1);
    let later = opened.append(end + 2, 100);
    gate.open();
    let first = alone.await.unwrap();
    assert_eq!(later, first.next());
    timeout(DEADLINE, opened.wal.until_durable(later)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_panic_leaves_behind_is_written() {
    let opened = open(SimDisk::new().process(), 0).unwrap();
    let end = opened.be_alone();
    let mut left = Lsn(0);
    let panics = || {
        opened.wal.commit_in_place(|| {
            left = opened.append(end + 1, 100);
            panic!("on purpose");
        })
    };
    catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
    timeout(DEADLINE, opened.wal.until_durable(left)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_in_place_stops_the_log() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    let end = opened.be_alone();
    let durable = opened.wal.durable_lsn();
    disk.fail_sync(1, Fault::Io);
    let lost = opened.append_in_place(end + 1);
    assert_eq!(opened.wal.wait_durable(lost), Err(Stopped));
    assert_eq!(opened.wal.durable_lsn(), durable);
    assert!(opened.wal.try_admit(1, 1).is_none());
    opened.wal.close();
    assert_eq!(opened.sink.failures().len(), 1, "{:?}", opened.sink.failures());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_waits_for_what_is_written_in_place() {
    let disk = SimDisk::new();
    let opened = Arc::new(open(disk.process(), 0).unwrap());
    let end = opened.be_alone();
    let (gate, alone) = held_append(&disk, &opened, end + 1);
    let wal = opened.wal.clone();
    let closes = thread::spawn(move || wal.close());
    while opened.wal.try_admit(0, 0).is_some() {
        thread::yield_now();
    }
    assert!(!opened.wal.is_stopped());
    gate.open();
    let lsn = alone.await.unwrap();
    closes.join().unwrap();
    assert_eq!(opened.wal.wait_durable(lsn), Ok(()));
    assert_eq!(opened.sink.upto(), lsn.next());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_are_alone_now_and_then_lose_nothing() {
    const TASKS: u32 = 3;
    const APPENDS: i64 = 400;
    let disk = SimDisk::new();
    let config = WalConfig { total_bytes_max: 64 << 20, file_bytes: 1 << 20, ..small() };
    let opened = Arc::new(open_with(disk.process(), Path::new(DIR), config, 0).unwrap());
    let tasks: Vec<_> = (1..=TASKS)
        .map(|partition| {
            let opened = opened.clone();
            tokio::spawn(async move {
                for end in 1..=APPENDS {
                    let submit = || opened.wal.submit(append(partition, end, 100), None);
                    let lsn = opened.wal.commit_in_place(submit);
                    opened.wal.until_durable(lsn).await.unwrap();
                    // The others end much earlier, and leave the last one alone.
                    if partition > 1 && end > APPENDS / 4 {
                        break;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    opened.wal.clone().close();
    disk.power_cut();
    let replayed = open_with(disk.process(), Path::new(DIR), config, 0).unwrap().replayed;
    for partition in 1..=TASKS {
        let ends: Vec<i64> = entries_of(&replayed)
            .iter()
            .filter_map(|entry| match entry {
                Entry::Append { partition: of, end_offset, .. } if of.0 == partition => Some(end_offset.0),
                _ => None,
            })
            .collect();
        let last = if partition > 1 { APPENDS / 4 + 1 } else { APPENDS };
        assert_eq!(ends, (1..=last).collect::<Vec<_>>());
    }
}
