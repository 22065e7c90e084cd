//! The log against a list of batches: whatever is done to both, and wherever the power goes, they agree.

use std::sync::Arc;

use bytes::Bytes;
use eddy_batch::Compression;
use eddy_log::{Found, Log, LogCheckpoint, LogConfig, TailBatch, TailBudget};
use eddy_types::{LeaderEpoch, Millis, Offset, OffsetRange};
use proptest::prelude::*;

use crate::support::{Machine, Plan, read, small};

#[derive(Clone, Debug)]
enum Step {
    Append {
        timestamps: Vec<i64>,
        value_bytes: usize,
        gap: bool,
        new_epoch: bool,
        compressed: bool,
    },
    Flush {
        share: u8,
    },
    Evict {
        keep: usize,
    },
    /// The position in the WAL is taken, then some steps later the segments are synced.
    BeginCheckpoint,
    EndCheckpoint,
    Truncate {
        back: u8,
        inside: bool,
    },
    MoveStart {
        share: u8,
    },
    /// As a follower does that lies below its leader's start.
    StartBeyondEnd {
        by: u8,
    },
    DeleteBelowStart,
    SegmentBytes(u32),
    LoseIndexes,
    Crash {
        seed: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let append = (prop::collection::vec(-1i64..500, 1..6), 0usize..400, 0u8..12, 0u8..8, any::<bool>())
        .prop_map(|(timestamps, value_bytes, gap, epoch, compressed)| Step::Append {
            timestamps,
            value_bytes,
            gap: gap == 0,
            new_epoch: epoch == 0,
            compressed,
        });
    prop_oneof![
        45 => append,
        12 => any::<u8>().prop_map(|share| Step::Flush { share }),
        3 => (0usize..3000).prop_map(|keep| Step::Evict { keep }),
        2 => Just(Step::BeginCheckpoint),
        3 => Just(Step::EndCheckpoint),
        3 => (any::<u8>(), 0u8..5).prop_map(|(back, inside)| Step::Truncate { back, inside: inside == 0 }),
        2 => any::<u8>().prop_map(|share| Step::MoveStart { share }),
        1 => (1u8..20).prop_map(|by| Step::StartBeyondEnd { by }),
        2 => Just(Step::DeleteBelowStart),
        1 => (300u32..5000).prop_map(Step::SegmentBytes),
        1 => Just(Step::LoseIndexes),
        3 => any::<u64>().prop_map(|seed| Step::Crash { seed }),
    ]
}

#[derive(Clone, Debug)]
enum Entry {
    Append(TailBatch),
    Truncate(Offset),
    LogStart(Offset),
}

struct World {
    machine: Machine,
    config: LogConfig,
    budget: Arc<TailBudget>,
    log: Log,
    /// The model.
    start: i64,
    end: i64,
    batches: Vec<(TailBatch, Plan)>,
    epoch: i32,
    /// Truncation inside a batch leaves an epoch whose first batch is gone.
    epochs_known: bool,
    /// All that was ever queued; all of it durable.
    wal: Vec<Entry>,
    checkpoint: (LogCheckpoint, usize),
    next_checkpoint: Option<usize>,
}

impl World {
    fn new(machine: Machine) -> World {
        let budget = Arc::new(TailBudget::new(usize::MAX));
        let config = small();
        let log = machine.open_with(&config, Some(&LogCheckpoint::default()), budget.clone());
        World {
            machine,
            config,
            budget,
            log,
            start: 0,
            end: 0,
            batches: Vec::new(),
            epoch: 0,
            epochs_known: true,
            wal: Vec::new(),
            checkpoint: (LogCheckpoint::default(), 0),
            next_checkpoint: None,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append { timestamps, value_bytes, gap, new_epoch, compressed } => {
                self.epoch += i32::from(*new_epoch);
                let mut plan = Plan::new(self.end + if *gap { 7 } else { 0 }, timestamps)
                    .epoch(self.epoch)
                    .value_bytes(*value_bytes);
                plan.compression = if *compressed { Compression::Lz4 } else { Compression::None };
                let batch = plan.build();
                self.end = batch.end_offset.0;
                self.wal.push(Entry::Append(batch.clone()));
                self.log.append(batch.clone());
                self.batches.push((batch, plan));
            }
            Step::Flush { share } => {
                let from = self.log.flushed_end().0;
                let upto = from + (self.end - from) * i64::from(*share) / 200;
                self.log.flush(Offset(upto.min(self.end))).unwrap();
            }
            Step::Evict { keep } => {
                self.log.evict(*keep);
            }
            Step::BeginCheckpoint => self.next_checkpoint = Some(self.wal.len()),
            Step::EndCheckpoint => {
                let position = self.next_checkpoint.take().unwrap_or(self.wal.len());
                self.log.flush(Offset(self.end)).unwrap();
                self.checkpoint = (self.log.sync().unwrap(), position);
                assert_eq!(self.checkpoint.0.flushed_end.0, self.end);
            }
            Step::Truncate { back, inside } => self.truncate(usize::from(*back) % 12, *inside),
            Step::MoveStart { share } => {
                self.move_start(self.start + (self.end - self.start) * i64::from(*share) / 255);
            }
            Step::StartBeyondEnd { by } => self.move_start(self.end + i64::from(*by)),
            Step::DeleteBelowStart => {
                self.log.delete_below_start().unwrap();
            }
            Step::SegmentBytes(bytes) => {
                self.config.segment_bytes = *bytes;
                self.log.set_config(Arc::new(self.config.clone()));
            }
            Step::LoseIndexes => self.lose_indexes(),
            Step::Crash { seed } => self.crash(*seed),
        }
    }

    fn truncate(&mut self, back: usize, inside: bool) {
        let Some((batch, _)) = self.batches.iter().rev().nth(back) else { return };
        let inside = inside && batch.end_offset.0 - batch.base_offset.0 > 1;
        let to = batch.base_offset.0 + i64::from(inside);
        self.epochs_known &= !inside;
        self.batches.retain(|(batch, _)| batch.end_offset.0 <= to);
        self.start = self.start.min(to);
        self.end = to;
        self.wal.push(Entry::Truncate(Offset(to)));
        self.log.truncate(Offset(to));
    }

    fn move_start(&mut self, to: i64) {
        self.start = self.start.max(to);
        if to > self.end {
            self.batches.clear();
            self.end = to;
        }
        self.wal.push(Entry::LogStart(Offset(to)));
        self.log.set_start_offset(Offset(to));
        // As a reader sees it: batches that end below the start are gone.
        let start = self.start;
        self.batches.retain(|(batch, _)| batch.end_offset.0 > start);
    }

    /// Everything is opened again with its indexes gone; nothing else happens to it.
    fn lose_indexes(&mut self) {
        self.next_checkpoint = None;
        self.step(&Step::EndCheckpoint);
        let disk = self.machine.disk();
        for entry in disk.list(&self.machine.dir()).unwrap_or_default() {
            if entry.path.extension().is_some_and(|suffix| suffix == "index" || suffix == "timeindex") {
                disk.remove_file(&entry.path).unwrap();
            }
        }
        self.reopen();
    }

    fn crash(&mut self, seed: u64) {
        self.next_checkpoint = None;
        self.machine.crash(seed);
        self.reopen();
    }

    fn reopen(&mut self) {
        self.log = self.machine.open_with(&self.config, Some(&self.checkpoint.0), self.budget.clone());
        for (number, entry) in self.wal.iter().skip(self.checkpoint.1).enumerate() {
            match entry {
                Entry::Append(batch) if batch.base_offset < self.log.end_offset() => {}
                Entry::Append(batch) => self.log.append(batch.clone()),
                Entry::Truncate(to) => self.log.truncate(*to),
                Entry::LogStart(to) => self.log.set_start_offset(*to),
            }
            // Memory is bounded during a replay too.
            if number % 17 == 16 {
                self.log.flush(self.log.end_offset()).unwrap();
                self.log.evict(0);
            }
        }
        self.log.finish_replay().unwrap();
        assert_eq!(self.log.missing(), None::<OffsetRange>);
    }

    fn check(&self) {
        assert_eq!(self.log.start_offset().0, self.start);
        assert_eq!(self.log.end_offset().0, self.end);
        for from in self.start..=self.end {
            for (limit, max_bytes, at_least_one) in [
                (self.end, 1, true),
                (self.end, 600, false),
                (self.start + (self.end - self.start) / 2, 5000, true),
            ] {
                self.check_read(from, limit, max_bytes, at_least_one);
            }
        }
        assert!(read(&self.log, self.end + 1, self.end, 1, true).is_err());
        assert!(self.start == 0 || read(&self.log, self.start - 1, self.end, 1, true).is_err());
        self.check_times();
        if self.epochs_known {
            self.check_epochs();
        }
    }

    fn check_read(&self, from: i64, limit: i64, max_bytes: usize, at_least_one: bool) {
        let context = format!("read {from}..{limit} max {max_bytes} {at_least_one}: {:?}", self.log);
        let fetched = read(&self.log, from, limit, max_bytes, at_least_one)
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        let mut expected = self
            .batches
            .iter()
            .map(|(batch, _)| batch)
            .skip_while(|batch| batch.end_offset.0 <= from)
            .take_while(|batch| batch.base_offset.0 < limit && from < limit)
            .peekable();
        let bytes = Bytes::from(fetched.slices.concat());
        assert_eq!(bytes.len(), fetched.bytes, "{context}");
        let fits = expected.peek().is_some_and(|first| at_least_one || first.bytes.len() <= max_bytes);
        assert_eq!(fetched.bytes > 0, fits, "{context}");
        let mut at = 0;
        let mut end = from;
        let mut count = 0;
        while at < bytes.len() {
            let batch = expected.next().unwrap_or_else(|| panic!("{context}: more than there is"));
            assert!(bytes[at..].starts_with(&batch.bytes), "{context}: not batch {}", batch.base_offset);
            at += batch.bytes.len();
            end = batch.end_offset.0;
            count += 1;
        }
        assert_eq!(fetched.end_offset.0, end, "{context}");
        assert!(bytes.len() <= max_bytes || count == 1, "{context}");
    }

    fn check_times(&self) {
        let records: Vec<Found> = self
            .batches
            .iter()
            .flat_map(|(batch, plan)| {
                plan.timestamps.iter().enumerate().map(|(number, timestamp)| Found {
                    timestamp: Millis(*timestamp),
                    offset: batch.base_offset + number as i64,
                    leader_epoch: batch.leader_epoch,
                })
            })
            .filter(|record| record.offset.0 >= self.start)
            .collect();
        for limit in [self.end, self.start + (self.end - self.start) * 2 / 3] {
            let below = || records.iter().filter(|record| record.offset.0 < limit);
            for timestamp in (0..520).step_by(40) {
                let expected = below().find(|record| record.timestamp.0 >= timestamp).copied();
                let found = self.log.offset_for_timestamp(Millis(timestamp), Offset(limit)).unwrap();
                assert_eq!(found, expected, "time {timestamp} below {limit}");
            }
            let newest = below().map(|record| record.timestamp).max().filter(|newest| newest.0 >= 0);
            let expected = below().find(|record| Some(record.timestamp) == newest).copied();
            assert_eq!(self.log.max_timestamp(Offset(limit)).unwrap(), expected, "newest below {limit}");
        }
    }

    fn check_epochs(&self) {
        let mut starts: Vec<(i32, i64)> = Vec::new();
        for (batch, _) in &self.batches {
            if starts.last().is_none_or(|(epoch, _)| *epoch < batch.leader_epoch.0) {
                starts.push((batch.leader_epoch.0, batch.base_offset.0));
            }
        }
        for (index, (epoch, _)) in starts.iter().enumerate() {
            let end = starts.get(index + 1).map_or(self.end, |(_, start)| *start);
            let known = self.log.epoch_end(LeaderEpoch(*epoch));
            assert_eq!(known, (LeaderEpoch(*epoch), Offset(end)), "epoch {epoch}");
        }
    }
}

fn run(machine: Machine, steps: &[Step]) {
    let mut world = World::new(machine);
    for step in steps {
        world.step(step);
        world.check_read(world.start, world.end, 900, true);
        world.check_read(world.start + (world.end - world.start) / 2, world.end, 900, true);
    }
    world.check();
    let budget = world.budget.clone();
    drop(world);
    assert_eq!(budget.used(), 0, "memory of the tail cache was not given back");
}

/// Steps in short: `A value-bytes timestamps flags` appends (flags: `g` after a gap, `c` compressed, `n` none), the others by their first
/// letters.
fn parse(story: &str) -> Vec<Step> {
    let number = |word: Option<&&str>| word.unwrap().parse::<u64>().unwrap();
    let parse_one = |step: &str| {
        let words: Vec<&str> = step.split_whitespace().collect();
        match words[0] {
            "A" => Step::Append {
                timestamps: words[2].split(',').map(|timestamp| timestamp.parse().unwrap()).collect(),
                value_bytes: number(words.get(1)) as usize,
                gap: words[3].contains('g'),
                new_epoch: true,
                compressed: words[3].contains('c'),
            },
            "F" => Step::Flush { share: number(words.get(1)) as u8 },
            "B" => Step::BeginCheckpoint,
            "E" => Step::EndCheckpoint,
            "T" => Step::Truncate { back: number(words.get(1)) as u8, inside: words[2] == "i" },
            "M" => Step::MoveStart { share: number(words.get(1)) as u8 },
            "D" => Step::DeleteBelowStart,
            "S" => Step::SegmentBytes(number(words.get(1)) as u32),
            "C" => Step::Crash { seed: number(words.get(1)) },
            other => panic!("no step {other}"),
        }
    };
    story.split(';').map(parse_one).collect()
}

/// A replay made a segment below one that the checkpoint names, and crashed.
#[test]
fn a_segment_made_by_a_replay_that_crashed_is_not_taken_for_an_old_one() {
    let steps = parse(
        "B; A 0 0 g; A 14 0 gc; A 161 0,0,0,64 g; A 231 0 gc; A 192 277,0,0 g; A 44 0 g; E; A 0 0 g; \
         A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; T 125 i; T 109 i; A 0 0 g; A 0 0 g; \
         T 74 i; A 304 0,0,0 g; A 197 0,64 g; T 37 i; A 73 0 gc; A 357 0,64 gc; A 228 0 g; \
         A 53 176,112 g; A 338 0 g; A 280 0 gc; A 120 0 gc; A 21 0,0,0 g; A 399 0 g; A 51 0 gc; D; \
         A 52 231,295,0,0,0 g; M 0; A 259 0,0,64,65,1 g; C 0; C 2401668813050332559",
    );
    run(Machine::sim(), &steps);
}

/// The cut segment's indexes were being written when the power went.
#[test]
fn indexes_written_again_after_a_cut_are_not_trusted_after_a_crash() {
    let steps = parse(
        "A 240 0 g; A 0 0 g; A 0 0 g; A 0 0 n; T 4 i; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; \
         A 0 0 g; A 0 0 g; A 34 40 g; S 2108; A 0 0 g; A 0 0 g; A 0 0 g; A 0 41 g; A 4 0 g; \
         A 259 73,0,137,138 g; A 0 0 g; E; A 0 0 g; T 112 i; A 0 0 g; F 200; C 6345190518488504522",
    );
    run(Machine::sim(), &steps);
}

/// Everything was cut, and the first segment made again, unsynced.
#[test]
fn a_segment_made_again_under_its_old_name_is_not_added_to_in_a_replay() {
    let steps = parse(
        "A 0 0 n; E; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; \
         A 0 0 g; A 0 0 g; A 0 0 g; T 91 i; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; A 0 0 g; \
         A 0 0 g; A 0 0 g; A 0 0 g; T 58 i; T 62 i; A 0 0 gc; A 0 0,0 g; F 95; C 4246634176893426355",
    );
    run(Machine::sim(), &steps);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn log_agrees_with_a_list_of_batches_whatever_happens(steps in prop::collection::vec(step(), 1..120)) {
        run(Machine::sim(), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn log_on_the_real_disk_agrees_too(steps in prop::collection::vec(step(), 1..120)) {
        run(Machine::real(), &steps);
    }
}
