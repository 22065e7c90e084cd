//! Shards from partitions that hold more than groups.

use eddy_batch::{BatchBuilder, BatchHeader, Compression};
use eddy_coordinator::{OFFSETS_TOPIC, partition_of};
use eddy_core::Acks;
use eddy_disk::SimDisk;
use eddy_engine::{AckGroup, NewBatch, PartitionKey};
use eddy_types::Millis;
use tokio::time::{Duration, Instant};

use crate::harness::Broker;

/// Writes a record of any kind into the partition of a group.
async fn write(broker: &Broker, group: &str, key: Option<&[u8]>, value: Option<&[u8]>, spoil: bool) {
    let image = broker.engine.image();
    let topic = image.topic(OFFSETS_TOPIC).unwrap();
    let key_of = PartitionKey { topic: topic.id, index: partition_of(group, topic.partitions.len()) };
    let partition = broker.engine.partition(&image, key_of).await.unwrap();
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Millis(1), key, value);
    let mut bytes = builder.build().unwrap().to_vec();
    let facts = BatchHeader::parse(&bytes).unwrap().facts();
    if spoil {
        *bytes.last_mut().unwrap() ^= 0xff;
    }
    let batch = NewBatch { facts, charge: bytes.len(), bytes: bytes.into() };
    let deadline = Instant::now() + Duration::from_secs(10);
    let room = broker.engine.admit(1, 100, deadline).await.unwrap();
    let group = AckGroup::new(1);
    partition.append(Acks::All, batch, Some(room), Some(group.token(0))).unwrap();
    group.wait(deadline).await.remove(0).unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_and_damaged_records_are_passed_over() {
    let disk = SimDisk::new();
    let broker = Broker::start(disk.process()).await;
    broker.commit("g", 0, 1).await;
    // A share group's record, a record without a key, one that is too short, one cut off, and a value of the future.
    write(&broker, "g", Some(&[0, 9, 0, 1, b'g']), Some(&[0, 0]), false).await;
    write(&broker, "g", None, Some(b"hello"), false).await;
    write(&broker, "g", Some(&[0]), None, false).await;
    write(&broker, "g", Some(&[0, 1, 0, 9, b'g']), Some(&[0, 4]), false).await;
    let offset_of_g = [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 0];
    write(&broker, "g", Some(&offset_of_g), Some(&[0, 99]), false).await;
    broker.commit("g", 1, 2).await;
    broker.stop().await;
    let broker = Broker::start(disk.process()).await;
    assert_eq!(broker.fetch("g").await, [(0, 1), (1, 2)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_loaded_again_and_again_with_what_came_since() {
    let disk = SimDisk::new();
    for round in 1..=4 {
        let broker = Broker::start(disk.process()).await;
        let before: Vec<_> = if round > 1 { vec![(0, round - 1)] } else { Vec::new() };
        assert_eq!(broker.fetch("g").await, before);
        for offset in 0..=round {
            broker.commit("g", 0, offset).await;
        }
        broker.stop().await;
    }
}
