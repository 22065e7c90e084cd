//! What a power cut leaves, and what the faults do.

use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::path::Path;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::{read, replace};

const FILE: &str = "/file";

fn file(disk: &SimDisk) -> Arc<dyn File> {
    disk.open(Path::new(FILE), Open::Create).unwrap()
}

fn write(disk: &SimDisk, byte: u8, position: u64, length: usize) {
    file(disk).write_at(&[IoSlice::new(&vec![byte; length])], position).unwrap();
}

fn contents(disk: &SimDisk) -> Vec<u8> {
    read(disk, Path::new(FILE)).unwrap()
}

/// A durable file of four sectors of ones.
fn durable_file() -> SimDisk {
    let disk = SimDisk::new();
    write(&disk, 1, 0, 4 * SECTOR);
    file(&disk).sync_data().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_loses_what_was_not() {
    let disk = durable_file();
    write(&disk, 2, 100, 10);
    write(&disk, 3, 4 * SECTOR as u64, 10);
    disk.power_cut();
    assert_eq!(contents(&disk), [1; 4 * SECTOR]);
}

#[test]
fn a_crash_leaves_each_sector_old_or_new_and_every_mix_occurs() {
    let mut mixes = BTreeSet::new();
    for seed in 0..2000 {
        let disk = durable_file();
        write(&disk, 2, 0, 4 * SECTOR);
        disk.crash(seed);
        let left = contents(&disk);
        let mix: Vec<u8> = left.chunks(SECTOR).map(|sector| sector[0]).collect();
        assert!(left.chunks(SECTOR).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        mixes.insert(mix);
    }
    assert_eq!(mixes.len(), 16);
}

#[test]
fn a_crash_leaves_a_size_between_old_and_new() {
    let mut sizes = BTreeSet::new();
    for seed in 0..200 {
        let disk = durable_file();
        write(&disk, 2, 4 * SECTOR as u64, 100);
        disk.crash(seed);
        sizes.insert(contents(&disk).len());
    }
    assert!(sizes.contains(&(4 * SECTOR)) && sizes.contains(&(4 * SECTOR + 100)) && sizes.len() > 3);
    assert!(*sizes.last().unwrap() <= 4 * SECTOR + 100);
}

#[test]
fn a_seed_decides_what_a_crash_leaves() {
    let run = |seed| {
        let disk = durable_file();
        write(&disk, 2, 0, 4 * SECTOR);
        disk.open(Path::new("/other"), Open::Create).unwrap();
        disk.crash(seed);
        (contents(&disk), disk.list(Path::new("/")).unwrap())
    };
    for seed in 0..50 {
        assert_eq!(run(seed), run(seed));
    }
}

#[test]
fn names_are_lost_until_their_directory_is_synced() {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/dir")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let inside = Path::new("/dir/file");
    disk.open(inside, Open::Create).unwrap().sync_data().unwrap();
    disk.power_cut();
    assert!(disk.open(inside, Open::Existing).is_err());

    disk.open(inside, Open::Create).unwrap();
    disk.sync_dir(Path::new("/dir")).unwrap();
    disk.rename(inside, Path::new("/dir/renamed")).unwrap();
    disk.power_cut();
    disk.open(inside, Open::Existing).unwrap();

    disk.remove_file(inside).unwrap();
    disk.power_cut();
    disk.open(inside, Open::Existing).unwrap();
}

#[test]
fn a_rename_between_directories_is_never_half_done() {
    for seed in 0..100 {
        let disk = SimDisk::new();
        for dir in ["/a", "/b"] {
            disk.create_dir_all(Path::new(dir)).unwrap();
        }
        disk.sync_dir(Path::new("/")).unwrap();
        disk.open(Path::new("/a/x"), Open::Create).unwrap();
        disk.sync_dir(Path::new("/a")).unwrap();
        disk.rename(Path::new("/a/x"), Path::new("/b/x")).unwrap();
        if seed % 2 == 0 {
            disk.sync_dir(Path::new("/b")).unwrap();
        }
        disk.crash(seed);
        let count = |dir| disk.list(Path::new(dir)).unwrap().len();
        assert_eq!(count("/a") + count("/b"), 1);
        assert!(seed % 2 == 1 || count("/b") == 1);
    }
}

#[test]
fn files_opened_before_a_crash_are_dead_and_so_are_processes() {
    for crash in [SimDisk::power_cut, SimDisk::kill] {
        let disk = durable_file();
        let (old, process) = (file(&disk), disk.process());
        process.list(Path::new("/")).unwrap();
        crash(&disk);
        assert!(old.read_at(&mut [0], 0).is_err() && old.sync_data().is_err());
        assert!(old.write_at(&[IoSlice::new(&[1])], 0).is_err());
        assert!(process.list(Path::new("/")).is_err() && process.sync_dir(Path::new("/")).is_err());
        file(&disk).sync_data().unwrap();
    }
}

#[test]
fn a_kill_keeps_the_cache_and_does_not_make_it_durable() {
    let disk = durable_file();
    write(&disk, 2, 0, 4 * SECTOR);
    disk.kill();
    assert_eq!(contents(&disk), [2; 4 * SECTOR]);
    disk.power_cut();
    assert_eq!(contents(&disk), [1; 4 * SECTOR]);
}

#[test]
fn a_sync_that_failed_loses_its_bytes_though_the_next_one_succeeds() {
    let disk = durable_file();
    write(&disk, 2, 0, SECTOR);
    disk.fail_sync(1, Fault::Io);
    file(&disk).sync_data().unwrap_err();
    write(&disk, 3, SECTOR as u64, SECTOR);
    file(&disk).sync_data().unwrap();
    assert_eq!(contents(&disk)[0], 2);
    disk.power_cut();
    assert_eq!((contents(&disk)[0], contents(&disk)[SECTOR]), (1, 3));
    assert_eq!(disk.counters().syncs, 3);
}

#[test]
fn the_nth_write_fails_half_done() {
    let disk = durable_file();
    disk.fail_write(2, Fault::NoSpace);
    write(&disk, 2, 0, 10);
    let error = file(&disk).write_at(&[IoSlice::new(&[3; 10])], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(contents(&disk)[..10], [3, 3, 3, 3, 3, 2, 2, 2, 2, 2]);
    write(&disk, 4, 0, 10);
}

#[test]
fn a_full_disk_takes_overwrites_and_nothing_more() {
    let disk = SimDisk::new();
    disk.set_capacity(Some(8192));
    write(&disk, 1, 0, 8192);
    write(&disk, 2, 4000, 200);
    let grow = |position| file(&disk).write_at(&[IoSlice::new(&[3])], position);
    assert_eq!(grow(8192).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.space(Path::new("/")).unwrap(), Space { free: 0, total: 8192 });
    file(&disk).set_size(4096).unwrap();
    grow(8192).unwrap();
}

#[test]
fn after_a_halt_nothing_works_until_the_machine_starts_again() {
    let disk = durable_file();
    disk.halt_after(1);
    write(&disk, 2, 0, 10);
    let file_before = file(&disk);
    file_before.sync_data().unwrap_err();
    file_before.read_at(&mut [0], 0).unwrap_err();
    disk.list(Path::new("/")).unwrap_err();
    disk.power_cut();
    assert_eq!(contents(&disk)[0], 1);
}

#[test]
fn a_held_sync_takes_effect_when_it_is_let_through() {
    let disk = durable_file();
    let gate = disk.hold_syncs();
    write(&disk, 2, 0, SECTOR);
    let syncing = file(&disk);
    let sync = thread::spawn(move || syncing.sync_data());
    gate.wait_for_sync();
    gate.pass_one();
    sync.join().unwrap().unwrap();
    disk.power_cut();
    assert_eq!(contents(&disk)[0], 2);
}

#[test]
fn a_cold_cache_would_block() {
    let disk = durable_file();
    disk.set_cache_cold(true);
    let error = file(&disk).read_cached_at(&mut [0], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn replace_is_all_or_nothing_whenever_the_power_goes() {
    let path = Path::new(FILE);
    let (old, new) = (vec![1; 3000], vec![2; 5000]);
    for changes in 0..8 {
        for seed in 0..50 {
            let disk = SimDisk::new();
            replace(&disk, path, &old).unwrap();
            disk.halt_after(changes);
            let done = replace(&disk, path, &new).is_ok();
            disk.crash(seed);
            let left = read(&disk, path).unwrap();
            assert!(left == new || (left == old && !done), "after {changes} changes, seed {seed}");
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write { position: u64, length: usize, byte: u8 },
    SetSize(u64),
    Sync,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..20_000, 1usize..9000, 1u8..255)
            .prop_map(|(position, length, byte)| Step::Write { position, length, byte }),
        1 => (0u64..20_000).prop_map(Step::SetSize),
        1 => Just(Step::Sync),
    ]
}

proptest! {
    #[test]
    fn contents_behave_like_an_array_and_its_last_synced_copy(steps in prop::collection::vec(any_step(), 1..30), seed: u64) {
        let disk = SimDisk::new();
        let subject = file(&disk);
        disk.sync_dir(Path::new("/")).unwrap();
        let (mut model, mut durable) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Write { position, length, byte } => {
                    let end = position as usize + length;
                    model.resize(model.len().max(end), 0);
                    model[position as usize..end].fill(byte);
                    subject.write_at(&[IoSlice::new(&vec![byte; length])], position).unwrap();
                }
                Step::SetSize(bytes) => {
                    model.resize(bytes as usize, 0);
                    subject.set_size(bytes).unwrap();
                }
                Step::Sync => {
                    durable.clone_from(&model);
                    subject.sync_data().unwrap();
                }
            }
            prop_assert_eq!(&contents(&disk), &model);
        }
        if seed % 2 == 0 {
            disk.power_cut();
            prop_assert_eq!(contents(&disk), durable);
        } else {
            disk.crash(seed);
            let left = contents(&disk);
            for (at, byte) in left.iter().enumerate() {
                let one_of = |bytes: &[u8]| bytes.get(at).copied().unwrap_or(0) == *byte;
                prop_assert!(one_of(&model) || one_of(&durable) || *byte == 0, "byte {at} is {byte}");
            }
        }
    }
}
