//! Where tantivy writes the files of a split before they become one: memory for small ones, a directory of its own for merges.
//! Nothing is synced here.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, DirectoryLock, FileHandle, Lock, MmapDirectory, TerminatingWrite, WatchCallback,
    WatchHandle, WritePtr,
};

/// Slows work down, and ends it.
pub(crate) trait Pacing: Send + Sync {
    /// Called with the bytes that were written since the last call; may take its time.
    ///
    /// # Errors
    /// The work is to end.
    fn moved(&self, bytes: u64) -> io::Result<()>;
}

/// A directory that a merge writes into. It is removed when this is dropped.
pub(super) struct Staging {
    path: PathBuf,
}

impl Staging {
    pub(super) fn create(path: PathBuf) -> io::Result<Staging> {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(&path)?,
        }
        Ok(Staging { path })
    }

    pub(super) fn directory(&self, pacing: Arc<dyn Pacing>) -> tantivy::Result<StagingDirectory> {
        let files = MmapDirectory::open(&self.path)?;
        Ok(StagingDirectory { path: self.path.clone(), files, pacing })
    }

    /// Its files, by name.
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.push(PathBuf::from(entry?.file_name()));
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn file(&self, name: &Path) -> io::Result<File> {
        File::open(self.path.join(name))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What is left of it is removed when the index is opened next.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Tantivy's view of it.
#[derive(Clone)]
pub(super) struct StagingDirectory {
    path: PathBuf,
    files: MmapDirectory,
    pacing: Arc<dyn Pacing>,
}

impl std::fmt::Debug for StagingDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("StagingDirectory").field(&self.path).finish()
    }
}

struct PacedFile {
    file: File,
    pacing: Arc<dyn Pacing>,
}

impl Write for PacedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pacing.moved(bytes.len() as u64)?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for PacedFile {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        Ok(())
    }
}

impl Directory for StagingDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.files.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.files.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.files.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = File::create_new(self.path.join(path))
            .map_err(|error| OpenWriteError::wrap_io_error(error, path.to_owned()))?;
        Ok(BufWriter::new(Box::new(PacedFile { file, pacing: Arc::clone(&self.pacing) })))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.files.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        // The list of what tantivy manages is of no use to a split that is complete.
        if path.starts_with(".managed.json") { Ok(()) } else { fs::write(self.path.join(path), data) }
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
