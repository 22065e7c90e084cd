//! Making a file: new and filled with zeros, or one that is no longer needed under a new name.

use std::io::IoSlice;

use eddy_disk::Open;

use super::{Files, Plan, WalFile};
use crate::WalError;
use crate::generation::Generation;

/// Zeros are written and synced in pieces of this size: a file system that writes all that is dirty with the next sync
/// must not keep a group waiting for a whole file.
const PIECE_BYTES: u64 = 4 << 20;

impl Files {
    pub(super) fn disk_has_room(&self) -> bool {
        // When the system does not tell, making the file will.
        self.disk.space(&self.dir).map_or(true, |space| space.free >= self.file_bytes)
    }

    pub(super) fn make(&self, plan: Plan) -> Result<WalFile, WalError> {
        let file = match plan {
            Plan::Recycle(old, generation) => self.recycle(old, generation)?,
            Plan::Make(generation) => self.make_new(generation)?,
        };
        // Without its name a file is lost with all that is written to it.
        self.sync_dir()?;
        Ok(file)
    }

    fn recycle(&self, old: WalFile, generation: Generation) -> Result<WalFile, WalError> {
        let path = generation.path(&self.dir);
        self.disk.rename(&old.path, &path).map_err(WalError::io("rename", &old.path))?;
        let mut file = WalFile { generation, path, ..old };
        if file.bytes > self.file_bytes {
            file.file.set_size(self.file_bytes).map_err(WalError::io("cut", &file.path))?;
            file.bytes = self.file_bytes;
        }
        match self.fill_with_zeros(&mut file) {
            // It is shorter than the others, and may still carry the log until there is space again.
            Err(error) if error.is_no_space() => {}
            other => other?,
        }
        Ok(file)
    }

    fn make_new(&self, generation: Generation) -> Result<WalFile, WalError> {
        let path = generation.path(&self.dir);
        let file = self.disk.open(&path, Open::Create).map_err(WalError::io("make", &path))?;
        let mut file = WalFile { generation, path, file, bytes: 0 };
        if let Err(error) = self.fill_with_zeros(&mut file) {
            if error.is_no_space() {
                // What it took is given back: others need the last bytes more than half a file does.
                self.remove(&file)?;
            }
            return Err(error);
        }
        Ok(file)
    }

    /// Writes zeros up to the full size and syncs, so that writing a group later changes neither size nor allocation.
    fn fill_with_zeros(&self, file: &mut WalFile) -> Result<(), WalError> {
        let zeros = vec![0; PIECE_BYTES.min(self.file_bytes) as usize];
        while file.bytes < self.file_bytes && !self.state.lock().stopping {
            let piece = &zeros[..(self.file_bytes - file.bytes).min(PIECE_BYTES) as usize];
            file.file
                .write_at(&[IoSlice::new(piece)], file.bytes)
                .map_err(WalError::io("fill", &file.path))?;
            file.file.sync_data().map_err(WalError::io("sync", &file.path))?;
            file.bytes += piece.len() as u64;
        }
        Ok(())
    }

    pub(super) fn remove(&self, file: &WalFile) -> Result<(), WalError> {
        self.disk.remove_file(&file.path).map_err(WalError::io("remove", &file.path))?;
        self.sync_dir()
    }

    fn sync_dir(&self) -> Result<(), WalError> {
        self.disk.sync_dir(&self.dir).map_err(WalError::io("sync directory", &self.dir))
    }
}
