//! Replication between engines: what is acknowledged, what survives the loss of a leader, and how logs become equal again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use eddy_core::Acks;
use eddy_disk::SimDisk;
use eddy_engine::{AckGroup, AppendError, NewBatch, Partition};
use eddy_types::{Offset, OffsetRange};
use tokio::time::Instant;

use crate::brokers::{Brokers, until};
use crate::harness::{DEADLINE, append, batch, read_all, read_bytes};

const RARELY: Duration = Duration::from_secs(3600);
const OFTEN: Duration = Duration::from_millis(20);

fn values(range: std::ops::Range<i32>) -> Vec<Vec<u8>> {
    range.map(|number| format!("{number:0100}").into_bytes()).collect()
}

/// Batches of producer 1 with the numbers of a range, one each, appended with acks=all.
async fn fill(brokers: &Brokers, leader: usize, numbers: std::ops::Range<i32>) {
    let (engine, log) = (brokers.engine(leader), brokers.replica(leader).await);
    for number in numbers {
        append(&engine, &log, batch(1, number, &values(number..number + 1))).await.unwrap();
    }
}

fn submit(log: &Arc<Partition>, acks: Acks, batch: NewBatch) -> Arc<AckGroup> {
    let group = AckGroup::new(1);
    log.append(acks, batch, None, Some(group.token(0))).unwrap();
    group
}

async fn answer(group: &AckGroup, within: Duration) -> Option<Result<OffsetRange, AppendError>> {
    group.wait(Instant::now() + within).await.remove(0)
}

/// Lets no write-ahead log of a disk sync while the flag is set.
fn gate(disk: &SimDisk) -> Arc<AtomicBool> {
    let closed = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&closed);
    disk.set_sync_hook(Some(Arc::new(move |path| {
        while path.starts_with("/data/wal") && seen.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    })));
    closed
}

/// The log of every broker is that of the first, byte for byte; gives its records.
async fn assert_equal(brokers: &Brokers, numbers: &[usize]) -> Vec<(i64, Bytes)> {
    brokers.until_equal(numbers).await;
    let first = read_bytes(&brokers.replica(numbers[0]).await).await;
    for number in numbers {
        assert!(read_bytes(&brokers.replica(*number).await).await == first, "the log of broker {number}");
    }
    read_all(&brokers.replica(numbers[0]).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_all_waits_for_the_slowest_disk_and_acks_1_does_not_r_3_102() {
    let brokers = Brokers::start(2, &[], RARELY).await;
    fill(&brokers, 1, 0..3).await;
    let (leader, follower) = (brokers.replica(1).await, brokers.replica(2).await);
    let closed = gate(&brokers.disk(2));
    let one = submit(&leader, Acks::Leader, batch(1, 3, &values(3..4)));
    let all = submit(&leader, Acks::All, batch(1, 4, &values(4..5)));
    assert_eq!(answer(&one, DEADLINE).await.unwrap().unwrap().start, Offset(3));
    until("copied", || follower.offsets().log_end == Offset(5)).await;
    until("durable on the leader", || leader.offsets().durable_end == Offset(5)).await;
    assert_eq!(leader.offsets().high_watermark, Offset(3));
    assert_eq!(follower.offsets().durable_end, Offset(3));
    assert_eq!(answer(&all, Duration::from_millis(20)).await, None);
    closed.store(false, Ordering::SeqCst);
    until("acknowledged", || leader.offsets().high_watermark == Offset(5)).await;
    assert_equal(&brokers, &[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_has_what_was_acknowledged_and_knows_its_producers_r_3_111() {
    for seed in 0..4 {
        let brokers = Brokers::start(3, &[("min.insync.replicas", "2")], OFTEN).await;
        fill(&brokers, 1, 0..40).await;
        brokers.crash(1, seed).await;
        brokers.elect(2, &[2, 3], &[]).await;
        let (engine, leader) = (brokers.engine(2), brokers.replica(2).await);
        assert!(leader.is_leading());
        // The answer to the last batch did not arrive: it comes again, and is not written twice.
        let again = append(&engine, &leader, batch(1, 39, &values(39..40))).await;
        assert_eq!(again, Ok(OffsetRange::from_count(Offset(39), 1)));
        fill(&brokers, 2, 40..60).await;
        assert_eq!(leader.epoch_at(Offset(39)).0, 0);
        assert_eq!(leader.epoch_at(Offset(40)).0, 1);
        brokers.up(1).await;
        assert!(!brokers.replica(1).await.is_leading());
        let records = assert_equal(&brokers, &[2, 3, 1]).await;
        assert_eq!(records.len(), 60);
        until("back in the ISR", || brokers.known().isr.len() == 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposed_leader_truncates_what_nobody_else_has_through_power_cuts_r_3_103() {
    for seed in 0..8 {
        let brokers = Brokers::start(3, &[], if seed % 2 == 0 { OFTEN } else { RARELY }).await;
        fill(&brokers, 1, 0..20).await;
        brokers.cut(1, 2, true);
        brokers.cut(1, 3, true);
        let old = brokers.replica(1).await;
        let mut lost = Vec::new();
        for number in 20..30 {
            let other = values(1000 + number..1001 + number);
            lost.push(submit(&old, Acks::All, batch(1, number, &other)));
        }
        until("durable", || old.offsets().durable_end == Offset(30)).await;
        // The others go on without it.
        brokers.elect(2, &[2, 3], &[1]).await;
        // Past the end of the other history, or not.
        let next = if seed % 3 == 0 { 33 } else { 25 };
        fill(&brokers, 2, 20..next).await;
        brokers.cut(1, 2, false);
        brokers.cut(1, 3, false);
        brokers.tell_all().await;
        for group in lost {
            let answer = answer(&group, DEADLINE).await.unwrap();
            assert!(matches!(answer, Err(AppendError::NotLeader { .. })), "{answer:?}");
        }
        // The power goes while it truncates, or before, or after.
        tokio::time::sleep(Duration::from_micros(seed * 700)).await;
        brokers.crash(1, seed).await;
        brokers.up(1).await;
        fill(&brokers, 2, next..next + 3).await;
        assert_equal(&brokers, &[2, 3, 1]).await;
        brokers.crash(1, seed).await;
        brokers.up(1).await;
        assert_equal(&brokers, &[2, 3, 1]).await;
        // It knows the producer as the others do: the newest batch is a duplicate.
        until("back in the ISR", || brokers.known().isr.len() == 3).await;
        brokers.elect(1, &[1, 2, 3], &[]).await;
        let (engine, leader) = (brokers.engine(1), brokers.replica(1).await);
        let last = next + 2;
        let again = append(&engine, &leader, batch(1, last, &values(last..last + 1))).await;
        assert_eq!(again, Ok(OffsetRange::from_count(Offset(last.into()), 1)), "seed {seed}");
        fill(&brokers, 1, last + 1..last + 3).await;
        assert_eq!(assert_equal(&brokers, &[1, 2, 3]).await.len(), last as usize + 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_reaches_the_files_only_when_a_replay_would_repeat_it() {
    // What was written and not synced may be there after a power cut, or not.
    for seed in 0..6 {
        cut_and_crash(seed).await;
    }
}

async fn cut_and_crash(seed: u64) {
    let brokers = Brokers::start(2, &[], OFTEN).await;
    fill(&brokers, 1, 0..10).await;
    brokers.cut(1, 2, true);
    let (engine, old) = (brokers.engine(1), brokers.replica(1).await);
    for number in 10..20 {
        submit(&old, Acks::All, batch(1, number, &values(number..number + 1)));
    }
    until("in the segments", || old.log().flushed_end() == Offset(20)).await;
    let checkpoints = engine.flush_counters().0;
    submit(&old, Acks::All, batch(1, 20, &values(20..21)));
    until("in a checkpoint", || engine.flush_counters().0 > checkpoints).await;
    // From here on neither the entry of the cut nor another checkpoint becomes durable.
    let (closed, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (seen, asking, begun) = (Arc::clone(&closed), Arc::clone(&asked), AtomicBool::new(false));
    brokers.disk(1).set_sync_hook(Some(Arc::new(move |path| {
        // Nothing else is written than the cut.
        let is_wal = path.starts_with("/data/wal");
        let begun = begun.fetch_or(is_wal, Ordering::SeqCst) || is_wal;
        let is_checkpoint = begun && path.to_string_lossy().starts_with("/data/checkpoint");
        asking.fetch_or(is_checkpoint, Ordering::SeqCst);
        while (is_checkpoint || is_wal) && seen.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    })));
    brokers.elect(2, &[2], &[]).await;
    brokers.cut(1, 2, false);
    until("a checkpoint was to be stored", || asked.load(Ordering::SeqCst)).await;
    brokers.crash(1, seed).await;
    closed.store(false, Ordering::SeqCst);
    brokers.disk(1).set_sync_hook(None);
    brokers.up(1).await;
    assert_eq!(assert_equal(&brokers, &[2, 1]).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_off_is_forgotten_of_the_producers_too_r_3_23() {
    for (seed, restart) in [(0, false), (1, true), (2, true)] {
        let brokers = Brokers::start(2, &[], if seed == 2 { OFTEN } else { RARELY }).await;
        fill(&brokers, 1, 0..10).await;
        brokers.cut(1, 2, true);
        let old = brokers.replica(1).await;
        for number in 10..20 {
            submit(&old, Acks::All, batch(1, number, &values(number..number + 1)));
        }
        submit(&old, Acks::All, batch(2, 0, &values(0..1)));
        until("durable", || old.offsets().durable_end == Offset(21)).await;
        brokers.elect(2, &[2], &[]).await;
        brokers.cut(1, 2, false);
        brokers.until_equal(&[2, 1]).await;
        if restart {
            brokers.crash(1, seed).await;
            brokers.up(1).await;
            brokers.until_equal(&[2, 1]).await;
        }
        brokers.elect(1, &[1, 2], &[]).await;
        // Both come again, as batches that were never acknowledged do, and are new here.
        let (engine, leader) = (brokers.engine(1), brokers.replica(1).await);
        let first = append(&engine, &leader, batch(1, 10, &values(10..11))).await;
        assert_eq!(first, Ok(OffsetRange::from_count(Offset(10), 1)), "seed {seed}");
        let second = append(&engine, &leader, batch(2, 0, &values(0..1))).await;
        assert_eq!(second, Ok(OffsetRange::from_count(Offset(11), 1)), "seed {seed}");
        assert_eq!(assert_equal(&brokers, &[1, 2]).await.len(), 12);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_restarts_goes_on_where_its_disk_ends() {
    let brokers = Brokers::start(2, &[], RARELY).await;
    for (round, clean) in [(0, false), (1, true), (2, false)] {
        fill(&brokers, 1, round * 20..round * 20 + 20).await;
        if clean {
            brokers.stop(2).await
        } else {
            brokers.crash(2, round as u64).await
        }
        brokers.elect(1, &[1], &[2]).await;
        brokers.up(2).await;
        assert_eq!(assert_equal(&brokers, &[1, 2]).await.len(), round as usize * 20 + 20);
        until("back in the ISR", || brokers.known().isr.len() == 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_behind_the_log_start_begins_anew_there() {
    let brokers = Brokers::start(2, &[("segment.bytes", "1024")], OFTEN).await;
    fill(&brokers, 1, 0..10).await;
    brokers.crash(2, 1).await;
    brokers.elect(1, &[1], &[2]).await;
    fill(&brokers, 1, 10..40).await;
    let (engine, leader) = (brokers.engine(1), brokers.replica(1).await);
    let deadline = Instant::now() + DEADLINE;
    assert_eq!(engine.delete_records(&leader, Offset(30), deadline).await, Ok(Offset(30)));
    for seed in 0..3 {
        brokers.up(2).await;
        brokers.until_equal(&[1, 2]).await;
        assert_eq!(brokers.replica(2).await.offsets().log_start, Offset(30));
        brokers.crash(2, seed).await;
    }
    brokers.up(2).await;
    fill(&brokers, 1, 40..45).await;
    assert_eq!(assert_equal(&brokers, &[1, 2]).await.len(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_are_gone_everywhere_before_the_answer_r_3_130() {
    let brokers = Brokers::start(2, &[("segment.bytes", "1024")], OFTEN).await;
    fill(&brokers, 1, 0..30).await;
    let (engine, leader, follower) = (brokers.engine(1), brokers.replica(1).await, brokers.replica(2).await);
    brokers.cut(1, 2, true);
    let soon = Instant::now() + Duration::from_millis(30);
    let late = engine.delete_records(&leader, Offset(20), soon).await;
    assert!(matches!(late, Err(eddy_engine::DeleteRecordsError::TimedOut { .. })), "{late:?}");
    brokers.cut(1, 2, false);
    let deadline = Instant::now() + DEADLINE;
    assert_eq!(engine.delete_records(&leader, Offset(20), deadline).await, Ok(Offset(20)));
    assert_eq!(follower.offsets().log_start, Offset(20));
    brokers.crash(2, 5).await;
    brokers.up(2).await;
    assert_eq!(brokers.replica(2).await.offsets().log_start, Offset(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_log_is_copied_with_its_gaps_and_survives_a_replay_r_3_129() {
    let configs =
        [("cleanup.policy", "compact"), ("segment.ms", "10"), ("min.cleanable.dirty.ratio", "0.01")];
    let brokers = Brokers::start(2, &configs, OFTEN).await;
    brokers.crash(2, 1).await;
    brokers.elect(1, &[1], &[2]).await;
    let (engine, leader) = (brokers.engine(1), brokers.replica(1).await);
    for number in 0..150 {
        append(&engine, &leader, keyed(number)).await.unwrap();
    }
    until("compacted", || engine.cleaner_status().records_dropped > 100).await;
    // The write-ahead log of the follower keeps everything.
    brokers.set_checkpoint(RARELY);
    // Its first checkpoint may follow its start at once: what it copies comes after that.
    brokers.cut(1, 2, true);
    brokers.up(2).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Memory still has what the segments lack.
    leader.log().evict(0);
    brokers.cut(1, 2, false);
    for seed in 0..3 {
        brokers.until_equal(&[1, 2]).await;
        brokers.crash(2, seed).await;
        brokers.up(2).await;
    }
    brokers.until_equal(&[1, 2]).await;
    assert!(brokers.replica(2).await.log().size_bytes() < 150 * 60, "most batches are gaps");
    let (mine, theirs) = (newest(&brokers.replica(2).await).await, newest(&leader).await);
    assert_eq!(mine, theirs);
    assert_eq!(mine.len(), 7);
}

/// A record whose key says which of seven it is.
fn keyed(number: i64) -> NewBatch {
    let mut builder = eddy_batch::BatchBuilder::new(eddy_batch::Compression::None).producer(
        eddy_types::ProducerId(1),
        eddy_types::ProducerEpoch(0),
        number as i32,
    );
    let time = eddy_types::Millis(1_700_000_000_000 + number);
    builder.append(time, Some(format!("key {}", number % 7).as_bytes()), Some(number.to_string().as_bytes()));
    let bytes = builder.build().unwrap();
    NewBatch { facts: eddy_batch::BatchHeader::parse(&bytes).unwrap().facts(), charge: bytes.len(), bytes }
}

/// The newest value of each key.
async fn newest(log: &Arc<Partition>) -> std::collections::BTreeMap<Bytes, Bytes> {
    let mut at = log.offsets().log_start;
    let mut newest = std::collections::BTreeMap::new();
    while at < log.offsets().high_watermark {
        let request = eddy_engine::ReadRequest {
            offset: at,
            leader_epoch: eddy_types::LeaderEpoch::NONE,
            last_fetched_epoch: eddy_types::LeaderEpoch::NONE,
            max_bytes: 4096,
            at_least_one: true,
            committed_only: false,
        };
        let read = log.read(request).await.unwrap();
        for found in read.slices.into_iter().flat_map(eddy_batch::batches).map(Result::unwrap) {
            at = found.header.last_offset().next();
            for record in found.records(&eddy_batch::DecompressLimit::default()).unwrap().map(Result::unwrap)
            {
                newest.insert(record.key.unwrap(), record.value.unwrap());
            }
        }
    }
    newest
}
