//! Slow chores: retention, expiry of producers, the watch over free space, and what deleted topics left behind.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use eddy_metadata::{Image, Record};
use eddy_types::{BrokerId, Offset, TopicId};
use eddy_wal::Wal;
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::error::DeleteRecordsError;
use crate::partition::{Partition, PartitionKey};
use crate::storage::Storage;
use crate::watch::FetchWaiter;

/// When the chores are done.
#[derive(Debug, Clone)]
pub struct HousekeepingConfig {
    /// How often retention is looked at (`log.retention.check.interval.ms`).
    pub retention_check_interval: Duration,
    /// Free bytes below which writes are refused.
    pub disk_reserve_bytes: u64,
}

const SPACE_INTERVAL: Duration = Duration::from_secs(1);
/// How often a piece of a deleted segment's file is given back to the disk: each holds up the write-ahead log for a millisecond or
/// two.
const GIVE_BACK_INTERVAL: Duration = Duration::from_secs(1);
/// What is more than so many pieces, a gibibyte, goes faster: within so much time.
const PIECES_EASY: u64 = 256;
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(10);
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
/// How often leaders look for followers that lag, unless a follower may lag less than ten times this.
const LAG_INTERVAL: Duration = Duration::from_secs(1);
const RECLAIM_RETRY: Duration = Duration::from_secs(1);

pub(crate) fn start(engine: &Arc<Engine>, config: HousekeepingConfig) -> Vec<JoinHandle<()>> {
    let reserve = config.disk_reserve_bytes;
    look_at_space(engine, reserve);
    vec![
        every(engine, |_| SPACE_INTERVAL, move |engine| look_at_space(engine, reserve)),
        every(engine, give_back_interval, give_back),
        every(engine, |_| EXPIRY_INTERVAL, expire_producers),
        every(engine, lag_interval, look_for_lag),
        every(engine, move |_| config.retention_check_interval, retain),
        tokio::spawn(release_held_acks(Arc::clone(engine))),
        tokio::spawn(reclaim(Arc::clone(engine))),
    ]
}

/// Runs a blocking chore at an interval until the engine stops.
fn every(
    engine: &Arc<Engine>,
    interval: impl Fn(&Arc<Engine>) -> Duration + Send + 'static,
    chore: impl Fn(&Arc<Engine>) + Send + Sync + 'static,
) -> JoinHandle<()> {
    let (engine, chore) = (Arc::clone(engine), Arc::new(chore));
    let mut stopping = engine.stopping();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                () = tokio::time::sleep(interval(&engine)) => {}
            }
            let (engine, chore) = (Arc::clone(&engine), Arc::clone(&chore));
            // A panic in a chore was reported by its hook; the next round tries again.
            let _ = tokio::task::spawn_blocking(move || chore(&engine)).await;
        }
    })
}

fn look_at_space(engine: &Arc<Engine>, reserve: u64) {
    let storage = engine.partitions().storage();
    let Ok(space) = storage.disk.space(&storage.data_dir) else { return };
    let known = engine.disk_space();
    known.free.store(space.free, Ordering::Relaxed);
    known.total.store(space.total, Ordering::Relaxed);
    known.reserve.store(reserve, Ordering::Relaxed);
    let protect = space.free < reserve;
    if known.protect.swap(protect, Ordering::Relaxed) != protect {
        if protect {
            tracing::warn!(
                free = space.free,
                reserve,
                "disk full: writes are refused, reads and deletes go on"
            );
        } else {
            tracing::info!(free = space.free, "disk has room again: writes are accepted");
        }
    }
}

fn expire_producers(engine: &Arc<Engine>) {
    for partition in engine.partitions().open_partitions() {
        partition.tick();
    }
}

fn lag_interval(engine: &Arc<Engine>) -> Duration {
    let lag_max = Duration::from_millis(engine.image().broker_config().replica_lag_time_max_ms);
    (lag_max / 10).clamp(Duration::from_millis(10), LAG_INTERVAL)
}

fn look_for_lag(engine: &Arc<Engine>) {
    for partition in engine.partitions().followed() {
        partition.tick();
    }
}

/// Lets acknowledgements out that were held back while the lease was not held.
async fn release_held_acks(engine: Arc<Engine>) {
    let mut stopping = engine.stopping();
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = engine.lease().regained() => {}
        }
        for partition in engine.partitions().open_partitions() {
            partition.lease_regained();
        }
    }
}

/// Applies retention to every partition that holds anything.
fn retain(engine: &Arc<Engine>) {
    let image = engine.image();
    for key in engine.partitions().keys() {
        if *engine.stopping().borrow() {
            return;
        }
        if let Ok(partition) = engine.partitions().get_blocking(&image, key) {
            retain_one(engine, &partition);
        }
    }
}

fn retain_one(engine: &Arc<Engine>, partition: &Arc<Partition>) {
    // A follower takes its log start from the leader.
    if partition.is_leading() {
        let high_watermark = partition.offsets().high_watermark;
        if let Some(retention) = partition.log().retention(engine.now(), high_watermark) {
            partition.raise_log_start(retention.new_start);
        }
    }
    remove_below_start(engine.wal(), partition);
}

/// Removes segments that lie below the log start, for retention and after DeleteRecords. They go only once that is on disk: a
/// start must know why they are gone.
pub(crate) fn remove_below_start(wal: &Wal, partition: &Partition) {
    let upto = match partition.log_start_moved() {
        Some((lsn, start)) if wal.wait_durable(lsn).is_ok() => start,
        Some(_) => return,
        // It has not moved since the start, where all that was replayed is durable.
        None => Offset(i64::MAX),
    };
    match partition.log().delete_below(upto) {
        Ok(deleted) if deleted.segments > 0 => tracing::debug!(
            topic = %partition.topic(), partition = partition.key().index,
            segments = deleted.segments, bytes = deleted.bytes, "removed segments below the log start"),
        Ok(_) => {}
        Err(error) => tracing::warn!(
            topic = %partition.topic(), partition = partition.key().index, %error,
            "cannot remove segments below the log start; tried again at the next check"),
    }
}

/// Waits until every in-sync replica's log starts at `start` or above.
pub(crate) async fn until_low_watermark(
    partition: &Arc<Partition>,
    start: Offset,
) -> Result<(), DeleteRecordsError> {
    loop {
        let waiter = FetchWaiter::new();
        partition.watch(&waiter);
        match partition.low_watermark() {
            Some(low) if low >= start => return Ok(()),
            Some(_) if !partition.is_gone() => waiter.moved().await,
            _ => {
                let (leader, epoch) = partition.leader();
                return Err(DeleteRecordsError::NotLeader { leader, epoch });
            }
        }
    }
}

fn give_back_interval(engine: &Arc<Engine>) -> Duration {
    let pressing = engine.partitions().storage().files.pieces_left().saturating_sub(PIECES_EASY);
    let interval = GIVE_BACK_WITHIN / u32::try_from(pressing.max(1)).unwrap_or(u32::MAX);
    interval.min(GIVE_BACK_INTERVAL)
}

/// Gives a piece of the files of deleted segments back to the disk; all of them when it is full.
fn give_back(engine: &Arc<Engine>) {
    let files = &engine.partitions().storage().files;
    let is_full = || engine.disk_space().protect.load(Ordering::Relaxed);
    while files.give_back() && is_full() && !*engine.stopping().borrow() {}
}

/// Tells the metadata group which deleted topics left nothing behind here.
async fn reclaim(engine: Arc<Engine>) {
    let mut stopping = engine.stopping();
    loop {
        let reclaimed = tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            reclaimed = engine.flush_queue().next_reclaimed() => reclaimed,
        };
        let partitions = reclaimed.replicas.iter().map(|key| (key.topic, key.index)).collect();
        let record =
            Record::DirectoriesReclaimed { broker: engine.me(), topic_ids: reclaimed.topics, partitions };
        while let Err(error) = engine.quorum().propose(vec![record.clone()]).await {
            tracing::debug!(%error, "cannot record reclaimed directories yet");
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                () = tokio::time::sleep(RECLAIM_RETRY) => {}
            }
        }
    }
}

/// Removes directories of topics whose deletion is committed, and of replicas that moved away. A directory of a topic nobody knows is left alone: that a topic
/// is missing from the metadata is no proof that it was deleted (reliability rule A5).
pub(crate) fn remove_leftovers(storage: &Storage, image: &Image, me: BrokerId) {
    let Ok(entries) = storage.disk.list(&storage.partitions_dir()) else { return };
    for entry in entries {
        let name = entry.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let Some(key) = name.as_deref().and_then(parse_dir_name) else { continue };
        let is_removed =
            image.removed_topic(key.topic).is_some() || image.is_removed_replica(me, key.topic, key.index);
        if is_removed {
            if let Err(error) = storage.disk.remove_dir_all(&entry.path) {
                tracing::warn!(path = %entry.path.display(), %error, "cannot remove the files of a partition that is no longer here");
            }
        } else if image.topic_by_id(key.topic).is_none() {
            tracing::warn!(path = %entry.path.display(), "directory of a topic that the metadata does not know; left alone");
        }
    }
}

fn parse_dir_name(name: &str) -> Option<PartitionKey> {
    let (topic, index) = name.rsplit_once('-')?;
    Some(PartitionKey { topic: topic.parse::<TopicId>().ok()?, index: index.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_names_come_back_as_keys_even_when_the_id_holds_dashes() {
        let topic: TopicId = "-wz0yaKDQ-C4pIT7UEJhwQ".parse().unwrap();
        let key = PartitionKey { topic, index: 17 };
        assert_eq!(parse_dir_name(&key.to_string()), Some(key));
        assert_eq!(parse_dir_name("lost+found"), None);
    }
}
