//! How a compacted segment takes the place of those it was made from, so that a crash leaves the old ones or the new one.
//!
//! 1. The new segment is written and synced as `<base>.log.cleaned` with its indexes. Such files are removed at a start.
//! 2. `<base>.log.cleaned` is renamed to `<base>-<end>.swap`, and the directory synced: from here on the swap is decided. The
//!    name says which segments it replaces: those that begin from `base` on and below `end`. A start carries it out.
//! 3. The files of the old segments are removed, but for `<base>.log`, and the directory synced.
//! 4. The indexes get their names, and the `.swap` file is renamed over `<base>.log`. The directory is synced again.
//!
//! Index files are never beside a log file that they were not made for: those of the old segments are gone for good before
//! the log file gets its name. One that is missing is made anew from the batches.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eddy_disk::{DirEntry, Disk};
use eddy_types::Offset;

use super::CleanError;
use crate::error::LogError;
use crate::log::{Log, State};
use crate::open::{base_offset, remove};
use crate::segment::{INDEX_SUFFIX, LOG_SUFFIX, Segment, TIME_INDEX_SUFFIX, path};

pub(crate) const CLEANED_SUFFIX: &str = "cleaned";
pub(crate) const SWAP_SUFFIX: &str = "swap";

/// Name of a file of a segment that is being written.
pub(super) fn cleaned_path(dir: &Path, base: Offset, suffix: &str) -> PathBuf {
    dir.join(format!("{:020}.{suffix}.{CLEANED_SUFFIX}", base.0))
}

fn swap_path(dir: &Path, base: Offset, end: Offset) -> PathBuf {
    dir.join(format!("{:020}-{:020}.{SWAP_SUFFIX}", base.0, end.0))
}

fn parse_swap(path: &Path) -> Option<(Offset, Offset)> {
    if path.extension()? != SWAP_SUFFIX {
        return None;
    }
    let (base, end) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((Offset(base.parse().ok()?), Offset(end.parse().ok()?)))
}

/// Neighbouring segments that become one.
pub(super) struct Group {
    pub(super) segments: Vec<Arc<Segment>>,
    /// Where the segment after them begins.
    pub(super) end: Offset,
}

impl Group {
    pub(super) fn base(&self) -> Offset {
        self.segments.first().map_or(self.end, |first| first.base)
    }
}

impl Log {
    /// Puts `new`, which is complete and durable under its temporary names, in the place of `group`. `cuts` is the log's count
    /// of truncations from before the first of the group's batches was looked at.
    ///
    /// # Errors
    /// [`CleanError::Changed`] when the log was truncated or lost a segment of the group meanwhile: nothing was changed.
    /// [`CleanError::Swap`] when it is not certain what the directory holds.
    pub(super) fn swap(&self, group: &Group, new: &Arc<Segment>, cuts: u64) -> Result<(), CleanError> {
        let mut flusher = self.flusher.lock();
        if !self.state.lock().holds(group, cuts) {
            return Err(CleanError::Changed);
        }
        let disk = self.files.disk().as_ref();
        let (base, end) = (group.base(), group.end);
        let cleaned = cleaned_path(&self.dir, base, LOG_SUFFIX);
        let swap = swap_path(&self.dir, base, end);
        disk.rename(&cleaned, &swap).map_err(|error| LogError::io("rename", &cleaned, error))?;
        sync_dir(disk, &self.dir).map_err(CleanError::Swap)?;
        if !self.state.lock().replace(group, new, cuts) {
            // Truncated in this moment. The write-ahead log repeats the truncation should a start still find the file.
            remove(disk, &swap).and_then(|()| sync_dir(disk, &self.dir)).map_err(CleanError::Swap)?;
            return Err(CleanError::Changed);
        }
        let holds = group.segments.iter().filter_map(|old| self.files.hold(old)).collect();
        for old in &group.segments {
            old.replaced_by(new);
            flusher.dirty.retain(|dirty| !Arc::ptr_eq(dirty, old));
        }
        let bases = group.segments.iter().map(|old| old.base);
        carry_out(disk, &self.dir, &swap, base, bases).map_err(CleanError::Swap)?;
        self.files.add_deleted(holds);
        new.named(&self.files);
        Ok(())
    }

    /// Removes what a compaction that was given up has written.
    pub(super) fn discard(&self, base: Offset) {
        for suffix in [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX] {
            // One that stays is removed at the next start, or overwritten by the next compaction.
            let _ = self.files.disk().remove_file(&cleaned_path(&self.dir, base, suffix));
        }
    }
}

impl State {
    fn place_of(&self, group: &Group, cuts: u64) -> Option<std::ops::Range<usize>> {
        let first = group.segments.first()?;
        let start = self.segments.iter().position(|segment| Arc::ptr_eq(segment, first))?;
        let range = start..start + group.segments.len();
        let held = self.segments.get(range.clone())?;
        let same = held.iter().zip(&group.segments).all(|(held, old)| Arc::ptr_eq(held, old));
        // The last segment may still be added to, and the checkpoint counts its bytes.
        (same && self.cuts == cuts && range.end < self.segments.len()).then_some(range)
    }

    fn holds(&self, group: &Group, cuts: u64) -> bool {
        self.place_of(group, cuts).is_some()
    }

    fn replace(&mut self, group: &Group, new: &Arc<Segment>, cuts: u64) -> bool {
        let Some(range) = self.place_of(group, cuts) else { return false };
        self.segments.splice(range, [Arc::clone(new)]);
        true
    }
}

/// Steps 3 and 4; they may have been begun before.
fn carry_out(
    disk: &dyn Disk,
    dir: &Path,
    swap: &Path,
    base: Offset,
    replaced: impl Iterator<Item = Offset>,
) -> Result<(), LogError> {
    for old in replaced {
        if old != base {
            remove(disk, &path(dir, old, LOG_SUFFIX))?;
        }
        remove(disk, &path(dir, old, INDEX_SUFFIX))?;
        remove(disk, &path(dir, old, TIME_INDEX_SUFFIX))?;
    }
    sync_dir(disk, dir)?;
    for suffix in [INDEX_SUFFIX, TIME_INDEX_SUFFIX] {
        let cleaned = cleaned_path(dir, base, suffix);
        match disk.rename(&cleaned, &path(dir, base, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LogError::io("rename", &cleaned, error));
            }
            _ => {}
        }
    }
    disk.rename(swap, &path(dir, base, LOG_SUFFIX)).map_err(|error| LogError::io("rename", swap, error))?;
    sync_dir(disk, dir)
}

fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    disk.sync_dir(dir).map_err(|error| LogError::io("sync", dir, error))
}

/// Carries out the swaps that were decided before the process ended, and removes what was still being written.
pub(crate) fn finish_swaps(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    let entries = disk.list(dir).map_err(|error| LogError::io("list", dir, error))?;
    let entries: Vec<DirEntry> = entries.into_iter().filter(|entry| !entry.is_dir).collect();
    let is_cleaned =
        |entry: &&DirEntry| entry.path.extension().is_some_and(|suffix| suffix == CLEANED_SUFFIX);
    for entry in &entries {
        let Some((base, end)) = parse_swap(&entry.path) else { continue };
        let in_range = |offset: &Offset| (base..end).contains(offset);
        let replaced = entries.iter().filter_map(|entry| base_offset(&entry.path)).filter(in_range);
        carry_out(disk, dir, &entry.path, base, replaced)?;
        tracing::info!(path = %entry.path.display(), "carried out a compaction that a crash had interrupted");
    }
    for entry in entries.iter().filter(is_cleaned) {
        remove(disk, &entry.path)?;
    }
    Ok(())
}
