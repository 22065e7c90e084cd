//! Compaction against a list of all records: whatever is done to a log, and wherever the power goes, no newest record of a key
//! is lost, and nothing changes that is left.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use eddy_batch::{Batch, BatchBuilder, Compression, DecompressLimit, batches};
use eddy_disk::sim::Fault;
use eddy_log::{
    CleanError, CleanRequest, Cleaned, Compaction, Log, LogCheckpoint, LogConfig, ProducerEnd, TailBatch,
    TailBudget,
};
use eddy_types::{LeaderEpoch, Millis, Offset, OffsetRange, ProducerEpoch, ProducerId};
use proptest::prelude::*;

use crate::support::{Machine, read, read_all, small};

const RETENTION_MS: i64 = 50;

#[derive(Clone, Debug)]
enum Step {
    Append {
        records: Vec<(u8, bool)>,
        compressed: bool,
        producer: Option<i64>,
    },
    Flush,
    Evict,
    BeginCheckpoint,
    EndCheckpoint {
        stored: bool,
    },
    /// Records up to here are committed: they are not truncated any more, and may be compacted.
    Commit {
        share: u8,
    },
    Truncate {
        back: u8,
    },
    MoveStart {
        share: u8,
    },
    DeleteBelowStart,
    Clean {
        memory: usize,
    },
    /// The power goes after so many changes of the disk.
    CleanAndCrash {
        changes: u64,
        seed: u64,
    },
    CleanAndFail {
        write: u64,
    },
    MinLag(i64),
    SegmentBytes(u32),
    Wait(i64),
    Crash {
        seed: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let record = (0u8..14, prop::bool::weighted(0.2));
    let append = (prop::collection::vec(record, 1..5), any::<bool>(), prop::option::weighted(0.2, 1i64..4))
        .prop_map(|(records, compressed, producer)| Step::Append { records, compressed, producer });
    prop_oneof![
        60 => append,
        8 => Just(Step::Flush),
        3 => Just(Step::Evict),
        2 => Just(Step::BeginCheckpoint),
        9 => prop::bool::weighted(0.8).prop_map(|stored| Step::EndCheckpoint { stored }),
        9 => (128u8..).prop_map(|share| Step::Commit { share }),
        3 => (0u8..6).prop_map(|back| Step::Truncate { back }),
        1 => any::<u8>().prop_map(|share| Step::MoveStart { share }),
        1 => Just(Step::DeleteBelowStart),
        9 => (0usize..1 << 20).prop_map(|memory| Step::Clean { memory }),
        9 => (0u64..40, any::<u64>()).prop_map(|(changes, seed)| Step::CleanAndCrash { changes, seed }),
        1 => (1u64..6).prop_map(|write| Step::CleanAndFail { write }),
        1 => (0i64..200).prop_map(Step::MinLag),
        4 => (200u32..4000).prop_map(Step::SegmentBytes),
        3 => (1i64..120).prop_map(Step::Wait),
        4 => any::<u64>().prop_map(|seed| Step::Crash { seed }),
    ]
}

#[derive(Clone, Debug)]
enum Entry {
    Append(TailBatch),
    Truncate(Offset),
    LogStart(Offset),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    timestamp: i64,
    /// When the record was first below the bound of a compaction.
    seen: Option<i64>,
}

struct World {
    machine: Machine,
    config: LogConfig,
    budget: Arc<TailBudget>,
    log: Log,
    now: i64,
    start: i64,
    end: i64,
    committed: i64,
    /// No compaction was allowed to look at records from here on.
    bound: i64,
    records: BTreeMap<i64, Known>,
    producers: HashMap<ProducerId, ProducerEnd>,
    sequences: HashMap<i64, i32>,
    wal: Vec<Entry>,
    checkpoint: (LogCheckpoint, usize),
    next_checkpoint: Option<usize>,
    batch_ends: Vec<i64>,
}

fn config() -> LogConfig {
    let compaction = Compaction { delete_retention_ms: Millis(RETENTION_MS), ..Compaction::default() };
    LogConfig { segment_bytes: 900, compaction: Some(compaction), ..small() }
}

impl World {
    fn new() -> World {
        let machine = Machine::sim();
        let budget = Arc::new(TailBudget::new(usize::MAX));
        let config = config();
        let log = machine.open_with(&config, Some(&LogCheckpoint::default()), budget.clone());
        World {
            machine,
            config,
            budget,
            log,
            now: 1000,
            start: 0,
            end: 0,
            committed: 0,
            bound: 0,
            records: BTreeMap::new(),
            producers: HashMap::new(),
            sequences: HashMap::new(),
            wal: Vec::new(),
            checkpoint: (LogCheckpoint::default(), 0),
            next_checkpoint: None,
            batch_ends: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append { records, compressed, producer } => self.append(records, *compressed, *producer),
            Step::Flush => {
                self.log.flush(Offset(self.end)).unwrap();
            }
            Step::Evict => {
                self.log.evict(0);
            }
            Step::BeginCheckpoint => self.next_checkpoint = Some(self.wal.len()),
            Step::EndCheckpoint { stored } => self.end_checkpoint(*stored),
            Step::Commit { share } => {
                self.committed += (self.end - self.committed) * i64::from(*share) / 255;
            }
            Step::Truncate { back } => self.truncate(usize::from(*back)),
            Step::MoveStart { share } => {
                self.start += (self.committed - self.start).max(0) * i64::from(*share) / 255;
                self.wal.push(Entry::LogStart(Offset(self.start)));
                self.log.set_start_offset(Offset(self.start));
            }
            Step::DeleteBelowStart => {
                self.log.delete_below_start().unwrap();
            }
            Step::Clean { memory } => {
                let cleaned = self.clean(*memory).unwrap();
                assert!(!cleaned.more, "fourteen keys always fit");
                self.check_compacted();
            }
            Step::CleanAndCrash { changes, seed } => {
                let Machine::Sim(disk) = &self.machine else { panic!("not simulated") };
                disk.halt_after(*changes);
                let _ = self.clean(0);
                self.crash(*seed);
            }
            Step::CleanAndFail { write } => {
                let Machine::Sim(disk) = &self.machine else { panic!("not simulated") };
                let disk = disk.clone();
                disk.fail_write(*write, Fault::NoSpace);
                let _ = self.clean(0);
                disk.fail_write(u64::MAX, Fault::NoSpace);
            }
            Step::MinLag(lag) => {
                if let Some(compaction) = &mut self.config.compaction {
                    compaction.min_lag_ms = Millis(*lag);
                }
                self.log.set_config(Arc::new(self.config.clone()));
            }
            Step::SegmentBytes(bytes) => {
                self.config.segment_bytes = *bytes;
                self.log.set_config(Arc::new(self.config.clone()));
            }
            Step::Wait(time) => self.now += time,
            Step::Crash { seed } => self.crash(*seed),
        }
    }

    fn append(&mut self, records: &[(u8, bool)], compressed: bool, producer: Option<i64>) {
        let codec = if compressed { Compression::Lz4 } else { Compression::None };
        let mut builder = BatchBuilder::new(codec).base_offset(Offset(self.end)).leader_epoch(LeaderEpoch(0));
        if let Some(id) = producer {
            let sequence = self.sequences.entry(id).or_default();
            builder = builder.producer(ProducerId(id), ProducerEpoch(0), *sequence);
            *sequence += records.len() as i32;
        }
        let base = self.end;
        for (key, tombstone) in records {
            self.now += 1;
            // Timestamps are not in order.
            let timestamp = self.now - i64::from(*key) * 3;
            let key = format!("key {key}").into_bytes();
            let value = (!tombstone).then(|| format!("value {} of {}", self.end, self.end % 7).into_bytes());
            builder.append(Millis(timestamp), Some(&key), value.as_deref());
            self.records.insert(self.end, Known { key, value, timestamp, seen: None });
            self.end += 1;
        }
        if let Some(id) = producer {
            let end = ProducerEnd { epoch: ProducerEpoch(0), last_offset: Some(Offset(self.end - 1)) };
            self.producers.insert(ProducerId(id), end);
        }
        let bytes = builder.build().unwrap();
        let max_timestamp = Batch::parse(&bytes).unwrap().header.max_timestamp;
        let batch = TailBatch {
            base_offset: Offset(base),
            end_offset: Offset(self.end),
            leader_epoch: LeaderEpoch(0),
            max_timestamp,
            charge: bytes.len(),
            bytes,
        };
        self.batch_ends.push(self.end);
        self.wal.push(Entry::Append(batch.clone()));
        self.log.append(batch);
    }

    fn end_checkpoint(&mut self, stored: bool) {
        let position = self.next_checkpoint.take().unwrap_or(self.wal.len());
        self.log.flush(Offset(self.end)).unwrap();
        let checkpoint = self.log.sync().unwrap();
        if stored {
            self.checkpoint = (checkpoint, position);
            self.log.checkpoint_stored();
        }
    }

    fn truncate(&mut self, back: usize) {
        let Some(to) = self.batch_ends.iter().rev().nth(back).copied().filter(|to| *to >= self.committed)
        else {
            return;
        };
        self.batch_ends.retain(|end| *end <= to);
        self.records.split_off(&to);
        self.end = to;
        // A producer whose last batch is gone is not known any more, in this model.
        self.producers.retain(|_, end| end.last_offset.is_some_and(|last| last.0 < to));
        self.wal.push(Entry::Truncate(Offset(to)));
        self.log.truncate(Offset(to));
    }

    fn clean(&mut self, memory_bytes: usize) -> Result<Cleaned, CleanError> {
        let lag = self.config.compaction.unwrap().min_lag_ms.0;
        self.bound = self.bound.max(self.committed);
        let now = self.now;
        for (_, record) in self.records.range_mut(..self.committed) {
            if lag == 0 || record.timestamp <= now - lag {
                record.seen.get_or_insert(now);
            }
        }
        self.log.clean(&CleanRequest {
            now: Millis(self.now),
            stable_end: Offset(self.committed),
            producers: &self.producers,
            memory_bytes,
            pace: &|_| ControlFlow::Continue(()),
        })
    }

    fn crash(&mut self, seed: u64) {
        self.machine.crash(seed);
        self.reopen();
    }

    fn reopen(&mut self) {
        self.next_checkpoint = None;
        self.log = self.machine.open_with(&self.config, Some(&self.checkpoint.0), self.budget.clone());
        for entry in self.wal.iter().skip(self.checkpoint.1) {
            match entry {
                Entry::Append(batch) if batch.base_offset < self.log.end_offset() => {}
                Entry::Append(batch) => self.log.append(batch.clone()),
                Entry::Truncate(to) => self.log.truncate(*to),
                Entry::LogStart(to) => self.log.set_start_offset(*to),
            }
        }
        self.log.finish_replay().unwrap();
        assert_eq!(self.log.missing(), None::<OffsetRange>);
        let names = self.machine.disk().list(&self.machine.dir()).unwrap_or_default();
        let leftover = names.iter().find(|entry| {
            let name = entry.path.to_string_lossy().into_owned();
            name.ends_with("cleaned") || name.ends_with("swap")
        });
        assert!(leftover.is_none(), "{leftover:?}");
    }

    /// The batches of the log, as one reader from the start sees them.
    fn batches(&self) -> Vec<Batch> {
        batches(read_all(&self.log, self.start).into()).map(Result::unwrap).collect()
    }

    fn visible(&self, batches: &[Batch]) -> BTreeMap<i64, Known> {
        let mut visible = BTreeMap::new();
        let mut next = 0;
        for batch in batches {
            batch.verify_crc().unwrap();
            assert!(batch.header.base_offset.0 >= next, "batches overlap");
            next = batch.header.last_offset().0 + 1;
            for record in batch.records(&DecompressLimit::default()).unwrap() {
                let record = record.unwrap();
                let (key, value) = (record.key.unwrap().to_vec(), record.value.map(|value| value.to_vec()));
                let known = Known { key, value, timestamp: record.timestamp.0, seen: None };
                assert!(visible.insert(record.offset.0, known).is_none());
            }
        }
        visible.split_off(&self.start)
    }

    fn check(&self) {
        assert_eq!((self.log.start_offset().0, self.log.end_offset().0), (self.start, self.end));
        let batches = self.batches();
        let visible = self.visible(&batches);
        for (offset, record) in &visible {
            let known = Known { seen: None, ..self.records[offset].clone() };
            assert_eq!(*record, known, "record {offset}");
        }
        let mut newest: BTreeMap<&[u8], i64> = BTreeMap::new();
        for (offset, record) in self.records.range(self.start..) {
            newest.insert(&record.key, *offset);
            assert!(*offset < self.bound || visible.contains_key(offset), "record {offset} is gone too soon");
        }
        for (key, offset) in newest {
            let record = &self.records[&offset];
            if visible.contains_key(&offset) {
                continue;
            }
            assert!(record.value.is_none(), "newest record {offset} is gone");
            let waited = record.seen.map(|seen| self.now - seen);
            assert!(waited >= Some(RETENTION_MS), "tombstone {offset} is gone after {waited:?}");
            let older = visible.iter().find(|(_, record)| record.key == key);
            assert!(older.is_none(), "{older:?} is back from the dead");
        }
        for (id, end) in &self.producers {
            let is_last = |batch: &Batch| {
                batch.header.producer_id == *id && Some(batch.header.last_offset()) == end.last_offset
            };
            let is_deleted = end.last_offset < Some(Offset(self.start));
            assert!(is_deleted || batches.iter().any(is_last), "the last batch of producer {id:?} is gone");
        }
    }

    /// With nothing flushed in memory, where records may still be that the segments have lost.
    fn check_reads(&self) {
        self.log.evict(0);
        let batches = self.batches();
        let visible = self.visible(&batches);
        for from in self.start..self.end {
            let fetched = read(&self.log, from, self.end, 1, true).unwrap();
            let expected = batches.iter().find(|batch| batch.header.last_offset().0 >= from);
            let expected = expected.map(|batch| batch.bytes.clone()).unwrap_or_default();
            assert_eq!(fetched.slices.concat(), expected, "read at {from}");
        }
        for timestamp in (960..self.now + 10).step_by(17) {
            let expected = visible.iter().find(|(_, record)| record.timestamp >= timestamp);
            let found = self.log.offset_for_timestamp(Millis(timestamp), Offset(self.end)).unwrap();
            assert_eq!(found.map(|found| found.offset.0), expected.map(|(offset, _)| *offset), "{timestamp}");
        }
        let newest = visible.values().map(|record| record.timestamp).max();
        let found = self.log.max_timestamp(Offset(self.end)).unwrap();
        assert_eq!(found.map(|found| found.timestamp.0), newest);
    }

    /// Below where a compaction came to, each key occurs once. The cache may still hold more.
    fn check_compacted(&self) {
        self.log.evict(0);
        let cleaned_to = self.log.cleaned_to().0;
        let mut seen = BTreeMap::new();
        for (offset, record) in self.visible(&self.batches()).range(..cleaned_to) {
            if let Some(before) = seen.insert(record.key.clone(), offset) {
                panic!("{:?} occurs at {before} and at {offset}", record.key);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn compaction_loses_no_newest_record_whatever_happens(steps in prop::collection::vec(step(), 1..160)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            if !matches!(step, Step::Append { .. }) {
                world.check();
            }
            if matches!(step, Step::CleanAndCrash { .. }) {
                world.check_reads();
            }
        }
        world.check_reads();
    }
}

/// A log that is worth compacting, with everything synced and recorded, and with segments that become fewer.
fn ready() -> World {
    let mut world = World::new();
    world.step(&Step::SegmentBytes(300));
    for number in 0..32_u8 {
        let records = [(number % 10, number % 17 == 0), (number % 3, false)];
        world.append(&records, number % 4 == 0, (number % 5 == 0).then_some(2));
    }
    world.committed = world.end;
    world.end_checkpoint(true);
    world.log.evict(0);
    world.step(&Step::SegmentBytes(1500));
    world
}

#[test]
fn power_may_go_at_any_step_of_a_swap() {
    let mut swapped = 0;
    for changes in 0.. {
        // One kill, and power cuts that leave this or that of what was not synced.
        for seed in [0, 2, 3, 6, 7, 10] {
            let mut world = ready();
            let before = world.log.size_bytes();
            world.step(&Step::CleanAndCrash { changes, seed });
            world.check_reads();
            swapped += usize::from(world.log.size_bytes() < before);
            // What a crash has left does not keep the next compaction from its work.
            world.step(&Step::Clean { memory: 0 });
            world.check();
            world.step(&Step::Crash { seed: seed + 100 });
            world.check();
        }
        let mut world = ready();
        let Machine::Sim(disk) = &world.machine else { panic!("not simulated") };
        disk.halt_after(changes);
        if world.clean(0).is_ok() {
            assert!(changes > 20 && swapped > 0, "{changes} changes, {swapped} swapped");
            return;
        }
    }
}

#[test]
fn a_power_cut_during_recovery_changes_nothing() {
    for changes in 0..24 {
        for again in 0..8 {
            let mut world = ready();
            let Machine::Sim(disk) = &world.machine else { panic!("not simulated") };
            let disk = disk.clone();
            disk.halt_after(changes);
            let _ = world.clean(0);
            world.machine.crash(changes * 31 + again);
            disk.halt_after(again);
            let files = Arc::new(eddy_log::FileCache::new(world.machine.disk(), 4));
            let config = Arc::new(world.config.clone());
            let at = Some(&world.checkpoint.0);
            drop(Log::open(files, world.machine.dir(), config, world.budget.clone(), at));
            world.crash(changes + again * 17);
            world.check();
        }
    }
}
