//! What was deleted stays deleted, and gives its space back; a clean stop leaves nothing to do.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use eddy_client::{Acks, Connection, FetchLimits, PartitionName, PartitionReader, Topic, encode_batch};
use eddy_types::{ErrorCode, Offset};

use super::server::{Server, bytes_below, eventually};
use crate::support::PATIENCE;

/// 2026-11-21: within what brokers accept as a record's time.
const TIMESTAMP: i64 = 1_795_266_000_000;

async fn create(connection: &Connection, name: &str, configs: &[(&str, &str)]) -> Topic {
    connection.create_topic(name, 1, configs).await.unwrap();
    connection.topic_with_leaders(name, PATIENCE).await.unwrap()
}

/// Appends one batch; gives its offset.
async fn append(connection: &Connection, partition: &PartitionName, values: &[Bytes]) -> Offset {
    let batch = encode_batch(values, TIMESTAMP, None);
    let pending = connection.start_produce(partition, Acks::All, PATIENCE, batch).await.unwrap();
    pending.acknowledged().await.unwrap().base_offset
}

async fn read_all(connection: &Connection, partition: &PartitionName, from: Offset) -> Vec<(Offset, Bytes)> {
    let mut records = Vec::new();
    let mut reader = PartitionReader::new(partition.clone(), from, FetchLimits::default());
    reader.read_all(connection, |offset, value| records.push((offset, value))).await.unwrap();
    records
}

fn texts(prefix: &str, count: usize) -> Vec<Bytes> {
    (0..count).map(|number| Bytes::from(format!("{prefix}-{number}"))).collect()
}

#[tokio::test]
async fn a_clean_stop_leaves_nothing_to_replay_and_everything_to_read() {
    let (mut server, connection) = Server::started(&["wal.profile=low"]).await;
    let topic = create(&connection, "t", &[]).await;
    let mut expected = Vec::new();
    for round in 0..5 {
        let values = texts(&format!("round {round}"), 100);
        let base = append(&connection, &topic.partition(0), &values).await;
        expected.extend(values.into_iter().zip(0..).map(|(value, at)| (base + at, value)));
    }
    server.stop();
    let before = segment_files(&server.partition_dir(&topic, 0));

    let (connection, _) = server.start().await;
    assert_eq!(read_all(&connection, &topic.partition(0), Offset::ZERO).await, expected);
    drop(connection);
    server.stop();
    let after = segment_files(&server.partition_dir(&topic, 0));
    assert_eq!(after, before, "a start that replays writes the segments again");
}

/// Segments and their indexes, with size and time of the last change.
fn segment_files(dir: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let of_segment = |path: &PathBuf| {
        path.extension().is_some_and(|kind| ["log", "index", "timeindex"].iter().any(|known| kind == *known))
    };
    let mut files: Vec<_> = paths
        .filter(of_segment)
        .map(|path| {
            let metadata = path.metadata().unwrap();
            (path, metadata.len(), metadata.modified().unwrap())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no segment in {}", dir.display());
    files
}

#[tokio::test]
async fn a_topic_that_was_deleted_stays_deleted_and_leaves_no_directory() {
    let (mut server, connection) = Server::started(&["wal.profile=low", "log.checkpoint.interval=300"]).await;
    let kept = create(&connection, "kept", &[]).await;
    let deleted = create(&connection, "deleted", &[]).await;
    let values = texts("value", 500);
    for topic in [&kept, &deleted] {
        append(&connection, &topic.partition(0), &values).await;
    }
    let dir = server.partition_dir(&deleted, 0);
    eventually("the partition's first segment", || bytes_below(&dir) > 0).await;
    connection.delete_topic("deleted").await.unwrap();
    server.kill();

    let (connection, _) = server.start().await;
    let unknown = connection.topic("deleted").await.unwrap_err();
    assert_eq!(unknown.code(), Some(ErrorCode::UnknownTopicOrPartition), "{unknown}");
    eventually("the directory to go", || !dir.exists()).await;
    assert_eq!(read_all(&connection, &kept.partition(0), Offset::ZERO).await.len(), values.len());

    // The name is free, and nothing of the old topic is under it.
    let again = create(&connection, "deleted", &[]).await;
    assert_ne!(again.id, deleted.id);
    assert_eq!(append(&connection, &again.partition(0), &values).await, Offset::ZERO);
    server.kill();
    let (connection, _) = server.start().await;
    assert_eq!(read_all(&connection, &again.partition(0), Offset::ZERO).await.len(), values.len());
    assert!(!dir.exists());
}

#[tokio::test]
async fn deleted_records_stay_deleted() {
    let (mut server, connection) = Server::started(&["wal.profile=low"]).await;
    let topic = create(&connection, "t", &[]).await;
    let partition = topic.partition(0);
    for batch in 0..10 {
        append(&connection, &partition, &texts(&format!("batch {batch}"), 10)).await;
    }
    assert_eq!(connection.delete_records(&partition, Offset(45)).await.unwrap(), Offset(45));
    for end in ["kill", "stop", "kill"] {
        if end == "kill" {
            server.kill()
        } else {
            server.stop()
        }
        let (connection, _) = server.start().await;
        assert_eq!(connection.earliest_offset(&partition).await.unwrap(), Offset(45), "after a {end}");
        assert_eq!(connection.latest_offset(&partition).await.unwrap(), Offset(100));
        let below = connection.fetch(&partition, Offset(44), FetchLimits::default()).await.unwrap_err();
        assert_eq!(below.code(), Some(ErrorCode::OffsetOutOfRange), "{below}");
        let records = read_all(&connection, &partition, Offset(45)).await;
        assert_eq!((records.len(), &records[0].1[..]), (55, &b"batch 4-5"[..]));
    }
}

#[tokio::test]
async fn retention_by_bytes_gives_disk_space_back() {
    const SEGMENT: u64 = 1 << 20;
    const RETAINED: u64 = 2 << 20;
    let settings = ["wal.profile=low", "log.checkpoint.interval=200", "log.retention.check.interval.ms=100"];
    let (mut server, connection) = Server::started(&settings).await;
    let configs =
        [("segment.bytes", "1048576"), ("retention.bytes", "2097152"), ("file.delete.delay.ms", "0")];
    let topic = create(&connection, "t", &configs).await;
    let partition = topic.partition(0);
    let values = vec![Bytes::from(vec![b'x'; 1000]); 100];
    for _ in 0..100 {
        append(&connection, &partition, &values).await;
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let dir = server.partition_dir(&topic, 0);
    // Beyond what is retained: the segment in use, and one that is not yet to go as a whole.
    let limit = RETAINED + 2 * SEGMENT;
    // 10 MB were written, and the flusher may still be at work: sizes count once the start is past half of it.
    let mut start = Offset::ZERO;
    while start < Offset(5000) || bytes_below(&dir) > limit {
        tokio::time::timeout_at(deadline, tokio::time::sleep(Duration::from_millis(10)))
            .await
            .unwrap_or_else(|_| panic!("the log starts at {start} and has {} bytes", bytes_below(&dir)));
        start = connection.earliest_offset(&partition).await.unwrap();
    }
    let after = read_all(&connection, &partition, start).await;
    assert_eq!(after.first().map(|(offset, _)| *offset), Some(start));
    assert_eq!(after.len() as i64, 10_000 - start.0);

    server.kill();
    let (connection, _) = server.start().await;
    assert!(connection.earliest_offset(&partition).await.unwrap() >= start);
    assert_eq!(connection.latest_offset(&partition).await.unwrap(), Offset(10_000));
    eventually("what the log replayed to go again", || bytes_below(&dir) <= limit).await;
}
