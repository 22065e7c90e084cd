//! redb on our disk: only `eddy_disk` opens files, so the log can lose its power in simulation.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use eddy_disk::{Disk, File, Open};

/// Size of redb's pages, in bytes.
const PAGE_BYTES: u64 = 4096;

/// One file as redb's storage. The directory's lock keeps other processes away, so redb need not lock.
pub(crate) struct Backend(Arc<dyn File>);

impl Backend {
    /// Opens the file, or makes an empty one.
    ///
    /// redb takes a file that is not a whole number of pages for damaged, because it trusts the disk to set a size at once or
    /// not at all. A power cut while the file grows may leave any size in between. What redb has committed lies below the
    /// smaller of the two sizes, so filling the page up loses nothing.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, mode: Open) -> io::Result<Backend> {
        let file = disk.open(path, mode)?;
        let size = file.size()?;
        if size % PAGE_BYTES != 0 {
            file.set_size(size.next_multiple_of(PAGE_BYTES))?;
        }
        Ok(Backend(file))
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backend")
    }
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let read = self.0.read_at(out, offset)?;
        if read < out.len() {
            let end = offset.saturating_add(out.len() as u64);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("file ends before byte {end}")));
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_size(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(&[IoSlice::new(data)], offset)
    }
}
