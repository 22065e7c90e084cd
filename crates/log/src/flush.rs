//! The flusher's side of a log: batches go from memory into segments.

use std::sync::Arc;

use eddy_types::{LeaderEpoch, Offset};

use crate::error::LogError;
use crate::index::fits;
use crate::log::Log;
use crate::segment::{Extent, Segment, Way};
use crate::{LogConfig, TailBatch};

/// Batches and bytes of one write: large enough to be sequential, small enough to tell readers soon.
const RUN_BATCHES_MAX: usize = 4096;
const RUN_BYTES_MAX: usize = 8 << 20;

/// What only the flusher knows.
pub(crate) struct Flusher {
    /// Segments written since they were last synced.
    pub(crate) dirty: Vec<Arc<Segment>>,
    pub(crate) dir_exists: bool,
    /// Files were made or removed since the directory was last synced.
    pub(crate) dir_dirty: bool,
    /// The directory itself may be new to the one above it.
    pub(crate) dir_made: bool,
    /// The next batch goes into a new segment.
    pub(crate) roll: bool,
    /// Epochs written to the file since the log was opened.
    pub(crate) epochs_stored: Vec<(LeaderEpoch, Offset)>,
}

/// What is known of a log's directory when the log is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirState {
    Absent,
    /// It exists, perhaps not after a power cut.
    Unsure,
    /// A checkpoint has relied on it.
    Durable,
}

impl Flusher {
    /// `dirty` segments may not be durable, nor their names.
    pub(crate) fn new(dir: DirState, dirty: Vec<Arc<Segment>>) -> Self {
        Flusher {
            dir_exists: dir != DirState::Absent,
            dir_dirty: !dirty.is_empty(),
            dir_made: dir == DirState::Unsure,
            dirty,
            roll: false,
            epochs_stored: Vec::new(),
        }
    }

    pub(crate) fn mark_dirty(&mut self, segment: &Arc<Segment>) {
        if !self.dirty.iter().any(|other| Arc::ptr_eq(other, segment)) {
            self.dirty.push(Arc::clone(segment));
        }
    }
}

/// Batches to be written next.
struct Run {
    batches: Vec<TailBatch>,
    /// Offset at which they follow what is written.
    start: Offset,
    active: Option<Arc<Segment>>,
    config: Arc<LogConfig>,
}

enum Next {
    Nothing,
    /// The files must be cut first.
    Cut,
    Write(Run),
}

impl Log {
    /// Writes unflushed batches that end at or below `upto` into segments, in order, and makes their index entries; returns
    /// the bytes written. `upto` is at most the durable end: what is in a segment must be in the write-ahead log too until
    /// it is synced. The batches stay in memory until they are evicted. They leave nothing in the page
    /// cache, unless [`Log::expect_reads`] was called since the last flush.
    ///
    /// # Errors
    /// When the disk refuses: the batches are then as unflushed as before, and it may be tried again.
    pub fn flush(&self, upto: Offset) -> Result<u64, LogError> {
        let mut flusher = self.flusher.lock();
        let mut way = None;
        let mut written = 0;
        loop {
            match self.next_run(upto) {
                Next::Nothing => break,
                Next::Cut => self.carry_out_cut(&mut flusher)?,
                Next::Write(run) => {
                    let way = *way.get_or_insert_with(|| self.way());
                    let outcome = self.write_run(&mut flusher, &run, way);
                    self.state.lock().in_flight = None;
                    written += outcome?;
                }
            }
        }
        Ok(written)
    }

    /// How a flush that has something to write goes, all of it.
    fn way(&self) -> Way {
        let read_behind = std::mem::take(&mut self.state.lock().read_behind);
        if read_behind { Way::PageCache } else { Way::PastPageCache }
    }

    fn next_run(&self, upto: Offset) -> Next {
        let mut state = self.state.lock();
        let mut bytes = 0;
        let batches: Vec<TailBatch> = state
            .tail
            .starting_at(state.flushed_end)
            .take_while(|batch| {
                let fits = bytes == 0 || bytes + batch.bytes.len() <= RUN_BYTES_MAX;
                bytes += batch.bytes.len();
                fits && batch.end_offset <= upto
            })
            .take(RUN_BATCHES_MAX)
            .cloned()
            .collect();
        let Some(last) = batches.last() else { return Next::Nothing };
        if state.cut.is_some() {
            return Next::Cut;
        }
        state.in_flight = Some(last.end_offset);
        Next::Write(Run {
            start: state.flushed_end,
            active: state.segments.last().cloned(),
            config: Arc::clone(&state.config),
            batches,
        })
    }

    fn write_run(&self, flusher: &mut Flusher, run: &Run, way: Way) -> Result<u64, LogError> {
        let mut rest = &run.batches[..];
        let mut end = run.start;
        // A sealed segment is last when a crash has left the active one missing. Until the replay is over it may be one that a
        // truncation is about to take away, with anything in it: nothing is added to it.
        let mut active = run.active.clone().filter(|segment| !segment.extent().sealed);
        let mut written = 0;
        while let Some(first) = rest.first() {
            let segment = match active.take() {
                Some(segment) => segment,
                None => self.new_segment(flusher, end, first)?,
            };
            flusher.mark_dirty(&segment);
            let appended =
                if flusher.roll { Ok((0, 0)) } else { segment.append(&self.files, rest, &run.config, way) };
            let Some((count, bytes)) = self.unless_unreadable(&segment, end, appended)? else { continue };
            if count == 0 {
                let sealed = segment.seal(&self.files, run.config.index_interval_bytes);
                self.unless_unreadable(&segment, end, sealed)?;
                continue;
            }
            let (done, left) = rest.split_at(count);
            end = done.last().map_or(end, |batch| batch.end_offset);
            rest = left;
            written += bytes;
            self.publish(&segment, end);
            active = Some(segment);
        }
        Ok(written)
    }

    /// A segment is named by the offset at which the log goes on, not by its first batch, unless that is too far away for
    /// its indexes: the segments of a log with gaps still follow each other without one.
    fn new_segment(
        &self,
        flusher: &mut Flusher,
        end: Offset,
        first: &TailBatch,
    ) -> Result<Arc<Segment>, LogError> {
        let base = if fits(Offset(first.end_offset.0 - 1), end) { end } else { first.base_offset };
        if !flusher.dir_exists {
            self.files
                .disk()
                .create_dir_all(&self.dir)
                .map_err(|error| LogError::io("create", &self.dir, error))?;
            flusher.dir_exists = true;
            flusher.dir_made = true;
        }
        let segment = Segment::new(&self.dir, base, Extent::active(0, base));
        flusher.dir_dirty = true;
        segment.create(&self.files)?;
        flusher.roll = false;
        Ok(segment)
    }

    /// Lets readers see what was written up to `end` into `segment`, as far as the log was not cut meanwhile.
    fn publish(&self, segment: &Arc<Segment>, end: Offset) {
        let mut state = self.state.lock();
        let known = state.segments.last().is_some_and(|last| Arc::ptr_eq(last, segment))
            || state.doomed.iter().any(|doomed| Arc::ptr_eq(doomed, segment));
        if !known {
            match state.cut {
                Some(cut) if segment.base >= cut => state.doomed.push(Arc::clone(segment)),
                _ => state.segments.push(Arc::clone(segment)),
            }
        }
        let old = state.flushed_end;
        let new = state.cut.map_or(end, |cut| end.min(cut)).max(old);
        state.tail.flushed(old, new);
        state.flushed_end = new;
    }
}
