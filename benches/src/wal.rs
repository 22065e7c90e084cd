//! The write-ahead log alone: with a real file and its `fdatasync`.

use std::sync::Arc;

use eddy_batch::Compression;
use eddy_disk::RealDisk;
use eddy_types::{LeaderEpoch, LocalPartition, Offset};
use eddy_wal::{Entry, Lsn, Profile, Sink, Wal, WalConfig};

use crate::{Operation, batch};

struct Nobody;

impl Sink for Nobody {
    fn durable(&self, _: &[(LocalPartition, Offset)], _: Lsn) {}
}

/// So many batches of one record each, of one partition each, queued at once and waited for.
pub(crate) fn commit(batches: u32) -> Operation {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let recovered = Wal::recover(
        RealDisk::shared(),
        dir.path(),
        WalConfig::new(Profile::Low),
        Lsn(0),
        &mut |_, _| Ok(()),
    );
    let wal = recovered.and_then(|log| log.start(Arc::new(Nobody))).expect("a log in an empty directory");
    let bytes = batch(1, Compression::None);
    let mut offset = 0;
    Box::new(move || {
        let _kept = &dir;
        let mut last = Lsn(0);
        for partition in 0..batches {
            let room = wal.try_admit(1, bytes.len()).expect("an empty queue");
            let entry = Entry::Append {
                partition: LocalPartition(partition),
                base_offset: Offset(offset),
                end_offset: Offset(offset + 1),
                leader_epoch: LeaderEpoch(0),
                after_gap: None,
                batch: bytes.clone(),
            };
            last = wal.submit(entry, Some(room));
        }
        offset += 1;
        wal.wait_durable(last).expect("a log that runs");
        wal.trim(last);
    })
}
