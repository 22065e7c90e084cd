//! The only crate that opens files: the [`Disk`] trait, the real disk, and a simulated one with crash semantics.
//!
//! The contract that both implementations keep, and that the write-ahead log and the log are written against:
//!
//! - Bytes written are safe from a power cut only after [`File::sync_data`] returned. Until then any subset of the written
//!   sectors may survive, in any order.
//! - A file created, renamed or removed is so after a power cut only once [`Disk::sync_dir`] of its directory returned.
//! - A failed `sync_data` is final: the caller must not try again (the kernel may have marked the pages clean).

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(test)]
mod conformance;
pub mod lock;
mod past_cache;
mod real;
pub mod sim;

pub use past_cache::{AlignedBuffer, write_past_cache};
pub use real::RealDisk;
pub use sim::SimDisk;

/// A directory tree on which files live. All calls block; none may be made under a partition's lock.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file for reading and writing. With [`Open::Create`] it is made when missing.
    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn File>>;
    /// Names of the entries of a directory, sorted; an error of kind `NotFound` when it does not exist.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// Makes a directory and those above it; succeeds when it exists.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file or directory, replacing a file that has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with all that is in it; succeeds when it does not exist.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes everything on the file system that holds `path` durable, names too: many syncs that follow have next to nothing left to do.
    /// They are still needed, for only they tell surely whether their file was written.
    fn sync_all(&self, path: &Path) -> io::Result<()>;
    /// Free and total bytes of the file system that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// How [`Disk::open`] treats a missing file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// The file must exist.
    Existing,
    /// The file is made, empty, when it does not exist.
    Create,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// Full path of the entry.
    pub path: PathBuf,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Room on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process may still write.
    pub free: u64,
    /// Size of the file system.
    pub total: u64,
}

/// When the bytes of a [`File::write_direct_at`] are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// When it returns, which costs less than a write and a sync.
    AtOnce,
    /// After the next [`File::sync_data`], as those of [`File::write_at`].
    AfterSync,
}

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may: never on a runtime thread.
    Blocking,
    /// Only what the page cache holds; an error of kind `WouldBlock` otherwise. Safe on a runtime thread.
    Cached,
}

/// What [`File::write_direct_at`] is aligned to, in bytes.
pub const DIRECT_BLOCK: usize = 4096;

/// An open file. Reads and writes carry their own position; one file may be used from several threads.
pub trait File: Send + Sync {
    /// Reads at `position` until `buffer` is full or the file ends; returns the number of bytes read.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Like [`File::read_at`], but only what the page cache holds: an error of kind `WouldBlock` when the disk would have
    /// to be asked. Safe on a runtime thread.
    fn read_cached_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Reads up to `bytes` bytes at `position`, fewer when the file ends before, and appends them to `buffer`, which an error
    /// leaves as it was. Unlike the reads above it needs no memory that was cleared before.
    fn append_to(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64, access: Access) -> io::Result<()> {
        let before = buffer.len();
        buffer.resize(before + bytes, 0);
        let read = match access {
            Access::Blocking => self.read_at(&mut buffer[before..], position),
            Access::Cached => self.read_cached_at(&mut buffer[before..], position),
        };
        buffer.truncate(before + read.as_ref().unwrap_or(&0));
        read.map(drop)
    }
    /// Writes all of `parts`, one after the other, from `position` on. Extends the file when needed.
    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Makes the bytes written so far, and the file's size, durable (fdatasync).
    fn sync_data(&self) -> io::Result<()>;
    /// Writes whole blocks of [`DIRECT_BLOCK`] bytes, from memory and to a position that are multiples of it, past the page
    /// cache. `None` when this disk does not offer it: nothing has happened that [`File::write_at`] of the same bytes does not
    /// repair. The size of a file is not durable before [`File::sync_data`] in any case.
    fn write_direct_at(&self, _bytes: &[u8], _position: u64, _durable: Durable) -> Option<io::Result<()>> {
        None
    }
    /// Size of the file in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Cuts or extends (with zeros) the file.
    fn set_size(&self, bytes: u64) -> io::Result<()>;
}

/// Writes `contents` to `path` so that after a crash the file is either the old or the new one, whole: write to a
/// temporary name, sync, rename, sync the directory.
pub fn replace(disk: &dyn Disk, path: &Path, contents: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let temporary = path.with_extension("new");
    let file = disk.open(&temporary, Open::Create)?;
    file.set_size(0)?;
    file.write_at(&[IoSlice::new(contents)], 0)?;
    file.sync_data()?;
    drop(file);
    disk.rename(&temporary, path)?;
    disk.sync_dir(dir)
}

/// Reads a whole file.
pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Existing)?;
    let mut contents = vec![0; usize::try_from(file.size()?).map_err(io::Error::other)?];
    let read = file.read_at(&mut contents, 0)?;
    contents.truncate(read);
    Ok(contents)
}
