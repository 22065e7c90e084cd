//! Kafka's `.snapshot` file: what a log's idempotent producers had written up to an offset.
//!
//! Kafka keeps only the last batch of each producer here. The window of five that duplicates are told by stands in
//! the broker's own checkpoint; this file is for Kafka's tools and for moving a log to or from Kafka.
//!
//! Layout, big-endian: version i16 (1), CRC-32C u32 of everything behind it, count i32, then for each producer: id i64,
//! epoch i16, last sequence i32, last offset i64, offset delta i32, timestamp i64, coordinator epoch i32, first offset of
//! the open transaction i64 (-1 when there is none).

use std::io;
use std::path::{Path, PathBuf};

use eddy_disk::Disk;
use eddy_types::{Millis, Offset, ProducerEpoch, ProducerId};

const VERSION: i16 = 1;
const CRC_END: usize = 6;
const ENTRY_BYTES: usize = 46;
const SUFFIX: &str = "snapshot";
/// Snapshots kept: the newest and, should it be lost, the one before.
const KEPT: usize = 2;

/// The last batch of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// The producer.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// Sequence of its last record; -1 when it has written only markers in this epoch.
    pub last_sequence: i32,
    /// Offset of its last record; -1 likewise.
    pub last_offset: Offset,
    /// Last offset of its last batch less the first one.
    pub offset_delta: i32,
    /// Timestamp of its last batch.
    pub timestamp: Millis,
    /// Epoch of the transaction coordinator that wrote its last marker; -1 when there is none.
    pub coordinator_epoch: i32,
    /// Where its open transaction began.
    pub transaction_start: Option<Offset>,
}

/// Writes the snapshot of the producers as they were when the log ended at `offset`, in directory `dir`. The snapshot before
/// is kept; older ones are removed, and those above `offset`, which a truncation has made wrong.
///
/// # Errors
/// Those of the disk.
pub fn write_snapshot(
    disk: &dyn Disk,
    dir: &Path,
    offset: Offset,
    entries: &[ProducerEntry],
) -> io::Result<()> {
    eddy_disk::replace(disk, &snapshot_path(dir, offset), &encode(entries))?;
    let kept: Vec<Offset> =
        snapshots(disk, dir)?.into_iter().rev().filter(|other| *other <= offset).take(KEPT).collect();
    for other in snapshots(disk, dir)? {
        if !kept.contains(&other) {
            disk.remove_file(&snapshot_path(dir, other))?;
        }
    }
    Ok(())
}

/// Reads the newest snapshot taken at or below `at_or_below`; one that is damaged is passed over.
///
/// # Errors
/// Those of the disk.
pub fn load_latest(
    disk: &dyn Disk,
    dir: &Path,
    at_or_below: Offset,
) -> io::Result<Option<(Offset, Vec<ProducerEntry>)>> {
    for offset in snapshots(disk, dir)?.into_iter().rev().filter(|offset| *offset <= at_or_below) {
        let path = snapshot_path(dir, offset);
        match decode(&eddy_disk::read(disk, &path)?) {
            Some(entries) => return Ok(Some((offset, entries))),
            None => tracing::warn!(path = %path.display(), "producer snapshot is damaged and not used"),
        }
    }
    Ok(None)
}

fn snapshot_path(dir: &Path, offset: Offset) -> PathBuf {
    dir.join(format!("{:020}.{SUFFIX}", offset.0))
}

/// Offsets of the snapshots in a directory, ascending.
fn snapshots(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<Offset>> {
    let entries = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let is_snapshot = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == SUFFIX);
    let offset = |path: PathBuf| path.file_stem()?.to_str()?.parse().ok().map(Offset);
    Ok(entries.into_iter().map(|entry| entry.path).filter(is_snapshot).filter_map(offset).collect())
}

fn encode(entries: &[ProducerEntry]) -> Vec<u8> {
    let mut body = Vec::with_capacity(4 + entries.len() * ENTRY_BYTES);
    body.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for entry in entries {
        body.extend_from_slice(&entry.id.0.to_be_bytes());
        body.extend_from_slice(&entry.epoch.0.to_be_bytes());
        body.extend_from_slice(&entry.last_sequence.to_be_bytes());
        body.extend_from_slice(&entry.last_offset.0.to_be_bytes());
        body.extend_from_slice(&entry.offset_delta.to_be_bytes());
        body.extend_from_slice(&entry.timestamp.0.to_be_bytes());
        body.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        body.extend_from_slice(&entry.transaction_start.unwrap_or(Offset::NONE).0.to_be_bytes());
    }
    let mut contents = Vec::with_capacity(CRC_END + body.len());
    contents.extend_from_slice(&VERSION.to_be_bytes());
    contents.extend_from_slice(&crc32c(&body).to_be_bytes());
    contents.extend_from_slice(&body);
    contents
}

fn decode(contents: &[u8]) -> Option<Vec<ProducerEntry>> {
    let (head, body) = contents.split_at_checked(CRC_END)?;
    let mut head = Fields(head);
    if i16::from_be_bytes(head.take()?) != VERSION || u32::from_be_bytes(head.take()?) != crc32c(body) {
        return None;
    }
    let mut fields = Fields(body);
    let count = usize::try_from(i32::from_be_bytes(fields.take()?)).ok()?;
    if fields.0.len() != count.checked_mul(ENTRY_BYTES)? {
        return None;
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(fields.entry()?);
    }
    Some(entries)
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn entry(&mut self) -> Option<ProducerEntry> {
        Some(ProducerEntry {
            id: ProducerId(i64::from_be_bytes(self.take()?)),
            epoch: ProducerEpoch(i16::from_be_bytes(self.take()?)),
            last_sequence: i32::from_be_bytes(self.take()?),
            last_offset: Offset(i64::from_be_bytes(self.take()?)),
            offset_delta: i32::from_be_bytes(self.take()?),
            timestamp: Millis(i64::from_be_bytes(self.take()?)),
            coordinator_epoch: i32::from_be_bytes(self.take()?),
            transaction_start: Some(Offset(i64::from_be_bytes(self.take()?))).filter(|start| start.0 >= 0),
        })
    }
}

/// CRC-32C (Castagnoli). Snapshots are small and rare: a byte at a time will do.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use eddy_disk::SimDisk;

    use super::*;

    fn entry(id: i64) -> ProducerEntry {
        ProducerEntry {
            id: ProducerId(id),
            epoch: ProducerEpoch(3),
            last_sequence: 41,
            last_offset: Offset(1234),
            offset_delta: 4,
            timestamp: Millis(1_700_000_000_000),
            coordinator_epoch: -1,
            transaction_start: (id % 2 == 0).then_some(Offset(1200)),
        }
    }

    #[test]
    fn checksum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn snapshot_without_producers_is_as_kafka_writes_it() {
        assert_eq!(encode(&[]), [0, 1, 0x48, 0x67, 0x4b, 0xc7, 0, 0, 0, 0]);
    }

    #[test]
    fn every_damaged_bit_is_noticed() {
        let contents = encode(&[entry(1), entry(2)]);
        assert_eq!(decode(&contents), Some(vec![entry(1), entry(2)]));
        for bit in 0..contents.len() * 8 {
            let mut damaged = contents.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&damaged), None, "bit {bit}");
        }
        for length in 0..contents.len() {
            assert_eq!(decode(&contents[..length]), None, "length {length}");
        }
    }

    #[test]
    fn the_newest_snapshot_below_an_offset_is_used() {
        let disk = SimDisk::new();
        let dir = Path::new("/p");
        disk.create_dir_all(dir).unwrap();
        for offset in [10, 20, 30] {
            write_snapshot(&disk, dir, Offset(offset), &[entry(offset)]).unwrap();
        }
        let latest = |at| load_latest(&disk, dir, Offset(at)).unwrap().map(|(offset, _)| offset.0);
        assert_eq!([latest(9), latest(19), latest(29), latest(99)], [None, None, Some(20), Some(30)]);
        write_snapshot(&disk, dir, Offset(25), &[]).unwrap();
        assert_eq!([latest(24), latest(99)], [Some(20), Some(25)]);
    }
}
