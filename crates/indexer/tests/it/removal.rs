//! What leaves the log leaves the index.

use std::fs;
use std::time::Duration;

use eddy_batch::{BatchBuilder, Compression};
use eddy_metadata::controller::{TopicRef, delete_topic};
use eddy_types::TopicId;
use tokio::time::Instant;

use crate::harness::{Broker, DEADLINE, assert_exactly, copy, offset, old, until};

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_are_not_found_and_whole_splits_go() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path()).await;
    let topic = broker.create("logs", 1, &[]).await;
    for round in 0..4 {
        broker.fill(topic, round * 100..(round + 1) * 100).await;
        broker.settled(topic).await;
    }
    let partition = broker.partition(topic).await;
    let records = broker.status(topic).records;
    broker.engine.delete_records(&partition, offset(250), Instant::now() + DEADLINE).await.unwrap();
    until("dropped", async || broker.status(topic).records < records).await;
    assert_exactly(&broker.settled(topic).await, 250..400);
    broker.engine.delete_records(&partition, offset(400), Instant::now() + DEADLINE).await.unwrap();
    until("dropped", async || broker.status(topic).splits == 0).await;
    broker.fill(topic, 400..410).await;
    assert_exactly(&broker.settled(topic).await, 400..410);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_deletes_is_dropped_by_windows() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path()).await;
    let configs = [("segment.ms", "10"), ("retention.ms", "-1")];
    let topic = broker.create("logs", 1, &configs).await;
    for days in (0..6).rev() {
        for _ in 0..10 {
            let mut builder = BatchBuilder::new(Compression::None);
            builder.append(old(days), None, Some(b"a line"));
            broker.append_batch(topic, &builder).await;
            tokio::time::sleep(Duration::from_millis(12)).await;
        }
        broker.settled(topic).await;
    }
    broker.configure("logs", "retention.ms", &(3 * 24 * 3_600_000_i64 + 3_600_000).to_string()).await;
    let partition = broker.partition(topic).await;
    until("retained", async || partition.offsets().log_start.0 >= 20).await;
    until("dropped", async || broker.status(topic).records <= 45).await;
    let view = broker.settled(topic).await;
    assert_exactly(&view, view.log_start.0..60);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compaction_removed_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path()).await;
    let configs = [("cleanup.policy", "compact"), ("segment.ms", "10"), ("min.cleanable.dirty.ratio", "0.1")];
    let topic = broker.create("logs", 1, &configs).await;
    for round in 0..6 {
        broker.fill(topic, round * 50..(round + 1) * 50).await;
        broker.settled(topic).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let partition = broker.partition(topic).await;
    until("compacted", async || partition.log().cleaned_to().0 >= 200).await;
    let left = || 300 - partition.log().cleaned_to().0;
    until("purged", async || broker.status(topic).records as i64 <= left() + 10).await;
    // Five keys are left of what was compacted, and what was not is whole.
    let view = broker.settled(topic).await;
    let cleaned = partition.log().cleaned_to().0;
    let all = crate::harness::found(&view, &tantivy::query::AllQuery);
    assert!(all.values().all(|count| *count == 1));
    let below = all.keys().filter(|offset| **offset < cleaned).count();
    assert!(below <= 10, "{below} are left below {cleaned}: {all:?}");
    assert_eq!(all.keys().filter(|offset| **offset >= cleaned).count() as i64, 300 - cleaned);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_of_a_deleted_topic_is_removed_also_when_the_broker_was_down() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(dir.path()).await;
    let topic = broker.create("logs", 1, &[]).await;
    broker.fill(topic, 0..100).await;
    broker.settled(topic).await;
    let (index, kept) = (broker.index_dir(topic), dir.path().join("kept"));
    copy(&index, &kept);
    let named = TopicRef::Id(topic);
    broker.engine.quorum().change(|image| delete_topic(image, &named)).await.unwrap();
    until("removed", async || !index.exists()).await;
    assert!(broker.indexer.view(topic, 0).is_err());
    broker.stop().await;
    // As if the broker had died before it came to that.
    copy(&kept, &index);
    let broker = Broker::start(dir.path()).await;
    until("removed", async || !index.exists()).await;
    broker.stop().await;
}

/// The index is of a longer log than the one that is there: what an unclean election leaves.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_beyond_the_log_is_cut_back_to_it() {
    let (long, short) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let topic = TopicId([1; 16]);
    for (dir, rounds) in [(long.path(), 6), (short.path(), 3)] {
        let broker = Broker::start(dir).await;
        broker.create_as("logs", topic, &[]).await;
        for round in 0..rounds {
            broker.fill(topic, round * 50..(round + 1) * 50).await;
            broker.settled(topic).await;
        }
        broker.stop().await;
    }
    let name = format!("index/{topic}-0");
    fs::remove_dir_all(short.path().join(&name)).unwrap();
    copy(&long.path().join(&name), &short.path().join(&name));
    let broker = Broker::start(short.path()).await;
    until("cut", async || {
        broker.indexer.status(topic, 0).is_some_and(|status| status.searched_through.0 <= 150)
    })
    .await;
    assert_exactly(&broker.settled(topic).await, 0..150);
    broker.fill(topic, 150..170).await;
    assert_exactly(&broker.settled(topic).await, 0..170);
    broker.stop().await;
}
