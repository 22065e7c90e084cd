//! Reading a segment file: access that may or may not block, and the walk from header to header.

use std::io;
use std::path::Path;
use std::sync::Arc;

use eddy_batch::{BatchError, BatchHeader, HEADER_BYTES};
use eddy_disk::{Access, File, Open};
use eddy_types::Offset;

use crate::error::{Damage, LogError};
use crate::file_cache::{FileCache, FileSlot};

/// An open file with the access it is read by: [`Access::Cached`] reads only files that are open.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    file: Arc<dyn File>,
    path: &'a Path,
    access: Access,
}

impl<'a> Reader<'a> {
    pub(crate) fn open(files: &FileCache, slot: &'a Arc<FileSlot>, access: Access) -> Result<Self, LogError> {
        let file = match access {
            Access::Blocking => files.get(slot, Open::Existing)?,
            Access::Cached => files.peek(slot)?,
        };
        Ok(Reader { file, path: slot.path(), access })
    }

    pub(crate) fn size(&self) -> Result<u64, LogError> {
        self.file.size().map_err(|error| LogError::io("read", self.path, error))
    }

    /// Reads until `buffer` is full or the file ends.
    pub(crate) fn read_some(&self, buffer: &mut [u8], position: u64) -> Result<usize, LogError> {
        let read = match self.access {
            Access::Blocking => self.file.read_at(buffer, position),
            Access::Cached => self.file.read_cached_at(buffer, position),
        };
        read.map_err(|error| LogError::io("read", self.path, error))
    }

    /// The bytes from `position` on: `bytes`, or those up to where the file ends.
    pub(crate) fn read_up_to(&self, bytes: usize, position: u64) -> Result<Vec<u8>, LogError> {
        let mut contents = Vec::new();
        match self.file.append_to(&mut contents, bytes, position, self.access) {
            Ok(()) => Ok(contents),
            Err(error) => Err(LogError::io("read", self.path, error)),
        }
    }

    /// Fills `buffer`; a file that ends before is an error of kind `UnexpectedEof`.
    pub(crate) fn read_exact(&self, buffer: &mut [u8], position: u64) -> Result<(), LogError> {
        if self.read_some(buffer, position)? < buffer.len() {
            return Err(LogError::io("read", self.path, io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    pub(crate) fn damaged(&self, position: u64, damage: impl Into<Damage>) -> LogError {
        LogError::Damaged { path: self.path.to_owned(), position, damage: damage.into() }
    }
}

/// Entries looked at together once a binary search has come this close.
const SEARCH_WINDOW: u32 = 256;

/// The last of `entries` sorted entries of `N` bytes that satisfies `wanted`, which those before it do too.
pub(crate) fn last_entry<const N: usize>(
    reader: &Reader<'_>,
    entries: u32,
    wanted: impl Fn(&[u8; N]) -> bool,
) -> Result<Option<[u8; N]>, LogError> {
    let (mut low, mut high) = (0, entries);
    while high - low > SEARCH_WINDOW {
        let middle = low + (high - low) / 2;
        let mut entry = [0; N];
        reader.read_exact(&mut entry, u64::from(middle) * N as u64)?;
        if wanted(&entry) {
            low = middle;
        } else {
            high = middle;
        }
    }
    let mut window = vec![0; (high - low) as usize * N];
    reader.read_exact(&mut window, u64::from(low) * N as u64)?;
    Ok(window.as_chunks::<N>().0.iter().take_while(|entry| wanted(entry)).last().copied())
}

/// Walks the headers of a segment from `position` to `end`; bodies are passed over.
pub(crate) struct HeaderScan<'a> {
    reader: Reader<'a>,
    position: u64,
    end: u64,
    /// The least offset that the next batch may have.
    expected: Offset,
    window: Vec<u8>,
    window_start: u64,
    window_bytes: usize,
}

/// For a walk over many batches.
pub(crate) const WIDE: usize = 256 << 10;
/// For a walk over few, from an index entry on.
pub(crate) const NARROW: usize = 8 << 10;

impl<'a> HeaderScan<'a> {
    /// `window` is the size of the reads: [`WIDE`] or [`NARROW`]. `at_least` is an offset that no batch here is below.
    pub(crate) fn new(reader: Reader<'a>, from: u64, end: u64, at_least: Offset, window: usize) -> Self {
        HeaderScan {
            reader,
            position: from,
            end,
            expected: at_least,
            window: Vec::new(),
            window_start: from,
            window_bytes: window,
        }
    }

    /// Where the next batch begins, or the walk ended.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The offset after the last batch seen.
    pub(crate) fn end_offset(&self) -> Offset {
        self.expected
    }

    /// The next batch's position and header; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, BatchHeader)>, LogError> {
        let position = self.position;
        if position >= self.end {
            return Ok(None);
        }
        let header = match BatchHeader::parse(self.header_bytes()?) {
            Ok(header) => header,
            Err(error) => return Err(self.reader.damaged(position, error)),
        };
        let bytes = header.total_bytes() as u64;
        if bytes > self.end - position {
            let (needs, has) = (header.total_bytes(), (self.end - position) as usize);
            return Err(self.reader.damaged(position, BatchError::Truncated { needs, has }));
        }
        self.expected =
            next_offset(&header, self.expected).map_err(|damage| self.reader.damaged(position, damage))?;
        self.position += bytes;
        Ok(Some((position, header)))
    }

    /// As much of the next header as the segment holds.
    fn header_bytes(&mut self) -> Result<&[u8], LogError> {
        let wanted = (self.end - self.position).min(HEADER_BYTES as u64);
        let window_end = self.window_start + self.window.len() as u64;
        if self.position < self.window_start || self.position + wanted > window_end {
            let size = (self.end - self.position).min(self.window_bytes as u64) as usize;
            self.window.resize(size, 0);
            self.window_start = self.position;
            let read = self.reader.read_some(&mut self.window, self.position)?;
            self.window.truncate(read);
        }
        let start = (self.position - self.window_start) as usize;
        let end = self.window.len().min(start + wanted as usize);
        Ok(self.window.get(start..end).unwrap_or_default())
    }
}

/// The offset after a batch, which must not begin below `expected`.
pub(crate) fn next_offset(header: &BatchHeader, expected: Offset) -> Result<Offset, Damage> {
    if header.base_offset < expected || header.last_offset_delta < 0 {
        return Err(Damage::Order { expected, got: header.base_offset });
    }
    Ok(header.last_offset().next())
}
