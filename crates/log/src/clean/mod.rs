//! Compaction: of the records with one key, a log keeps the newest.
//!
//! A compaction reads the dirty part of the log, which no compaction has seen yet, and remembers the newest offset of each
//! key. Then it writes all segments up to there again, without the records that a newer one has replaced, several small ones
//! into one, and puts the new segments in the place of the old ones ([`swap`]). Offsets, sequences and timestamps of what is
//! left do not change; gaps remain where records were.
//!
//! It works on segments that are sealed, synced and below the one that a start cuts back to where the checkpoint says; the
//! flusher and the readers go on meanwhile. It never decides what is committed, and knows of transactions what their markers say.

mod batch_scan;
mod filter;
mod key_map;
mod output;
mod plan;
mod rewrite;
pub(crate) mod swap;
mod transactions;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::ops::ControlFlow;

use eddy_types::{Millis, Offset, ProducerEpoch, ProducerId};

use self::batch_scan::BatchScan;
use self::key_map::KeyMap;
pub use self::plan::Cleanable;
use self::plan::Plan;
use self::rewrite::Rewrite;
use self::transactions::Transactions;
use crate::error::LogError;
use crate::log::{EVICTED_AT_ONCE, Log};

/// Bytes read between two calls of [`CleanRequest::pace`].
const PACE_BYTES: u64 = 64 << 10;

/// What is taken off the memory of a compaction for all but the map of keys: what is read, written and indexed at a time.
const WORK_BYTES: usize = 12 << 20;

/// A compaction to be made.
pub struct CleanRequest<'a> {
    /// Wall-clock time.
    pub now: Millis,
    /// Records from here on may not be committed, or belong to a transaction that is not decided: the last stable offset.
    pub stable_end: Offset,
    /// Producers whose sequences must not be forgotten, each with its end.
    pub producers: &'a HashMap<ProducerId, ProducerEnd>,
    /// Memory that the compaction may take. A log whose dirty part has more keys than fit is compacted in several steps.
    pub memory_bytes: usize,
    /// Called now and then with the bytes that were read and written since. It may take its time, and end the compaction; segments
    /// that were replaced by then stay replaced.
    pub pace: &'a dyn Fn(u64) -> ControlFlow<()>,
}

/// Where a producer stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerEnd {
    /// Its current epoch.
    pub epoch: ProducerEpoch,
    /// Offset of its last record; `None` when it has only written markers.
    pub last_offset: Option<Offset>,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Everything below has been compacted.
    pub cleaned_to: Offset,
    /// Whether memory was too small for all keys: another compaction should follow at once.
    pub more: bool,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Bytes by which the log became smaller.
    pub bytes_freed: u64,
    /// Records dropped.
    pub records_dropped: u64,
    /// Segments that were replaced.
    pub segments_before: usize,
    /// Segments that took their place.
    pub segments_after: usize,
    /// Most memory that the map of keys took, in bytes.
    pub map_bytes: usize,
}

/// Why a compaction ended early.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// The caller ended it.
    #[error("compaction was stopped")]
    Stopped,
    /// The log was truncated, or old segments were deleted: it can be tried again.
    #[error("the log changed while it was compacted")]
    Changed,
    /// The disk has no room for the new segment.
    #[error("no room for a compacted segment: {0}")]
    NoRoom(LogError),
    /// A batch cannot be read, or the disk refuses. The log is as it was.
    #[error(transparent)]
    Log(LogError),
    /// The directory could not be changed or synced in the middle of a swap. What it holds is whole, but only a start can tell
    /// what that is: the process must stop.
    #[error("cannot replace segments by compacted ones: {0}")]
    Swap(LogError),
}

impl From<LogError> for CleanError {
    fn from(error: LogError) -> Self {
        match &error {
            LogError::Moved { .. } => CleanError::Changed,
            LogError::Io { source, .. } if source.kind() == ErrorKind::StorageFull => {
                CleanError::NoRoom(error)
            }
            _ => CleanError::Log(error),
        }
    }
}

/// Counts what is read and written, and lets the caller slow it down.
struct Pacer<'a> {
    pace: &'a dyn Fn(u64) -> ControlFlow<()>,
    pending: u64,
}

impl Pacer<'_> {
    fn moved(&mut self, bytes: u64) -> Result<(), CleanError> {
        self.pending += bytes;
        if self.pending < PACE_BYTES {
            return Ok(());
        }
        match (self.pace)(std::mem::take(&mut self.pending)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(CleanError::Stopped),
        }
    }
}

/// The newest offset of each key in the dirty part, as far as it was read.
struct Dirty {
    map: KeyMap,
    /// The map knows all records from the first dirty one to here.
    end: Offset,
    /// Whether memory ran out there.
    full: bool,
    transactions: Transactions,
    bytes_read: u64,
}

impl Log {
    /// Compacts the log, whether it is due or not ([`Log::cleanable`] tells). Nothing happens when the topic is not
    /// compacted. Blocks, for long; one compaction runs at a time.
    ///
    /// # Errors
    /// See [`CleanError`]. Segments that were replaced before the error stay replaced.
    pub fn clean(&self, request: &CleanRequest<'_>) -> Result<Cleaned, CleanError> {
        let _alone = self.cleaning.lock();
        let Some(mut plan) = self.plan(request.now, request.stable_end)? else {
            return Ok(Cleaned::default());
        };
        let mut pacer = Pacer { pace: request.pace, pending: 0 };
        let dirty = self.read_dirty(&plan, request, &mut pacer)?;
        let mut cleaned = Cleaned {
            cleaned_to: dirty.end,
            more: dirty.full,
            bytes_read: dirty.bytes_read,
            map_bytes: dirty.map.bytes(),
            ..Cleaned::default()
        };
        if dirty.end <= plan.from {
            return Ok(cleaned);
        }
        let groups = plan.groups(self, cleaned.cleaned_to)?;
        let mut rewrite = Rewrite::new(self, &plan, request, dirty, pacer);
        for group in groups {
            rewrite.group(group, &mut cleaned)?;
        }
        let mut state = self.state.lock();
        if state.cuts == plan.cuts {
            state.cleaned_to = state.cleaned_to.max(cleaned.cleaned_to);
        }
        drop(state);
        self.evict_cleaned(cleaned.cleaned_to);
        Ok(cleaned)
    }

    /// Readers find what compaction has left, also where the batches as they came are still in memory.
    fn evict_cleaned(&self, cleaned_to: Offset) {
        loop {
            let mut state = self.state.lock();
            let to = cleaned_to.min(state.flushed_end);
            let evicted = state.tail.evict_below(to, EVICTED_AT_ONCE);
            drop(state);
            if evicted.len() < EVICTED_AT_ONCE {
                return;
            }
        }
    }

    /// Everything below has been compacted, as far as the log remembers.
    pub fn cleaned_to(&self) -> Offset {
        self.state.lock().cleaned_to
    }

    fn read_dirty(
        &self,
        plan: &Plan,
        request: &CleanRequest<'_>,
        pacer: &mut Pacer<'_>,
    ) -> Result<Dirty, CleanError> {
        let bound = plan.segments.last().map_or(plan.from, |(_, end)| *end);
        let mut dirty = Dirty {
            map: KeyMap::new(request.memory_bytes.saturating_sub(WORK_BYTES)),
            end: bound,
            full: false,
            transactions: Transactions::default(),
            bytes_read: 0,
        };
        let mut transactions_known = false;
        for (segment, _) in plan.segments.iter().filter(|(_, end)| *end > plan.from) {
            let mut batches = BatchScan::new(&self.files, segment)?;
            while let Some(batch) = batches.next()? {
                pacer.moved(batch.bytes.len() as u64)?;
                dirty.bytes_read += batch.bytes.len() as u64;
                let header = &batch.header;
                if header.attributes.is_transactional() && !transactions_known {
                    transactions_known = true;
                    self.read_transactions(plan, header.base_offset, request, pacer, &mut dirty)?;
                }
                if header.base_offset >= dirty.end {
                    return Ok(dirty);
                }
                if header.attributes.is_control() || dirty.transactions.is_aborted(header) {
                    continue;
                }
                let records = batch.records(&Default::default()).map_err(|error| batches.damaged(error))?;
                for record in records {
                    let record = record.map_err(|error| batches.damaged(error))?;
                    let Some(key) = record.key.filter(|_| record.offset >= plan.from) else { continue };
                    if !dirty.map.insert(&key, record.offset) {
                        dirty.end = record.offset;
                        dirty.full = true;
                        return Ok(dirty);
                    }
                }
            }
        }
        Ok(dirty)
    }

    /// Reads from the first dirty batch of a transaction to the last stable offset, to know which were aborted. What is not decided
    /// as far as the segments go is not compacted.
    fn read_transactions(
        &self,
        plan: &Plan,
        from: Offset,
        request: &CleanRequest<'_>,
        pacer: &mut Pacer<'_>,
        dirty: &mut Dirty,
    ) -> Result<(), CleanError> {
        let segments = self.state.lock().segments_from(from);
        for segment in segments.iter().filter(|segment| segment.base < request.stable_end) {
            let mut batches = BatchScan::new(&self.files, segment)?;
            while let Some(batch) = batches.next()? {
                pacer.moved(batch.bytes.len() as u64)?;
                dirty.bytes_read += batch.bytes.len() as u64;
                let base_offset = batch.header.base_offset;
                if base_offset >= request.stable_end {
                    break;
                }
                if base_offset >= plan.from && !dirty.transactions.see(&batch) {
                    dirty.end = dirty.end.min(base_offset);
                    break;
                }
            }
        }
        if let Some(open) = dirty.transactions.first_open() {
            dirty.end = dirty.end.min(open);
        }
        Ok(())
    }
}
