//! Reading a file of the log group by group, and looking for groups where none is expected.

use crate::files::WalFile;
use crate::group::{BLOCK, HEADER_BYTES, Header, Parsed, VERSION};
use crate::{Lsn, WalError};

/// Bytes that are read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// Reads one file, forwards for the most part.
pub(crate) struct Reader<'f> {
    file: &'f WalFile,
    window: Vec<u8>,
    window_start: u64,
}

/// A whole group and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(crate) position: u64,
    pub(crate) header: Header,
    pub(crate) bytes_on_disk: u64,
}

impl Spot {
    pub(crate) fn end(&self) -> u64 {
        self.position + self.bytes_on_disk
    }
}

impl<'f> Reader<'f> {
    pub(crate) fn new(file: &'f WalFile) -> Self {
        Reader { file, window: Vec::new(), window_start: 0 }
    }

    /// The header at `position`, when it is one of this file's generation. Its group may be torn all the same.
    pub(crate) fn header_at(&mut self, position: u64) -> Result<Option<Header>, WalError> {
        match Header::parse(self.bytes(position, HEADER_BYTES)?) {
            Parsed::Header(header) if header.generation == self.file.generation.0 => Ok(Some(header)),
            Parsed::Header(_) | Parsed::Nothing => Ok(None),
            Parsed::Newer(version) => {
                Err(WalError::Version { file: self.file.path.clone(), version, known: VERSION })
            }
        }
    }

    /// The group at `position`, when it is whole.
    pub(crate) fn group_at(&mut self, position: u64) -> Result<Option<Spot>, WalError> {
        let Some(header) = self.header_at(position)? else { return Ok(None) };
        let Some(bytes_on_disk) = header.bytes_on_disk() else { return Ok(None) };
        // Nothing is allocated by a length that the file does not have.
        let payload_fits =
            header.payload_bytes <= self.file.bytes.saturating_sub(position + HEADER_BYTES as u64);
        if !payload_fits || header.entries == 0 {
            return Ok(None);
        }
        let spot = Spot { position, header, bytes_on_disk };
        let crc = crc32c::crc32c(self.payload(&spot)?);
        Ok((crc == header.payload_crc).then_some(spot))
    }

    /// The entries of a whole group.
    pub(crate) fn payload(&mut self, spot: &Spot) -> Result<&[u8], WalError> {
        let length = HEADER_BYTES + spot.header.payload_bytes as usize;
        let bytes = self.bytes(spot.position, length)?;
        Ok(bytes.get(HEADER_BYTES..).unwrap_or_default())
    }

    /// All of a whole group with its padding, which the file may lack when it was torn just there.
    pub(crate) fn group_bytes(&mut self, spot: &Spot) -> Result<Vec<u8>, WalError> {
        let length = spot.bytes_on_disk as usize;
        let mut bytes = self.bytes(spot.position, length)?.to_vec();
        bytes.resize(length, 0);
        Ok(bytes)
    }

    /// The first whole group at or after `position` that is not older than group `sequence`.
    pub(crate) fn look_for_group(&mut self, position: u64, sequence: u64) -> Result<Option<Spot>, WalError> {
        let mut at = position;
        while at < self.file.bytes {
            let candidate = self.header_at(at)?.filter(|header| header.sequence >= sequence);
            if candidate.is_some()
                && let Some(spot) = self.group_at(at)?
            {
                return Ok(Some(spot));
            }
            at += BLOCK;
        }
        Ok(None)
    }

    /// Group number `sequence`, when it stands whole at `position`.
    pub(crate) fn expect_group(
        &mut self,
        position: u64,
        sequence: u64,
        first_lsn: Lsn,
    ) -> Result<Option<Spot>, WalError> {
        let Some(spot) = self.group_at(position)?.filter(|spot| spot.header.sequence == sequence) else {
            return Ok(None);
        };
        if spot.header.first_lsn != first_lsn {
            let reason = format!("it begins with entry {}, not {first_lsn}", spot.header.first_lsn);
            return Err(self.senseless(position, reason));
        }
        Ok(Some(spot))
    }

    pub(crate) fn senseless(&self, position: u64, reason: String) -> WalError {
        WalError::Senseless { file: self.file.path.clone(), position, reason }
    }

    /// `length` bytes from `position` on; fewer when the file ends.
    fn bytes(&mut self, position: u64, length: usize) -> Result<&[u8], WalError> {
        let window_end = self.window_start + self.window.len() as u64;
        if position < self.window_start || position + length as u64 > window_end {
            let left = self.file.bytes.saturating_sub(position);
            self.window = vec![0; left.min(length.max(WINDOW_BYTES) as u64) as usize];
            let read = self.file.file.read_at(&mut self.window, position);
            let read = read.map_err(WalError::io("read", &self.file.path))?;
            self.window.truncate(read);
            self.window_start = position;
        }
        let bytes = &self.window[(position - self.window_start) as usize..];
        Ok(&bytes[..bytes.len().min(length)])
    }
}
