//! The file of a split: tantivy's files one after the other, and at the end where each is.
//!
//! One file is one name to publish, one mapping to keep, and one checksum: a thousand small splits would else be eight thousand
//! files. Layout: contents, a table as JSON, its length (4 bytes, little-endian), a magic number with the version.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    DirectoryLock, FileHandle, FileSlice, Lock, MmapDirectory, WatchCallback, WatchHandle, WritePtr,
};

use super::{Pacing, SplitError, SplitMeta};

const MAGIC: &[u8; 8] = b"EDYSPLT1";
const TRAILER_BYTES: usize = 4 + MAGIC.len();
/// Far above any table: a split has eight files.
const TABLE_BYTES_MAX: usize = 64 << 10;
const PIECE_BYTES: usize = 256 << 10;

/// Name, start and length.
type Table = Vec<(PathBuf, u64, u64)>;

/// Writes the file of a split.
pub(super) struct BundleWriter<'a> {
    path: PathBuf,
    file: BufWriter<File>,
    table: Table,
    written: u64,
    crc: u32,
    pacing: &'a dyn Pacing,
}

/// What was written.
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) crc: u32,
}

impl<'a> BundleWriter<'a> {
    pub(super) fn create(path: &Path, pacing: &'a dyn Pacing) -> Result<BundleWriter<'a>, SplitError> {
        let file = File::create(path).map_err(SplitError::io(path))?;
        let file = BufWriter::with_capacity(PIECE_BYTES, file);
        Ok(BundleWriter { path: path.to_owned(), file, table: Table::new(), written: 0, crc: 0, pacing })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SplitError> {
        self.file.write_all(bytes).map_err(SplitError::io(&self.path))?;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.written += bytes.len() as u64;
        self.pacing.moved(bytes.len() as u64).map_err(|_| SplitError::Stopped)
    }

    /// Appends one of tantivy's files.
    pub(super) fn add(&mut self, name: &Path, mut contents: impl Read) -> Result<(), SplitError> {
        let start = self.written;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = contents.read(&mut piece).map_err(SplitError::io(name))?;
            let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            self.write(bytes)?;
        }
        self.table.push((name.to_owned(), start, self.written - start));
        Ok(())
    }

    /// Ends the file. `sync` waits until it is on the disk.
    pub(super) fn finish(mut self, sync: bool) -> Result<Written, SplitError> {
        let table = serde_json::to_vec(&self.table)
            .map_err(|error| SplitError::damaged(&self.path, error.to_string()))?;
        let length = u32::try_from(table.len()).unwrap_or(u32::MAX).to_le_bytes();
        self.write(&table)?;
        self.write(&length)?;
        self.write(MAGIC)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        let file = file.map_err(SplitError::io(&self.path))?;
        if sync {
            file.sync_data().map_err(SplitError::io(&self.path))?;
        }
        Ok(Written { bytes: self.written, crc: self.crc })
    }
}

/// Compares a file with what the manifest says of it.
pub(super) fn verify(path: &Path, meta: &SplitMeta) -> Result<(), SplitError> {
    let mut file = File::open(path).map_err(SplitError::io(path))?;
    let (mut crc, mut bytes) = (0, 0u64);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = file.read(&mut piece).map_err(SplitError::io(path))?;
        let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else { break };
        crc = crc32c::crc32c_append(crc, part);
        bytes += read as u64;
    }
    if bytes != meta.bytes {
        return Err(SplitError::damaged(path, format!("it has {bytes} bytes, not {}", meta.bytes)));
    }
    if crc != meta.crc {
        return Err(SplitError::damaged(path, "its checksum is wrong"));
    }
    Ok(())
}

/// The files in the file of a split, mapped. They never change.
#[derive(Clone)]
pub(super) struct BundleDirectory {
    path: PathBuf,
    mapped: FileSlice,
    table: Arc<Table>,
}

impl std::fmt::Debug for BundleDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BundleDirectory").field(&self.path).finish()
    }
}

impl BundleDirectory {
    pub(super) fn open(dir: &Path, meta: &SplitMeta) -> Result<BundleDirectory, SplitError> {
        let path = meta.path(dir);
        let table = read_table(&path, meta.bytes)?;
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        let files =
            MmapDirectory::open(dir).map_err(|error| SplitError::damaged(&path, error.to_string()))?;
        let mapped = files.get_file_handle(&name).map_err(tantivy::TantivyError::from)?;
        Ok(BundleDirectory { mapped: FileSlice::new(mapped), path, table: Arc::new(table) })
    }

    fn find(&self, name: &Path) -> Option<FileSlice> {
        let (_, start, length) = self.table.iter().find(|(known, _, _)| known == name)?;
        let (start, length) = (usize::try_from(*start).ok()?, usize::try_from(*length).ok()?);
        Some(self.mapped.slice(start..start + length))
    }

    fn read_only(&self) -> io::Error {
        io::Error::new(io::ErrorKind::ReadOnlyFilesystem, format!("{} is complete", self.path.display()))
    }
}

fn read_table(path: &Path, expected_bytes: u64) -> Result<Table, SplitError> {
    let io = || SplitError::io(path);
    let mut file = File::open(path).map_err(io())?;
    let bytes = file.metadata().map_err(io())?.len();
    // A mapping must not reach beyond its file, and a table not beyond the mapping.
    if bytes != expected_bytes || bytes < TRAILER_BYTES as u64 {
        return Err(SplitError::damaged(path, format!("it has {bytes} bytes, not {expected_bytes}")));
    }
    let mut trailer = [0; TRAILER_BYTES];
    file.seek(SeekFrom::End(-(TRAILER_BYTES as i64))).map_err(io())?;
    file.read_exact(&mut trailer).map_err(io())?;
    let (length, magic) = trailer.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
    if magic != MAGIC {
        return Err(SplitError::damaged(path, "it is of another version"));
    }
    let length = u64::from(u32::from_le_bytes(*length));
    if length > TABLE_BYTES_MAX as u64 || length + TRAILER_BYTES as u64 > bytes {
        return Err(SplitError::damaged(path, "its table is too large"));
    }
    let contents = bytes - TRAILER_BYTES as u64 - length;
    file.seek(SeekFrom::Start(contents)).map_err(io())?;
    let mut table = Vec::new();
    file.take(length).read_to_end(&mut table).map_err(io())?;
    let table: Table =
        serde_json::from_slice(&table).map_err(|error| SplitError::damaged(path, error.to_string()))?;
    let is_within = |(_, start, length): &(PathBuf, u64, u64)| {
        start.checked_add(*length).is_some_and(|end| end <= contents)
    };
    if !table.iter().all(is_within) {
        return Err(SplitError::damaged(path, "its table points beyond it"));
    }
    Ok(table)
}

impl Directory for BundleDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let slice = self.find(path).ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))?;
        Ok(Arc::new(slice))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(self.read_only()), filepath: path.to_owned() })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.find(path).is_some())
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(self.read_only(), path.to_owned()))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let slice = self.find(path).ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))?;
        let bytes =
            slice.read_bytes().map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        Ok(bytes.to_vec())
    }

    fn atomic_write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(self.read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
