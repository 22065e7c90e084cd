//! How a cut of the log reaches its files.

use std::sync::Arc;

use eddy_types::{Offset, OffsetRange};

use crate::error::LogError;
use crate::flush::Flusher;
use crate::log::{Log, Missing};
use crate::open::readable_end;
use crate::segment::Segment;

impl Log {
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
        // One that ends just here may have been cut before a crash, which its indexes need not have survived.
        if let Some(last) = last
            && last.extent().end >= cut
        {
            let outcome = last.cut(&self.files, cut);
            if self.unless_unreadable(last, cut, outcome)?.is_none() {
                return Ok(());
            }
            last.sync(&self.files)?;
            if last.extent().bytes == 0 {
                self.state.lock().segments.retain(|segment| !Arc::ptr_eq(segment, last));
                self.remove_segment(flusher, last)?;
            }
        }
        self.sync_dirs(flusher)
    }

    /// `None` when a replay meets a segment that cannot be read up to `end`. It may have been made after a later cut, one that
    /// lies below it and which the write-ahead log has yet to repeat: then the segment goes, with whatever a crash has left in
    /// it. Without such a cut it is damage. Its file is left as it is.
    pub(crate) fn unless_unreadable<T>(
        &self,
        segment: &Segment,
        end: Offset,
        outcome: Result<T, LogError>,
    ) -> Result<Option<T>, LogError> {
        match outcome {
            Err(LogError::Damaged { .. }) if self.state.lock().replaying => {
                let range = OffsetRange { start: readable_end(&self.files, segment)?, end };
                segment.leave_as_it_is();
                self.state.lock().missing.push(Missing { range, explained_by_cut_to: range.start });
                Ok(None)
            }
            outcome => outcome.map(Some),
        }
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
        let outcome = self.carry_out_cut(&mut self.flusher.lock());
        self.state.lock().replaying = false;
        outcome
    }
}
