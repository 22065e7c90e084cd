//! Who leads, who may answer, and what happens to those who wait when that changes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eddy_core::Acks;
use eddy_disk::Disk;
use eddy_engine::{AckGroup, AppendError, FetchWaiter, PartitionError, Role};
use eddy_types::{BrokerId, Millis, Offset, OffsetRange};
use tokio::time::Instant;

use crate::brokers::{Brokers, KEY, id, until};
use crate::harness::{DEADLINE, append, batch, read_all};

const RARELY: Duration = Duration::from_secs(3600);

fn one(number: i32) -> eddy_engine::NewBatch {
    batch(1, number, &[format!("{number:0100}").into_bytes()])
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_acknowledgement_hears_that_the_leader_has_changed() {
    let brokers = Brokers::start(2, &[], RARELY).await;
    let (engine, log) = (brokers.engine(1), brokers.replica(1).await);
    append(&engine, &log, one(0)).await.unwrap();
    brokers.cut(1, 2, true);
    let (group, waiter) = (AckGroup::new(1), FetchWaiter::new());
    log.append(Acks::All, one(1), None, Some(group.token(0))).unwrap();
    log.watch(&waiter);
    brokers.elect(2, &[2], &[]).await;
    let told = group.wait(Instant::now() + DEADLINE).await.remove(0).unwrap();
    assert!(matches!(told, Err(AppendError::NotLeader { leader: BrokerId(2), .. })), "{told:?}");
    tokio::time::timeout(DEADLINE, waiter.moved()).await.unwrap();
    let refused = log.append(Acks::All, one(2), None, None);
    assert!(matches!(refused, Err(AppendError::NotLeader { leader: BrokerId(2), .. })), "{refused:?}");
    let found = engine.partition(&engine.image(), KEY).await.err();
    assert!(matches!(found, Some(PartitionError::NotLeader { leader: BrokerId(2), .. })), "{found:?}");
    assert_eq!(log.role(), Role::Follower { leader: Some(id(2)) });
    assert!(brokers.replica(2).await.is_leading());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_restarts_does_not_go_on_in_its_old_epoch() {
    let brokers = Brokers::start(2, &[], RARELY).await;
    append(&brokers.engine(1), &brokers.replica(1).await, one(0)).await.unwrap();
    brokers.crash(1, 1).await;
    brokers.up(1).await;
    assert_eq!(brokers.replica(1).await.role(), Role::Follower { leader: None });
    brokers.elect(1, &[1, 2], &[]).await;
    let (engine, log) = (brokers.engine(1), brokers.replica(1).await);
    assert_eq!(log.role(), Role::Leader);
    append(&engine, &log, one(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_follower_stays_in_sync_and_a_silent_one_leaves_in_its_time_r_3_101() {
    let brokers = Brokers::start(2, &[], RARELY).await;
    let (engine, log) = (brokers.engine(1), brokers.replica(1).await);
    append(&engine, &log, one(0)).await.unwrap();
    brokers.until_equal(&[1, 2]).await;
    brokers.advance(Duration::from_secs(3600));
    // Ten ticks, in which it is seen to have everything.
    tokio::time::sleep(Duration::from_secs(1)).await;
    brokers.cut(1, 2, true);
    let group = AckGroup::new(1);
    log.append(Acks::All, one(1), None, Some(group.token(0))).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(brokers.known().isr.len(), 2);
    assert_eq!(engine.isr_proposals().changes(), (0, 0));
    brokers.advance(Duration::from_millis(1001));
    until("left", || brokers.known().isr == [id(1)]).await;
    assert!(group.wait(Instant::now() + DEADLINE).await.remove(0).unwrap().is_ok());
    assert_eq!(engine.isr_proposals().changes(), (1, 0));
    brokers.cut(1, 2, false);
    until("joined", || engine.isr_proposals().changes() == (1, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_ahead_or_back_changes_neither_isr_nor_producers_r_3_101_r_3_23() {
    let brokers = Brokers::start(2, &[], RARELY).await;
    let (engine, log) = (brokers.engine(1), brokers.replica(1).await);
    append(&engine, &log, one(0)).await.unwrap();
    brokers.until_equal(&[1, 2]).await;
    brokers.cut(1, 2, true);
    log.append(Acks::All, one(1), None, None).unwrap();
    brokers.advance(Duration::from_millis(500));
    brokers.set_clock(Millis(48 * 3_600_000));
    brokers.until_time_was_asked().await;
    assert_eq!(brokers.known().isr.len(), 2, "it lags for half of its time only");
    brokers.cut(1, 2, false);
    let again = append(&engine, &log, one(0)).await;
    assert_eq!(again, Ok(OffsetRange::from_count(Offset(0), 1)), "what comes again is known");
    brokers.until_equal(&[1, 2]).await;
    brokers.cut(1, 2, true);
    brokers.set_clock(Millis(-96 * 3_600_000));
    log.append(Acks::All, one(2), None, None).unwrap();
    brokers.until_time_was_asked().await;
    brokers.advance(Duration::from_millis(1001));
    until("left", || brokers.known().isr == [id(1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_lease_nothing_is_taken_and_nothing_acknowledged() {
    let brokers = Brokers::start(2, &[], RARELY).await;
    let (engine, log) = (brokers.engine(1), brokers.replica(1).await);
    append(&engine, &log, one(0)).await.unwrap();
    brokers.cut(1, 2, true);
    let group = AckGroup::new(1);
    log.append(Acks::All, one(1), None, Some(group.token(0))).unwrap();
    engine.lease().extend(Duration::ZERO);
    let refused = log.append(Acks::Leader, one(2), None, None);
    assert!(matches!(refused, Err(AppendError::NotLeader { .. })), "{refused:?}");
    brokers.cut(1, 2, false);
    until("replicated", || log.offsets().high_watermark == Offset(2)).await;
    let waits = async { group.wait(Instant::now() + DEADLINE).await };
    tokio::pin!(waits);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut waits).await.is_err(), "held back");
    engine.lease().extend(Duration::from_secs(60));
    assert!(waits.await.remove(0).unwrap().is_ok());
    append(&engine, &log, one(2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_moves_away_is_removed_and_may_come_back() {
    let brokers = Brokers::start(3, &[], Duration::from_millis(20)).await;
    let (engine, log) = (brokers.engine(1), brokers.replica(1).await);
    for number in 0..20 {
        append(&engine, &log, one(number)).await.unwrap();
    }
    let third = brokers.replica(3).await;
    for round in 0..3 {
        brokers.until_equal(&[1, 2, 3]).await;
        brokers.move_to(&[1, 2]).await;
        let disk = brokers.disk(3);
        let dir = format!("/data/partitions/{KEY}");
        until("its directory is gone", || disk.list(Path::new(&dir)).is_err()).await;
        let moved = brokers.engine(3);
        until("reported", || moved.image().removed_replicas_of(id(3)).next().is_none()).await;
        assert!(moved.replica(&moved.image(), KEY).await.is_err());
        if round == 1 {
            brokers.crash(3, 7).await;
            brokers.up(3).await;
        }
        append(&engine, &log, one(20 + round)).await.unwrap();
        brokers.move_to(&[1, 2, 3]).await;
        if round == 0 {
            brokers.until_equal(&[1, 2, 3]).await;
            brokers.crash(3, 3).await;
            brokers.up(3).await;
        }
    }
    brokers.until_equal(&[1, 2, 3]).await;
    assert!(third.is_gone());
    assert_eq!(read_all(&brokers.replica(3).await).await.len(), 23);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_roles_are_told_once_each() {
    let brokers = Brokers::start(2, &[], RARELY).await;
    let engine = brokers.engine(2);
    let mut changes = engine.role_changes();
    assert_eq!(changes.next().await, [KEY]);
    assert_eq!(changes.try_next(), []);
    brokers.elect(2, &[1, 2], &[]).await;
    brokers.elect(1, &[1, 2], &[]).await;
    assert_eq!(changes.next().await, [KEY]);
    assert_eq!(changes.try_next(), []);
    let partition: Arc<_> = brokers.replica(2).await;
    assert_eq!(partition.role(), Role::Follower { leader: Some(id(1)) });
}
