//! The files made durable, and the checkpoint that counts on them; the removal of all of it.

use std::path::Path;

use crate::epoch_checkpoint;
use crate::error::LogError;
use crate::flush::Flusher;
use crate::log::{Log, LogCheckpoint, State};

impl Log {
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
                let checkpoint = checkpoint(&state);
                state.synced_active = Some(checkpoint.active_segment);
                break checkpoint;
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

    pub(crate) fn sync_dirs(&self, flusher: &mut Flusher) -> Result<(), LogError> {
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

    /// Removes the log with its directory. It must not be used afterwards but to be dropped. Blocks, and waits for a
    /// compaction under way, which its caller should end.
    ///
    /// # Errors
    /// When the disk refuses; some files may then be gone.
    pub fn destroy(&self) -> Result<(), LogError> {
        let _no_compaction = self.cleaning.lock();
        let mut flusher = self.flusher.lock();
        let all = self.state.lock().take_all();
        let holds = all.iter().filter_map(|segment| self.files.hold(segment)).collect();
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
            self.files.add_deleted(holds);
        }
        Ok(())
    }
}

fn checkpoint(state: &State) -> LogCheckpoint {
    let active = state.segments.last().map(|segment| (segment.base, segment.extent().bytes));
    let (active_segment, active_bytes) = active.unwrap_or((state.flushed_end, 0));
    LogCheckpoint {
        start_offset: state.start,
        flushed_end: state.flushed_end,
        active_segment,
        active_bytes,
        epochs: state.epochs.below(state.flushed_end),
        cleaned_to: state.cleaned_to,
    }
}
