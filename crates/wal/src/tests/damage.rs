//! Damage at rest: what is the end of the log and what is not.

use std::io::IoSlice;
use std::path::PathBuf;

use eddy_disk::{Open, SimDisk};

use super::*;

/// A log of three groups in one file and of what it holds: the middle one takes two blocks.
struct Sample {
    disk: SimDisk,
    path: PathBuf,
    bytes: Vec<u8>,
}

const ENDS: [usize; 3] = [4096, 3 * 4096, 4 * 4096];

impl Sample {
    fn new() -> Sample {
        let disk = SimDisk::new();
        let opened = open(disk.process(), 0).unwrap();
        for (end, bytes) in (1..).zip([1000, 5000, 2000]) {
            opened.append_durably(end, bytes);
        }
        opened.wal.close();
        let path = disk.list(Path::new(DIR)).unwrap().remove(0).path;
        let bytes = eddy_disk::read(&disk, &path).unwrap();
        assert_eq!(bytes.len(), ENDS[2]);
        Sample { disk, path, bytes }
    }

    /// Opens the log with these bytes in its file.
    fn open_with(&self, bytes: &[u8]) -> Result<usize, WalError> {
        let file = self.disk.open(&self.path, Open::Existing).unwrap();
        file.set_size(0).unwrap();
        file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
        let mut replayed = 0;
        let outcome =
            Wal::recover(self.disk.process(), Path::new(DIR), small(), Lsn(0), &mut |lsn, entry| {
                assert_eq!(lsn.0, replayed as u64);
                assert_eq!(entry, append(1, replayed as i64 + 1, [1000, 5000, 2000][replayed]));
                replayed += 1;
                Ok(())
            });
        match outcome {
            Ok(_) => Ok(replayed),
            Err(error) => {
                assert_eq!(replayed, 0, "nothing is replayed of a damaged log");
                assert!(
                    eddy_disk::read(&self.disk, &self.path).unwrap() == bytes,
                    "a damaged log is left as it is"
                );
                Err(error)
            }
        }
    }

    fn check(&self, bytes: &[u8], group: usize, what: &str) {
        match (self.open_with(bytes), group) {
            (Ok(2), 2) => {}
            // A later group has come to stand at the front: to the reader the log begins there.
            (Err(WalError::Missing { first: Lsn(2), .. }), 0) if bytes[..4096] == bytes[ENDS[1]..ENDS[2]] => {
            }
            (Err(WalError::Damaged { file, position, whole_position, .. }), 0 | 1) => {
                assert_eq!(file, self.path, "{what}");
                assert_eq!(position, if group == 0 { 0 } else { ENDS[0] as u64 }, "{what}");
                assert_eq!(whole_position, ENDS[group] as u64, "{what}");
            }
            (outcome, _) => panic!("{what} in group {group}: {outcome:?}"),
        }
    }
}

/// Bytes of each group that mean something: the rest is padding.
const MEANT: [usize; 3] = [64 + 32 + 1000, 4096 + 64 + 32 + 5000, 3 * 4096 + 64 + 32 + 2000];

#[test]
fn a_flipped_bit_is_damage_in_the_middle_and_the_end_in_the_last_group() {
    let sample = Sample::new();
    assert_eq!(sample.open_with(&sample.bytes).unwrap(), 3);
    let mut start = 0;
    for group in 0..3 {
        // Every bit of the header, then samples.
        let header = (start * 8..(start + 64) * 8).step_by(1);
        for bit in header.chain(((start + 64) * 8..MEANT[group] * 8).step_by(97)) {
            let mut bytes = sample.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            sample.check(&bytes, group, &format!("bit {bit}"));
        }
        for bit in (MEANT[group] * 8..ENDS[group] * 8).step_by(997) {
            let mut bytes = sample.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sample.open_with(&bytes).unwrap(), 3, "bit {bit} of the padding");
        }
        start = ENDS[group];
    }
}

#[test]
fn zeroed_and_misplaced_blocks_are_found() {
    let sample = Sample::new();
    for block in (0..MEANT[2]).step_by(512) {
        let group = ENDS.iter().position(|end| block < *end).unwrap();
        if block >= MEANT[group] {
            continue;
        }
        for size in [512, 4096] {
            let end = (block + size).min(sample.bytes.len());
            if size == 4096 && block % 4096 != 0 {
                continue;
            }
            let mut zeroed = sample.bytes.clone();
            zeroed[block..end].fill(0);
            sample.check(&zeroed, group, &format!("{size} zeros at {block}"));
            let mut misplaced = sample.bytes.clone();
            let other = if block == 0 { ENDS[1] } else { 0 };
            misplaced.copy_within(other..other + (end - block), block);
            sample.check(&misplaced, group, &format!("{size} bytes from elsewhere at {block}"));
        }
    }
}

#[test]
fn a_file_that_was_cut_ends_with_its_last_whole_group() {
    let sample = Sample::new();
    for length in (0..=ENDS[2]).step_by(512).chain(MEANT).chain([1, 63, 64, 65, 4097]) {
        let whole = MEANT.iter().filter(|end| length >= **end).count();
        assert_eq!(sample.open_with(&sample.bytes[..length]).unwrap(), whole, "{length} bytes");
    }
}

#[test]
fn the_space_of_a_torn_group_is_written_again() {
    let sample = Sample::new();
    let mut bytes = sample.bytes.clone();
    bytes[MEANT[2] - 1] ^= 1;
    sample.open_with(&bytes).unwrap();
    let opened = open(sample.disk.process(), 0).unwrap();
    assert_eq!((opened.replayed.len(), opened.wal.next_lsn()), (2, Lsn(2)));
    opened.append_durably(7, 10);
    opened.wal.close();
    let opened = open(sample.disk.process(), 2).unwrap();
    assert_eq!(entries_of(&opened.replayed), [append(1, 7, 10)]);
}

/// A torn group at the front of a file keeps its header while the log goes on in the file before.
#[test]
fn a_torn_group_in_the_next_file_is_not_where_the_log_begins() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    let mut end = 0;
    // A file is ready that the log has not gone on to, and the one before has room for small entries only.
    while opened.wal.stats().file_bytes < 2 * 64 * KIB + 1 {
        end += 1;
        opened.append_durably(end, 5000);
    }
    opened.append_durably(end + 1, 60_000);
    opened.wal.close();
    let begins_with_it =
        |path: &PathBuf| eddy_disk::read(&disk, path).unwrap()[32..40] == 60_032u64.to_le_bytes();
    let torn =
        disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.path).find(begins_with_it).unwrap();
    disk.open(&torn, Open::Existing).unwrap().write_at(&[IoSlice::new(&[0; 4096])], 4096).unwrap();
    for _ in 0..2 {
        let opened = open(disk.process(), end as u64 - 1).unwrap();
        assert_eq!(opened.replayed.len(), 1);
        end += 1;
        opened.append_durably(end, 10);
        opened.wal.close();
    }
    assert_eq!(open(disk.process(), end as u64 - 2).unwrap().replayed.len(), 2);
}

/// Several files, and the first group of one of them damaged.
#[test]
fn damage_at_the_front_of_a_file_is_not_the_end_of_the_one_before() {
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    for end in 1..=24 {
        opened.append_durably(end, 5000);
    }
    opened.wal.close();
    let paths: Vec<_> = disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.path).collect();
    assert!(paths.len() >= 3, "{paths:?}");
    for (index, path) in paths.iter().enumerate().take(2) {
        let file = disk.open(path, Open::Existing).unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, 20).unwrap();
        file.write_at(&[IoSlice::new(&[byte[0] ^ 4])], 20).unwrap();
        match open(disk.process(), 0) {
            Err(WalError::Damaged { file, position: 0, whole_position: 8192, .. }) => assert_eq!(&file, path),
            other => panic!("file {index}: {:?}", other.err()),
        }
        file.write_at(&[IoSlice::new(&byte)], 20).unwrap();
    }
    let middle = disk.process();
    middle.remove_file(&paths[1]).unwrap();
    match open(disk.process(), 0) {
        Err(WalError::Damaged { file, whole_file, whole_position: 0, .. }) => {
            assert_eq!((&file, &whole_file), (&paths[0], &paths[2]), "a missing file is damage");
        }
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn a_newer_format_is_not_taken_for_a_torn_group() {
    let sample = Sample::new();
    let mut bytes = sample.bytes.clone();
    bytes[ENDS[1] + 4] = 2;
    let crc = crc32c::crc32c(&bytes[ENDS[1]..ENDS[1] + 60]);
    bytes[ENDS[1] + 60..ENDS[1] + 64].copy_from_slice(&crc.to_le_bytes());
    let error = sample.open_with(&bytes).unwrap_err();
    assert!(matches!(error, WalError::Version { version: 2, known: 1, .. }), "{error}");
}

#[test]
fn a_group_of_nonsense_with_a_good_checksum_is_named() {
    let sample = Sample::new();
    let mut bytes = sample.bytes[..ENDS[0]].to_vec();
    bytes[64] = 99;
    let crc = crc32c::crc32c(&bytes[64..MEANT[0]]);
    bytes[44..48].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    let file = sample.disk.open(&sample.path, Open::Existing).unwrap();
    file.set_size(0).unwrap();
    file.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
    let error = open(sample.disk.process(), 0).err().unwrap();
    assert!(error.to_string().ends_with("at byte 0: unknown kind of entry 99"), "{error}");
}

#[test]
fn a_batch_that_holds_a_group_is_not_taken_for_one() {
    let sample = Sample::new();
    let disk = SimDisk::new();
    let opened = open(disk.process(), 0).unwrap();
    // The batch carries whole groups of another log at every block, and is then torn at its front.
    let mut batch = vec![0; 4096 - 64 - 32];
    batch.extend_from_slice(&sample.bytes);
    let entry = Entry::Append {
        partition: LocalPartition(1),
        base_offset: Offset(0),
        end_offset: Offset(1),
        leader_epoch: LeaderEpoch(0),
        after_gap: None,
        batch: batch.into(),
    };
    opened.wal.wait_durable(opened.wal.submit(entry, None)).unwrap();
    opened.wal.close();
    let path = disk.list(Path::new(DIR)).unwrap().remove(0).path;
    disk.open(&path, Open::Existing).unwrap().write_at(&[IoSlice::new(&[0; 512])], 0).unwrap();
    assert!(open(disk.process(), 0).unwrap().replayed.is_empty());
}
