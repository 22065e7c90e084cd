//! Hands the good batches of a request to their partitions.

use std::sync::Arc;

use eddy_batch::Accepted;
use eddy_core::Acks;
use eddy_engine::{AckGroup, NewBatch, Partition, Room};
use tokio::time::Instant;

use super::Begun;
use super::failure::Failure;
use crate::call::Call;

/// Batches that are admitted to the write-ahead log at once; a request with more is admitted in parts.
const ADMIT_AT_ONCE: usize = 256;

/// A batch that is valid and has a partition.
pub(super) struct Ready {
    pub(super) slot: usize,
    pub(super) partition: Arc<Partition>,
    pub(super) accepted: Accepted,
}

/// How the batches of a request are appended.
pub(super) struct Appending<'a> {
    pub(super) call: &'a Call,
    pub(super) acks: Acks,
    pub(super) group: &'a Arc<AckGroup>,
    pub(super) deadline: Instant,
    /// Whether this task may wait for the disk.
    pub(super) in_place: bool,
}

impl Appending<'_> {
    /// Appends in request order, waiting for room in the write-ahead log; puts what became of each batch into its slot.
    pub(super) async fn append_all(&self, ready: Vec<Ready>, begun: &mut [Option<Begun>]) {
        let mut ready = ready.into_iter().enumerate();
        loop {
            let part: Vec<(usize, Ready)> = ready.by_ref().take(ADMIT_AT_ONCE).collect();
            if part.is_empty() {
                return;
            }
            let bytes = part.iter().map(|(_, one)| one.accepted.bytes.len()).sum();
            let batches = u32::try_from(part.len()).unwrap_or(u32::MAX);
            let mut room = match self.call.ctx.engine.admit(batches, bytes, self.deadline).await {
                Ok(room) => room,
                Err(error) => {
                    for (ack, one) in part {
                        // Nothing will come for it; a dropped token says so.
                        drop(self.group.token(ack));
                        set(begun, one.slot, Begun::Failed(error.clone().into()));
                    }
                    continue;
                }
            };
            let append = || self.append_part(part, &mut room, begun);
            if self.in_place { self.call.ctx.engine.commit_in_place(append) } else { append() }
        }
    }

    fn append_part(&self, part: Vec<(usize, Ready)>, room: &mut Room, begun: &mut [Option<Begun>]) {
        for (ack, Ready { slot, partition, accepted }) in part {
            let (records, size) = (accepted.facts.records, accepted.bytes.len());
            let log_append_time = accepted.log_append_time;
            let batch =
                NewBatch { facts: accepted.facts, charge: self.call.frame_memory, bytes: accepted.bytes };
            let token = (self.acks != Acks::None).then(|| self.group.token(ack));
            let share = room.take_one(size);
            match partition.append(self.acks, batch, Some(share), token) {
                Ok(()) => {
                    let metrics = self.call.ctx.metrics;
                    metrics.produced_records.inc_by(u64::from(records.unsigned_abs()));
                    metrics.produced_bytes.inc_by(size as u64);
                    metrics.batch_records.observe(f64::from(records));
                    set(begun, slot, Begun::Appended { partition, log_append_time, ack });
                }
                Err(error) => {
                    let failure = Failure::from(error).with_log_start(&partition);
                    set(begun, slot, Begun::Failed(failure));
                }
            }
        }
    }
}

fn set(begun: &mut [Option<Begun>], slot: usize, value: Begun) {
    if let Some(place) = begun.get_mut(slot) {
        *place = Some(value);
    }
}
