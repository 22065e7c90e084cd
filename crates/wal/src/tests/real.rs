//! The log on the disk of the machine.

use eddy_disk::RealDisk;

use super::*;

#[test]
fn a_real_disk_replays_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let entries: Vec<_> = (1..100).map(|end| append(1, end, end as usize * 1000)).collect();
    let config = WalConfig::new(Profile::Low);
    let opened = open_with(RealDisk::shared(), dir.path(), config, 0).unwrap();
    for entry in &entries {
        let room = opened.wal.try_admit(1, entry.body().len()).unwrap();
        opened.wal.submit(entry.clone(), Some(room));
    }
    opened.wal.wait_durable(Lsn(98)).unwrap();
    assert_eq!(opened.sink.0.lock().ends, [(LocalPartition(1), Offset(99))]);
    opened.wal.close();

    let opened = open_with(RealDisk::shared(), dir.path(), config, 10).unwrap();
    assert_eq!(entries_of(&opened.replayed), entries[10..]);
    assert_eq!(opened.wal.next_lsn(), Lsn(99));
}
