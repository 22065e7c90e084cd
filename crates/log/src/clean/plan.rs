//! Which part of a log may be compacted, and whether it is time.

use std::sync::Arc;

use eddy_types::{Millis, Offset};

use super::swap::Group;
use crate::config::{Compaction, LogConfig};
use crate::error::LogError;
use crate::index::{TIME_ENTRY_BYTES, fits};
use crate::log::{Log, State};
use crate::segment::Segment;

/// What of a log may be compacted now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cleanable {
    /// Bytes of segments in which each key occurs once already.
    pub clean_bytes: u64,
    /// Bytes of the segments after them that may be compacted now.
    pub dirty_bytes: u64,
    /// Whether the topic's settings ask for it.
    pub is_due: bool,
}

impl Cleanable {
    /// Share of the bytes that are dirty, 0 to 1; what Kafka calls the dirty ratio.
    #[must_use]
    pub fn dirty_ratio(&self) -> f64 {
        let all = self.clean_bytes + self.dirty_bytes;
        if all == 0 { 0.0 } else { self.dirty_bytes as f64 / all as f64 }
    }
}

/// A compaction about to be made.
pub(super) struct Plan {
    /// All segments up to the bound, each with its end.
    pub(super) segments: Vec<(Arc<Segment>, Offset)>,
    /// First dirty offset.
    pub(super) from: Offset,
    pub(super) config: Arc<LogConfig>,
    pub(super) compaction: Compaction,
    /// The log's count of truncations.
    pub(super) cuts: u64,
}

impl Log {
    /// Looks at what could be compacted now: synced segments that a stored checkpoint counts on, wholly below `stable_end`,
    /// and without a record younger than `min.compaction.lag.ms`. `None` when the topic is not compacted. Blocks: it reads an index
    /// entry of each segment it sees for the first time.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn cleanable(&self, now: Millis, stable_end: Offset) -> Result<Option<Cleanable>, LogError> {
        let Some(plan) = self.plan(now, stable_end)? else { return Ok(None) };
        let mut cleanable = Cleanable { clean_bytes: 0, dirty_bytes: 0, is_due: false };
        let mut oldest = Millis(i64::MAX);
        for (segment, end) in &plan.segments {
            let bytes = segment.extent().bytes;
            if *end <= plan.from {
                cleanable.clean_bytes += bytes;
                continue;
            }
            cleanable.dirty_bytes += bytes;
            let first = segment.facts(&self.files, plan.config.index_interval_bytes)?.first_timestamp;
            if first.0 >= 0 {
                oldest = oldest.min(first);
            }
        }
        let waited = now.0.saturating_sub(oldest.0);
        cleanable.is_due = cleanable.dirty_bytes > 0
            && (cleanable.dirty_ratio() > plan.compaction.min_dirty_ratio
                || waited > plan.compaction.max_lag_ms.0);
        Ok(Some(cleanable))
    }

    /// `None` when the topic is not compacted.
    pub(super) fn plan(&self, now: Millis, stable_end: Offset) -> Result<Option<Plan>, LogError> {
        let Some(mut plan) = self.state.lock().plan(stable_end) else { return Ok(None) };
        let young_from = now.0.saturating_sub(plan.compaction.min_lag_ms.0);
        let mut bound = 0;
        for (segment, end) in &plan.segments {
            let is_young = || {
                let facts = segment.facts(&self.files, plan.config.index_interval_bytes)?;
                Ok::<bool, LogError>(facts.newest.timestamp.0 > young_from)
            };
            if *end > plan.from && plan.compaction.min_lag_ms.0 > 0 && is_young()? {
                break;
            }
            bound += 1;
        }
        plan.segments.truncate(bound);
        Ok(Some(plan))
    }
}

impl State {
    fn plan(&self, stable_end: Offset) -> Option<Plan> {
        let compaction = self.config.compaction?;
        let bound = stable_end.min(self.recorded_active);
        // The last segment may still be added to.
        let sealed = 0..self.segments.len().saturating_sub(1);
        let segments = self.segments.iter().zip(sealed.map(|index| self.segment_end(index)));
        let segments = segments
            .skip_while(|(_, end)| *end <= self.start)
            .take_while(|(segment, end)| *end <= bound && segment.extent().sealed)
            .map(|(segment, end)| (Arc::clone(segment), end));
        Some(Plan {
            segments: segments.collect(),
            from: self.cleaned_to.max(self.start),
            config: Arc::clone(&self.config),
            compaction,
            cuts: self.cuts,
        })
    }
}

impl Plan {
    /// Groups of neighbours that fit into one segment each, of all segments that begin below `end`. The plan lets go of the
    /// segments: the files of those that are replaced can be freed.
    pub(super) fn groups(&mut self, log: &Log, end: Offset) -> Result<Vec<Group>, LogError> {
        let bytes_max = u64::from(self.config.segment_bytes.min(i32::MAX as u32));
        let entries_max = self.config.index_bytes_max / TIME_ENTRY_BYTES as u32;
        let mut groups: Vec<Group> = Vec::new();
        let (mut bytes, mut entries) = (0, 0);
        let segments = std::mem::take(&mut self.segments);
        for (segment, segment_end) in segments.into_iter().take_while(|(segment, _)| segment.base < end) {
            let facts = segment.facts(&log.files, self.config.index_interval_bytes)?;
            bytes += segment.extent().bytes;
            entries += facts.offset_entries.max(facts.time_entries);
            let last = Offset(segment_end.0 - 1);
            match groups.last_mut() {
                Some(group) if bytes <= bytes_max && entries <= entries_max && fits(last, group.base()) => {
                    group.segments.push(segment);
                    group.end = segment_end;
                }
                _ => {
                    bytes = segment.extent().bytes;
                    entries = facts.offset_entries.max(facts.time_entries);
                    groups.push(Group { segments: vec![segment], end: segment_end });
                }
            }
        }
        Ok(groups)
    }
}
