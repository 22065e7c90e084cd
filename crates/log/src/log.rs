//! A partition's log: what it holds in memory, and everything that is done there without touching a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eddy_types::{LeaderEpoch, Offset, OffsetRange};
use parking_lot::Mutex;

use crate::epochs::Epochs;
use crate::file_cache::FileCache;
use crate::flush::Flusher;
use crate::segment::Segment;
use crate::tail::Tail;
use crate::{LogConfig, TailBatch};

/// One partition's log.
///
/// Shared between threads: appends and reads come from any, under no lock but its own short one, which is never held
/// during IO. [`Log::flush`], [`Log::sync`], [`Log::delete_below_start`] and [`Log::destroy`] block and run one at a time.
///
/// Its three parts, from the end: batches that are only in memory (and in the write-ahead log), batches that are in segments
/// and still in memory, batches that are only in segments. Whatever is not in a segment is in memory.
pub struct Log {
    pub(crate) dir: Arc<Path>,
    pub(crate) files: Arc<FileCache>,
    pub(crate) state: Mutex<State>,
    pub(crate) flusher: Mutex<Flusher>,
    /// Held by a compaction from its first look at the log to its end. Taken before the flusher's.
    pub(crate) cleaning: Mutex<()>,
}

/// Where a log stood when its files were last synced: all that is needed to open it without looking at its batches.
/// The default is that of a log that has never been synced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogCheckpoint {
    /// First offset of the log.
    pub start_offset: Offset,
    /// Everything below is in the segments.
    pub flushed_end: Offset,
    /// Base offset of the last segment; `flushed_end` when there is no segment.
    pub active_segment: Offset,
    /// Size of that segment's file at `flushed_end`, 0 when there is none.
    pub active_bytes: u64,
    /// Leader epochs that began below `flushed_end`, each with its start offset.
    pub epochs: Vec<(LeaderEpoch, Offset)>,
    /// Everything below has been compacted.
    pub cleaned_to: Offset,
}

pub(crate) struct State {
    pub(crate) config: Arc<LogConfig>,
    pub(crate) start: Offset,
    /// Everything below is in segments.
    pub(crate) flushed_end: Offset,
    pub(crate) end: Offset,
    /// Ascending by base offset. A reader may see a segment grow behind it, never change.
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) tail: Tail,
    pub(crate) epochs: Epochs,
    /// End of what the flusher is writing at this moment.
    pub(crate) in_flight: Option<Offset>,
    /// Everything below has been compacted.
    pub(crate) cleaned_to: Offset,
    /// Segments that begin below are sealed for a checkpoint that was stored: a start takes them as they are.
    pub(crate) recorded_active: Offset,
    /// The same for the last checkpoint, which may not be stored yet.
    pub(crate) synced_active: Option<Offset>,
    /// Truncations so far.
    pub(crate) cuts: u64,
    /// The segments are still to be cut here; until then they hold more than the log.
    pub(crate) cut: Option<Offset>,
    /// Segments that the log no longer has and whose files are still there.
    pub(crate) doomed: Vec<Arc<Segment>>,
    /// What the checkpoint promised and the directory lacks.
    pub(crate) missing: Vec<Missing>,
    /// The write-ahead log is still to repeat what came after the checkpoint.
    pub(crate) replaying: bool,
    /// A reader is behind, and will want what is flushed next.
    pub(crate) read_behind: bool,
}

/// Offsets that are in none of the files, unless the replay explains why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) range: OffsetRange,
    /// A cut at or below this had reached the files before the crash: what they lack is no loss.
    pub(crate) explained_by_cut_to: Offset,
}

/// Batches evicted under one hold of the lock, so that appends do not wait for long.
pub(crate) const EVICTED_AT_ONCE: usize = 256;

impl Log {
    /// Directory of the log; it exists once something was flushed.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// First offset of the log.
    pub fn start_offset(&self) -> Offset {
        self.state.lock().start
    }

    /// The offset that the next record gets, if the log has no gap there.
    pub fn end_offset(&self) -> Offset {
        self.state.lock().end
    }

    /// The offset below which everything is in segments.
    pub fn flushed_end(&self) -> Offset {
        self.state.lock().flushed_end
    }

    /// Bytes of batches that are only in memory.
    pub fn unflushed_bytes(&self) -> usize {
        self.state.lock().tail.unflushed_bytes()
    }

    /// Bytes of the log: its segments and what will be added to them.
    pub fn size_bytes(&self) -> u64 {
        let state = self.state.lock();
        let segments: u64 = state.segments.iter().map(|segment| segment.extent().bytes).sum();
        segments + state.tail.unflushed_bytes() as u64
    }

    /// Segments on disk.
    pub fn segment_count(&self) -> usize {
        self.state.lock().segments.len()
    }

    /// The first range that the checkpoint promised and the files lack. While the write-ahead log is being replayed there
    /// may be one, which a truncation or a move of the start takes away; one that is left after the replay
    /// ([`Log::finish_replay`]) is damage.
    pub fn missing(&self) -> Option<OffsetRange> {
        self.state.lock().missing.first().map(|missing| missing.range)
    }

    /// Settings in force.
    pub fn config(&self) -> Arc<LogConfig> {
        Arc::clone(&self.state.lock().config)
    }

    /// Replaces the settings, from the next decision on.
    pub fn set_config(&self, config: Arc<LogConfig>) {
        self.state.lock().config = config;
    }

    /// Adds a batch at the end, in memory. It may begin above the end (a compacted leader's log has gaps, and a replay
    /// repeats appends that a later truncation undoes) but not below: such a batch is left out, since the log holds its
    /// offsets already.
    pub fn append(&self, batch: TailBatch) {
        let mut state = self.state.lock();
        if batch.base_offset < state.end || batch.end_offset <= batch.base_offset {
            debug_assert!(false, "batch {}..{} at {}", batch.base_offset, batch.end_offset, state.end);
            tracing::error!(dir = %self.dir.display(), base_offset = batch.base_offset.0, log_end = state.end.0,
                "a batch that does not follow the log's end was left out");
            return;
        }
        state.epochs.assign(batch.leader_epoch, batch.base_offset);
        state.end = batch.end_offset;
        state.tail.push(batch);
    }

    /// Drops flushed batches from memory, oldest first, until those that are left keep at most `keep_bytes` alive;
    /// returns the bytes given back. What is not flushed stays.
    pub fn evict(&self, keep_bytes: usize) -> usize {
        let mut freed = 0;
        loop {
            let mut state = self.state.lock();
            let flushed_end = state.flushed_end;
            let evicted = state.tail.evict(keep_bytes, flushed_end, EVICTED_AT_ONCE);
            drop(state);
            freed += evicted.iter().map(|batch| batch.charge).sum::<usize>();
            if evicted.len() < EVICTED_AT_ONCE {
                return freed;
            }
        }
    }

    /// Moves the start up (DeleteRecords, retention ), in memory. The caller puts the move into the write-ahead
    /// log; files go with [`Log::delete_below_start`]. A start above the end empties the log, which then begins there:
    /// that is a follower whose leader has dropped everything the follower lacks.
    pub fn set_start_offset(&self, to: Offset) {
        let mut state = self.state.lock();
        if to <= state.start {
            return;
        }
        state.start = to;
        if to > state.end {
            state.empty_at(to);
        } else {
            state.epochs.truncate_from_start(to);
        }
        for missing in &mut state.missing {
            missing.range.start = missing.range.start.max(to);
        }
        state.missing.retain(|missing| missing.range.start < missing.range.end);
    }

    /// Cuts the log so that it ends at `to`, in memory: a batch that reaches above `to` goes as a whole, the end is `to` all
    /// the same, as in Kafka. The caller puts the cut into the write-ahead log. The files are cut by the flusher before it
    /// next writes or syncs them; the WAL must have made the cut durable by then.
    pub fn truncate(&self, to: Offset) {
        let mut state = self.state.lock();
        if to < state.end {
            state.cut_at(to);
        }
        state.missing.retain(|missing| to > missing.explained_by_cut_to);
    }

    /// The checkpoint of the last [`Log::sync`] was stored: the next start counts on it. Only then may the segments below its
    /// active one be compacted.
    pub fn checkpoint_stored(&self) {
        let mut state = self.state.lock();
        if let Some(active) = state.synced_active.take() {
            state.recorded_active = active;
        }
    }

    /// Notes that leader epoch `epoch` began at `start`. Appending a batch notes its epoch too.
    pub fn assign_epoch(&self, epoch: LeaderEpoch, start: Offset) {
        self.state.lock().epochs.assign(epoch, start);
    }

    /// Forgets epochs that began at the end and wrote nothing: this broker has led in them and does not any more. Should the
    /// next leader's log go on here in an older epoch, its batches must not be taken for theirs.
    pub fn forget_empty_epochs(&self) {
        let mut state = self.state.lock();
        let end = state.end;
        state.epochs.truncate_from_end(end);
    }

    /// Leader epoch of the record at `offset`, as far as the log remembers epochs.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.state.lock().epochs.at(offset)
    }

    /// The newest leader epoch known.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.state.lock().epochs.latest()
    }

    /// Where `epoch` ends, as OffsetForLeaderEpoch answers: the largest epoch not above it and the offset where the
    /// next one began; the log end for the newest; (-1, -1) for one that is not known yet.
    pub fn epoch_end(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        let state = self.state.lock();
        state.epochs.end_of(epoch, state.end)
    }
}

impl State {
    /// Forgets what lies above `to`, which is below the end.
    fn cut_at(&mut self, to: Offset) {
        self.start = self.start.min(to);
        self.end = to;
        self.cuts += 1;
        self.cleaned_to = self.cleaned_to.min(to);
        self.recorded_active = self.recorded_active.min(to);
        self.synced_active = self.synced_active.map(|active| active.min(to));
        let flushed_end = self.flushed_end;
        self.tail.truncate(to, flushed_end);
        self.epochs.truncate_from_end(to);
        let written = self.in_flight.unwrap_or(flushed_end).max(flushed_end);
        if to < written {
            self.doom_from(to);
            self.flushed_end = flushed_end.min(to);
        }
    }

    /// Forgets everything; the log goes on at `to`, which is above the end.
    fn empty_at(&mut self, to: Offset) {
        let flushed_end = self.flushed_end;
        self.tail.truncate(Offset(i64::MIN), flushed_end);
        self.epochs.clear();
        self.cuts += 1;
        if self.in_flight.is_some() || !self.segments.is_empty() {
            self.doom_from(Offset(i64::MIN));
        }
        self.end = to;
        self.flushed_end = to;
    }

    /// Takes the segments from `to` on out of the log, and has the files follow later.
    fn doom_from(&mut self, to: Offset) {
        let keep = self.segments.partition_point(|segment| segment.base < to);
        self.doomed.extend(self.segments.drain(keep..));
        self.cut = Some(self.cut.map_or(to, |earlier| earlier.min(to)));
    }

    /// Empties the log before its directory is removed; returns all segments whose files may be there.
    pub(crate) fn take_all(&mut self) -> Vec<Arc<Segment>> {
        let flushed_end = self.flushed_end;
        self.tail.truncate(Offset(i64::MIN), flushed_end);
        self.cut = None;
        self.segments.drain(..).chain(self.doomed.drain(..)).collect()
    }

    /// The segment that holds `offset`, if any does, with the one after it.
    pub(crate) fn segment_at(&self, offset: Offset) -> Option<(&Arc<Segment>, Option<&Arc<Segment>>)> {
        let index = self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1);
        Some((self.segments.get(index)?, self.segments.get(index + 1)))
    }

    /// The segments from the one that holds `offset` on.
    pub(crate) fn segments_from(&self, offset: Offset) -> Vec<Arc<Segment>> {
        let first = self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1);
        self.segments.get(first..).unwrap_or_default().to_vec()
    }

    /// The offset by which segment `index` ends.
    pub(crate) fn segment_end(&self, index: usize) -> Offset {
        self.segments.get(index + 1).map_or(self.flushed_end, |next| next.base)
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Log")
            .field("dir", &PathBuf::from(&*self.dir))
            .field("start", &state.start)
            .field("flushed_end", &state.flushed_end)
            .field("end", &state.end)
            .finish_non_exhaustive()
    }
}
