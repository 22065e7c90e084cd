//! Opening a log: by the checkpoint without looking at a batch, or by a full scan when there is none.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eddy_disk::{Disk, File, Open};
use eddy_types::{Offset, OffsetRange};
use parking_lot::Mutex;

use crate::clean::swap::{CLEANED_SUFFIX, SWAP_SUFFIX, finish_swaps};
use crate::epochs::Epochs;
use crate::error::LogError;
use crate::file_cache::FileCache;
use crate::flush::{DirState, Flusher};
use crate::log::{Log, LogCheckpoint, Missing, State};
use crate::open_scan::scan_all;
use crate::segment::{Extent, INDEX_SUFFIX, LOG_SUFFIX, Segment, TIME_INDEX_SUFFIX};
use crate::tail::Tail;
use crate::{LogConfig, TailBudget};

/// What a directory holds.
#[derive(Default)]
pub(crate) struct Listing {
    exists: bool,
    /// Base offsets of the segment files, ascending.
    pub(crate) bases: BTreeSet<Offset>,
    /// Index files by their base offset.
    indexes: Vec<(Offset, PathBuf)>,
    /// A compaction was under way when the process ended.
    is_half_compacted: bool,
    /// Files that were being written or deleted when the process ended.
    leftovers: Vec<PathBuf>,
}

/// What was found of a log.
pub(crate) struct Opened {
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) epochs: Epochs,
    pub(crate) missing: Vec<Missing>,
    pub(crate) dirty: Vec<Arc<Segment>>,
}

impl Log {
    /// Opens the log in directory `dir`, or makes a new one, whose directory is made when something is first flushed.
    ///
    /// With a checkpoint the files are brought back to where it says they were: what was written later is cut off unseen,
    /// since the write-ahead log repeats it. No batch is looked at, so the time does not depend on the log's size. A log
    /// that was made after the newest checkpoint is opened with the default one. Without a checkpoint nothing is known:
    /// every batch is checked, and the log ends before the first that is torn or damaged; what follows damage is kept aside.
    ///
    /// When the files hold less than the checkpoint says, the log opens all the same: see [`Log::missing`].
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(
        files: Arc<FileCache>,
        dir: PathBuf,
        config: Arc<LogConfig>,
        budget: Arc<TailBudget>,
        at: Option<&LogCheckpoint>,
    ) -> Result<Log, LogError> {
        let mut listing = list(files.disk().as_ref(), &dir)?;
        if listing.is_half_compacted {
            finish_swaps(files.disk().as_ref(), &dir)?;
            listing = list(files.disk().as_ref(), &dir)?;
        }
        let opened = match at {
            Some(at) => open_at(&files, &dir, &mut listing, at)?,
            None => scan_all(&files, &dir, &mut listing)?,
        };
        remove_leftovers(files.disk().as_ref(), &listing)?;
        let dir_state = match at {
            _ if !listing.exists => DirState::Absent,
            Some(at) if at.active_bytes > 0 => DirState::Durable,
            _ => DirState::Unsure,
        };
        Ok(Log {
            dir: dir.into(),
            files,
            state: Mutex::new(State {
                config,
                start: opened.start,
                flushed_end: opened.end,
                end: opened.end,
                segments: opened.segments,
                tail: Tail::new(budget),
                epochs: opened.epochs,
                in_flight: None,
                cleaned_to: at.map_or(Offset::ZERO, |at| at.cleaned_to),
                recorded_active: at.map_or(Offset::ZERO, |at| at.active_segment),
                synced_active: None,
                cuts: 0,
                cut: None,
                doomed: Vec::new(),
                missing: opened.missing,
                replaying: at.is_some(),
                read_behind: false,
            }),
            flusher: Mutex::new(Flusher::new(dir_state, opened.dirty)),
            cleaning: Mutex::new(()),
        })
    }
}

fn list(disk: &dyn Disk, dir: &Path) -> Result<Listing, LogError> {
    let mut listing = Listing::default();
    let entries = match disk.list(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(listing),
        Err(error) => return Err(LogError::io("list", dir, error)),
    };
    listing.exists = true;
    for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
        let suffix = entry.path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
        match (suffix, base_offset(&entry.path)) {
            (LOG_SUFFIX, Some(base)) => {
                listing.bases.insert(base);
            }
            (INDEX_SUFFIX | TIME_INDEX_SUFFIX, Some(base)) => listing.indexes.push((base, entry.path)),
            (CLEANED_SUFFIX | SWAP_SUFFIX, _) => listing.is_half_compacted = true,
            ("new", _) => listing.leftovers.push(entry.path),
            _ => {}
        }
    }
    Ok(listing)
}

/// The offset in the name of a segment's file.
pub(crate) fn base_offset(path: &Path) -> Option<Offset> {
    let name = path.file_stem()?.to_str()?;
    let is_number = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    name.parse().ok().filter(|_| is_number).map(Offset)
}

fn remove_leftovers(disk: &dyn Disk, listing: &Listing) -> Result<(), LogError> {
    let orphans = listing.indexes.iter().filter(|(base, _)| !listing.bases.contains(base));
    for path in listing.leftovers.iter().chain(orphans.map(|(_, path)| path)) {
        remove(disk, path)?;
    }
    Ok(())
}

pub(crate) fn remove(disk: &dyn Disk, path: &Path) -> Result<(), LogError> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(LogError::io("remove", path, error)),
        _ => Ok(()),
    }
}

pub(crate) fn log_path(dir: &Path, base: Offset) -> PathBuf {
    dir.join(format!("{:020}.{LOG_SUFFIX}", base.0))
}

pub(crate) fn open_file(disk: &dyn Disk, path: &Path) -> Result<(Arc<dyn File>, u64), LogError> {
    let file = disk.open(path, Open::Existing).map_err(|error| LogError::io("open", path, error))?;
    let size = file.size().map_err(|error| LogError::io("open", path, error))?;
    Ok((file, size))
}

/// Removes the newest segments first, so that a crash leaves a log without a hole.
fn remove_from(disk: &dyn Disk, dir: &Path, listing: &mut Listing, first: Offset) -> Result<(), LogError> {
    for base in listing.bases.split_off(&first).into_iter().rev() {
        remove(disk, &log_path(dir, base))?;
    }
    Ok(())
}

fn open_at(
    files: &FileCache,
    dir: &Path,
    listing: &mut Listing,
    at: &LogCheckpoint,
) -> Result<Opened, LogError> {
    let disk = files.disk().as_ref();
    // No segment is ever empty: without bytes there was none at all.
    let first_unknown = if at.active_bytes == 0 { Offset(i64::MIN) } else { at.active_segment.next() };
    remove_from(disk, dir, listing, first_unknown)?;
    let mut segments = Vec::new();
    let mut active = None;
    let mut bases = listing.bases.iter().copied().peekable();
    while let Some(base) = bases.next() {
        let path = log_path(dir, base);
        let (file, size) = open_file(disk, &path)?;
        let extent = if base == at.active_segment {
            if size > at.active_bytes {
                file.set_size(at.active_bytes).map_err(|error| LogError::io("cut", &path, error))?;
            }
            Extent::active(size.min(at.active_bytes), at.flushed_end)
        } else {
            Extent::sealed(size, bases.peek().map_or(at.flushed_end, |next| *next))
        };
        let segment = Segment::new(dir, base, extent);
        if base == at.active_segment {
            active = Some(Arc::clone(&segment));
        }
        segments.push(segment);
    }
    let mut missing: Vec<OffsetRange> = Vec::new();
    match active {
        Some(active) if active.extent().bytes < at.active_bytes => {
            missing.push(OffsetRange { start: readable_end(files, &active)?, end: at.flushed_end });
        }
        None if at.active_bytes > 0 => {
            missing.push(OffsetRange { start: at.active_segment.max(at.start_offset), end: at.flushed_end });
        }
        _ => {}
    }
    missing.retain(|range| range.start < range.end);
    // A cut may have reached the files well below where it was made: it took the whole batch, and gaps before it.
    let missing =
        missing.into_iter().map(|range| Missing { range, explained_by_cut_to: range.end }).collect();
    Ok(Opened {
        start: at.start_offset,
        end: at.flushed_end,
        segments,
        epochs: Epochs::new(at.epochs.clone()),
        missing,
        dirty: Vec::new(),
    })
}

/// The offset after the last batch that can be read from the start of a segment on.
pub(crate) fn readable_end(files: &FileCache, segment: &Segment) -> Result<Offset, LogError> {
    let mut scan = segment.scan_from(files, 0)?;
    loop {
        match scan.next() {
            Ok(Some(_)) => {}
            Ok(None) | Err(LogError::Damaged { .. }) => return Ok(scan.end_offset()),
            Err(error) => return Err(error),
        }
    }
}
