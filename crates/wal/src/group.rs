//! A group: what one write and one sync bring to the disk.

use std::io::IoSlice;

use crate::Lsn;
use crate::queue::Queued;

/// Groups begin and end on multiples of this, so that no block that holds durable bytes is ever written again.
pub(crate) const BLOCK: u64 = 4096;
/// Bytes of a group before its entries.
pub(crate) const HEADER_BYTES: usize = 64;
/// The format that this program writes.
pub(crate) const VERSION: u16 = 1;
const MAGIC: [u8; 4] = *b"EdWG";

/// Batches from this size on are taken from where they are when the group is written; smaller ones are cheaper to copy than to list.
const COPY_BELOW_BYTES: usize = 4 << 10;
/// A buffer larger than this that a group does not need is given back.
const IDLE_BUFFER_BYTES: usize = 4 << 20;

/// What a group says of itself.
///
/// | bytes | field |
/// |---|---|
/// | 0..4 | magic |
/// | 4..6 | format version |
/// | 8..16 | generation of the file |
/// | 16..24 | number of the group in the log |
/// | 24..32 | position of its first entry |
/// | 32..40 | bytes of its entries |
/// | 40..44 | number of its entries |
/// | 44..48 | CRC-32C of its entries |
/// | 60..64 | CRC-32C of bytes 0..60 |
///
/// Numbers are little-endian; what is not named is zero. Magic, version and the last field are where they are in every
/// format, so that a newer one is told from damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) generation: u64,
    pub(crate) sequence: u64,
    pub(crate) first_lsn: Lsn,
    pub(crate) payload_bytes: u64,
    pub(crate) entries: u32,
    pub(crate) payload_crc: u32,
}

/// What the first bytes of a block are.
pub(crate) enum Parsed {
    /// The header of a group.
    Header(Header),
    /// The header of a group in a format that is not known here.
    Newer(u16),
    /// Anything else.
    Nothing,
}

impl Header {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.generation.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_lsn.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.entries.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Parsed {
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else { return Parsed::Nothing };
        if bytes[..4] != MAGIC || crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Parsed::Nothing;
        }
        let version = u16::from_le_bytes([bytes[4], bytes[5]]);
        if version != VERSION {
            return Parsed::Newer(version);
        }
        Parsed::Header(Header {
            generation: u64_at(bytes, 8),
            sequence: u64_at(bytes, 16),
            first_lsn: Lsn(u64_at(bytes, 24)),
            payload_bytes: u64_at(bytes, 32),
            entries: u32_at(bytes, 40),
            payload_crc: u32_at(bytes, 44),
        })
    }

    /// Bytes from this group to the next; `None` when they are more than a number holds.
    pub(crate) fn bytes_on_disk(&self) -> Option<u64> {
        self.payload_bytes.checked_add(HEADER_BYTES as u64)?.checked_next_multiple_of(BLOCK)
    }

    /// The position after the group's last entry.
    pub(crate) fn end_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0.saturating_add(u64::from(self.entries)))
    }
}

fn u64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// How many of the first `entries` make a group of `bytes_max` that takes no more than `room` bytes of a file. One entry
/// may be larger than `bytes_max`, but none goes over `room`.
pub(crate) fn count_that_fits(entries: &[Queued], bytes_max: usize, room: u64) -> usize {
    // The room is rounded down: the padding must fit too.
    let room = room / BLOCK * BLOCK;
    let mut bytes = HEADER_BYTES;
    for (count, queued) in entries.iter().enumerate() {
        bytes += queued.entry.bytes_on_disk();
        if bytes as u64 > room || (bytes > bytes_max && count > 0) {
            return count;
        }
    }
    entries.len()
}

/// Where a group is to stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) generation: u64,
    pub(crate) sequence: u64,
    pub(crate) first_lsn: Lsn,
}

/// The bytes of one group, in a buffer that is used again for the next.
#[derive(Default)]
pub(crate) struct Builder {
    bytes: Vec<u8>,
    /// Batches that are not in the buffer: the buffer's length before each, and which entry it belongs to.
    outside: Vec<(usize, usize)>,
    bytes_on_disk: u64,
}

impl Builder {
    /// Builds the group of `entries`.
    pub(crate) fn build(&mut self, entries: &[Queued], place: Place) {
        self.clear();
        self.bytes.resize(HEADER_BYTES, 0);
        for (index, queued) in entries.iter().enumerate() {
            queued.entry.encode_head(&mut self.bytes);
            let body = queued.entry.body();
            if body.len() < COPY_BELOW_BYTES {
                self.bytes.extend_from_slice(body);
            } else {
                self.outside.push((self.bytes.len(), index));
            }
        }
        let bytes: usize = self.parts(entries).iter().map(|part| part.len()).sum();
        let payload_bytes = (bytes - HEADER_BYTES) as u64;
        let payload_crc = self.payload_crc(entries);
        let header = Header {
            generation: place.generation,
            sequence: place.sequence,
            first_lsn: place.first_lsn,
            payload_bytes,
            entries: entries.len() as u32,
            payload_crc,
        };
        self.bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
        self.bytes_on_disk = (bytes as u64).next_multiple_of(BLOCK);
        let padding = (self.bytes_on_disk - bytes as u64) as usize;
        self.bytes.resize(self.bytes.len() + padding, 0);
    }

    /// The group's bytes, in order. `entries` are those it was built of.
    pub(crate) fn parts<'p>(&'p self, entries: &'p [Queued]) -> Vec<IoSlice<'p>> {
        let mut parts = Vec::with_capacity(self.outside.len() * 2 + 1);
        let mut done = 0;
        for &(at, index) in &self.outside {
            parts.push(IoSlice::new(&self.bytes[done..at]));
            parts.push(IoSlice::new(entries[index].entry.body()));
            done = at;
        }
        parts.push(IoSlice::new(&self.bytes[done..]));
        parts
    }

    pub(crate) fn bytes_on_disk(&self) -> u64 {
        self.bytes_on_disk
    }

    fn payload_crc(&self, entries: &[Queued]) -> u32 {
        let mut crc = 0;
        let mut skip = HEADER_BYTES;
        for part in self.parts(entries) {
            // The header is the front of the first part: an entry's own bytes always stand before a batch.
            crc = crc32c::crc32c_append(crc, &part[skip..]);
            skip = 0;
        }
        crc
    }

    fn clear(&mut self) {
        if self.bytes.capacity() > IDLE_BUFFER_BYTES && self.bytes.len() < self.bytes.capacity() / 4 {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.outside.clear();
    }
}
