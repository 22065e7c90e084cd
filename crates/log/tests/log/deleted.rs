//! How the files of deleted segments are given back to the disk.

use std::path::PathBuf;
use std::sync::Arc;

use eddy_disk::SimDisk;
use eddy_log::{FileCache, Log, LogCheckpoint, ReadOutcome, TailBudget};
use eddy_types::Offset;

use crate::support::{Machine, concat, fill, read_all, small};

/// Less than a segment has.
const PIECE_BYTES: u64 = 300;

struct World {
    disk: SimDisk,
    machine: Machine,
    files: Arc<FileCache>,
}

impl World {
    fn new() -> World {
        let machine = Machine::sim();
        let Machine::Sim(disk) = &machine else { panic!("not simulated") };
        let disk = disk.clone();
        let files = Arc::new(FileCache::new(machine.disk(), 4).with_piece_bytes(PIECE_BYTES));
        World { disk, machine, files }
    }

    fn open(&self, at: Option<&LogCheckpoint>) -> Log {
        let budget = Arc::new(TailBudget::new(usize::MAX));
        Log::open(Arc::clone(&self.files), self.machine.dir(), Arc::new(small()), budget, at).unwrap()
    }

    /// Name and contents of each segment file.
    fn segments(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let disk = self.machine.disk();
        let paths = disk.list(&self.machine.dir()).unwrap_or_default().into_iter().map(|entry| entry.path);
        let logs = paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "log"));
        logs.map(|path| (path.clone(), eddy_disk::read(disk.as_ref(), &path).unwrap())).collect()
    }

    /// Gives back what can be; how many pieces.
    fn give_back(&self) -> usize {
        (0..).take_while(|_| self.files.give_back()).count()
    }
}

#[test]
fn a_large_file_goes_in_pieces() {
    let world = World::new();
    let log = world.open(None);
    fill(&log, 100, 3, |number| number);
    log.sync().unwrap();
    let bytes: Vec<u64> =
        world.segments().iter().take(2).map(|(_, contents)| contents.len() as u64).collect();
    let third = log.end_offset().0 / 2;
    assert!(!world.files.give_back());
    log.set_start_offset(Offset(third));
    let deleted = log.delete_below_start().unwrap();
    assert!(deleted.segments >= 2);
    let pieces: u64 = bytes.iter().map(|bytes| bytes.div_ceil(PIECE_BYTES)).sum();
    assert!(world.give_back() as u64 >= pieces);
    assert!(!world.files.give_back());
}

#[test]
fn no_file_with_a_name_is_ever_cut_wherever_the_power_goes() {
    for destroyed in [false, true] {
        for seed in 0..40 {
            let world = World::new();
            let log = world.open(None);
            fill(&log, 100, 3, |number| number);
            let checkpoint = log.sync().unwrap();
            let before = world.segments();
            if destroyed {
                log.destroy().unwrap();
            } else {
                log.set_start_offset(Offset(150));
                log.delete_below_start().unwrap();
            }
            for _ in 0..seed {
                world.files.give_back();
            }
            match seed % 3 {
                0 => world.disk.power_cut(),
                1 => world.disk.kill(),
                _ => world.disk.crash(seed),
            }
            let after = world.segments();
            assert!(after.len() < before.len());
            assert!(after.iter().all(|segment| before.contains(segment)), "seed {seed}, {destroyed}");
            if destroyed {
                continue;
            }
            let files = Arc::new(FileCache::new(world.machine.disk(), 4));
            let budget = Arc::new(TailBudget::new(usize::MAX));
            let log =
                Log::open(files, world.machine.dir(), small().into(), budget, Some(&checkpoint)).unwrap();
            log.set_start_offset(Offset(150));
            log.finish_replay().unwrap();
            let contents: Vec<u8> = before.iter().flat_map(|(_, contents)| contents.clone()).collect();
            assert!(contents.ends_with(&read_all(&log, 150)));
            assert_eq!((log.end_offset(), log.missing()), (Offset(300), None));
        }
    }
}

#[test]
fn a_file_that_is_being_read_is_left_whole_until_then() {
    let world = World::new();
    let log = world.open(None);
    let batches = fill(&log, 100, 3, |number| number);
    log.evict(0);
    let ReadOutcome::Disk(read) = log.read(Offset(0), Offset(300), 200, true).unwrap() else {
        panic!("not on disk")
    };
    // Opens the file, which the read then has.
    assert!(read.try_cached().is_none_or(|read| read.is_ok()));
    let cached = read.try_cached();
    log.set_start_offset(Offset(150));
    let deleted = log.delete_below_start().unwrap();
    let pieces = world.give_back();
    assert!(pieces > 0, "the other segments go");
    drop((read, cached));
    let more = world.give_back();
    assert!(more > 1, "and then this one");
    assert!(deleted.segments * 2 <= pieces + more);
    assert!(concat(&batches).ends_with(&read_all(&log, 150)));
}
