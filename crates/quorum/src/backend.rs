//! redb on our disk: only `eddy_disk` opens files, so the log can lose its power in simulation.

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;

use eddy_disk::File;

/// One file as redb's storage. The directory's lock keeps other processes away, so redb need not lock.
pub(crate) struct Backend(pub(crate) Arc<dyn File>);

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
