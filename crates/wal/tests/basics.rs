//! The log as its callers use it, on the disk of the machine.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use eddy_disk::{Disk, RealDisk};
use eddy_types::{LeaderEpoch, LocalPartition, Offset};
use eddy_wal::{Entry, Lsn, Profile, Sink, Wal, WalConfig, WalError};
use parking_lot::Mutex;

#[derive(Default)]
struct Ends(Mutex<Vec<(u64, Vec<(u32, i64)>)>>);

impl Sink for Ends {
    fn durable(&self, ends: &[(LocalPartition, Offset)], upto: Lsn) {
        self.0.lock().push((upto.0, ends.iter().map(|(partition, end)| (partition.0, end.0)).collect()));
    }

    fn failed(&self, error: WalError) {
        panic!("{error}");
    }
}

fn append(end: i64, bytes: usize) -> Entry {
    Entry::Append {
        partition: LocalPartition(7),
        base_offset: Offset(end - 1),
        end_offset: Offset(end),
        leader_epoch: LeaderEpoch(3),
        batch: Bytes::from(vec![end as u8; bytes]),
    }
}

fn open(disk: Arc<dyn Disk>, dir: &Path, from: Lsn, replayed: &mut Vec<Entry>) -> (Wal, Arc<Ends>) {
    let sink = Arc::new(Ends::default());
    let recovered = Wal::recover(disk, dir, WalConfig::new(Profile::Low), from, &mut |_, entry| {
        replayed.push(entry);
        Ok(())
    })
    .unwrap();
    (recovered.start(sink.clone()).unwrap(), sink)
}

#[test]
fn what_was_written_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let entries: Vec<_> = (1..100).map(|end| append(end, end as usize * 1000)).collect();
    let (wal, sink) = open(RealDisk::shared(), dir.path(), Lsn(0), &mut Vec::new());
    for entry in &entries {
        let room = wal.try_admit(1, entry_bytes(entry)).unwrap();
        wal.submit(entry.clone(), Some(room));
    }
    wal.wait_durable(Lsn(98)).unwrap();
    assert_eq!(sink.0.lock().last().unwrap(), &(99, vec![(7, 99)]));
    assert_eq!(wal.stats().queue_batches, 0);
    wal.close();

    let mut replayed = Vec::new();
    let (wal, _) = open(RealDisk::shared(), dir.path(), Lsn(10), &mut replayed);
    assert_eq!(replayed, entries[10..]);
    assert_eq!(wal.next_lsn(), Lsn(99));
}

fn entry_bytes(entry: &Entry) -> usize {
    match entry {
        Entry::Append { batch, .. } => batch.len(),
        _ => 0,
    }
}
