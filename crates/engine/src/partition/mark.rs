//! What a checkpoint records of a partition.

use std::sync::Arc;

use eddy_core::{Offsets, ProducerSnapshot};
use eddy_types::Offset;

use super::Partition;

/// Where a partition stands on disk, taken in one moment under its lock: what a checkpoint must agree on.
pub(crate) struct Mark {
    /// Everything below is in the write-ahead log, durably.
    pub(crate) durable_end: Offset,
    /// The high watermark: what a restarted replica may take for committed.
    pub(crate) high_watermark: Offset,
    /// The producers' windows at `durable_end`: a window must never claim a batch that a crash may lose, or its resend would
    /// be taken for a duplicate of nothing.
    pub(crate) producers: Arc<[ProducerSnapshot]>,
    /// Cuts of the log so far.
    pub(crate) cuts: u64,
    /// Whether there is more than `durable_end` says: the next checkpoint looks again.
    pub(crate) more_to_come: bool,
}

impl Partition {
    /// Cuts of the log so far.
    pub(crate) fn cuts(&self) -> u64 {
        self.state.lock().cuts
    }

    /// Where the partition stands on disk now. What changes afterwards tells the flusher anew.
    pub(crate) fn mark(&self) -> Mark {
        let mut state = self.state.lock();
        let Offsets { durable_end, log_end, high_watermark, .. } = state.replica.offsets();
        let more_to_come = durable_end < log_end || state.cut.is_some();
        state.dirty = more_to_come;
        let mut producers: Vec<ProducerSnapshot> = state.replica.producers();
        if durable_end < log_end {
            producers.retain_mut(|producer| {
                let known = !producer.batches.is_empty();
                producer.batches.retain(|batch| batch.last_offset < durable_end);
                // With none left nothing is known of its sequences: an empty window would ask for the first.
                !known || !producer.batches.is_empty() || producer.open_transaction.is_some()
            });
        }
        let producers: Arc<[ProducerSnapshot]> = producers.into();
        if durable_end == log_end {
            state.safe_points.add(durable_end, Arc::clone(&producers), high_watermark);
        }
        Mark { durable_end, high_watermark, producers, cuts: state.cuts, more_to_come }
    }
}
