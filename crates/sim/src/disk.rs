//! A broker's disk: what is synced, and the entries of the write-ahead log that are not yet.

use std::collections::VecDeque;

use eddy_types::Offset;

use crate::log::{Batch, Log};
use crate::random::Random;

/// One entry of the write-ahead log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    Append { partition: usize, batch: Batch },
    Truncate { partition: usize, to: Offset },
    RestartAt { partition: usize, at: Offset },
    Trim { partition: usize, to: Offset },
}

impl Entry {
    pub(crate) fn partition(&self) -> usize {
        match *self {
            Entry::Append { partition, .. }
            | Entry::Truncate { partition, .. }
            | Entry::RestartAt { partition, .. }
            | Entry::Trim { partition, .. } => partition,
        }
    }
}

/// Survives the process; what is not synced may be lost with it.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Random id of the data directory: another one after a wipe.
    pub(crate) directory: u64,
    synced: Vec<Log>,
    /// High watermarks as a checkpoint has them.
    pub(crate) high_watermarks: Vec<Offset>,
    waiting: VecDeque<Entry>,
    /// Number of the first entry that waits.
    next: u64,
    /// Entries of the write that is under way.
    writing: usize,
}

impl Disk {
    pub(crate) fn new(directory: u64, partitions: usize) -> Disk {
        let synced = vec![Log::default(); partitions];
        let high_watermarks = vec![Offset::ZERO; partitions];
        Disk { directory, synced, high_watermarks, waiting: VecDeque::new(), next: 0, writing: 0 }
    }

    /// What is durable of a partition.
    pub(crate) fn synced(&self, partition: usize) -> &Log {
        &self.synced[partition]
    }

    /// Gives all that is durable of a partition to another one.
    pub(crate) fn rename(&mut self, from: usize, to: usize) {
        self.synced[to] = std::mem::take(&mut self.synced[from]);
    }

    /// Queues an entry and gives its number.
    pub(crate) fn push(&mut self, entry: Entry) -> u64 {
        self.waiting.push_back(entry);
        self.next + self.waiting.len() as u64 - 1
    }

    /// Begins to write all that waits, unless a write is under way; says whether it began.
    pub(crate) fn begin_write(&mut self) -> bool {
        if self.writing > 0 || self.waiting.is_empty() {
            return false;
        }
        self.writing = self.waiting.len();
        true
    }

    /// The write is synced: gives its entries with their numbers.
    pub(crate) fn finish_write(&mut self) -> Vec<(u64, Entry)> {
        let written = std::mem::take(&mut self.writing);
        self.settle(written)
    }

    /// The process or the machine dies: of the entries that wait, in order, some are on the disk and the others are
    /// not. Whole entries, because a torn group is cut at replay.
    pub(crate) fn crash(&mut self, random: &mut Random) {
        let survive = random.index(self.waiting.len() + 1);
        // A power cut mostly takes everything that was not synced.
        let survive = if random.percent(60) { 0 } else { survive };
        self.settle(survive);
        self.waiting.clear();
        self.writing = 0;
    }

    /// A clean stop syncs everything.
    pub(crate) fn sync_all(&mut self) {
        self.settle(self.waiting.len());
        self.writing = 0;
    }

    fn settle(&mut self, count: usize) -> Vec<(u64, Entry)> {
        let mut settled = Vec::with_capacity(count);
        for entry in self.waiting.drain(..count) {
            let log = &mut self.synced[entry.partition()];
            match entry {
                Entry::Append { batch, .. } => log.append(batch),
                Entry::Truncate { to, .. } => log.truncate(to),
                Entry::RestartAt { at, .. } => log.restart_at(at),
                Entry::Trim { to, .. } => log.trim(to),
            }
            settled.push((self.next, entry));
            self.next += 1;
        }
        settled
    }
}
