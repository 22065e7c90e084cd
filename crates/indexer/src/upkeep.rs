//! The merge thread: makes few splits of many, and takes out of them what compaction took out of the log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eddy_batch::{DecompressLimit, batches};
use eddy_engine::{PartitionKey, give_way};
use eddy_types::{LeaderEpoch, Offset};

use crate::feed::{self, Read};
use crate::indexer::Shared;
use crate::merge_policy;
use crate::pace::{Pace, Stop};
use crate::partition_index::{CommitError, PartitionIndex};
use crate::split::{self, Merged, Pacing, SplitError, SplitMeta};

/// How often indexes are looked at when nobody says that something was committed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long an index is left alone after its merge has failed, on a full disk for example.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Bytes of log read at a time.
const READ_BYTES: usize = 1 << 20;

/// A merge writes its files twice, the second time into one.
const ROOM_FACTOR: u64 = 2;

#[derive(Debug, thiserror::Error)]
enum UpkeepError {
    #[error(transparent)]
    Split(#[from] SplitError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Feed(#[from] feed::FeedError),
    #[error("there is no room: {needs} bytes are needed, {free} are free")]
    NoRoom { needs: u64, free: u64 },
}

impl From<Stop> for UpkeepError {
    fn from(_: Stop) -> Self {
        SplitError::Stopped.into()
    }
}

/// Runs until the indexer stops or nothing is indexed any more.
pub(crate) fn run(shared: &Arc<Shared>, pace: &Arc<Pace>) {
    give_way();
    let mut failed = HashMap::<PartitionKey, Instant>::new();
    while !shared.is_stopping() {
        let tracked = shared.tracked();
        failed.retain(|key, at| tracked.contains_key(key) && at.elapsed() < RETRY_AFTER);
        let mut did_something = false;
        for (key, index) in tracked.iter() {
            if shared.is_stopping() {
                return;
            }
            if failed.contains_key(key) {
                continue;
            }
            match (Upkeep { shared, pace, index }).step() {
                Ok(did) => did_something |= did,
                Err(UpkeepError::Split(SplitError::Stopped) | UpkeepError::Commit(_)) => {}
                Err(error) => {
                    failed.insert(*key, Instant::now());
                    tracing::warn!(topic = %index.partition.topic(), partition = key.index, %error,
                        "cannot merge the splits of a search index; tried again later");
                }
            }
        }
        if !did_something {
            shared.wait_for_upkeep(LOOK_INTERVAL);
        }
    }
}

struct Upkeep<'a> {
    shared: &'a Arc<Shared>,
    pace: &'a Arc<Pace>,
    index: &'a Arc<PartitionIndex>,
}

impl Upkeep<'_> {
    /// Does one thing, if there is one to do.
    fn step(&self) -> Result<bool, UpkeepError> {
        if self.index.is_closed() {
            return Ok(false);
        }
        Ok(self.purge()? || self.merge()?)
    }

    fn merge(&self) -> Result<bool, UpkeepError> {
        let manifest = self.index.manifest();
        let window = merge_policy::window(self.index.partition.log().config().retention_ms.0);
        let Some(range) = merge_policy::next(&manifest.splits, window) else { return Ok(false) };
        let inputs = manifest.splits.get(range).unwrap_or_default();
        let start = self.index.partition.offsets().log_start.0;
        let is_alive = |offset: i64| offset >= start;
        let has_dead = inputs.first().is_some_and(|first| first.start < start);
        let filter: Option<&dyn Fn(i64) -> bool> = if has_dead { Some(&is_alive) } else { None };
        self.replace(inputs, filter)?;
        Ok(true)
    }

    /// Puts one split in the place of some adjacent ones.
    fn replace(
        &self,
        inputs: &[SplitMeta],
        is_alive: Option<&dyn Fn(i64) -> bool>,
    ) -> Result<(), UpkeepError> {
        self.check_room(inputs)?;
        self.pace.begin()?;
        let begin = Instant::now();
        let (dir, id) = (self.index.dir(), self.index.new_id());
        let pacing: Arc<dyn Pacing> = Arc::clone(self.pace) as Arc<dyn Pacing>;
        let merged = split::merge(dir, inputs, id, is_alive, &pacing);
        let merged = match merged {
            Ok(Merged::Into(split)) => Some(split),
            Ok(Merged::Nothing) => None,
            Err(error) => {
                self.give_up_damaged(inputs, &error);
                return Err(error.into());
            }
        };
        let bytes = merged.as_ref().map_or(0, |split| split.bytes);
        let written: Vec<u64> = merged.iter().map(|split| split.id).collect();
        let taken: HashSet<u64> = inputs.iter().map(|split| split.id).collect();
        self.index.commit(&written, split::is_synced(inputs), |manifest| {
            let at = manifest.splits.iter().position(|split| taken.contains(&split.id));
            let before = manifest.splits.len();
            manifest.splits.retain(|split| !taken.contains(&split.id));
            // A cut or the log's start may have taken some of them away meanwhile.
            let (Some(at), true) = (at, before == manifest.splits.len() + taken.len()) else {
                return Err(CommitError::Changed);
            };
            if let Some(merged) = merged {
                manifest.splits.insert(at, merged);
            }
            Ok(())
        })?;
        self.index.counters().merged(bytes, begin.elapsed());
        Ok(())
    }

    /// Finds which of some splits is damaged, if one is, and has it made anew.
    fn give_up_damaged(&self, inputs: &[SplitMeta], error: &SplitError) {
        for input in inputs {
            match split::open(self.index.dir(), input, true) {
                Err(found) if found.is_damage() => {
                    self.index.give_up(input.start, &found);
                    return;
                }
                _ => {}
            }
        }
        // Whole files that still cannot be merged would fail for ever.
        if error.is_damage()
            && let Some(first) = inputs.first()
        {
            self.index.give_up(first.start, error);
        }
    }

    fn check_room(&self, inputs: &[SplitMeta]) -> Result<(), UpkeepError> {
        let space = self.shared.engine().disk_space();
        let needs = ROOM_FACTOR * inputs.iter().map(|split| split.bytes).sum::<u64>();
        let free = space.free.load(Ordering::Relaxed).saturating_sub(space.reserve.load(Ordering::Relaxed));
        if needs > free { Err(UpkeepError::NoRoom { needs, free }) } else { Ok(()) }
    }

    /// Takes what compaction has removed since the last time out of the index: it is what is in a split and no longer in the log.
    fn purge(&self) -> Result<bool, UpkeepError> {
        let cleaned_to = self.index.partition.log().cleaned_to().0;
        let manifest = self.index.manifest();
        if cleaned_to <= manifest.cleaned_to {
            return Ok(false);
        }
        // A split that was built after the compaction has begun may lack nothing; to compare costs only time.
        for split in manifest.splits.iter().take_while(|split| split.start < cleaned_to) {
            let Some(alive) = self.offsets(split)? else { return Ok(false) };
            if (alive.len() as u64) < split.records {
                self.replace(std::slice::from_ref(split), Some(&|offset| alive.contains(&offset)))?;
            }
        }
        self.index.commit(&[], false, |manifest| {
            manifest.cleaned_to = cleaned_to;
            Ok(())
        })?;
        Ok(true)
    }

    /// Offsets of the log's records in the range of a split; `None` if the log is no longer there.
    fn offsets(&self, split: &SplitMeta) -> Result<Option<HashSet<i64>>, UpkeepError> {
        let mut found = HashSet::new();
        let mut at = Offset(split.start).max(self.index.partition.offsets().log_start);
        while at.0 < split.end {
            self.pace.step()?;
            let partition = Arc::clone(&self.index.partition);
            let read = self
                .shared
                .run(async move { feed::read(&partition, at, LeaderEpoch::NONE, READ_BYTES).await });
            let slices = match read.ok_or(SplitError::Stopped)?? {
                Read::Batches { slices, .. } => slices,
                Read::Diverged { .. } | Read::OutOfRange { .. } | Read::Gone => return Ok(None),
            };
            let mut next = Offset(split.end);
            for batch in slices.into_iter().flat_map(batches).filter_map(Result::ok) {
                next = batch.header.last_offset().next();
                let is_control = batch.header.attributes.is_control();
                let records = batch.records(&DecompressLimit::default()).ok().filter(|_| !is_control);
                found.extend(
                    records.into_iter().flatten().filter_map(Result::ok).map(|record| record.offset.0),
                );
            }
            at = next.max(at.next());
        }
        found.retain(|offset| (split.start..split.end).contains(offset));
        Ok(Some(found))
    }
}
