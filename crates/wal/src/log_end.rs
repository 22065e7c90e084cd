//! Where a log ends, and whether that is an end or damage.

use std::path::Path;

use crate::files::WalFile;
use crate::scan::{Reader, Spot};
use crate::{Lsn, WalError};

/// The newest file that begins at or below `from`. Its first group must be whole: the header of a torn one may outlive
/// the recovery that found the log's end in the file before and went on there.
pub(crate) fn find_start(files: &[WalFile], from: Lsn) -> Result<Option<Start>, WalError> {
    for (file, wal_file) in files.iter().enumerate().rev() {
        if let Some(spot) = Reader::new(wal_file).group_at(0)?
            && spot.header.first_lsn <= from
        {
            return Ok(Some(Start { file, sequence: spot.header.sequence, lsn: spot.header.first_lsn }));
        }
    }
    Ok(None)
}

/// Where the search for the end begins.
pub(crate) struct Start {
    file: usize,
    sequence: u64,
    lsn: Lsn,
}

/// No file begins at or below `from`: right for a log that was never written, and for no other.
pub(crate) fn check_unused(files: &[WalFile], dir: &Path, from: Lsn) -> Result<(), WalError> {
    for file in files {
        let Some(spot) = Reader::new(file).look_for_group(0, 0)? else { continue };
        return Err(if spot.position > 0 {
            damaged(file, 0, file, &spot)
        } else {
            let first = spot.header.first_lsn;
            WalError::Missing { dir: dir.to_owned(), from, first, end: spot.header.end_lsn() }
        });
    }
    if from > Lsn(0) {
        return Err(WalError::Missing { dir: dir.to_owned(), from, first: Lsn(0), end: Lsn(0) });
    }
    Ok(())
}

fn damaged(file: &WalFile, position: u64, whole_file: &WalFile, whole: &Spot) -> WalError {
    WalError::Damaged {
        file: file.path.clone(),
        position,
        whole_file: whole_file.path.clone(),
        whole_position: whole.position,
    }
}

/// Where the log ends, and what was passed on the way.
pub(crate) struct LogEnd {
    /// Index of the file in which the search began.
    pub(crate) start: usize,
    /// Number and position of that file's first group.
    pub(crate) start_sequence: u64,
    pub(crate) start_lsn: Lsn,
    /// Index of the file in which the next group is written.
    pub(crate) file: usize,
    /// Where it is written.
    pub(crate) position: u64,
    /// Its number.
    pub(crate) sequence: u64,
    /// Position of its first entry.
    pub(crate) lsn: Lsn,
    /// The last group, when it is in `file`.
    pub(crate) last: Option<Spot>,
    /// For each file before `file` the position after its last entry; `None` for those that hold no group.
    pub(crate) before: Vec<Option<Lsn>>,
}

impl LogEnd {
    pub(crate) fn of_new_log() -> LogEnd {
        LogEnd::at(Start { file: 0, sequence: 0, lsn: Lsn(0) })
    }

    fn at(start: Start) -> LogEnd {
        LogEnd {
            start: start.file,
            start_sequence: start.sequence,
            start_lsn: start.lsn,
            file: start.file,
            position: 0,
            sequence: start.sequence,
            lsn: start.lsn,
            last: None,
            // What lies before the start lies below the checkpoint, and with it below the start's first entry.
            before: vec![Some(start.lsn); start.file],
        }
    }

    fn pass(&mut self, spot: Spot) {
        self.position = spot.end();
        self.sequence += 1;
        self.lsn = spot.header.end_lsn();
        self.last = Some(spot);
    }

    fn go_on_in(&mut self, file: usize) {
        self.before.push(Some(self.lsn));
        self.before.resize(file, None);
        self.file = file;
        self.position = 0;
        self.last = None;
    }
}

/// Walks from group to group. Only the last one written can be torn, because one write is in flight at a time: what
/// follows a group that is not whole tells whether the log ends there or is damaged.
pub(crate) fn find_end(files: &[WalFile], start: Start) -> Result<LogEnd, WalError> {
    let mut end = LogEnd::at(start);
    loop {
        let here = &files[end.file];
        let mut reader = Reader::new(here);
        while let Some(spot) = reader.expect_group(end.position, end.sequence, end.lsn)? {
            end.pass(spot);
        }
        if let Some(spot) = reader.look_for_group(end.position, end.sequence)? {
            return Err(damaged(here, end.position, here, &spot));
        }
        let Some((file, spot)) = look_in_files(files, end.file + 1, end.sequence)? else { return Ok(end) };
        if spot.position > 0 {
            return Err(damaged(&files[file], 0, &files[file], &spot));
        }
        if spot.header.sequence > end.sequence {
            return Err(damaged(here, end.position, &files[file], &spot));
        }
        end.go_on_in(file);
    }
}

fn look_in_files(files: &[WalFile], first: usize, sequence: u64) -> Result<Option<(usize, Spot)>, WalError> {
    for (index, file) in files.iter().enumerate().skip(first) {
        if let Some(spot) = Reader::new(file).look_for_group(0, sequence)? {
            return Ok(Some((index, spot)));
        }
    }
    Ok(None)
}
