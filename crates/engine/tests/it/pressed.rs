//! Memory while the disk is slow.

use std::path::Path;
use std::time::Duration;

use eddy_disk::SimDisk;
use eddy_engine::NewBatch;
use eddy_types::Offset;
use tokio::time::Instant;

use crate::brokers::until;
use crate::harness::{DEADLINE, append, batch, create, partition, start};

const PARTITIONS: i32 = 8;
/// Bytes of a batch: enough to be flushed at once.
const BYTES: usize = 4096;
/// Memory that it keeps: more than the caches may hold when each partition but the last has one.
const CHARGE: usize = 150 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_leaves_full_caches_though_the_round_goes_on() {
    let disk = SimDisk::new();
    let engine = start(disk.process(), Duration::from_secs(3600)).await;
    let topic = create(&engine, "t", 1, PARTITIONS).await;
    let mut partitions = Vec::new();
    for index in 0..PARTITIONS {
        partitions.push(partition(&engine, topic, index).await);
    }
    let (last, others) = partitions.split_last().unwrap();
    let dir = format!("-{}/", PARTITIONS - 1);
    let is_batches = |path: &Path| path.extension().is_some_and(|suffix| suffix == "log");
    let gate = disk.hold_writes(move |path| is_batches(path) && path.to_string_lossy().contains(&dir));
    append(&engine, last, batch(1, 0, &[vec![7; BYTES]])).await.unwrap();
    tokio::task::block_in_place(|| gate.wait_for_sync());
    append(&engine, last, batch(1, 1, &[vec![7; BYTES]])).await.unwrap();
    for partition in others {
        let large = NewBatch { charge: CHARGE, ..batch(1, 0, &[vec![7; BYTES]]) };
        append(&engine, partition, large).await.unwrap();
    }
    assert!(engine.admit(1, 1, Instant::now()).await.is_err(), "the caches are full");

    gate.pass_one();
    until("the last partition's first batch is written", || last.log().flushed_end() == Offset(1)).await;
    tokio::task::block_in_place(|| gate.wait_for_sync());
    engine.admit(1, 1, Instant::now() + DEADLINE).await.unwrap();
    assert_eq!(last.log().flushed_end(), Offset(1), "the round is not over");
    gate.open();
    engine.stop().await;
}
