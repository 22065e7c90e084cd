//! Opening a log: find its end, check all of it, and only then replay.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use eddy_disk::{AlignedBuffer, Disk, Open};
use parking_lot::Mutex;

use crate::commit::{Committer, DIRECT_BYTES_MAX};
use crate::ends::Ends;
use crate::entry::DecodeError;
use crate::files::{Files, Found, Retained, WalFile};
use crate::generation::Generation;
use crate::group::Builder;
use crate::log_end::{LogEnd, check_unused, find_end, find_start};
use crate::queue::Shared;
use crate::scan::{Reader, Spot};
use crate::seat::Seat;
use crate::wal::{Inner, Wal};
use crate::{Entry, Lsn, ReplayError, Sink, WalConfig, WalError};

/// A log that was replayed and is ready to be written.
pub struct Recovered {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    config: WalConfig,
    active: WalFile,
    position: u64,
    sequence: u64,
    found: Found,
    end: Lsn,
    replayed: u64,
}

impl Recovered {
    /// Position of the next entry.
    #[must_use]
    pub fn end(&self) -> Lsn {
        self.end
    }

    /// Number of entries that were replayed.
    #[must_use]
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// Starts the threads.
    pub fn start(self, sink: Arc<dyn Sink>) -> Result<Wal, WalError> {
        let shared = Arc::new(Shared::new(self.config.limits, self.end));
        let files = Arc::new(Files::new(self.disk, &self.dir, &self.config, self.found));
        let committer = Committer {
            shared: shared.clone(),
            files: files.clone(),
            sink,
            active: self.active,
            position: self.position,
            sequence: self.sequence,
            file_bytes: self.config.file_bytes,
            builder: Builder::default(),
            aligned: AlignedBuffer::new(DIRECT_BYTES_MAX),
            ends: Ends::default(),
            entries: Vec::new(),
            next_wanted: false,
            held: None,
        };
        let of_thread = files.clone();
        let files_thread = spawn("eddy-wal-files", move || of_thread.run())?;
        let seat = Arc::new(Seat::new(shared.clone(), files.clone(), committer));
        let of_thread = seat.clone();
        let commit_thread = spawn("eddy-wal", move || of_thread.run()).inspect_err(|_| files.stop())?;
        Ok(Wal::new(Inner {
            shared,
            files,
            seat,
            commit_thread: Mutex::new(Some(commit_thread)),
            files_thread: Mutex::new(Some(files_thread)),
        }))
    }
}

fn spawn(
    name: &'static str,
    run: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>, WalError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| WalError::Thread { name, source })
}

pub(crate) fn recover(
    disk: Arc<dyn Disk>,
    dir: &Path,
    config: WalConfig,
    from: Lsn,
    replay: &mut dyn FnMut(Lsn, Entry) -> Result<(), ReplayError>,
) -> Result<Recovered, WalError> {
    make_dir(&*disk, dir)?;
    let mut files = open_files(&*disk, dir)?;
    let end = match find_start(&files, from)? {
        Some(start) => find_end(&files, start)?,
        None => {
            check_unused(&files, dir, from)?;
            if files.is_empty() {
                files.push(first_file(&*disk, dir)?);
            }
            LogEnd::of_new_log()
        }
    };
    if end.lsn < from {
        return Err(WalError::Missing { dir: dir.to_owned(), from, first: end.lsn, end: end.lsn });
    }
    secure(&*disk, dir, &files, &end)?;
    let replayed = replay_all(&files, &end, from, replay)?;

    let after = files.split_off(end.file + 1);
    let mut active = files.swap_remove(end.file);
    active.bytes = active.bytes.max(end.position);
    let mut found = Found {
        retained: VecDeque::new(),
        next: None,
        active_bytes: active.bytes,
        trimmed: from,
        newest: after.last().map_or(active.generation, |file| file.generation),
    };
    for (file, kept) in files.into_iter().zip(&end.before) {
        match kept {
            Some(end) => found.retained.push_back(Retained { file, end: *end }),
            None => remove(&*disk, &file)?,
        }
    }
    for file in after {
        // A file that was prepared and not used; more than one when a power cut brought a removed one back.
        match found.next {
            None => found.next = Some(file),
            Some(_) => remove(&*disk, &file)?,
        }
    }
    let (position, sequence) = (end.position, end.sequence);
    Ok(Recovered {
        disk,
        dir: dir.to_owned(),
        config,
        active,
        position,
        sequence,
        found,
        end: end.lsn,
        replayed,
    })
}

fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<(), WalError> {
    let mut missing = Vec::new();
    for ancestor in dir.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        match disk.list(ancestor) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(ancestor),
            Err(error) => return Err(WalError::io("list", ancestor)(error)),
            Ok(_) => break,
        }
    }
    disk.create_dir_all(dir).map_err(WalError::io("make directory", dir))?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        disk.sync_dir(parent).map_err(WalError::io("sync directory", parent))?;
    }
    Ok(())
}

/// Opens all files, oldest generation first.
fn open_files(disk: &dyn Disk, dir: &Path) -> Result<Vec<WalFile>, WalError> {
    let mut files = Vec::new();
    for entry in disk.list(dir).map_err(WalError::io("list", dir))? {
        let Some(generation) = Generation::of(&entry.path).filter(|_| !entry.is_dir) else { continue };
        let file = disk.open(&entry.path, Open::Existing).map_err(WalError::io("open", &entry.path))?;
        let bytes = file.size().map_err(WalError::io("measure", &entry.path))?;
        files.push(WalFile { generation, path: entry.path, file, bytes });
    }
    files.sort_by_key(|file| file.generation);
    Ok(files)
}

fn first_file(disk: &dyn Disk, dir: &Path) -> Result<WalFile, WalError> {
    let generation = Generation::first();
    let path = generation.path(dir);
    // It starts empty and grows as it is written: a start must not wait until a whole file is filled with zeros.
    let file = disk.open(&path, Open::Create).map_err(WalError::io("make", &path))?;
    disk.sync_dir(dir).map_err(WalError::io("sync directory", dir))?;
    Ok(WalFile { generation, path, file, bytes: 0 })
}

fn remove(disk: &dyn Disk, file: &WalFile) -> Result<(), WalError> {
    disk.remove_file(&file.path).map_err(WalError::io("remove", &file.path))
}

/// Makes what was found durable before anybody acts on it: the last group may be in the cache only, after a kill, and a
/// sync that failed may have left it there for good and clean. Writing it again as it is makes it dirty.
fn secure(disk: &dyn Disk, dir: &Path, files: &[WalFile], end: &LogEnd) -> Result<(), WalError> {
    let file = &files[end.file];
    if let Some(last) = &end.last {
        let bytes = Reader::new(file).group_bytes(last)?;
        file.file
            .write_at(&[IoSlice::new(&bytes)], last.position)
            .map_err(WalError::io("write again the end of", &file.path))?;
        file.file.sync_data().map_err(WalError::io("sync", &file.path))?;
    }
    disk.sync_dir(dir).map_err(WalError::io("sync directory", dir))
}

/// Hands all entries from `from` on to the caller; returns how many.
fn replay_all(
    files: &[WalFile],
    end: &LogEnd,
    from: Lsn,
    replay: &mut dyn FnMut(Lsn, Entry) -> Result<(), ReplayError>,
) -> Result<u64, WalError> {
    let (mut sequence, mut lsn) = (end.start_sequence, end.start_lsn);
    let mut replayed = 0;
    for file in &files[end.start..=end.file] {
        let mut reader = Reader::new(file);
        let mut position = 0;
        while sequence < end.sequence
            && let Some(spot) = reader.expect_group(position, sequence, lsn)?
        {
            if spot.header.end_lsn() > from {
                replayed += replay_group(&mut reader, &spot, from, replay)?;
            }
            position = spot.end();
            lsn = spot.header.end_lsn();
            sequence += 1;
        }
    }
    assert_eq!(lsn, end.lsn, "the second walk ends where the first did");
    Ok(replayed)
}

fn replay_group(
    reader: &mut Reader<'_>,
    spot: &Spot,
    from: Lsn,
    replay: &mut dyn FnMut(Lsn, Entry) -> Result<(), ReplayError>,
) -> Result<u64, WalError> {
    let mut replayed = 0;
    let outcome = {
        let mut rest = reader.payload(spot)?;
        let mut entries = spot.header.first_lsn.0..spot.header.end_lsn().0;
        entries
            .try_for_each(|lsn| {
                let entry = Entry::decode(&mut rest).map_err(Broken::Entry)?;
                if lsn >= from.0 {
                    replay(Lsn(lsn), entry).map_err(|source| Broken::Replay(Lsn(lsn), source))?;
                    replayed += 1;
                }
                Ok(())
            })
            .and_then(|()| if rest.is_empty() { Ok(()) } else { Err(Broken::Entry(DecodeError::Rest)) })
    };
    match outcome {
        Ok(()) => Ok(replayed),
        Err(Broken::Entry(error)) => Err(reader.senseless(spot.position, error.to_string())),
        Err(Broken::Replay(lsn, source)) => Err(WalError::Replay { lsn, source }),
    }
}

enum Broken {
    Entry(DecodeError),
    Replay(Lsn, ReplayError),
}
