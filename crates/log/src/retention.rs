//! Which old segments may go, and their removal.

use std::sync::Arc;

use eddy_types::{Millis, Offset};

use crate::LogConfig;
use crate::deleted::LastHold;
use crate::error::LogError;
use crate::log::{Log, State};
use crate::segment::Segment;

/// A decision to move the start of a log up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The new start offset; at most the high watermark.
    pub new_start: Offset,
    /// Why the newest of the segments below may go.
    pub reason: RetentionReason,
    /// Segments below the new start.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// The setting that lets a segment go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionReason {
    /// `retention.ms`
    Time,
    /// `retention.bytes`
    Size,
}

/// What [`Log::delete_below_start`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeletedSegments {
    /// Segments removed.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// The segments as retention sees them, oldest first.
struct View {
    segments: Vec<(Arc<Segment>, Offset)>,
    /// Bytes above the start.
    bytes: i128,
    config: Arc<LogConfig>,
}

impl Log {
    /// Decides which old segments may go: those whose largest record timestamp is older than `retention.ms`, and those
    /// without which the log is still at least `retention.bytes` large; whole segments, oldest first, below the high watermark.
    /// The last segment too, once nothing waits in memory to be added to it. Nothing is done about it: the caller moves the
    /// start ([`Log::set_start_offset`]) and then has the files deleted.
    ///
    /// A segment without timestamps is as old as the time since this function first saw it at its present size. Blocks: it
    /// reads an index entry of each segment it sees for the first time. A segment that cannot be read is kept.
    pub fn retention(&self, now: Millis, high_watermark: Offset) -> Option<Retention> {
        let view = self.state.lock().retention_view();
        let limit = i128::from(view.config.retention_bytes);
        let mut excess = if limit < 0 { -1 } else { view.bytes - limit };
        let mut decision: Option<Retention> = None;
        for (segment, end) in &view.segments {
            if *end > high_watermark {
                break;
            }
            let bytes = segment.extent().bytes;
            let reason = if excess >= i128::from(bytes) {
                RetentionReason::Size
            } else if self.is_expired(segment, now, &view.config) {
                RetentionReason::Time
            } else {
                break;
            };
            excess -= i128::from(bytes);
            let before = decision.map_or((0, 0), |decision| (decision.segments, decision.bytes));
            decision =
                Some(Retention { new_start: *end, reason, segments: before.0 + 1, bytes: before.1 + bytes });
        }
        decision
    }

    fn is_expired(&self, segment: &Segment, now: Millis, config: &LogConfig) -> bool {
        if config.retention_ms.0 < 0 {
            return false;
        }
        match segment.facts(&self.files, config.index_interval_bytes) {
            Ok(facts) if facts.newest.timestamp.0 >= 0 => now - facts.newest.timestamp > config.retention_ms,
            Ok(_) => now - segment.quiet_since(now) > config.retention_ms,
            // Compaction has just put another in its place.
            Err(LogError::Moved { .. }) => false,
            Err(error) => {
                tracing::warn!(%error, "a segment is kept because its age cannot be told");
                false
            }
        }
    }

    /// Removes the files of segments that lie wholly below the start; [`FileCache::give_back`](crate::FileCache::give_back) frees
    /// large ones. The move of the start must be durable in the write-ahead log: otherwise a crash would look like a lost file. A
    /// read under way may answer [`LogError::Moved`].
    ///
    /// # Errors
    /// When the disk refuses; the files left behind are removed after the next start.
    pub fn delete_below_start(&self) -> Result<DeletedSegments, LogError> {
        self.delete_below(Offset(i64::MAX))
    }

    /// As [`Log::delete_below_start`], of segments below `upto` only: a later move of the start may not be durable yet.
    ///
    /// # Errors
    /// When the disk refuses; the files left behind are removed after the next start.
    pub fn delete_below(&self, upto: Offset) -> Result<DeletedSegments, LogError> {
        let mut flusher = self.flusher.lock();
        let gone = self.state.lock().take_below_start(upto);
        let mut deleted = DeletedSegments::default();
        let holds: Vec<LastHold> = gone.iter().filter_map(|segment| self.files.hold(segment)).collect();
        for segment in &gone {
            self.remove_segment(&mut flusher, segment)?;
            deleted.segments += 1;
            deleted.bytes += segment.extent().bytes;
        }
        if !holds.is_empty() {
            let synced = self.files.disk().sync_dir(&self.dir);
            synced.map_err(|error| LogError::io("sync", &self.dir, error))?;
            self.files.add_deleted(holds);
        }
        Ok(deleted)
    }
}

impl State {
    fn retention_view(&self) -> View {
        let unflushed = self.tail.unflushed_bytes();
        let ends = (0..self.segments.len()).map(|index| self.segment_end(index));
        let mut segments: Vec<(Arc<Segment>, Offset)> = self.segments.iter().cloned().zip(ends).collect();
        segments.retain(|(_, end)| *end > self.start);
        let bytes: i128 = segments.iter().map(|(segment, _)| i128::from(segment.extent().bytes)).sum();
        if unflushed > 0 {
            segments.pop();
        }
        View { segments, bytes: bytes + unflushed as i128, config: Arc::clone(&self.config) }
    }

    fn take_below_start(&mut self, upto: Offset) -> Vec<Arc<Segment>> {
        let start = self.start.min(upto);
        let below = (0..self.segments.len()).take_while(|index| self.segment_end(*index) <= start).count();
        self.segments.drain(..below).collect()
    }
}
