//! What other threads do to a log while the flusher is writing to its files.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use eddy_disk::{DirEntry, Disk, File, Open, SimDisk, Space};
use eddy_log::{FileCache, Log, LogCheckpoint, TailBudget};
use eddy_types::Offset;
use parking_lot::Mutex;

use crate::support::{Plan, concat, read_all, small};

type Meanwhile = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A disk that lets something happen in the middle of the next write to a segment.
struct Slow {
    disk: Arc<dyn Disk>,
    meanwhile: Meanwhile,
}

struct SlowFile {
    file: Arc<dyn File>,
    meanwhile: Meanwhile,
}

impl Disk for Slow {
    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn File>> {
        let file = self.disk.open(path, mode)?;
        Ok(Arc::new(SlowFile { file, meanwhile: Arc::clone(&self.meanwhile) }))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_all(dir)
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        self.disk.space(path)
    }
}

impl File for SlowFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, position)
    }
    fn read_cached_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_cached_at(buffer, position)
    }
    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        self.file.write_at(parts, position)?;
        if let Some(meanwhile) = self.meanwhile.lock().take() {
            meanwhile();
        }
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
    fn set_size(&self, bytes: u64) -> io::Result<()> {
        self.file.set_size(bytes)
    }
}

fn append(log: &Log, count: i64, timestamp: i64) {
    for _ in 0..count {
        log.append(Plan::new(log.end_offset().0, &[timestamp, timestamp]).build());
    }
}

/// Flushes 20 batches of two records, the first 10 of which may be in a segment before; `meanwhile` happens during the
/// write. Returns the log, with everything flushed and nothing cached, and the disk.
fn flush_while(flushed_before: bool, meanwhile: impl FnOnce(&Log) + Send + 'static) -> (Arc<Log>, SimDisk) {
    let disk = SimDisk::new();
    let hook = Meanwhile::default();
    let slow = Arc::new(Slow { disk: disk.process(), meanwhile: Arc::clone(&hook) });
    let files = Arc::new(FileCache::new(slow, 4));
    let budget = Arc::new(TailBudget::new(1));
    let log = Log::open(files, "/data/0".into(), Arc::new(small()), budget, None).unwrap();
    let log = Arc::new(log);
    append(&log, 10, 1);
    if flushed_before {
        log.flush(Offset(20)).unwrap();
    }
    append(&log, 10, 1);
    let shared = Arc::clone(&log);
    *hook.lock() = Some(Box::new(move || meanwhile(&shared)));
    log.flush(Offset(40)).unwrap();
    assert!(hook.lock().is_none());
    assert!(log.flushed_end() <= log.end_offset());
    log.flush(log.end_offset()).unwrap();
    log.evict(0);
    (log, disk)
}

fn batches(ranges: &[(i64, i64, i64)]) -> Vec<u8> {
    let range = |(from, to, timestamp): &(i64, i64, i64)| {
        let timestamp = *timestamp;
        (*from..*to)
            .step_by(2)
            .map(move |base| Plan::new(base, &[timestamp, timestamp]).build())
            .collect::<Vec<_>>()
    };
    concat(&ranges.iter().flat_map(range).collect::<Vec<_>>())
}

#[test]
fn truncation_during_a_flush_undoes_what_it_wrote() {
    for flushed_before in [false, true] {
        for to in [0, 10, 20, 30, 38] {
            let (log, disk) = flush_while(flushed_before, move |log| {
                log.truncate(Offset(to));
                append(log, 3, 2);
            });
            let expected = batches(&[(0, to, 1), (to, to + 6, 2)]);
            assert_eq!(read_all(&log, 0), expected, "cut at {to}, {flushed_before}");
            let checkpoint = log.sync().unwrap();
            assert_eq!(checkpoint.flushed_end, Offset(to + 6));
            disk.power_cut();
            assert_eq!(
                read_all(&reopen(&disk, &checkpoint), 0),
                expected,
                "cut at {to}, {flushed_before}, reopened"
            );
        }
    }
}

#[test]
fn reset_during_a_flush_leaves_nothing_of_it() {
    for flushed_before in [false, true] {
        let (log, disk) = flush_while(flushed_before, |log| {
            log.set_start_offset(Offset(100));
            append(log, 3, 2);
        });
        assert_eq!((log.start_offset(), log.end_offset()), (Offset(100), Offset(106)));
        assert_eq!(read_all(&log, 100), batches(&[(100, 106, 2)]));
        let checkpoint = log.sync().unwrap();
        assert_eq!(log.segment_count(), 1);
        disk.power_cut();
        assert_eq!(read_all(&reopen(&disk, &checkpoint), 100), batches(&[(100, 106, 2)]));
    }
}

#[test]
fn appends_during_a_flush_wait_for_the_next() {
    let (log, _) = flush_while(true, |log| {
        append(log, 5, 2);
        log.evict(0);
        assert_eq!(
            read_all(log, 0),
            batches(&[(0, 40, 1), (40, 50, 2)]),
            "what is being written stays in memory"
        );
        assert_eq!(log.flushed_end(), Offset(20));
    });
    assert_eq!(log.flushed_end(), Offset(50));
    assert_eq!(read_all(&log, 0), batches(&[(0, 40, 1), (40, 50, 2)]));
}

fn reopen(disk: &SimDisk, checkpoint: &LogCheckpoint) -> Log {
    let files = Arc::new(FileCache::new(disk.process(), 4));
    let budget = Arc::new(TailBudget::new(1));
    Log::open(files, "/data/0".into(), Arc::new(small()), budget, Some(checkpoint)).unwrap()
}
