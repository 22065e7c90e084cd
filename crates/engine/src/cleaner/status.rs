//! What compaction has done, and what it cannot do, for metrics and for operators.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use eddy_log::Cleaned;
use parking_lot::Mutex;

use crate::partition::PartitionKey;

/// Compaction since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CleanerStatus {
    /// The log that is being compacted at this moment.
    pub running: Option<PartitionKey>,
    /// Compactions that came to their end.
    pub runs: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Bytes by which logs became smaller.
    pub bytes_freed: u64,
    /// Records dropped.
    pub records_dropped: u64,
    /// Largest dirty ratio of any log at the last look, 0 to 1.
    pub dirty_ratio_max: f64,
    /// Time since the logs were last looked at and the due ones compacted; `None` before the first time.
    pub since_last_round: Option<Duration>,
    /// How long the last compaction took.
    pub last_run: Option<Duration>,
    /// Most memory that a compaction took for keys, in bytes.
    pub map_bytes_max: usize,
    /// Logs that are due and wait for room on the disk.
    pub waiting_for_room: usize,
    /// Logs that are not compacted until the next start.
    pub uncleanable: Vec<Uncleanable>,
}

/// A log that cannot be compacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncleanable {
    /// Whose log.
    pub partition: PartitionKey,
    /// Its size when that was found, in bytes.
    pub bytes: u64,
    /// Why.
    pub reason: String,
}

/// The status as it is kept.
#[derive(Default)]
pub(crate) struct CleanerState(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    status: CleanerStatus,
    last_round: Option<Instant>,
    uncleanable: BTreeMap<PartitionKey, Uncleanable>,
    without_room: BTreeSet<PartitionKey>,
}

impl CleanerState {
    pub(crate) fn status(&self) -> CleanerStatus {
        let kept = self.0.lock();
        CleanerStatus {
            since_last_round: kept.last_round.map(|at| at.elapsed()),
            waiting_for_room: kept.without_room.len(),
            uncleanable: kept.uncleanable.values().cloned().collect(),
            ..kept.status.clone()
        }
    }

    pub(super) fn is_uncleanable(&self, partition: PartitionKey) -> bool {
        self.0.lock().uncleanable.contains_key(&partition)
    }

    /// All logs were looked at; `known` are those there are.
    pub(super) fn looked(&self, dirty_ratio_max: f64, known: &BTreeSet<PartitionKey>) {
        let mut kept = self.0.lock();
        kept.status.dirty_ratio_max = dirty_ratio_max;
        kept.uncleanable.retain(|partition, _| known.contains(partition));
        kept.without_room.retain(|partition| known.contains(partition));
    }

    /// True when that is news.
    pub(super) fn lacks_room(&self, partition: PartitionKey) -> bool {
        self.0.lock().without_room.insert(partition)
    }

    pub(super) fn found_room(&self, partition: PartitionKey) {
        self.0.lock().without_room.remove(&partition);
    }

    pub(super) fn round_ended(&self) {
        self.0.lock().last_round = Some(Instant::now());
    }

    pub(super) fn begin(&self, partition: PartitionKey) {
        self.0.lock().status.running = Some(partition);
    }

    pub(super) fn end(&self) {
        self.0.lock().status.running = None;
    }

    pub(super) fn cleaned(&self, cleaned: &Cleaned, took: Duration) {
        let status = &mut self.0.lock().status;
        status.runs += 1;
        status.bytes_read += cleaned.bytes_read;
        status.bytes_written += cleaned.bytes_written;
        status.bytes_freed += cleaned.bytes_freed;
        status.records_dropped += cleaned.records_dropped;
        status.map_bytes_max = status.map_bytes_max.max(cleaned.map_bytes);
        status.last_run = Some(took);
    }

    pub(super) fn give_up(&self, partition: PartitionKey, bytes: u64, reason: &str) {
        let uncleanable = Uncleanable { partition, bytes, reason: reason.to_owned() };
        self.0.lock().uncleanable.insert(partition, uncleanable);
    }
}
