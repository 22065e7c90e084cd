//! The bytes of one simulated file: what a reader sees, and what a power cut would leave of it.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};

use super::random::Random;

/// Bytes that the disk writes as one: a power cut leaves a sector old or new, never mixed.
pub const SECTOR: usize = 512;
const PAGE: usize = 4096;

type Page = Box<[u8; PAGE]>;

/// Contents with an undo log: `pages` is what readers see, `undo` what each sector held when it was last durable.
#[derive(Default)]
pub(super) struct Contents {
    /// Pages written so far; one that is missing reads as zeros.
    pages: BTreeMap<u64, Page>,
    size: u64,
    durable_size: u64,
    undo: BTreeMap<u64, Undo>,
    /// A failed sync left the size unwritten and no longer dirty, as it left the sectors.
    size_lost: bool,
}

struct Undo {
    /// Durable bytes of the sector; `None` for zeros.
    old: Option<Box<[u8; SECTOR]>>,
    /// Set by a failed sync: the page is clean in the cache but was never written, so that a later sync, though it
    /// succeeds, does not save it. Only writing the sector again does.
    lost: bool,
}

impl Contents {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of disk that the file takes.
    pub(super) fn allocated(&self) -> u64 {
        self.pages.len() as u64 * PAGE as u64
    }

    /// Bytes of disk that writing `length` bytes at `position` would newly take.
    pub(super) fn growth(&self, position: u64, length: u64) -> u64 {
        let touched = pages_of(position, length);
        let count = touched.end - touched.start;
        (count - self.pages.range(touched).count() as u64) * PAGE as u64
    }

    pub(super) fn read(&self, buffer: &mut [u8], position: u64) -> usize {
        let length = self.size.saturating_sub(position).min(buffer.len() as u64) as usize;
        for (page, within, range) in spans(position, length) {
            let target = &mut buffer[range];
            match self.pages.get(&page) {
                Some(bytes) => target.copy_from_slice(&bytes[within..within + target.len()]),
                None => target.fill(0),
            }
        }
        length
    }

    pub(super) fn write(&mut self, parts: &[IoSlice<'_>], position: u64) {
        let mut at = position;
        for part in parts {
            self.remember(at, part.len());
            for (page, within, range) in spans(at, part.len()) {
                let source = &part[range];
                let target = self.pages.entry(page).or_insert_with(|| Box::new([0; PAGE]));
                target[within..within + source.len()].copy_from_slice(source);
            }
            at += part.len() as u64;
        }
        // A write of nothing does not extend a file, wherever it is; one that ends with the file makes its size dirty again.
        if at > position && at >= self.size {
            self.size = at;
            self.size_lost = false;
        }
    }

    pub(super) fn set_size(&mut self, bytes: u64) {
        // Only pages that exist are visited: a sparse file may be far larger than what was written to it.
        let cut: Vec<u64> = self.pages.range(bytes / PAGE as u64..).map(|(page, _)| *page).collect();
        for page in cut {
            let start = (page * PAGE as u64).max(bytes);
            let within = (start % PAGE as u64) as usize;
            self.remember(start, PAGE - within);
            if within == 0 {
                self.pages.remove(&page);
            } else if let Some(target) = self.pages.get_mut(&page) {
                target[within..].fill(0);
            }
        }
        self.size = bytes;
        self.size_lost = false;
    }

    pub(super) fn sync(&mut self) {
        self.undo.retain(|_, undo| undo.lost);
        if !self.size_lost {
            self.durable_size = self.size;
        }
    }

    /// The sync failed: nothing became durable, and the cache forgets that it was dirty.
    pub(super) fn sync_failed(&mut self) {
        for undo in self.undo.values_mut() {
            undo.lost = true;
        }
        self.size_lost = self.size != self.durable_size;
    }

    /// Leaves what a power cut leaves: each sector that was not durable is old or new as `random` decides.
    pub(super) fn power_cut(&mut self, random: &mut Random) {
        let keep_of_eight = random.below(9);
        let size = match random.below(3) {
            0 => self.durable_size,
            1 => self.size,
            _ => {
                let (low, high) = (self.size.min(self.durable_size), self.size.max(self.durable_size));
                low + random.below(high - low + 1)
            }
        };
        let undo = std::mem::take(&mut self.undo);
        for (sector, undo) in undo {
            if random.below(8) >= keep_of_eight {
                self.put_sector(sector, undo.old.as_deref());
            }
        }
        self.settle(size);
    }

    /// Leaves only what is durable.
    pub(super) fn lose_all(&mut self) {
        for (sector, undo) in std::mem::take(&mut self.undo) {
            self.put_sector(sector, undo.old.as_deref());
        }
        self.settle(self.durable_size);
    }

    fn settle(&mut self, size: u64) {
        // Restored sectors may lie above the new size: cutting them keeps them from coming back when the file grows.
        self.set_size(size);
        self.undo.clear();
        self.durable_size = size;
    }

    fn put_sector(&mut self, sector: u64, bytes: Option<&[u8; SECTOR]>) {
        let position = sector * SECTOR as u64;
        let within = (position % PAGE as u64) as usize;
        let page = self.pages.entry(position / PAGE as u64).or_insert_with(|| Box::new([0; PAGE]));
        let target = &mut page[within..within + SECTOR];
        match bytes {
            Some(bytes) => target.copy_from_slice(bytes),
            None => target.fill(0),
        }
    }

    /// Keeps the durable bytes of the sectors that are about to change.
    fn remember(&mut self, position: u64, length: usize) {
        if length == 0 {
            return;
        }
        let first = position / SECTOR as u64;
        let last = (position + length as u64 - 1) / SECTOR as u64;
        for sector in first..=last {
            if let Some(undo) = self.undo.get_mut(&sector) {
                undo.lost = false;
                continue;
            }
            let at = sector * SECTOR as u64;
            let within = (at % PAGE as u64) as usize;
            let old = self.pages.get(&(at / PAGE as u64)).map(|page| {
                let mut bytes = Box::new([0; SECTOR]);
                bytes.copy_from_slice(&page[within..within + SECTOR]);
                bytes
            });
            self.undo.insert(sector, Undo { old, lost: false });
        }
    }
}

fn pages_of(position: u64, length: u64) -> std::ops::Range<u64> {
    position / PAGE as u64..(position + length).div_ceil(PAGE as u64).max(position / PAGE as u64)
}

/// Splits `[position, position + length)` at page boundaries: page, first byte within it, range within the buffer.
fn spans(position: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let at = position + done as u64;
        let within = (at % PAGE as u64) as usize;
        let count = (PAGE - within).min(length - done);
        let range = done..done + count;
        done += count;
        Some((at / PAGE as u64, within, range))
    })
}

/// The error of a position or size that no file system takes.
pub(super) fn check_range(position: u64, length: u64) -> io::Result<()> {
    match position.checked_add(length) {
        Some(end) if end <= i64::MAX as u64 => Ok(()),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}
