//! Compaction: what it keeps, for how long, and when it is due.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use eddy_batch::end_transaction_marker;
use eddy_batch::{Batch, BatchBuilder, Compression, DecompressLimit, Record, batches};
use eddy_log::{
    CleanError, CleanRequest, Cleaned, Compaction, Log, LogConfig, ProducerEnd, ReadOutcome, TailBatch,
};
use eddy_types::{ControlKind, LeaderEpoch, Millis, Offset, ProducerEpoch, ProducerId};

use crate::support::{Machine, read, read_all, small};

fn compacted() -> LogConfig {
    let compaction = Compaction { delete_retention_ms: Millis(100), ..Compaction::default() };
    LogConfig { segment_bytes: 400, compaction: Some(compaction), ..small() }
}

fn with(config: &LogConfig, change: impl FnOnce(&mut Compaction)) -> LogConfig {
    let mut compaction = config.compaction.unwrap();
    change(&mut compaction);
    LogConfig { compaction: Some(compaction), ..config.clone() }
}

/// Appends a batch as it is, at the log's end.
fn append_bytes(log: &Log, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let end = log.end_offset();
    eddy_batch::stamp(&mut bytes, end, LeaderEpoch(0));
    let batch = Batch::parse(&bytes.into()).unwrap();
    log.append(TailBatch {
        base_offset: end,
        end_offset: batch.header.last_offset().next(),
        leader_epoch: LeaderEpoch(0),
        max_timestamp: batch.header.max_timestamp,
        charge: batch.bytes.len(),
        bytes: batch.bytes,
    });
}

fn append(log: &Log, builder: BatchBuilder, timestamp: i64, records: &[(&str, Option<&str>)]) {
    let mut builder = builder;
    for (key, value) in records {
        builder.append(Millis(timestamp), Some(key.as_bytes()), value.map(str::as_bytes));
    }
    append_bytes(log, &builder.build().unwrap());
}

fn put(log: &Log, timestamp: i64, records: &[(&str, Option<&str>)]) {
    append(log, BatchBuilder::new(Compression::None), timestamp, records);
}

/// Records of other keys, one a batch, so that what is before them is in sealed segments.
fn roll(log: &Log, timestamp: i64) {
    for _ in 0..8 {
        let key = format!("filler {}", log.end_offset());
        put(log, timestamp, &[(&key, Some("a value that takes some room in the segment"))]);
    }
    record(log);
}

/// Everything goes into segments, and a checkpoint that counts on them is stored.
fn record(log: &Log) {
    log.flush(log.end_offset()).unwrap();
    log.sync().unwrap();
    log.checkpoint_stored();
    log.evict(0);
}

fn request(now: i64, producers: &HashMap<ProducerId, ProducerEnd>) -> CleanRequest<'_> {
    CleanRequest {
        now: Millis(now),
        stable_end: Offset(i64::MAX),
        producers,
        memory_bytes: 64 << 20,
        pace: &|_| ControlFlow::Continue(()),
    }
}

fn clean(log: &Log, now: i64) -> Cleaned {
    log.clean(&request(now, &HashMap::new())).unwrap()
}

fn all_batches(log: &Log) -> Vec<Batch> {
    batches(read_all(log, log.start_offset().0).into()).map(Result::unwrap).collect()
}

fn all_records(log: &Log) -> Vec<Record> {
    let records = |batch: &Batch| batch.records(&DecompressLimit::default()).unwrap();
    all_batches(log)
        .iter()
        .filter(|batch| !batch.header.attributes.is_control())
        .flat_map(records)
        .map(Result::unwrap)
        .collect()
}

/// Offsets of a key's records.
fn offsets_of(log: &Log, key: &str) -> Vec<i64> {
    let is_wanted = |record: &Record| record.key.as_deref() == Some(key.as_bytes());
    all_records(log).into_iter().filter(is_wanted).map(|record| record.offset.0).collect()
}

#[test]
fn the_newest_record_of_each_key_stays_as_it_was() {
    for codec in Compression::ALL {
        let log = Machine::sim().open(&compacted(), None);
        for number in 0..20 {
            let value = format!("value {number}");
            let records =
                [("a", Some(value.as_str())), ("b", Some("b")), (["c", "d"][number % 2], Some(&value))];
            append(&log, BatchBuilder::new(codec), number as i64, &records);
        }
        roll(&log, 30);
        let before = all_records(&log);
        let cleaned = clean(&log, 40);
        let after = all_records(&log);
        assert_eq!(cleaned.records_dropped as usize, before.len() - after.len());
        assert_eq!(
            ["a", "b", "c", "d"].map(|key| offsets_of(&log, key)),
            [vec![57], vec![58], vec![56], vec![59]]
        );
        assert!(after.iter().all(|record| before.contains(record)), "{codec}");
        let kept = all_batches(&log);
        let codecs = kept.iter().map(|batch| batch.header.attributes.compression().unwrap());
        assert!(codecs.clone().any(|kept| kept == codec));
        assert!(cleaned.bytes_freed > 0);
        assert!(!cleaned.more && cleaned.cleaned_to == log.cleaned_to());
    }
}

#[test]
fn a_batch_that_loses_nothing_keeps_its_bytes() {
    let log = Machine::sim().open(&compacted(), None);
    append(
        &log,
        BatchBuilder::new(Compression::Gzip).level(1),
        5,
        &[("kept", Some("1")), ("too", Some("2"))],
    );
    put(&log, 5, &[("x", Some("old"))]);
    put(&log, 5, &[("x", Some("new"))]);
    roll(&log, 5);
    let before = all_batches(&log);
    assert_eq!(clean(&log, 10).records_dropped, 1);
    let after = all_batches(&log);
    assert!(after.iter().all(|batch| before.contains(batch)));
    assert_eq!(after.len(), before.len() - 1);
}

#[test]
fn a_second_compaction_finds_nothing_to_do() {
    let log = Machine::sim().open(&compacted(), None);
    for number in 0..30 {
        put(&log, number, &[("a", Some("1")), ("b", None)]);
    }
    roll(&log, 30);
    clean(&log, 40);
    let before = read_all(&log, 0);
    let again = clean(&log, 41);
    assert_eq!((again.bytes_written, again.records_dropped), (0, 0));
    assert_eq!(read_all(&log, 0), before);
}

#[test]
fn small_segments_become_one() {
    let log = Machine::sim().open(&LogConfig { segment_bytes: 100, ..compacted() }, None);
    for number in 0..40 {
        put(&log, number, &[(&format!("key {}", number % 20), Some("1"))]);
    }
    roll(&log, 50);
    let before = log.segment_count();
    log.set_config(LogConfig { segment_bytes: 1 << 20, index_bytes_max: 1 << 20, ..compacted() }.into());
    let cleaned = clean(&log, 60);
    assert_eq!((log.segment_count(), cleaned.segments_before, cleaned.segments_after), (2, before - 1, 1));
    assert_eq!(all_records(&log).len(), 28);
}

#[test]
fn tombstones_stay_for_their_time_after_the_compaction_that_saw_them() {
    let machine = Machine::sim();
    let log = machine.open(&compacted(), None);
    put(&log, 1, &[("gone", Some("value")), ("stays", Some("value"))]);
    put(&log, 2, &[("gone", None)]);
    roll(&log, 3);
    // Long after it was written: its time begins with the compaction.
    clean(&log, 5000);
    assert_eq!(offsets_of(&log, "gone"), [2]);
    let horizon = |log: &Log| {
        let batch = all_batches(log).into_iter().find(|batch| batch.header.base_offset == Offset(2))?;
        batch.header.attributes.has_delete_horizon().then_some(batch.header.base_timestamp)
    };
    assert_eq!(horizon(&log), Some(Millis(5100)));
    let tombstone = all_records(&log).into_iter().find(|record| record.offset == Offset(2)).unwrap();
    assert_eq!((tombstone.timestamp, tombstone.value), (Millis(2), None));
    // Another compaction does not begin its time anew, and another log that opens the files knows it.
    roll(&log, 5000);
    clean(&log, 5099);
    assert_eq!((offsets_of(&log, "gone"), horizon(&log)), (vec![2], Some(Millis(5100))));
    let checkpoint = log.sync().unwrap();
    drop(log);
    let log = machine.open(&compacted(), Some(&checkpoint));
    assert_eq!(log.cleaned_to(), checkpoint.cleaned_to);
    roll(&log, 5100);
    clean(&log, 5100);
    assert_eq!(offsets_of(&log, "gone"), []);
    assert_eq!(offsets_of(&log, "stays"), [1]);
}

#[test]
fn the_last_batch_of_a_producer_stays_even_without_records() {
    let log = Machine::sim().open(&compacted(), None);
    let producer =
        |sequence| BatchBuilder::new(Compression::Zstd).producer(ProducerId(7), ProducerEpoch(2), sequence);
    append(&log, producer(0), 1, &[("a", Some("1"))]);
    append(&log, producer(1), 1, &[("a", Some("2")), ("a", Some("3"))]);
    put(&log, 2, &[("a", Some("4"))]);
    roll(&log, 3);
    let end = ProducerEnd { epoch: ProducerEpoch(2), last_offset: Some(Offset(2)) };
    let active = HashMap::from([(ProducerId(7), end)]);
    log.clean(&request(10, &active)).unwrap();
    assert_eq!(offsets_of(&log, "a"), [3]);
    let empty = all_batches(&log).remove(0);
    let header = empty.header;
    assert_eq!((header.base_offset, header.last_offset(), header.records_count), (Offset(1), Offset(2), 0));
    assert_eq!(
        (header.producer_id, header.producer_epoch, header.base_sequence),
        (ProducerId(7), ProducerEpoch(2), 1)
    );
    let facts = header.facts().producer.unwrap();
    assert_eq!((facts.first, facts.last), (1, 2));
    empty.verify_crc().unwrap();
    assert_eq!(empty.bytes.len(), 61);
    // Reads into the gap before it and into the batch find it, and a lookup by time does not.
    assert_eq!(read(&log, 0, 100, 1, true).unwrap().end_offset, Offset(3));
    assert_eq!(read(&log, 2, 100, 1, true).unwrap().end_offset, Offset(3));
    assert_eq!(log.offset_for_timestamp(Millis(1), Offset(100)).unwrap().unwrap().offset, Offset(3));
    // It goes with its producer.
    roll(&log, 20);
    clean(&log, 21);
    assert_eq!(all_batches(&log).remove(0).header.base_offset, Offset(3));
}

#[test]
fn what_is_not_stable_or_not_recorded_is_left_alone() {
    let log = Machine::sim().open(&compacted(), None);
    for number in 0..30 {
        put(&log, number, &[("a", Some("the same key"))]);
    }
    log.flush(log.end_offset()).unwrap();
    log.sync().unwrap();
    assert_eq!(clean(&log, 50).bytes_read, 0, "the checkpoint is not stored");
    log.checkpoint_stored();
    log.evict(0);
    let cleanable = |log: &Log, stable: i64| log.cleanable(Millis(50), Offset(stable)).unwrap().unwrap();
    assert_eq!(cleanable(&log, 0).dirty_bytes, 0);
    assert!(cleanable(&log, 20).dirty_bytes < cleanable(&log, 100).dirty_bytes);
    let nobody = HashMap::new();
    let cleaned = log.clean(&CleanRequest { stable_end: Offset(20), ..request(50, &nobody) }).unwrap();
    assert!(cleaned.cleaned_to <= Offset(20) && cleaned.cleaned_to > Offset(10), "{cleaned:?}");
    let offsets = offsets_of(&log, "a");
    assert_eq!(offsets, (cleaned.cleaned_to.0 - 1..30).collect::<Vec<_>>());
    // The last segment is never touched.
    clean(&log, 50);
    assert!(offsets_of(&log, "a").len() > 1);
}

#[test]
fn records_younger_than_the_lag_are_left_alone() {
    let config = with(&compacted(), |compaction| compaction.min_lag_ms = Millis(100));
    let log = Machine::sim().open(&config, None);
    for number in 0..60 {
        put(&log, 10 * number, &[("a", Some("the same key"))]);
    }
    record(&log);
    let cleaned = clean(&log, 500);
    assert!(cleaned.cleaned_to > Offset(30) && cleaned.cleaned_to <= Offset(41), "{cleaned:?}");
    assert_eq!(offsets_of(&log, "a"), (cleaned.cleaned_to.0 - 1..60).collect::<Vec<_>>());
}

#[test]
fn a_log_is_due_by_its_dirty_share_or_by_age() {
    let config = with(&compacted(), |compaction| compaction.min_dirty_ratio = 0.6);
    let log = Machine::sim().open(&config, None);
    let look = |log: &Log, now: i64| log.cleanable(Millis(now), Offset(i64::MAX)).unwrap().unwrap();
    assert!(!look(&log, 0).is_due, "an empty log");
    for number in 0..40 {
        put(&log, 1, &[(&format!("key {number}"), Some("a value"))]);
    }
    roll(&log, 1);
    assert!(look(&log, 2).is_due && look(&log, 2).dirty_ratio() > 0.99);
    clean(&log, 2);
    assert!(!look(&log, 3).is_due);
    assert!(look(&log, 3).clean_bytes > 1000);
    roll(&log, 1000);
    let after = look(&log, 1001);
    assert!(after.dirty_ratio() > 0.1 && !after.is_due);
    log.set_config(with(&config, |compaction| compaction.max_lag_ms = Millis(500)).into());
    // The segment that was active at the compaction has the oldest dirty record.
    assert!(!look(&log, 501).is_due && look(&log, 502).is_due);
    log.set_config(with(&config, |compaction| compaction.min_dirty_ratio = 0.1).into());
    assert!(look(&log, 1001).is_due);
    log.set_config(LogConfig { compaction: None, ..config }.into());
    assert_eq!(log.cleanable(Millis(5000), Offset(i64::MAX)).unwrap(), None);
    assert_eq!(clean(&log, 5000), Cleaned::default());
}

#[test]
fn more_keys_than_memory_take_several_compactions() {
    let config = LogConfig { segment_bytes: 20_000, index_bytes_max: 1 << 20, ..compacted() };
    let log = Machine::sim().open(&config, None);
    for number in 0..4000_i64 {
        let key = format!("key {}", number * 7 % 2500);
        put(&log, number, &[(&key, Some("some value"))]);
    }
    record(&log);
    let nobody = HashMap::new();
    let mut steps = 0;
    loop {
        let cleaned = log.clean(&CleanRequest { memory_bytes: 0, ..request(5000, &nobody) }).unwrap();
        steps += 1;
        if !cleaned.more {
            break;
        }
    }
    assert!((3..8).contains(&steps), "{steps} compactions");
    let mut newest = HashMap::new();
    for record in all_records(&log) {
        if let Some(before) = newest.insert(record.key.clone(), record.offset) {
            assert!(record.offset >= log.cleaned_to(), "{:?} at {before} and {}", record.key, record.offset);
        }
    }
    assert_eq!(newest.len(), 2500);
}

#[test]
fn aborted_records_go_and_replace_nothing() {
    let log = Machine::sim().open(&compacted(), None);
    let transaction = |id| {
        BatchBuilder::new(Compression::None).producer(ProducerId(id), ProducerEpoch(0), 0).transactional()
    };
    let marker = |id, kind| end_transaction_marker((ProducerId(id), ProducerEpoch(0)), kind, 0, Millis(5));
    put(&log, 1, &[("a", Some("committed")), ("b", Some("old"))]);
    append(&log, transaction(1), 2, &[("a", Some("aborted"))]);
    append(&log, transaction(2), 2, &[("b", Some("new"))]);
    append(&log, transaction(1), 2, &[("c", Some("aborted"))]);
    append_bytes(&log, &marker(1, ControlKind::Abort));
    append_bytes(&log, &marker(2, ControlKind::Commit));
    append(&log, transaction(1), 3, &[("c", Some("committed"))]);
    append_bytes(&log, &marker(1, ControlKind::Commit));
    roll(&log, 4);
    clean(&log, 10);
    assert_eq!(["a", "b", "c"].map(|key| offsets_of(&log, key)), [vec![0], vec![3], vec![7]]);
    let markers = |log: &Log| -> Vec<(i64, bool)> {
        let control = |batch: &Batch| batch.header.attributes.is_control();
        let markers = all_batches(log).into_iter().filter(control).filter(|b| b.header.records_count > 0);
        markers.map(|b| (b.header.base_offset.0, b.header.attributes.has_delete_horizon())).collect()
    };
    assert_eq!(markers(&log), [(5, false), (6, false), (8, false)]);
    // The aborted transaction has left nothing: its marker has a time to live from now on.
    roll(&log, 11);
    clean(&log, 20);
    assert_eq!(markers(&log), [(5, true), (6, false), (8, false)]);
    roll(&log, 119);
    clean(&log, 119);
    assert_eq!(markers(&log).len(), 3);
    roll(&log, 120);
    clean(&log, 120);
    assert_eq!(markers(&log), [(6, false), (8, false)]);
    assert_eq!(["a", "b", "c"].map(|key| offsets_of(&log, key)), [vec![0], vec![3], vec![7]]);
}

#[test]
fn a_transaction_that_is_not_decided_in_the_segments_is_a_bound() {
    let log = Machine::sim().open(&compacted(), None);
    put(&log, 1, &[("a", Some("1"))]);
    put(&log, 1, &[("a", Some("2"))]);
    let open =
        BatchBuilder::new(Compression::None).producer(ProducerId(1), ProducerEpoch(0), 0).transactional();
    append(&log, open, 2, &[("a", Some("3"))]);
    roll(&log, 3);
    // It was decided in memory: the last stable offset is above it, and the marker in no segment.
    append_bytes(
        &log,
        &end_transaction_marker((ProducerId(1), ProducerEpoch(0)), ControlKind::Abort, 0, Millis(5)),
    );
    assert_eq!(clean(&log, 10).cleaned_to, Offset(2));
    assert_eq!(offsets_of(&log, "a"), [1, 2]);
    roll(&log, 6);
    clean(&log, 11);
    assert_eq!(offsets_of(&log, "a"), [1]);
}

#[test]
fn what_follows_a_truncation_waits_for_a_checkpoint_and_is_dirty_again() {
    let log = Machine::sim().open(&compacted(), None);
    let put_many = |range: std::ops::Range<i64>, key: &str| {
        for number in range {
            put(&log, number, &[(key, Some("the same key"))]);
        }
    };
    put_many(0..60, "a");
    record(&log);
    assert!(clean(&log, 100).cleaned_to > Offset(40));
    log.truncate(Offset(20));
    put_many(20..35, "b");
    put_many(35..80, "c");
    log.flush(log.end_offset()).unwrap();
    log.evict(0);
    assert!(clean(&log, 200).cleaned_to <= Offset(20));
    assert_eq!(offsets_of(&log, "b").len(), 15);
    // The checkpoint that was stored last may name a segment that is no more.
    log.sync().unwrap();
    assert!(clean(&log, 200).cleaned_to <= Offset(20));
    log.checkpoint_stored();
    assert!(clean(&log, 200).cleaned_to > Offset(60));
    assert_eq!(offsets_of(&log, "b"), [34]);
}

#[test]
fn records_without_keys_go() {
    // As in Kafka: they can only be from before the topic was compacted.
    let log = Machine::sim().open(&compacted(), None);
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Millis(1), None, Some(b"value"));
    builder.append(Millis(1), Some(b"key"), Some(b"value"));
    append_bytes(&log, &builder.build().unwrap());
    roll(&log, 2);
    assert_eq!(clean(&log, 3).records_dropped, 1);
    assert_eq!(offsets_of(&log, "key"), [1]);
}

#[test]
fn damage_is_told_and_nothing_is_changed() {
    let machine = Machine::sim();
    let log = machine.open(&compacted(), None);
    for number in 0..30 {
        put(&log, number, &[("a", Some("the same key"))]);
    }
    record(&log);
    let names = |machine: &Machine| machine.disk().list(&machine.dir()).unwrap();
    let before = (names(&machine), log.size_bytes());
    let second = before.0.iter().filter(|entry| entry.path.extension().unwrap() == "log").nth(1).unwrap();
    let file = machine.disk().open(&second.path, eddy_disk::Open::Existing).unwrap();
    file.write_at(&[std::io::IoSlice::new(&[0xff])], file.size().unwrap() - 2).unwrap();
    let error = log.clean(&request(40, &HashMap::new())).unwrap_err();
    let CleanError::Log(error) = error else { panic!("{error:?}") };
    assert!(error.to_string().contains("is damaged at byte"), "{error}");
    assert_eq!((names(&machine), log.size_bytes()), before);
}

#[test]
fn a_compaction_can_be_ended() {
    let config = LogConfig { segment_bytes: 3 << 20, index_bytes_max: 1 << 20, ..compacted() };
    let log = Machine::sim().open(&config, None);
    let value = "x".repeat(100_000);
    for number in 0..80 {
        put(&log, number, &[("a", Some(&value))]);
    }
    record(&log);
    let nobody = HashMap::new();
    let read = std::cell::Cell::new(0);
    for budget in [0, 3 << 20, 9 << 20] {
        read.set(0);
        let pace = |bytes| {
            read.set(read.get() + bytes);
            if read.get() > budget { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let ended = log.clean(&CleanRequest { pace: &pace, ..request(100, &nobody) });
        assert!(matches!(ended, Err(CleanError::Stopped)), "{ended:?}");
        assert_eq!(log.cleaned_to(), Offset(0));
        assert_eq!(offsets_of(&log, "a").last(), Some(&79));
    }
    assert!(clean(&log, 100).bytes_freed > 2 << 20);
}

#[test]
fn a_reader_that_was_on_its_way_reads_on() {
    let machine = Machine::sim();
    let log = machine.open(&LogConfig { segment_bytes: 1000, ..compacted() }, None);
    for number in 0..60_i64 {
        put(&log, number, &[(&format!("key {}", number % 4), Some("some value")), ("same", Some("1"))]);
    }
    record(&log);
    // The indexes are known; the files are opened by each reader anew, since only few stay open.
    read_all(&log, 0);
    let planned: Vec<_> = (0..120)
        .map(|from| match log.read(Offset(from), Offset(120), 1, true).unwrap() {
            ReadOutcome::Disk(read) => (from, read),
            ReadOutcome::Ready(_) => panic!("cached"),
        })
        .collect();
    clean(&log, 100);
    clean(&log, 101);
    for (from, planned) in planned {
        let fetched = planned.try_cached().unwrap_or_else(|| planned.run()).unwrap();
        let expected = read(&log, from, 120, 1, true).unwrap();
        assert_eq!(fetched, expected, "read at {from}");
        assert!(fetched.end_offset.0 > from);
    }
}

/// Reads all the time, from the start to the end, by offset and by time; every key must be found, and nothing fail.
fn read_until(log: &Log, done: &AtomicBool, keys: usize) -> usize {
    let mut rounds = 0;
    while !done.load(Ordering::Relaxed) || rounds == 0 {
        let mut seen = HashSet::new();
        let mut at = 0;
        // The end moves: what was below an earlier one may have been replaced by what is above.
        while at < log.end_offset().0 {
            let fetched = match log.read(Offset(at), log.end_offset(), 900, true).unwrap() {
                ReadOutcome::Ready(fetched) => fetched,
                ReadOutcome::Disk(disk) => disk.try_cached().unwrap_or_else(|| disk.run()).unwrap(),
            };
            at = fetched.end_offset.0;
            for batch in fetched.slices.into_iter().flat_map(batches) {
                let batch = batch.unwrap();
                batch.verify_crc().unwrap();
                let records = batch.records(&DecompressLimit::default()).unwrap();
                seen.extend(records.map(|record| record.unwrap().key.unwrap()));
            }
        }
        assert_eq!(seen.len(), keys, "each key has a newest record");
        let timestamp = Millis(rounds as i64 * 7 % log.end_offset().0);
        assert!(log.offset_for_timestamp(timestamp, Offset(i64::MAX)).unwrap().is_some());
        assert!(log.max_timestamp(Offset(i64::MAX)).unwrap().is_some());
        rounds += 1;
    }
    rounds
}

#[test]
fn readers_meet_no_error_and_miss_nothing_while_the_log_is_compacted() {
    for machine in [Machine::sim(), Machine::real()] {
        let config = LogConfig { segment_bytes: 300, ..compacted() };
        let log = machine.open(&config, None);
        let put_each = |from: i64| {
            for key in 0..30 {
                put(&log, from + key, &[(&format!("key {key}"), Some("some value"))]);
            }
            record(&log);
        };
        put_each(0);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| read_until(&log, &done, 30))).collect();
            for round in 1..25 {
                put_each(round * 30);
                let bytes = [250, 700, 2000][round as usize % 3];
                log.set_config(LogConfig { segment_bytes: bytes, ..config.clone() }.into());
                clean(&log, round * 30);
            }
            done.store(true, Ordering::Relaxed);
            for reader in readers {
                assert!(reader.join().unwrap() > 1);
            }
        });
    }
}
