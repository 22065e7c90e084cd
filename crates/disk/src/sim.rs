//! A disk in memory that can lose its power.
//!
//! It keeps the contract of the crate to the letter: what was not synced may be lost sector by sector, in any order, and
//! so may directory entries. A seed decides what a power cut leaves, so that a failing run can be repeated.

mod contents;
mod faults;
mod random;
mod tree;

#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use self::contents::check_range;
use self::faults::{Faults, power_is_off};
use self::random::Random;
use self::tree::{Shared, Tree};
use crate::{DIRECT_BLOCK, DirEntry, Disk, Durable, File, Open, Space};

pub use self::contents::SECTOR;
pub use self::faults::{Counters, Fault, SyncGate, SyncHook};

/// What [`Disk::space`] tells when no capacity was set.
const CAPACITY_UNLIMITED: u64 = 1 << 50;

/// A handle on a simulated disk; clones share the disk.
///
/// Files opened before a power cut fail afterwards, as those of a dead process would. The handle itself goes on, unless
/// it is one of [`SimDisk::process`].
#[derive(Clone)]
pub struct SimDisk {
    machine: Arc<Machine>,
    /// The boot that this handle dies with, if it is that of a process.
    boot: Option<u64>,
}

struct Machine {
    tree: Mutex<Tree>,
    faults: Mutex<Faults>,
    /// Rises at each power cut or kill.
    boot: AtomicU64,
}

impl Default for SimDisk {
    fn default() -> Self {
        SimDisk::new()
    }
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        let machine =
            Machine { tree: Mutex::new(Tree::new()), faults: Mutex::default(), boot: AtomicU64::new(0) };
        SimDisk { machine: Arc::new(machine), boot: None }
    }

    /// The disk as one process holds it: after the next power cut or kill every call through it fails, so that threads
    /// that outlive the "process" in a test cannot write on.
    #[must_use]
    pub fn process(&self) -> Arc<dyn Disk> {
        Arc::new(SimDisk {
            machine: self.machine.clone(),
            boot: Some(self.machine.boot.load(Ordering::SeqCst)),
        })
    }

    /// The power goes and comes back: of what was not durable, `seed` decides which sectors, sizes and directory changes
    /// are there.
    pub fn crash(&self, seed: u64) {
        let mut random = Random::new(seed);
        self.reboot(|tree| {
            for file in tree.files() {
                file.lock().power_cut(&mut random);
            }
            tree.power_cut(tree::coin(&mut random));
        });
    }

    /// The power goes and comes back, and all that was not durable is lost.
    pub fn power_cut(&self) {
        self.reboot(|tree| {
            for file in tree.files() {
                file.lock().lose_all();
            }
            tree.power_cut(|| false);
        });
    }

    /// The processes die but the machine stays up: the page cache is kept, and stays as undurable as it was.
    pub fn kill(&self) {
        self.reboot(|_| {});
    }

    fn reboot(&self, lose: impl FnOnce(&mut Tree)) {
        // The order matters: who holds a lock now still counts, who takes it later sees the new boot.
        self.machine.boot.fetch_add(1, Ordering::SeqCst);
        lose(&mut self.machine.tree.lock());
        self.machine.faults.lock().restart();
    }

    /// The `nth` write from now on (1 is the next) fails, after the first half of its bytes.
    pub fn fail_write(&self, nth: u64, fault: Fault) {
        self.machine.faults.lock().fail_write(nth, fault);
    }

    /// The `nth` sync of a file from now on (1 is the next) fails. As on Linux its bytes are then clean in the cache and
    /// lost to the disk: later syncs succeed and do not save them.
    pub fn fail_sync(&self, nth: u64, fault: Fault) {
        self.machine.faults.lock().fail_sync(nth, fault);
    }

    /// After `changes` more writes, syncs and directory changes every call fails, until [`SimDisk::crash`], [`SimDisk::power_cut`]
    /// or [`SimDisk::kill`].
    pub fn halt_after(&self, changes: u64) {
        self.machine.faults.lock().halt_after(changes);
    }

    /// Limits the bytes that all files together may take (ENOSPC above), counted in pages of 4 KiB.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.machine.faults.lock().capacity = bytes;
    }

    /// Whether [`File::read_cached_at`] finds nothing in the cache.
    pub fn set_cache_cold(&self, cold: bool) {
        self.machine.faults.lock().cache_cold = cold;
    }

    /// Calls `hook` at each sync of a file, before it takes effect.
    pub fn set_sync_hook(&self, hook: Option<SyncHook>) {
        self.machine.faults.lock().hook = hook;
    }

    /// Holds every sync of a file at a gate. Replaces the hook.
    #[must_use]
    pub fn hold_syncs(&self) -> SyncGate {
        let (gate, hook) = SyncGate::new();
        self.set_sync_hook(Some(hook));
        gate
    }

    /// Holds reads of files at a gate, those whose path the filter takes; not what [`File::read_cached_at`] finds.
    #[must_use]
    pub fn hold_reads(&self, filter: impl Fn(&Path) -> bool + Send + Sync + 'static) -> SyncGate {
        let (gate, hook) = SyncGate::filtered(filter);
        self.machine.faults.lock().read_hook = Some(hook);
        gate
    }

    /// Holds writes to files at a gate, those whose path the filter takes.
    #[must_use]
    pub fn hold_writes(&self, filter: impl Fn(&Path) -> bool + Send + Sync + 'static) -> SyncGate {
        let (gate, hook) = SyncGate::filtered(filter);
        self.machine.faults.lock().write_hook = Some(hook);
        gate
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.machine.faults.lock().counters
    }

    fn alive(&self) -> io::Result<()> {
        match self.boot {
            Some(boot) => self.machine.alive(boot),
            None => self.machine.faults.lock().alive(),
        }
    }

    /// Changes names, unless the power is off. It is asked under the tree's lock: a call of a dead process must not change
    /// what the next one finds.
    fn change_tree(&self, change: impl FnOnce(&mut Tree) -> io::Result<()>) -> io::Result<()> {
        let mut tree = self.machine.tree.lock();
        self.changing()?;
        change(&mut tree)
    }

    fn changing(&self) -> io::Result<()> {
        self.alive()?;
        self.machine.faults.lock().change()
    }
}

impl Machine {
    fn alive(&self, boot: u64) -> io::Result<()> {
        if self.boot.load(Ordering::SeqCst) != boot {
            return Err(power_is_off());
        }
        self.faults.lock().alive()
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn File>> {
        let mut tree = self.machine.tree.lock();
        self.alive()?;
        let boot = self.boot.unwrap_or_else(|| self.machine.boot.load(Ordering::SeqCst));
        let contents = match tree.file(path, false) {
            Ok((contents, _)) => contents,
            Err(error) if error.kind() == io::ErrorKind::NotFound && mode == Open::Create => {
                self.changing()?;
                tree.file(path, true)?.0
            }
            Err(error) => return Err(error),
        };
        Ok(Arc::new(SimFile { machine: self.machine.clone(), boot, path: path.to_owned(), contents }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.alive()?;
        let names = self.machine.tree.lock().list(dir)?;
        Ok(names.into_iter().map(|(name, is_dir)| DirEntry { path: dir.join(name), is_dir }).collect())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.change_tree(|tree| tree.create_dir_all(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change_tree(|tree| tree.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change_tree(|tree| tree.remove_file(path))
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.change_tree(|tree| tree.remove_dir_all(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.machine.faults.lock().counters.dir_syncs += 1;
        self.change_tree(|tree| tree.sync_dir(dir))
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        let hook = {
            let mut faults = self.machine.faults.lock();
            faults.counters.syncs += 1;
            faults.hook.clone()
        };
        if let Some(hook) = hook {
            hook(path);
        }
        let mut tree = self.machine.tree.lock();
        self.changing()?;
        let outcome = self.machine.faults.lock().sync();
        match outcome {
            Ok(()) => {
                tree.files().for_each(|file| file.lock().sync());
                tree.sync_all();
                Ok(())
            }
            Err(fault) => {
                tree.files().for_each(|file| file.lock().sync_failed());
                Err(fault.error())
            }
        }
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        self.alive()?;
        let total = self.machine.faults.lock().capacity.unwrap_or(CAPACITY_UNLIMITED);
        let used = self.machine.tree.lock().allocated();
        Ok(Space { free: total.saturating_sub(used), total })
    }
}

struct SimFile {
    machine: Arc<Machine>,
    boot: u64,
    path: PathBuf,
    contents: Shared,
}

impl SimFile {
    fn read_contents(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let contents = self.contents.lock();
        self.machine.alive(self.boot)?;
        Ok(contents.read(buffer, position))
    }

    /// Whether the capacity has room for a write. Other files may grow between this and the write: a simulated disk full
    /// to the byte is not worth a lock over all files.
    fn has_room(&self, position: u64, length: u64) -> bool {
        let Some(capacity) = self.machine.faults.lock().capacity else { return true };
        let growth = self.contents.lock().growth(position, length);
        growth == 0 || self.machine.tree.lock().allocated() + growth <= capacity
    }
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let hook = self.machine.faults.lock().read_hook.clone();
        if let Some(hook) = hook {
            hook(&self.path);
        }
        self.read_contents(buffer, position)
    }

    fn read_cached_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        if self.machine.faults.lock().cache_cold {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.read_contents(buffer, position)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
        check_range(position, length)?;
        let hook = self.machine.faults.lock().write_hook.clone();
        if let Some(hook) = hook {
            hook(&self.path);
        }
        let has_room = self.has_room(position, length);
        let mut contents = self.contents.lock();
        self.machine.alive(self.boot)?;
        let mut faults = self.machine.faults.lock();
        if let Err(fault) = faults.write(length) {
            for (part, at) in first_half(parts, position) {
                contents.write(&[part], at);
            }
            return Err(fault.error());
        }
        if !has_room {
            return Err(Fault::NoSpace.error());
        }
        let outcome = faults.change();
        // A write during which the power goes has begun: any of it may be found later.
        contents.write(parts, position);
        outcome
    }

    fn write_direct_at(&self, bytes: &[u8], position: u64, durable: Durable) -> Option<io::Result<()>> {
        let block = DIRECT_BLOCK as u64;
        let aligned = [bytes.as_ptr().addr() as u64, bytes.len() as u64, position];
        assert!(aligned.iter().all(|number| number.is_multiple_of(block)), "a kernel refuses this");
        if durable == Durable::AtOnce {
            return None;
        }
        self.machine.faults.lock().counters.bytes_past_cache += bytes.len() as u64;
        Some(self.write_at(&[IoSlice::new(bytes)], position))
    }

    fn sync_data(&self) -> io::Result<()> {
        let hook = {
            let mut faults = self.machine.faults.lock();
            faults.counters.syncs += 1;
            faults.hook.clone()
        };
        if let Some(hook) = hook {
            hook(&self.path);
        }
        let mut contents = self.contents.lock();
        self.machine.alive(self.boot)?;
        let mut faults = self.machine.faults.lock();
        faults.change()?;
        match faults.sync() {
            Ok(()) => {
                contents.sync();
                Ok(())
            }
            Err(fault) => {
                contents.sync_failed();
                Err(fault.error())
            }
        }
    }

    fn size(&self) -> io::Result<u64> {
        let contents = self.contents.lock();
        self.machine.alive(self.boot)?;
        Ok(contents.size())
    }

    fn set_size(&self, bytes: u64) -> io::Result<()> {
        check_range(bytes, 0)?;
        let mut contents = self.contents.lock();
        self.machine.alive(self.boot)?;
        self.machine.faults.lock().change()?;
        contents.set_size(bytes);
        Ok(())
    }
}

/// The parts that hold the first half of the bytes, each with its position.
fn first_half<'p>(parts: &'p [IoSlice<'_>], position: u64) -> Vec<(IoSlice<'p>, u64)> {
    let mut left = parts.iter().map(|part| part.len()).sum::<usize>() / 2;
    let mut at = position;
    let mut half = Vec::new();
    for part in parts {
        let taken = &part[..part.len().min(left)];
        half.push((IoSlice::new(taken), at));
        at += taken.len() as u64;
        left -= taken.len();
    }
    half
}
