//! What every disk does: one suite, run against each implementation.

use std::io::{ErrorKind, IoSlice};
use std::path::Path;

use crate::{
    Access, AlignedBuffer, DIRECT_BLOCK, Disk, Durable, Open, RealDisk, SimDisk, read, replace,
    write_past_cache,
};

macro_rules! on_every_disk {
    ($($claim:ident)*) => {
        mod real {
            $(#[test] fn $claim() {
                let dir = tempfile::tempdir().unwrap();
                super::$claim(&super::RealDisk, dir.path());
            })*
        }
        mod sim {
            $(#[test] fn $claim() {
                super::$claim(&super::SimDisk::new(), std::path::Path::new("/"));
            })*
        }
    };
}

on_every_disk! {
    a_missing_file_is_not_found
    a_file_is_made_once_and_kept
    writes_of_many_parts_land_one_after_the_other
    reads_end_where_the_file_ends
    what_is_appended_ends_where_the_file_ends
    gaps_and_growth_read_as_zeros
    blocks_past_the_page_cache_are_read_like_others
    a_write_past_the_page_cache_goes_anywhere
    what_was_cut_does_not_come_back
    directories_list_their_entries_sorted
    rename_replaces_a_file_and_moves_a_directory
    removing_what_is_missing_fails_for_files_only
    open_files_outlive_their_names
    replace_leaves_the_new_contents_whole
    space_is_told
}

fn parts(bytes: &[u8]) -> [IoSlice<'_>; 1] {
    [IoSlice::new(bytes)]
}

fn a_missing_file_is_not_found(disk: &dyn Disk, dir: &Path) {
    let kind = |path: &str| disk.open(&dir.join(path), Open::Existing).err().map(|error| error.kind());
    assert_eq!(kind("none"), Some(ErrorKind::NotFound));
    assert_eq!(kind("none/none"), Some(ErrorKind::NotFound));
    let made = disk.open(&dir.join("none/new"), Open::Create);
    assert_eq!(made.err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    assert_eq!(disk.list(&dir.join("none")).unwrap_err().kind(), ErrorKind::NotFound);
}

fn a_file_is_made_once_and_kept(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("file");
    disk.open(&path, Open::Create).unwrap().write_at(&parts(b"kept"), 0).unwrap();
    disk.open(&path, Open::Create).unwrap();
    assert_eq!(read(disk, &path).unwrap(), b"kept");
}

fn writes_of_many_parts_land_one_after_the_other(disk: &dyn Disk, dir: &Path) {
    let file = disk.open(&dir.join("file"), Open::Create).unwrap();
    // More parts than the kernel takes at once, some of them empty, the first too.
    let bytes: Vec<u8> = (0..5000u32).map(|at| (at % 251) as u8).collect();
    let mut many = vec![IoSlice::new(&[])];
    for chunk in bytes.chunks(2) {
        many.push(IoSlice::new(chunk));
        many.push(IoSlice::new(&[]));
    }
    file.write_at(&many, 300).unwrap();
    file.write_at(&[], 9_000).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.size().unwrap(), 5300);
    let mut back = vec![1; 5300];
    assert_eq!(file.read_at(&mut back, 0).unwrap(), 5300);
    assert!(back[..300].iter().all(|&byte| byte == 0));
    assert_eq!(back[300..], bytes);
}

fn reads_end_where_the_file_ends(disk: &dyn Disk, dir: &Path) {
    let file = disk.open(&dir.join("file"), Open::Create).unwrap();
    file.write_at(&parts(&[7; 10]), 0).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(file.read_at(&mut buffer, 4).unwrap(), 6);
    assert_eq!(buffer, [7, 7, 7, 7, 7, 7, 0, 0]);
    assert_eq!(file.read_at(&mut buffer, 10).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer, 1 << 40).unwrap(), 0);
    // What was just written is cached, unless the file system cannot tell.
    match file.read_cached_at(&mut buffer, 9) {
        Ok(count) => assert_eq!(count, 1),
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
    }
}

fn what_is_appended_ends_where_the_file_ends(disk: &dyn Disk, dir: &Path) {
    let file = disk.open(&dir.join("file"), Open::Create).unwrap();
    file.write_at(&parts(b"0123456789"), 0).unwrap();
    let mut buffer = b"kept ".to_vec();
    file.append_to(&mut buffer, 4, 1, Access::Blocking).unwrap();
    assert_eq!(buffer, b"kept 1234");
    file.append_to(&mut buffer, 100, 8, Access::Blocking).unwrap();
    assert_eq!(buffer, b"kept 123489");
    file.append_to(&mut buffer, 3, 1 << 40, Access::Blocking).unwrap();
    assert_eq!(buffer, b"kept 123489");
    match file.append_to(&mut buffer, 1, 0, Access::Cached) {
        Ok(()) => assert_eq!(buffer, b"kept 1234890"),
        Err(error) => assert_eq!((error.kind(), &buffer[..]), (ErrorKind::WouldBlock, &b"kept 123489"[..])),
    }
}

fn gaps_and_growth_read_as_zeros(disk: &dyn Disk, dir: &Path) {
    let file = disk.open(&dir.join("file"), Open::Create).unwrap();
    file.write_at(&parts(&[9; 3]), 5000).unwrap();
    file.set_size(6000).unwrap();
    let mut buffer = vec![1; 6000];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 6000);
    assert_eq!(buffer.iter().map(|&byte| u32::from(byte)).sum::<u32>(), 27);
}

fn blocks_past_the_page_cache_are_read_like_others(disk: &dyn Disk, dir: &Path) {
    let file = disk.open(&dir.join("file"), Open::Create).unwrap();
    let old = vec![b'o'; 4 * DIRECT_BLOCK];
    file.write_at(&parts(&old), 0).unwrap();
    let memory = vec![b'n'; 2 * DIRECT_BLOCK];
    let start = memory.as_ptr().align_offset(DIRECT_BLOCK);
    let block = &memory[start..start + DIRECT_BLOCK];
    // Where a disk does not offer it, the usual way comes to the same.
    let written = file.write_direct_at(block, DIRECT_BLOCK as u64, Durable::AtOnce);
    written.unwrap_or_else(|| file.write_at(&parts(block), DIRECT_BLOCK as u64)).unwrap();
    file.write_at(&parts(b"x"), 2 * DIRECT_BLOCK as u64).unwrap();
    let contents = read(disk, &dir.join("file")).unwrap();
    let expected = [&old[..DIRECT_BLOCK], block, b"x", &old[2 * DIRECT_BLOCK + 1..]].concat();
    assert!(contents == expected);
}

fn a_write_past_the_page_cache_goes_anywhere(disk: &dyn Disk, dir: &Path) {
    let contents: Vec<u8> = (0..5 * DIRECT_BLOCK).map(|byte| (byte / 7) as u8).collect();
    let cuts = [0, 1, 100, DIRECT_BLOCK, DIRECT_BLOCK + 1, 3 * DIRECT_BLOCK + 5, contents.len()];
    let mut buffer = AlignedBuffer::new(2 * DIRECT_BLOCK);
    for (number, &first) in cuts.iter().enumerate() {
        let path = dir.join(format!("file{number}"));
        let file = disk.open(&path, Open::Create).unwrap();
        // One write after the other, each of them in pieces, as a log grows.
        let mut written = 0;
        for upto in [first, first + 10, first + DIRECT_BLOCK, contents.len()] {
            let upto = upto.min(contents.len());
            let pieces: Vec<_> = contents[written..upto].chunks(1000).map(std::io::IoSlice::new).collect();
            write_past_cache(&*file, &mut buffer, &pieces, written as u64).unwrap();
            written = upto;
        }
        assert!(read(disk, &path).unwrap() == contents, "cut at {first}");
    }
}

fn what_was_cut_does_not_come_back(disk: &dyn Disk, dir: &Path) {
    let file = disk.open(&dir.join("file"), Open::Create).unwrap();
    file.write_at(&parts(&[9; 10_000]), 0).unwrap();
    file.set_size(5).unwrap();
    assert_eq!(file.size().unwrap(), 5);
    file.set_size(10_000).unwrap();
    let mut buffer = vec![1; 10_000];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 10_000);
    assert_eq!(buffer.iter().map(|&byte| u32::from(byte)).sum::<u32>(), 45);
}

fn directories_list_their_entries_sorted(disk: &dyn Disk, dir: &Path) {
    let dir = dir.join("a/b");
    disk.create_dir_all(&dir).unwrap();
    disk.create_dir_all(&dir).unwrap();
    disk.create_dir_all(&dir.join("2")).unwrap();
    for name in ["3", "1"] {
        disk.open(&dir.join(name), Open::Create).unwrap();
    }
    disk.sync_dir(&dir).unwrap();
    let entries = disk.list(&dir).unwrap();
    let listed: Vec<_> = entries.iter().map(|entry| (entry.path.clone(), entry.is_dir)).collect();
    assert_eq!(listed, [(dir.join("1"), false), (dir.join("2"), true), (dir.join("3"), false)]);
    assert!(disk.create_dir_all(&dir.join("1")).is_err());
}

fn rename_replaces_a_file_and_moves_a_directory(disk: &dyn Disk, dir: &Path) {
    for (name, byte) in [("old", 1), ("new", 2)] {
        disk.open(&dir.join(name), Open::Create).unwrap().write_at(&parts(&[byte]), 0).unwrap();
    }
    disk.rename(&dir.join("new"), &dir.join("old")).unwrap();
    assert_eq!(read(disk, &dir.join("old")).unwrap(), [2]);
    assert_eq!(disk.rename(&dir.join("new"), &dir.join("x")).unwrap_err().kind(), ErrorKind::NotFound);

    disk.create_dir_all(&dir.join("d/e")).unwrap();
    disk.rename(&dir.join("old"), &dir.join("d/e/file")).unwrap();
    disk.rename(&dir.join("d"), &dir.join("f")).unwrap();
    assert_eq!(read(disk, &dir.join("f/e/file")).unwrap(), [2]);
    assert_eq!(disk.list(&dir.join("d")).unwrap_err().kind(), ErrorKind::NotFound);
}

fn removing_what_is_missing_fails_for_files_only(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("d/e/file");
    disk.create_dir_all(&dir.join("d/e")).unwrap();
    disk.open(&path, Open::Create).unwrap();
    disk.remove_file(&path).unwrap();
    assert_eq!(disk.remove_file(&path).unwrap_err().kind(), ErrorKind::NotFound);
    disk.open(&path, Open::Create).unwrap();
    disk.remove_dir_all(&dir.join("d")).unwrap();
    disk.remove_dir_all(&dir.join("d")).unwrap();
    disk.remove_dir_all(&dir.join("d/e")).unwrap();
    assert_eq!(disk.open(&path, Open::Existing).err().map(|error| error.kind()), Some(ErrorKind::NotFound));
}

fn open_files_outlive_their_names(disk: &dyn Disk, dir: &Path) {
    let file = disk.open(&dir.join("file"), Open::Create).unwrap();
    disk.remove_file(&dir.join("file")).unwrap();
    disk.sync_dir(dir).unwrap();
    file.write_at(&parts(b"still here"), 0).unwrap();
    file.sync_data().unwrap();
    let mut buffer = [0; 10];
    file.read_at(&mut buffer, 0).unwrap();
    assert_eq!(&buffer, b"still here");
}

fn replace_leaves_the_new_contents_whole(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("checkpoint");
    replace(disk, &path, b"first, and longer").unwrap();
    replace(disk, &path, b"second").unwrap();
    assert_eq!(read(disk, &path).unwrap(), b"second");
    assert_eq!(disk.list(dir).unwrap().len(), 1);
}

fn space_is_told(disk: &dyn Disk, dir: &Path) {
    let space = disk.space(dir).unwrap();
    assert!(space.free > 0 && space.free <= space.total, "{space:?}");
}
