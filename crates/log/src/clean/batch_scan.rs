//! Reading all batches of a segment in order, whole and checked.

use bytes::Bytes;
use eddy_batch::{Batch, BatchError};
use eddy_disk::Access;
use eddy_types::Offset;

use crate::error::{Damage, LogError};
use crate::file_cache::FileCache;
use crate::scan::{Reader, next_offset};
use crate::segment::Segment;

/// Bytes read at once; a batch that is larger is read by itself.
const WINDOW_BYTES: u64 = 256 << 10;

/// Walks the batches of a segment that does not change any more, checksums included: what compaction writes again gets a new
/// checksum, and damage must not be covered by it. Blocks.
pub(super) struct BatchScan<'a> {
    reader: Reader<'a>,
    position: u64,
    end: u64,
    expected: Offset,
    window: Bytes,
}

impl<'a> BatchScan<'a> {
    pub(super) fn new(files: &FileCache, segment: &'a Segment) -> Result<Self, LogError> {
        Ok(BatchScan {
            reader: segment.log_reader(files, Access::Blocking)?,
            position: 0,
            end: segment.extent().bytes,
            expected: segment.base,
            window: Bytes::new(),
        })
    }

    /// Whether no batch follows.
    pub(super) fn at_end(&self) -> bool {
        self.position >= self.end
    }

    pub(super) fn damaged(&self, error: impl Into<Damage>) -> LogError {
        self.reader.damaged(self.position, error)
    }

    /// The next batch; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, LogError> {
        if self.at_end() {
            return Ok(None);
        }
        let batch = match Batch::parse(&self.window) {
            Err(BatchError::Truncated { needs, .. }) => {
                self.refill(needs)?;
                Batch::parse(&self.window)
            }
            parsed => parsed,
        };
        // The window may hold the header alone, which then says how much it takes.
        let batch = match batch {
            Err(BatchError::Truncated { needs, .. }) => {
                self.refill(needs)?;
                Batch::parse(&self.window)
            }
            parsed => parsed,
        };
        let batch = batch.map_err(|error| self.damaged(error))?;
        batch.verify_crc().map_err(|error| self.damaged(error))?;
        self.expected = next_offset(&batch.header, self.expected).map_err(|damage| self.damaged(damage))?;
        self.window = self.window.slice(batch.bytes.len()..);
        self.position += batch.bytes.len() as u64;
        Ok(Some(batch))
    }

    /// Reads a window with at least `needs` bytes, if the segment has as many.
    fn refill(&mut self, needs: usize) -> Result<(), LogError> {
        let left = self.end - self.position;
        let bytes = WINDOW_BYTES.max(needs as u64).min(left);
        let mut window = vec![0; bytes as usize];
        self.reader.read_exact(&mut window, self.position)?;
        self.window = window.into();
        Ok(())
    }
}
