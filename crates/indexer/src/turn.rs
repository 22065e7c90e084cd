//! The build thread: partitions take turns, one small split at a time.
//!
//! A turn reads what was committed since the last one, at most as much as memory takes, and ends with a commit. A partition that
//! follows its log gets a turn a commit interval, longer when many partitions do; one that is far behind gets turn after turn.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_batch::{Batch, DecompressLimit, batches};
use eddy_engine::{PartitionKey, give_way};
use eddy_types::{LeaderEpoch, Offset};

use crate::feed::{self, Read};
use crate::indexer::Shared;
use crate::pace::{Pace, Stop};
use crate::partition_index::{CommitError, PartitionIndex};
use crate::split::{SplitBuilder, SplitError};

/// Bytes of log read at a time.
const READ_BYTES: usize = 1 << 20;

/// Records after which it is looked whether the machine is needed otherwise.
const SLICE_RECORDS: u32 = 256;

/// Records of one turn while others wait for theirs.
const SHARED_TURN_RECORDS: u64 = 20_000;

/// Offsets behind the end from which on a partition is not following but catching up.
const FAR_BEHIND: i64 = 50_000;

/// There is little to do while no more offsets than these arrive in a second, a tenth of what is indexed in that time, ...
const LITTLE_RATE: f64 = 10_000.0;

/// ... and no more are waiting, of all partitions: a second of work.
const LITTLE_BEHIND: i64 = 100_000;

/// The rate of arrivals is measured over this time at least.
const RATE_INTERVAL: Duration = Duration::from_secs(1);

/// How often logs are looked at for new records.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// How long a partition is left alone after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Turns of partitions that follow take at most this share of the time.
const TURNS_SHARE: f64 = 0.5;

/// Why a turn ended without a commit.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Feed(#[from] feed::FeedError),
    #[error(transparent)]
    Split(#[from] SplitError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl From<Stop> for TurnError {
    fn from(_: Stop) -> Self {
        TurnError::Stopped
    }
}

/// Runs until the indexer stops or nothing is indexed any more.
pub(crate) fn run(shared: &Arc<Shared>, pace: &Pace) {
    give_way();
    let mut turns = Turns {
        shared,
        pace,
        known: HashMap::new(),
        turn_time: Duration::ZERO,
        arrivals: Arrivals::default(),
    };
    while !shared.is_stopping() {
        let wait = turns.round();
        shared.wait_for_work(wait);
    }
}

/// Where a partition is in the order of turns.
struct Known {
    last_turn: Option<Instant>,
    failed: Option<Instant>,
}

struct Turns<'a> {
    shared: &'a Arc<Shared>,
    pace: &'a Pace,
    known: HashMap<PartitionKey, Known>,
    /// How long a turn of a partition that follows takes, on average, without the time it steps aside.
    turn_time: Duration,
    arrivals: Arrivals,
}

/// How fast logs grow.
#[derive(Default)]
struct Arrivals {
    /// Where all logs together ended, and when that was. What was there before the first look has not arrived since.
    last: Option<(i64, Instant)>,
    /// Offsets a second.
    rate: f64,
}

impl Arrivals {
    fn note(&mut self, end: i64, now: Instant) {
        let (last, since) = *self.last.get_or_insert((end, now));
        let passed = now.saturating_duration_since(since);
        if passed >= RATE_INTERVAL {
            // A log that goes away makes no arrivals less.
            self.rate = end.saturating_sub(last).max(0) as f64 / passed.as_secs_f64();
            self.last = Some((end, now));
        }
    }
}

impl Turns<'_> {
    /// Gives a turn to everyone whose time has come; returns how long there is nothing to do.
    fn round(&mut self) -> Duration {
        if self.shared.is_disk_full() {
            return LOOK_INTERVAL;
        }
        let tracked = self.shared.tracked();
        self.known.retain(|key, _| tracked.contains_key(key));
        let (behind, end) = self.behind(tracked.values().cloned().collect());
        self.arrivals.note(end, Instant::now());
        let waiting: i64 = behind.iter().map(|(_, offsets)| offsets).sum();
        self.pace.set_little(self.arrivals.rate <= LITTLE_RATE && waiting <= LITTLE_BEHIND);
        let interval = self.interval(behind.len());
        let now = Instant::now();
        let mut due = Vec::new();
        let mut next = now + LOOK_INTERVAL;
        for (index, offsets_behind) in &behind {
            let known =
                self.known.entry(index.partition.key()).or_insert(Known { last_turn: None, failed: None });
            let at_once = index.is_urgent() || *offsets_behind >= FAR_BEHIND;
            let mut at = known.last_turn.filter(|_| !at_once).map_or(now, |last| last + interval);
            if let Some(failed) = known.failed {
                at = at.max(failed + RETRY_AFTER);
            }
            if at <= now {
                due.push((known.last_turn, Arc::clone(index)));
            } else {
                next = next.min(at);
            }
        }
        // Whoever waits longest comes first.
        due.sort_by_key(|(last_turn, _)| *last_turn);
        let count = due.len();
        for (_, index) in due {
            if self.shared.is_stopping() {
                return Duration::ZERO;
            }
            self.turn(&index, count > 1);
        }
        if count > 0 { Duration::ZERO } else { next.saturating_duration_since(Instant::now()) }
    }

    /// Indexes whose logs have more than they, and how much; and where all logs together end. Partitions are asked on another
    /// thread: this one may be made to wait at any moment, and must not hold their locks then.
    fn behind(&self, indexes: Vec<Arc<PartitionIndex>>) -> (Vec<(Arc<PartitionIndex>, i64)>, i64) {
        let now = self.shared.engine().now();
        let look = async move {
            let (mut behind, mut ends) = (Vec::new(), 0_i64);
            for index in indexes {
                let offsets = index.partition.offsets();
                let next = index.manifest().next;
                let end = feed::committed(&offsets).0;
                ends = ends.saturating_add(end);
                if end > next || offsets.log_start.0 > next || index.is_below(offsets.log_start) {
                    behind.push((index, end - next));
                } else {
                    index.note_caught_up(now);
                    if end < next {
                        behind.push((index, 0));
                    }
                }
            }
            (behind, ends)
        };
        self.shared.run(look).unwrap_or_default()
    }

    fn interval(&self, active: usize) -> Duration {
        let all = self.turn_time.mul_f64(active as f64 / TURNS_SHARE);
        self.shared.config().commit_interval.max(all)
    }

    fn turn(&mut self, index: &Arc<PartitionIndex>, others_wait: bool) {
        let begin = Instant::now();
        let waited = self.pace.waited();
        index.note_turn();
        let ended = self.pace.begin().map_err(TurnError::from).and_then(|()| {
            let mut turn = Turn::new(self.shared, self.pace, index, others_wait);
            let taken = turn.take();
            index.counters().memory(0);
            taken
        });
        let Some(known) = self.known.get_mut(&index.partition.key()) else { return };
        known.last_turn = Some(begin);
        known.failed = None;
        match ended {
            Ok(records) => {
                if records < SHARED_TURN_RECORDS {
                    let worked = begin.elapsed().saturating_sub(self.pace.waited() - waited);
                    self.turn_time = (self.turn_time * 7 + worked) / 8;
                }
            }
            Err(TurnError::Stopped | TurnError::Commit(CommitError::Closed | CommitError::Changed)) => {}
            Err(error) => {
                known.failed = Some(begin);
                let is_damage = matches!(&error, TurnError::Split(split) if split.is_damage());
                if is_damage || !index.dir().exists() {
                    index.give_up(index.manifest().next, &error);
                } else {
                    tracing::warn!(topic = %index.partition.topic(), partition = index.partition.key().index, %error,
                        "cannot index new records; tried again soon");
                }
            }
        }
    }
}

/// One turn of one partition.
struct Turn<'a> {
    shared: &'a Arc<Shared>,
    pace: &'a Pace,
    index: &'a Arc<PartitionIndex>,
    others_wait: bool,
    builder: Option<SplitBuilder>,
    from: Offset,
    next: Offset,
    epoch: LeaderEpoch,
    last_time: i64,
    since_step: u32,
}

impl<'a> Turn<'a> {
    fn new(
        shared: &'a Arc<Shared>,
        pace: &'a Pace,
        index: &'a Arc<PartitionIndex>,
        others_wait: bool,
    ) -> Turn<'a> {
        let manifest = index.manifest();
        let next = Offset(manifest.next);
        let (epoch, last_time) = (LeaderEpoch(manifest.last_epoch), manifest.last_time);
        let builder = None;
        Turn { shared, pace, index, others_wait, builder, from: next, next, epoch, last_time, since_step: 0 }
    }

    /// Indexes what there is; gives the number of records.
    fn take(&mut self) -> Result<u64, TurnError> {
        let begin = Instant::now();
        loop {
            let partition = Arc::clone(&self.index.partition);
            let (next, epoch) = (self.next, self.epoch);
            let read = self.shared.run(async move { feed::read(&partition, next, epoch, READ_BYTES).await });
            let Some(read) = read else { return Err(TurnError::Stopped) };
            match read? {
                Read::Batches { slices, log_start } => {
                    if log_start > self.next {
                        self.next = log_start;
                    }
                    if slices.is_empty() || !self.add_all(slices)? {
                        break;
                    }
                }
                Read::Diverged { at } => return self.cut(at, "an unclean election cut the log"),
                Read::OutOfRange { start, .. } if self.next < start => {
                    self.next = start;
                    self.epoch = LeaderEpoch::NONE;
                }
                Read::OutOfRange { end, .. } if self.next > end => {
                    return self.cut(end, "the log ends before it");
                }
                // The log does not know the epoch of what was indexed.
                Read::OutOfRange { start, .. } => return self.cut(start, "the log is another one"),
                Read::Gone => return Err(CommitError::Closed.into()),
            }
        }
        self.commit(begin)
    }

    /// Takes records until the turn has to end, which `false` says.
    fn add_all(&mut self, slices: Vec<bytes::Bytes>) -> Result<bool, TurnError> {
        for slice in slices {
            self.index.counters().read(slice.len());
            for batch in batches(slice) {
                let Ok(batch) = batch else { break };
                if batch.header.last_offset() < self.next {
                    continue;
                }
                if !self.add(&batch)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn add(&mut self, batch: &Batch) -> Result<bool, TurnError> {
        self.epoch = batch.header.leader_epoch;
        let after = batch.header.last_offset().next();
        if batch.header.attributes.is_control() {
            self.next = after;
            return Ok(true);
        }
        let mut seen = 0;
        match batch.records(&DecompressLimit::default()) {
            Ok(records) => {
                for record in records {
                    let Ok(record) = record else { break };
                    seen += 1;
                    if record.offset < self.next {
                        continue;
                    }
                    let (mapped, raw) = {
                        let paths = &mut *self.index.paths.lock();
                        self.index.mapping.map(self.index.fields, paths, &record)
                    };
                    if let Some(raw) = raw {
                        self.index.counters().raw(raw);
                    }
                    self.last_time = record.timestamp.0;
                    self.builder()?.add(mapped)?;
                    self.next = record.offset.next();
                    self.since_step += 1;
                    if self.since_step >= SLICE_RECORDS {
                        self.since_step = 0;
                        self.pace.step()?;
                        if self.is_full() {
                            return Ok(false);
                        }
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "a batch cannot be indexed"),
        }
        // What cannot be decompressed nobody can read either.
        let missing = i64::from(batch.header.records_count) - seen;
        self.index.counters().dropped(u64::try_from(missing).unwrap_or(0));
        self.next = after;
        Ok(!self.is_full())
    }

    fn builder(&mut self) -> Result<&mut SplitBuilder, SplitError> {
        let builder = match self.builder.take() {
            Some(builder) => builder,
            None => {
                let behind = self.index.partition.offsets().high_watermark.0 - self.from.0;
                let memory = if behind >= FAR_BEHIND { self.shared.config().build_memory() } else { 0 };
                SplitBuilder::new(self.index.schema.clone(), memory)?
            }
        };
        Ok(self.builder.insert(builder))
    }

    fn is_full(&self) -> bool {
        let Some(builder) = &self.builder else { return false };
        let memory = builder.memory();
        self.index.counters().memory(memory);
        memory >= self.shared.config().build_memory()
            || builder.is_full()
            || (self.others_wait && builder.records() >= SHARED_TURN_RECORDS)
    }

    /// The log is not the one that was indexed, from an offset on.
    fn cut(&mut self, at: Offset, why: &'static str) -> Result<u64, TurnError> {
        self.index.give_up(at.0, &why);
        Ok(0)
    }

    fn commit(&mut self, begin: Instant) -> Result<u64, TurnError> {
        let (from, next, epoch, last_time) = (self.from, self.next, self.epoch, self.last_time);
        let records = self.builder.as_ref().map_or(0, SplitBuilder::records);
        let mut split = None;
        if let Some(builder) = self.builder.take() {
            let id = self.index.new_id();
            split = Some(builder.finish(self.index.dir(), id, (from, next), epoch, self.pace)?);
        }
        let bytes = split.as_ref().map_or(0, |split| split.bytes);
        let written: Vec<u64> = split.iter().map(|split| split.id).collect();
        let log_start = self.index.partition.offsets().log_start;
        self.index.commit(&written, false, |manifest| {
            if manifest.next != from.0 {
                return Err(CommitError::Changed);
            }
            manifest.splits.extend(split);
            manifest.next = next.0;
            manifest.last_epoch = epoch.0;
            manifest.last_time = last_time;
            manifest.drop_below(log_start.0);
            if let Some(paths) = self.index.paths.lock().beyond(&manifest.paths) {
                manifest.paths = paths;
            }
            Ok(())
        })?;
        if records > 0 {
            self.index.counters().committed(records, bytes, begin.elapsed());
            self.shared.committed();
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_measured_over_a_second_and_are_never_less_than_none() {
        let began = Instant::now();
        let mut arrivals = Arrivals::default();
        let after = |ms| began + Duration::from_millis(ms);
        arrivals.note(1_000_000, began);
        arrivals.note(1_020_000, after(500));
        assert_eq!(arrivals.rate, 0.0, "too soon to tell, and the first million was there before");
        arrivals.note(1_040_000, after(2000));
        assert_eq!(arrivals.rate, 20_000.0);
        arrivals.note(1_045_000, after(3000));
        assert_eq!(arrivals.rate, 5_000.0);
        arrivals.note(1_000, after(4000));
        assert_eq!(arrivals.rate, 0.0, "a topic was deleted");
    }
}
