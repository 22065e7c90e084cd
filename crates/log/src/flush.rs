//! The flusher's side of a log: batches go from memory into segments, cuts reach the files, everything is synced.

use std::path::Path;
use std::sync::Arc;

use eddy_types::{LeaderEpoch, Offset};
use parking_lot::MutexGuard;

use crate::error::LogError;
use crate::index::fits;
use crate::log::{Log, LogCheckpoint, State};
use crate::segment::{Extent, Segment};
use crate::{LogConfig, TailBatch, epoch_checkpoint};

/// Batches and bytes of one write: large enough to be sequential, small enough to tell readers soon.
const RUN_BATCHES_MAX: usize = 4096;
const RUN_BYTES_MAX: usize = 8 << 20;

/// What only the flusher knows.
pub(crate) struct Flusher {
    /// Segments written since they were last synced.
    dirty: Vec<Arc<Segment>>,
    dir_exists: bool,
    /// Files were made or removed since the directory was last synced.
    dir_dirty: bool,
    /// The directory itself may be new to the one above it.
    dir_made: bool,
    /// The next batch goes into a new segment.
    roll: bool,
    /// Epochs written to the file since the log was opened.
    epochs_stored: Vec<(LeaderEpoch, Offset)>,
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
    /// it is synced. The batches stay in memory until they are evicted.
    ///
    /// # Errors
    /// When the disk refuses: the batches are then as unflushed as before, and it may be tried again.
    pub fn flush(&self, upto: Offset) -> Result<u64, LogError> {
        let mut flusher = self.flusher.lock();
        let mut written = 0;
        loop {
            match self.next_run(upto) {
                Next::Nothing => break,
                Next::Cut => self.carry_out_cut(&mut flusher)?,
                Next::Write(run) => {
                    let outcome = self.write_run(&mut flusher, &run);
                    self.state.lock().in_flight = None;
                    written += outcome?;
                }
            }
        }
        Ok(written)
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

    fn write_run(&self, flusher: &mut Flusher, run: &Run) -> Result<u64, LogError> {
        let interval = run.config.index_interval_bytes;
        let mut rest = &run.batches[..];
        let mut end = run.start;
        let mut active = run.active.clone();
        let mut written = 0;
        while !rest.is_empty() {
            let taken = match &active {
                Some(segment) => {
                    flusher.mark_dirty(segment);
                    if flusher.roll { (0, 0) } else { segment.append(&self.files, rest, &run.config)? }
                }
                None => (0, 0),
            };
            if let (0, Some(full)) = (taken.0, &active) {
                full.seal(&self.files, interval)?;
                active = None;
            }
            let Some(segment) = &active else {
                let first = rest.first().filter(|first| !fits(Offset(first.end_offset.0 - 1), end));
                let base = first.map_or(end, |first| first.base_offset);
                active = Some(self.new_segment(flusher, base)?);
                flusher.roll = false;
                continue;
            };
            let (done, left) = rest.split_at(taken.0);
            end = done.last().map_or(end, |batch| batch.end_offset);
            rest = left;
            written += taken.1;
            self.publish(segment, end);
        }
        Ok(written)
    }

    /// A segment is named by the offset at which the log goes on, not by its first batch, unless that is too far away for
    /// its indexes: the segments of a log with gaps still follow each other without one.
    fn new_segment(&self, flusher: &mut Flusher, base: Offset) -> Result<Arc<Segment>, LogError> {
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
        flusher.mark_dirty(&segment);
        segment.create(&self.files)?;
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

    /// Brings the files to where the log was cut.
    pub(crate) fn carry_out_cut(&self, flusher: &mut Flusher) -> Result<(), LogError> {
        let (cut, doomed, last) = {
            let mut state = self.state.lock();
            let Some(cut) = state.cut.take() else { return Ok(()) };
            (cut, std::mem::take(&mut state.doomed), state.segments.last().cloned())
        };
        let outcome = self.cut_files(flusher, cut, &doomed, last.as_ref());
        if outcome.is_err() {
            let mut state = self.state.lock();
            state.cut = Some(state.cut.map_or(cut, |newer| newer.min(cut)));
            state.doomed.extend(doomed);
        }
        outcome
    }

    fn cut_files(
        &self,
        flusher: &mut Flusher,
        cut: Offset,
        doomed: &[Arc<Segment>],
        last: Option<&Arc<Segment>>,
    ) -> Result<(), LogError> {
        // Newest first: whatever is left after a crash is a log without a hole.
        for segment in doomed.iter().rev() {
            self.remove_segment(flusher, segment)?;
        }
        // The last checkpoint may count on what lies above. After a crash it must find that to be missing, and not find other
        // bytes in its place: the cut is made durable, and nothing more is added to this segment.
        flusher.roll = true;
        if let Some(last) = last
            && last.extent().end > cut
        {
            last.cut(&self.files, cut)?;
            last.sync(&self.files)?;
            if last.extent().bytes == 0 {
                self.state.lock().segments.retain(|segment| !Arc::ptr_eq(segment, last));
                self.remove_segment(flusher, last)?;
            }
        }
        self.sync_dirs(flusher)
    }

    /// Removes a segment that the log no longer has.
    pub(crate) fn remove_segment(
        &self,
        flusher: &mut Flusher,
        segment: &Arc<Segment>,
    ) -> Result<(), LogError> {
        flusher.dirty.retain(|other| !Arc::ptr_eq(other, segment));
        flusher.dir_dirty = true;
        segment.remove(&self.files)
    }

    /// Ends the replay of the write-ahead log into this log: cuts that it repeated reach the files, which until then may
    /// hold anything above them. Before this no read is made. Blocks.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish_replay(&self) -> Result<(), LogError> {
        self.carry_out_cut(&mut self.flusher.lock())
    }

    /// Makes everything that was flushed durable and says where it ends. What the checkpoint says counts once the caller has
    /// stored it; until then the write-ahead log must keep what it holds.
    ///
    /// # Errors
    /// A failed sync is final (see [`eddy_disk`]): the process must stop.
    pub fn sync(&self) -> Result<LogCheckpoint, LogError> {
        let mut flusher = self.flusher.lock();
        let checkpoint = loop {
            self.carry_out_cut(&mut flusher)?;
            let mut state = self.state.lock();
            if state.cut.is_none() {
                // A cut inside a batch leaves a gap at the end, which counts as written.
                if state.tail.unflushed_bytes() == 0 {
                    state.flushed_end = state.end;
                }
                break checkpoint(&state);
            }
        };
        for segment in std::mem::take(&mut flusher.dirty) {
            segment.sync(&self.files)?;
        }
        if flusher.dir_exists && flusher.epochs_stored != checkpoint.epochs {
            epoch_checkpoint::write(self.files.disk().as_ref(), &self.dir, &checkpoint.epochs)
                .map_err(|error| LogError::io("write", &self.dir.join(epoch_checkpoint::FILE_NAME), error))?;
            flusher.epochs_stored.clone_from(&checkpoint.epochs);
            flusher.dir_dirty = false;
        }
        self.sync_dirs(&mut flusher)?;
        Ok(checkpoint)
    }

    fn sync_dirs(&self, flusher: &mut Flusher) -> Result<(), LogError> {
        let sync =
            |dir: &Path| self.files.disk().sync_dir(dir).map_err(|error| LogError::io("sync", dir, error));
        if std::mem::take(&mut flusher.dir_dirty) {
            sync(&self.dir)?;
        }
        if std::mem::take(&mut flusher.dir_made) {
            // The topic's directory and the data directory: whichever of them was made with this one must be found again.
            for dir in self.dir.ancestors().skip(1).take(2).filter(|dir| !dir.as_os_str().is_empty()) {
                sync(dir)?;
            }
        }
        Ok(())
    }

    /// Removes the log with its directory. It must not be used afterwards but to be dropped. Blocks.
    ///
    /// # Errors
    /// When the disk refuses; some files may then be gone.
    pub fn destroy(&self) -> Result<(), LogError> {
        let mut flusher = self.flusher.lock();
        let all = self.state.lock().take_all();
        for segment in all {
            segment.remove(&self.files)?;
        }
        flusher.dirty.clear();
        let disk = self.files.disk();
        disk.remove_dir_all(&self.dir).map_err(|error| LogError::io("remove", &self.dir, error))?;
        if std::mem::take(&mut flusher.dir_exists)
            && let Some(parent) = self.dir.parent()
        {
            disk.sync_dir(parent).map_err(|error| LogError::io("sync", parent, error))?;
        }
        Ok(())
    }
}

fn checkpoint(state: &MutexGuard<'_, State>) -> LogCheckpoint {
    let active = state.segments.last().map(|segment| (segment.base, segment.extent().bytes));
    let (active_segment, active_bytes) = active.unwrap_or((state.flushed_end, 0));
    LogCheckpoint {
        start_offset: state.start,
        flushed_end: state.flushed_end,
        active_segment,
        active_bytes,
        epochs: state.epochs.below(state.flushed_end),
    }
}
