//! What a follower does when its log is not a prefix of the leader's, or the leader does not serve it. All of it concerns one
//! partition, and the others on the stream go on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use eddy_core::{Correction, Diverging, FollowerError, correction};
use eddy_engine::{Partition, PartitionKey, ReplicateError};
use eddy_types::Offset;

use super::stream::Stream;
use super::wire::Refusal;

impl Stream<'_> {
    /// Our log leaves the leader's: what it does not have goes, and we ask again from there.
    pub(super) async fn diverging(&self, slot: u32, generation: u32, diverging: Diverging) {
        let Some((partition, epoch)) = self.current(slot, generation) else { return };
        let (_, ours) = partition.log().epoch_end(diverging.epoch);
        // Without an epoch as old as that, all of this log is of epochs that the leader never had: whatever lies before the end
        // there, it differs.
        let ours = if ours == Offset::NONE { partition.offsets().log_start } else { ours };
        let to = ours.min(diverging.end_offset);
        match partition.truncate(epoch, to).await {
            Ok(()) => {
                self.fetcher.counters.truncations.fetch_add(1, Ordering::Relaxed);
                let (partition, leader) = (partition.key(), self.fetcher.leader);
                tracing::info!(%partition, %leader, %epoch, %to, "truncated a log that left its leader's");
                self.follow_again(slot, generation, true);
            }
            Err(ReplicateError::Refused(FollowerError::BelowHighWatermark { high_watermark, .. }))
                if !self.is_in_sync(partition.key()) =>
            {
                let at = partition.offsets().log_start;
                self.start_over(slot, generation, &partition, at, high_watermark).await;
            }
            Err(error) => self.failed(slot, generation, &partition, &error),
        }
    }

    /// Whether this broker is in the ISR of a partition: it may be asked to lead it, and keeps what it has promised.
    fn is_in_sync(&self, key: PartitionKey) -> bool {
        let image = self.engine().image();
        image.partition(key.topic, key.index).is_none_or(|known| known.isr.contains(&self.engine().me()))
    }

    /// The leader lacks what was committed here, and this broker is outside the ISR: an operator has accepted that loss with an
    /// unclean election. The leader's log is the log now, from `at`.
    async fn start_over(
        &self,
        slot: u32,
        generation: u32,
        partition: &Arc<Partition>,
        at: Offset,
        high_watermark: Offset,
    ) {
        let Some((_, epoch)) = self.current(slot, generation) else { return };
        match partition.restart_at(epoch, at).await {
            Ok(()) => {
                self.fetcher.counters.truncations.fetch_add(1, Ordering::Relaxed);
                let (partition, leader) = (partition.key(), self.fetcher.leader);
                tracing::error!(%partition, %leader, %epoch, %high_watermark,
                    "the leader lacks committed records after an unclean election: copying its log anew");
                self.follow_again(slot, generation, true);
            }
            Err(error) => self.failed(slot, generation, partition, &error),
        }
    }

    /// The leader's log does not reach ours: one of the two has lost its beginning or its end.
    pub(super) async fn out_of_range(&self, slot: u32, generation: u32, log_start: Offset, log_end: Offset) {
        let Some((partition, epoch)) = self.current(slot, generation) else { return };
        let Some(position) = partition.position() else { return };
        let (start, high_watermark) = (position.log_start, position.high_watermark);
        let done = match correction(start..position.log_end, log_start..log_end) {
            Correction::Truncate(to) => partition.truncate(epoch, to).await,
            // All of it lies beyond the leader's end: committed records are lost.
            Correction::Restart(at) if start > log_end && self.is_in_sync(partition.key()) => {
                Err(FollowerError::BelowHighWatermark { to: at, high_watermark }.into())
            }
            Correction::Restart(at) => partition.restart_at(epoch, at).await,
        };
        match done {
            Ok(()) => {
                let (partition, leader) = (partition.key(), self.fetcher.leader);
                tracing::warn!(%partition, %leader, %epoch, ends = %position.log_end, leader_starts = %log_start,
                    leader_ends = %log_end, "the leader's log does not reach ours: going on where it is");
                self.follow_again(slot, generation, true);
            }
            Err(ReplicateError::Refused(FollowerError::BelowHighWatermark { .. }))
                if !self.is_in_sync(partition.key()) =>
            {
                self.start_over(slot, generation, &partition, log_start, high_watermark).await;
            }
            Err(error) => self.failed(slot, generation, &partition, &error),
        }
    }

    pub(super) fn failed(
        &self,
        slot: u32,
        generation: u32,
        partition: &Arc<Partition>,
        error: &ReplicateError,
    ) {
        let (partition, leader) = (partition.key(), self.fetcher.leader);
        match error {
            // News of the metadata has come in between, and more of it follows.
            ReplicateError::OtherRole(_) | ReplicateError::PartitionGone | ReplicateError::Cutting => {
                tracing::debug!(%partition, %leader, %error, "no longer followed like this");
            }
            _ => {
                self.fetcher.counters.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%partition, %leader, %error, "cannot do what the leader's log says");
            }
        }
        self.follow_again(slot, generation, false);
    }

    pub(super) fn follow_again(&self, slot: u32, generation: u32, at_once: bool) {
        self.fetcher.following.lock().pause(slot, generation, at_once);
        self.again.notify_one();
    }

    pub(super) fn refused(&self, slot: u32, generation: u32, refusal: Refusal) {
        if let Some((partition, epoch)) = self.current(slot, generation) {
            let (partition, leader) = (partition.key(), self.fetcher.leader);
            tracing::debug!(%partition, %leader, %epoch, ?refusal, "the leader does not serve a follower");
        }
        self.follow_again(slot, generation, false);
    }
}
