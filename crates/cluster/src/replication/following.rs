//! The partitions that are followed on one stream.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use eddy_engine::{FollowerPosition, Partition, PartitionKey};
use eddy_types::{LeaderEpoch, Offset};
use tokio::time::Instant;

use super::wire::{Follow, Position, Progress};

/// Pause after the first refusal; it doubles with each that follows.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// Longest pause before a refused partition is followed again. News of the metadata end it early.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A partition on the stream.
pub(super) struct Followed {
    pub(super) key: PartitionKey,
    pub(super) partition: Arc<Partition>,
    pub(super) leader_epoch: LeaderEpoch,
    /// Epoch of this broker's registration that the leader was told.
    broker_epoch: i64,
    pub(super) generation: u32,
    /// Whether the leader serves the request of this generation, as far as we know.
    active: bool,
    /// What the leader has been told of our log.
    reported: (Offset, Offset),
    /// Where the leader is.
    pub(super) leader: Option<Position>,
    /// Requests in a row that came to nothing.
    failures: u32,
    /// When it is followed again.
    again_at: Option<Instant>,
}

/// The slots of a stream.
#[derive(Default)]
pub(super) struct Following {
    slots: AHashMap<u32, Followed>,
    by_key: AHashMap<PartitionKey, u32>,
    next_slot: u32,
    next_generation: u32,
    /// Slots that are to be followed again, by time.
    again: BTreeSet<(Instant, u32)>,
}

impl Following {
    /// Begins to follow a partition, or follows it anew from where it is; nothing when that is already so.
    pub(super) fn begin(
        &mut self,
        key: PartitionKey,
        partition: &Arc<Partition>,
        position: &FollowerPosition,
        broker_epoch: i64,
    ) -> Option<Follow> {
        let known = self.by_key.get(&key).copied();
        let slot = known.unwrap_or(self.next_slot);
        if let Some(followed) = self.slots.get(&slot)
            && followed.active
            && followed.leader_epoch == position.leader_epoch
            && followed.broker_epoch == broker_epoch
            && Arc::ptr_eq(&followed.partition, partition)
        {
            return None;
        }
        if known.is_none() {
            self.by_key.insert(key, slot);
            self.next_slot += 1;
        }
        self.next_generation = self.next_generation.wrapping_add(1);
        let generation = self.next_generation;
        let former = self.slots.insert(
            slot,
            Followed {
                key,
                partition: Arc::clone(partition),
                leader_epoch: position.leader_epoch,
                broker_epoch,
                generation,
                active: true,
                reported: (position.log_start, position.durable_end),
                leader: None,
                failures: 0,
                again_at: None,
            },
        );
        if let Some(former) = former {
            self.forget_pause(slot, &former);
            if former.leader_epoch == position.leader_epoch
                && let Some(followed) = self.slots.get_mut(&slot)
            {
                followed.failures = former.failures;
            }
        }
        Some(Follow {
            slot,
            generation,
            key,
            leader_epoch: position.leader_epoch,
            last_epoch: position.last_epoch,
            broker_epoch,
            log_start: position.log_start,
            log_end: position.log_end,
            durable_end: position.durable_end,
        })
    }

    /// The partition is not to be followed here any more; its slot and what was followed.
    pub(super) fn end(&mut self, key: PartitionKey) -> Option<(u32, Followed)> {
        let slot = self.by_key.remove(&key)?;
        let followed = self.slots.remove(&slot)?;
        self.forget_pause(slot, &followed);
        Some((slot, followed))
    }

    fn forget_pause(&mut self, slot: u32, followed: &Followed) {
        if let Some(at) = followed.again_at {
            self.again.remove(&(at, slot));
        }
    }

    /// The partition that a message of the leader is about; nothing when it answers a request that is over.
    pub(super) fn current(&mut self, slot: u32, generation: u32) -> Option<&mut Followed> {
        self.slots.get_mut(&slot).filter(|followed| followed.active && followed.generation == generation)
    }

    /// The leader serves the partition: failures before do not count any more.
    pub(super) fn served(&mut self, slot: u32, generation: u32, position: Position) {
        if let Some(followed) = self.current(slot, generation) {
            followed.leader = Some(position);
            followed.failures = 0;
        }
    }

    /// The request came to nothing: the partition is followed again after a pause, `at_once` the first time.
    pub(super) fn pause(&mut self, slot: u32, generation: u32, at_once: bool) {
        let Some(followed) = self.current(slot, generation) else { return };
        followed.active = false;
        let doubled = PAUSE_MIN * 2u32.saturating_pow(followed.failures.min(10));
        let pause = if at_once && followed.failures == 0 { Duration::ZERO } else { doubled.min(PAUSE_MAX) };
        followed.failures += 1;
        let at = Instant::now() + pause;
        followed.again_at = Some(at);
        self.again.insert((at, slot));
    }

    /// When the next pause is over.
    pub(super) fn next_pause_end(&self) -> Option<Instant> {
        self.again.first().map(|(at, _)| *at)
    }

    /// Partitions whose pause is over.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<PartitionKey> {
        let mut due = Vec::new();
        while let Some((at, slot)) = self.again.first().copied().filter(|(at, _)| *at <= now) {
            self.again.remove(&(at, slot));
            if let Some(followed) = self.slots.get_mut(&slot) {
                followed.again_at = None;
                due.push(followed.key);
            }
        }
        due
    }

    /// What the leader does not know yet of our log.
    pub(super) fn progress(&mut self, slot: u32) -> Option<Progress> {
        let followed = self.slots.get_mut(&slot).filter(|followed| followed.active)?;
        let position = followed.partition.position()?;
        let now = (position.log_start, position.durable_end);
        if position.leader_epoch != followed.leader_epoch || now == followed.reported {
            return None;
        }
        followed.reported = now;
        Some(Progress {
            slot,
            generation: followed.generation,
            log_start: position.log_start,
            log_end: position.log_end,
            durable_end: position.durable_end,
        })
    }

    /// The last request for a slot.
    pub(super) fn generation(&self, slot: u32) -> Option<u32> {
        self.slots.get(&slot).map(|followed| followed.generation)
    }

    /// The requests that the leader serves, as far as we know: slot, generation, partition.
    pub(super) fn active(&self) -> impl Iterator<Item = (u32, u32, PartitionKey)> + '_ {
        let active = self.slots.iter().filter(|(_, followed)| followed.active);
        active.map(|(slot, followed)| (*slot, followed.generation, followed.key))
    }

    /// How far the leader is ahead, in sum and at most.
    pub(super) fn lag(&self) -> (u64, u64) {
        let lag = |followed: &Followed| {
            let leader = followed.leader?;
            let position = followed.partition.position()?;
            u64::try_from(leader.log_end.0 - position.log_end.0).ok()
        };
        let lags = self.slots.values().filter_map(lag);
        lags.fold((0, 0), |(sum, max), lag| (sum + lag, max.max(lag)))
    }
}
