//! Opening a log of which nothing is known: every batch is checked.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eddy_batch::{Batch, BatchError, BatchHeader};
use eddy_disk::{Access, Disk, Open};
use eddy_types::Offset;

use crate::epochs::Epochs;
use crate::error::{Damage, LogError};
use crate::file_cache::FileCache;
use crate::open::{Listing, Opened, log_path, open_file, remove};
use crate::scan::HeaderScan;
use crate::segment::{Extent, LOG_SUFFIX, Segment};

/// Ends the names of files that were taken out of a log because they are damaged.
const ASIDE_SUFFIX: &str = "damaged";

/// Checks every batch of every segment. The log ends where that fails.
pub(crate) fn scan_all(files: &FileCache, dir: &Path, listing: &mut Listing) -> Result<Opened, LogError> {
    let disk = files.disk().as_ref();
    let start = listing.bases.first().copied().unwrap_or_default();
    let mut end = start;
    let mut found = Vec::new();
    let mut epochs = Epochs::default();
    for base in listing.bases.clone() {
        let path = log_path(dir, base);
        let (_, size) = open_file(disk, &path)?;
        let segment = Segment::new(dir, base, Extent::active(size, Offset(i64::MAX)));
        let checked =
            check_batches(files, &segment, |header| epochs.assign(header.leader_epoch, header.base_offset))?;
        end = end.max(checked.end);
        if checked.bytes > 0 {
            found.push((base, checked.bytes, checked.end));
        }
        if checked.bytes == size && size > 0 {
            continue;
        }
        let rest = Rest { base, from: checked.bytes, size };
        cut_at_damage(disk, dir, listing, &rest, checked.damage.as_ref())?;
        break;
    }
    let active = found.last().map(|(base, ..)| *base);
    let segments: Vec<Arc<Segment>> = found
        .into_iter()
        .map(|(base, bytes, end)| {
            let sealed = Some(base) != active;
            Segment::new(dir, base, Extent { sealed, reindex: true, ..Extent::active(bytes, end) })
        })
        .collect();
    Ok(Opened { start, end, dirty: segments.clone(), segments, epochs, missing: Vec::new() })
}

/// What follows the last good batch of a segment.
struct Rest {
    base: Offset,
    from: u64,
    size: u64,
}

/// Ends the log before a batch that is not whole. A last batch that runs over the end of the last file is a torn write, and
/// nothing is lost with it. Anything else may have been readable to someone: it is taken out of the log and kept aside.
fn cut_at_damage(
    disk: &dyn Disk,
    dir: &Path,
    listing: &mut Listing,
    rest: &Rest,
    damage: Option<&LogError>,
) -> Result<(), LogError> {
    let later = listing.bases.split_off(&rest.base.next());
    let is_torn =
        matches!(damage, Some(LogError::Damaged { damage: Damage::Batch(BatchError::Truncated { .. }), .. }));
    if let Some(damage) = damage.filter(|_| !is_torn || !later.is_empty()) {
        tracing::error!(%damage, "the log ends before a damaged batch; what follows is kept in files that end in .{ASIDE_SUFFIX}");
        copy_aside(disk, dir, rest)?;
    }
    for base in later.into_iter().rev() {
        let path = log_path(dir, base);
        disk.rename(&path, &aside(&path)).map_err(|error| LogError::io("rename", &path, error))?;
    }
    let path = log_path(dir, rest.base);
    if rest.from == 0 {
        listing.bases.remove(&rest.base);
        return remove(disk, &path);
    }
    let (file, _) = open_file(disk, &path)?;
    file.set_size(rest.from).map_err(|error| LogError::io("cut", &path, error))
}

fn aside(path: &Path) -> PathBuf {
    path.with_extension(format!("{LOG_SUFFIX}.{ASIDE_SUFFIX}"))
}

/// Copies the end of a segment's file to one beside it, and syncs that before the end is cut off.
fn copy_aside(disk: &dyn Disk, dir: &Path, rest: &Rest) -> Result<(), LogError> {
    const PIECE: u64 = 1 << 20;
    let path = log_path(dir, rest.base);
    let (file, _) = open_file(disk, &path)?;
    let copy = || {
        let target = disk.open(&aside(&path), Open::Create)?;
        target.set_size(0)?;
        let mut piece = vec![0; PIECE.min(rest.size - rest.from) as usize];
        let mut position = rest.from;
        while position < rest.size {
            let read = file.read_at(&mut piece, position)?;
            if read == 0 {
                break;
            }
            target.write_at(&[IoSlice::new(piece.get(..read).unwrap_or_default())], position - rest.from)?;
            position += read as u64;
        }
        target.sync_data()?;
        disk.sync_dir(dir)
    };
    copy().map_err(|error| LogError::io("copy", &path, error))
}

struct Checked {
    bytes: u64,
    end: Offset,
    damage: Option<LogError>,
}

/// Reads a segment's batches with their checksums, up to the first that is not whole.
fn check_batches(
    files: &FileCache,
    segment: &Segment,
    mut seen: impl FnMut(&BatchHeader),
) -> Result<Checked, LogError> {
    let log = segment.log_reader(files, Access::Blocking)?;
    let mut checked = Checked { bytes: 0, end: segment.base, damage: None };
    let mut scan: HeaderScan<'_> = segment.scan_from(files, 0)?;
    loop {
        let (position, header) = match scan.next() {
            Ok(Some(next)) => next,
            Ok(None) => return Ok(checked),
            Err(damage @ LogError::Damaged { .. }) => return Ok(Checked { damage: Some(damage), ..checked }),
            Err(error) => return Err(error),
        };
        // Not more than the file holds: the scan has compared.
        let mut bytes = vec![0; header.total_bytes()];
        log.read_exact(&mut bytes, position)?;
        if let Err(error) = (Batch { header, bytes: bytes.into() }).verify_crc() {
            let damage = Some(log.damaged(position, Damage::from(error)));
            return Ok(Checked { damage, ..checked });
        }
        seen(&header);
        checked = Checked { bytes: scan.position(), end: scan.end_offset(), damage: None };
    }
}
