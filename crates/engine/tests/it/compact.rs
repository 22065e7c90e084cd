//! Compaction of a running engine's logs.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_batch::{BatchBuilder, BatchHeader, Compression, DecompressLimit, batches};
use eddy_disk::{Open, SimDisk};
use eddy_engine::{CleanerStatus, Engine, NewBatch, Partition, ReadRequest};
use eddy_metadata::controller::{
    AlterOperation, ConfigChange, ConfigTarget, NewTopic, TopicRef, alter_configs, create_topic, delete_topic,
};
use eddy_types::{LeaderEpoch, Millis, TopicId};

use crate::harness::{DEADLINE, append, partition, start};

const CHECKPOINT: Duration = Duration::from_millis(100);
const KEYS: i64 = 7;

/// A topic whose segments hold few batches.
async fn create(engine: &Engine, name: &str, id: u8, policy: &str) -> TopicId {
    let mut new = NewTopic { partitions: 1, ..NewTopic::with_defaults(TopicId([id; 16]), name) };
    for (key, value) in [("cleanup.policy", policy), ("segment.ms", "10"), ("delete.retention.ms", "0")] {
        new.configs.push((key.to_owned(), Some(value.to_owned())));
    }
    engine.quorum().change(|image| create_topic(image, &new)).await.unwrap();
    TopicId([id; 16])
}

async fn configure(engine: &Engine, topic: &str, key: &str, value: &str) {
    let change =
        ConfigChange { key: key.to_owned(), operation: AlterOperation::Set, value: Some(value.to_owned()) };
    let target = ConfigTarget::Topic(topic.to_owned());
    let decide = |image: &eddy_metadata::Image| {
        alter_configs(image, &target, std::slice::from_ref(&change)).map(|records| (records, ()))
    };
    engine.quorum().change(decide).await.unwrap();
}

fn keyed(number: i64) -> NewBatch {
    let mut builder = BatchBuilder::new(Compression::None);
    let key = format!("key {}", number % KEYS);
    let time = Millis(1_700_000_000_000 + number);
    builder.append(time, Some(key.as_bytes()), Some(number.to_string().as_bytes()));
    let bytes = builder.build().unwrap();
    NewBatch { facts: BatchHeader::parse(&bytes).unwrap().facts(), charge: bytes.len(), bytes }
}

async fn fill(engine: &Engine, partition: &Arc<Partition>, numbers: std::ops::Range<i64>) {
    for number in numbers {
        append(engine, partition, keyed(number)).await.unwrap();
    }
}

/// Every record, as (offset, key, value), and how often each key occurs.
async fn read(partition: &Arc<Partition>) -> Vec<(i64, Bytes, Bytes)> {
    partition.log().evict(0);
    let mut at = partition.offsets().log_start;
    let mut records = Vec::new();
    while at < partition.offsets().high_watermark {
        let request = ReadRequest {
            offset: at,
            leader_epoch: LeaderEpoch::NONE,
            last_fetched_epoch: LeaderEpoch::NONE,
            max_bytes: 500,
            at_least_one: true,
            committed_only: true,
        };
        let read = partition.read(request).await.unwrap();
        assert!(!read.slices.is_empty(), "nothing at {at}");
        for found in read.slices.into_iter().flat_map(batches).map(Result::unwrap) {
            at = found.header.last_offset().next();
            for record in found.records(&DecompressLimit::default()).unwrap().map(Result::unwrap) {
                records.push((record.offset.0, record.key.unwrap(), record.value.unwrap()));
            }
        }
    }
    records
}

/// The newest value of each key must be that of the last record; what lies before may be gone.
fn check(records: &[(i64, Bytes, Bytes)], count: i64) {
    let newest: BTreeMap<&Bytes, &Bytes> = records.iter().map(|(_, key, value)| (key, value)).collect();
    assert_eq!(newest.len(), KEYS as usize);
    for value in newest.values() {
        let number: i64 = std::str::from_utf8(value).unwrap().parse().unwrap();
        assert!(number >= count - KEYS, "{number} is not the newest of {count}");
    }
    assert!(records.iter().all(|(offset, _, value)| offset.to_string().as_bytes() == value));
}

async fn until(engine: &Engine, what: &str, wanted: impl Fn(&CleanerStatus) -> bool) -> CleanerStatus {
    let begin = tokio::time::Instant::now();
    loop {
        let status = engine.cleaner_status();
        if wanted(&status) {
            return status;
        }
        assert!(begin.elapsed() < DEADLINE, "{what}: {status:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_keeps_the_newest_of_each_key_through_power_cuts_r_3_125() {
    let disk = SimDisk::new();
    let mut engine = start(disk.process(), CHECKPOINT).await;
    let topic = create(&engine, "t", 1, "compact").await;
    let mut count = 0;
    for seed in 0..4 {
        let log = partition(&engine, topic, 0).await;
        fill(&engine, &log, count..count + 150).await;
        count += 150;
        let status = until(&engine, "compacted", |status| status.records_dropped > 100).await;
        assert!(status.runs > 0 && status.bytes_read > status.bytes_written, "{status:?}");
        assert!(status.since_last_round.is_some() && status.uncleanable.is_empty());
        let records = read(&log).await;
        check(&records, count);
        assert!(records.len() < 100, "{} records", records.len());
        disk.crash(seed);
        engine = start(disk.process(), CHECKPOINT).await;
        let log = partition(&engine, topic, 0).await;
        assert_eq!(log.offsets().log_end.0, count);
        check(&read(&log).await, count);
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_can_change_while_the_topic_is_in_use() {
    let disk = SimDisk::new();
    let engine = start(disk.process(), CHECKPOINT).await;
    let topic = create(&engine, "t", 1, "delete").await;
    configure(&engine, "t", "retention.ms", "-1").await;
    let log = partition(&engine, topic, 0).await;
    fill(&engine, &log, 0..100).await;
    tokio::time::sleep(CHECKPOINT * 4).await;
    assert_eq!(engine.cleaner_status().runs, 0);
    assert_eq!(read(&log).await.len(), 100);
    configure(&engine, "t", "cleanup.policy", "compact,delete").await;
    until(&engine, "compacted", |status| status.records_dropped > 50).await;
    check(&read(&log).await, 100);
    configure(&engine, "t", "cleanup.policy", "delete").await;
    fill(&engine, &log, 100..200).await;
    let dropped = engine.cleaner_status().records_dropped;
    tokio::time::sleep(CHECKPOINT * 4).await;
    assert_eq!(engine.cleaner_status().records_dropped, dropped);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_compacted_is_named_and_the_others_go_on() {
    let disk = SimDisk::new();
    let engine = start(disk.process(), CHECKPOINT).await;
    let (bad, good) = (create(&engine, "bad", 1, "").await, create(&engine, "good", 2, "compact").await);
    let (bad_log, good_log) = (partition(&engine, bad, 0).await, partition(&engine, good, 0).await);
    fill(&engine, &bad_log, 0..60).await;
    tokio::time::sleep(CHECKPOINT * 3).await;
    let segment = PathBuf::from(format!("/data/partitions/{}/{:020}.log", bad_log.key(), 0));
    let file = disk.process().open(&segment, Open::Existing).unwrap();
    file.write_at(&[IoSlice::new(&[0xff])], 70).unwrap();
    configure(&engine, "bad", "cleanup.policy", "compact").await;
    let status = until(&engine, "given up", |status| !status.uncleanable.is_empty()).await;
    let uncleanable = &status.uncleanable[0];
    assert!(uncleanable.partition == bad_log.key() && uncleanable.bytes > 0);
    assert!(uncleanable.reason.contains("is damaged at byte 0"), "{}", uncleanable.reason);
    fill(&engine, &good_log, 0..150).await;
    until(&engine, "compacted", |status| status.records_dropped > 100).await;
    check(&read(&good_log).await, 150);
    // It takes records and is forgotten with its topic.
    fill(&engine, &bad_log, 60..70).await;
    let decide = |image: &eddy_metadata::Image| delete_topic(image, &TopicRef::Id(bad));
    engine.quorum().change(decide).await.unwrap();
    until(&engine, "forgotten", |status| status.uncleanable.is_empty()).await;
    engine.stop().await;
}
