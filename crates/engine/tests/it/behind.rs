//! Whom the page cache is kept for.

use std::time::Duration;

use eddy_disk::SimDisk;
use eddy_types::Offset;

use crate::brokers::until;
use crate::harness::{append, batch, create, from, partition, start};

/// A flush of this much goes past the page cache.
const LARGE: usize = 100 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn only_readers_from_outside_make_batches_take_the_page_cache() {
    let disk = SimDisk::new();
    let engine = start(disk.process(), Duration::from_secs(3600)).await;
    let topic = create(&engine, "t", 1, 1).await;
    let partition = partition(&engine, topic, 0).await;
    let mut appended = 0;
    let mut flushed_past_cache = async || {
        let before = disk.counters().bytes_past_cache;
        append(&engine, &partition, batch(1, appended, &[vec![7; LARGE]])).await.unwrap();
        appended += 1;
        until("in the segments", || partition.log().flushed_end() == Offset(i64::from(appended))).await;
        partition.log().evict(0);
        // The write-ahead log takes that way in any case.
        disk.counters().bytes_past_cache - before > LARGE as u64 * 3 / 2
    };
    assert!(flushed_past_cache().await);
    assert!(!partition.peek(from(Offset(0))).await.unwrap().slices.is_empty());
    assert!(flushed_past_cache().await, "the broker's own index is behind");
    assert!(!partition.read(from(Offset(0))).await.unwrap().slices.is_empty());
    assert!(!flushed_past_cache().await, "a consumer is behind");
    assert!(flushed_past_cache().await, "it has not come again");
}
