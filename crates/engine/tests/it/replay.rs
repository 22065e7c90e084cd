//! What a replay takes for a gap of the log, and what for damage.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eddy_batch::{BatchBuilder, Compression};
use eddy_disk::SimDisk;
use eddy_types::{LeaderEpoch, LocalPartition, Millis, Offset, SystemClock, TopicId};
use eddy_wal::{Entry, Lsn, Sink, Wal};

use crate::harness::{ME, append, batch, create, partition, start, try_start, wal_config};

const RARELY: Duration = Duration::from_secs(3600);

struct Nobody;

impl Sink for Nobody {
    fn durable(&self, _: &[(LocalPartition, Offset)], _: Lsn) {}
}

/// A log of five records, to whose write-ahead log entries are added behind the engine's back. Gives the log end after a start,
/// or why there is none.
async fn replay(added: impl Fn(LocalPartition) -> Vec<Entry>) -> Result<Offset, String> {
    let disk = SimDisk::new();
    let engine = start(disk.process(), RARELY).await;
    let topic: TopicId = create(&engine, "t", 1, 1).await;
    let log = partition(&engine, topic, 0).await;
    for number in 0..5 {
        append(&engine, &log, batch(1, number, &[b"value".to_vec()])).await.unwrap();
    }
    let local = log.local();
    disk.crash(1);
    let recovered =
        Wal::recover(disk.process(), Path::new("/data/wal"), wal_config(), Lsn(0), &mut |_, _| Ok(()));
    let wal = recovered.unwrap().start(Arc::new(Nobody)).unwrap();
    let last = added(local).into_iter().map(|entry| wal.submit(entry, None)).last().unwrap();
    wal.wait_durable(last).unwrap();
    wal.close();
    let engine = try_start(ME, disk.process(), RARELY, Arc::new(SystemClock)).await;
    let engine = engine.map_err(|error| error.to_string())?;
    let end = partition(&engine, topic, 0).await.offsets().log_end;
    engine.stop().await;
    Ok(end)
}

fn record(partition: LocalPartition, at: i64, after_gap: Option<i64>) -> Entry {
    let mut builder = BatchBuilder::new(Compression::None).base_offset(Offset(at));
    builder.append(Millis(0), None, Some(b"value"));
    Entry::Append {
        partition,
        base_offset: Offset(at),
        end_offset: Offset(at + 1),
        leader_epoch: LeaderEpoch(0),
        after_gap: after_gap.map(Offset),
        batch: builder.build().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_that_the_entry_tells_of_is_one_and_any_other_is_damage() {
    assert_eq!(replay(|log| vec![record(log, 5, None)]).await, Ok(Offset(6)));
    assert_eq!(replay(|log| vec![record(log, 8, Some(5))]).await, Ok(Offset(9)));
    for after_gap in [None, Some(6)] {
        let refused = replay(|log| vec![record(log, 8, after_gap)]).await.unwrap_err();
        let said = format!("the log ends at 5, the write-ahead log goes on at {}", after_gap.unwrap_or(8));
        assert!(refused.contains(&said), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncation_explains_what_was_cut_off_before_it() {
    let truncate =
        |partition, to| Entry::Truncate { partition, to: Offset(to), leader_epoch: LeaderEpoch(1) };
    let explained = |log| vec![record(log, 8, None), truncate(log, 5), record(log, 5, None)];
    assert_eq!(replay(explained).await, Ok(Offset(6)));
    assert!(replay(|log| vec![record(log, 8, None), truncate(log, 7)]).await.is_err());
}
