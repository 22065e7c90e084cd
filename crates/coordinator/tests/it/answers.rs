//! Answers wait for the disk, events do not wait for answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eddy_coordinator::{OFFSETS_TOPIC, Unavailable, partition_of};
use eddy_core::group::{FetchOffsets, ListGroups};
use eddy_disk::SimDisk;
use eddy_types::{LeaderEpoch, PartitionEpoch};

use crate::harness::{Broker, ME};

/// Long enough for everything that can happen without the disk.
const A_WHILE: Duration = Duration::from_millis(200);

/// A disk whose write-ahead log syncs only while the gate is open, and the number of its syncs.
fn gated() -> (SimDisk, Arc<AtomicBool>, Arc<AtomicU64>) {
    let disk = SimDisk::new();
    let (open, syncs) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let (gate, count) = (Arc::clone(&open), Arc::clone(&syncs));
    disk.set_sync_hook(Some(Arc::new(move |path| {
        if path.starts_with("/data/wal") {
            count.fetch_add(1, Ordering::Relaxed);
            while !gate.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    })));
    (disk, open, syncs)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_leaves_before_what_it_tells_of_is_on_disk() {
    let (disk, open, syncs) = gated();
    let broker = Broker::start(disk.process()).await;
    broker.commit("g", 0, 1).await;
    open.store(false, Ordering::Release);

    let commit = tokio::spawn(broker.begin_commit("g", 0, 2).await.unwrap().answer());
    // This one writes nothing, but it sees the new offset.
    let request = FetchOffsets { group: "g".into(), member: None, member_epoch: -1, topics: None };
    let fetch = tokio::spawn(broker.groups.fetch_offsets(request).await.unwrap().answer());
    tokio::time::sleep(A_WHILE).await;
    assert!(!commit.is_finished() && !fetch.is_finished());

    // Others of the same shard go on meanwhile, and share the next sync.
    let before = syncs.load(Ordering::Relaxed);
    let mut more = Vec::new();
    for offset in 3..103 {
        more.push(tokio::spawn(broker.begin_commit("g", 0, offset).await.unwrap().answer()));
    }
    open.store(true, Ordering::Release);
    for one in more {
        one.await.unwrap().unwrap();
    }
    assert!(commit.await.unwrap().is_ok() && fetch.await.unwrap().is_ok());
    let shared = syncs.load(Ordering::Relaxed) - before;
    assert!(shared <= 10, "100 commits took {shared} syncs");
    assert_eq!(broker.fetch("g").await, [(0, 102)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_are_told_when_the_topic_goes_and_the_next_ones_start_anew() {
    let (disk, open, _) = gated();
    let broker = Broker::start(disk.process()).await;
    broker.commit("g", 0, 1).await;
    open.store(false, Ordering::Release);
    let waiting = broker.begin_commit("g", 0, 2).await.unwrap();
    let delete = |image: &eddy_metadata::Image| {
        let topic = image.topic(OFFSETS_TOPIC).unwrap().id;
        Ok::<_, std::convert::Infallible>((vec![eddy_metadata::Record::TopicRemoved { topic_id: topic }], ()))
    };
    broker.engine.quorum().change(delete).await.unwrap();
    waiting.answer().await.unwrap_err();
    open.store(true, Ordering::Release);
    broker.commit("g", 0, 5).await;
    assert_eq!(broker.fetch("g").await, [(0, 5)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_hold_groups_of_every_shard_and_after_a_stop_nobody_is_answered() {
    let (disk, _, _) = gated();
    let broker = Broker::start(disk.process()).await;
    assert_eq!(broker.groups.list_groups(ListGroups::default()).await.unwrap(), []);
    for group in 0..20 {
        broker.commit(&group.to_string(), 0, 1).await;
    }
    let listed = broker.groups.list_groups(ListGroups::default()).await.unwrap();
    assert_eq!(listed.len(), 20);
    let seen = broker.groups.snapshot(15);
    assert_eq!((seen.groups.len(), seen.offsets.len(), seen.is_cut, seen.counts.commits), (20, 15, true, 20));
    assert!(!broker.groups.snapshot(20).is_cut);
    broker.groups.stop().await;
    assert!(broker.begin_commit("0", 0, 2).await.is_err());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_lead_nothing_is_answered_and_with_it_nothing_was_forgotten() {
    let (disk, _, _) = gated();
    let broker = Broker::start(disk.process()).await;
    broker.commit("g", 0, 1).await;
    let lease = broker.engine.lease();
    lease.extend(Duration::ZERO);
    assert_eq!(broker.begin_commit("g", 0, 2).await.unwrap_err(), Unavailable::NotCoordinator);
    // Not even what it knows: another broker may know better.
    let request = FetchOffsets { group: "g".into(), member: None, member_epoch: -1, topics: None };
    assert_eq!(broker.groups.fetch_offsets(request).await.unwrap_err(), Unavailable::NotCoordinator);
    lease.extend(Duration::from_secs(600));
    assert_eq!(broker.fetch("g").await, [(0, 1)]);
    broker.commit("g", 0, 2).await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_under_way_as_another_broker_takes_over_is_not_answered_as_made() {
    let (disk, open, _) = gated();
    let broker = Broker::start(disk.process()).await;
    broker.commit("g", 0, 1).await;
    open.store(false, Ordering::Release);
    let waiting = broker.begin_commit("g", 0, 2).await.unwrap();
    let image = broker.engine.image();
    let topic = image.topic(OFFSETS_TOPIC).unwrap();
    let partition = partition_of("g", topic.partitions.len());
    let known = &topic.partitions[usize::try_from(partition).unwrap()];
    let led = |leader, epoch: i32| eddy_metadata::Record::PartitionChanged {
        topic_id: topic.id,
        partition,
        leader,
        leader_epoch: LeaderEpoch(known.leader_epoch.0 + epoch),
        isr: known.isr.to_vec(),
        elr: Vec::new(),
        assignment: None,
        partition_epoch: PartitionEpoch(known.partition_epoch.0 + epoch),
    };
    broker.engine.quorum().propose(vec![led(None, 1)]).await.unwrap();
    assert_eq!(waiting.answer().await.unwrap_err(), Unavailable::NotCoordinator);
    assert_eq!(broker.begin_commit("g", 0, 3).await.unwrap_err(), Unavailable::NotCoordinator);
    open.store(true, Ordering::Release);
    broker.engine.quorum().propose(vec![led(Some(ME), 2)]).await.unwrap();
    // What was under way is in the log that it leads again: it counts.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let request = || FetchOffsets { group: "g".into(), member: None, member_epoch: -1, topics: None };
    while let Err(error) = broker.groups.fetch_offsets(request()).await {
        assert!(tokio::time::Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(broker.fetch("g").await, [(0, 2)]);
    broker.commit("g", 0, 4).await;
    broker.stop().await;
}
