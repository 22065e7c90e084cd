//! The follower's throttle on a stream: partitions in which this broker is out of sync are sent by the leader only as far as we
//! have allowed.
//!
//! What was allowed holds for all limited partitions of the stream together, so that those that have nothing keep nothing from the
//! others. The leader says of all data whether it has counted it: what both sides believe to be allowed is the same, whenever
//! limits were set and lifted.

use std::sync::atomic::Ordering;

use ahash::AHashMap;
use eddy_engine::PartitionKey;
use tokio::time::Instant;

use super::reporting::FRAME_BYTES;
use super::stream::Stream;
use super::throttle::LOOK_AGAIN;
use super::wire::{FromFollower, UpFrame};

/// What the leader was told of limits.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// Limited slots, with the request.
    limited: AHashMap<u32, u32>,
    /// Bytes that the leader may still send.
    allowed: i64,
    /// When the partitions are looked at again.
    look_at: Option<Instant>,
}

impl Stream<'_> {
    /// The leader has sent so much against what it was allowed.
    pub(super) fn charged(&self, bytes: usize) {
        let counted = i64::try_from(bytes).unwrap_or(i64::MAX);
        let mut limits = self.limits.lock();
        limits.allowed = limits.allowed.saturating_sub(counted);
        drop(limits);
        self.fetcher.counters.throttled_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.again.notify_one();
    }

    /// A request has just been made: the leader takes it for unlimited.
    pub(super) fn limit_new(&self, slot: u32, generation: u32, key: PartitionKey, frame: &mut UpFrame) {
        let mut limits = self.limits.lock();
        if self.fetcher.throttle.holds(key, self.engine().me()) {
            limits.limited.insert(slot, generation);
            frame.put(&FromFollower::Limit { slot, generation, limited: true });
        } else {
            limits.limited.remove(&slot);
        }
    }

    /// Says which partitions are limited from now on and which no longer, and allows what the throttle gives; tells when to do
    /// that again, nothing while no throttle is set.
    pub(super) fn limit(&self, frame: &mut UpFrame) -> Option<Instant> {
        let throttle = &self.fetcher.throttle;
        let mut limits = self.limits.lock();
        if !throttle.is_set() && limits.limited.is_empty() {
            return None;
        }
        let now = Instant::now();
        if limits.look_at.is_none_or(|at| at <= now) {
            self.look(&mut limits, frame);
            limits.look_at = Some(if frame.len() < FRAME_BYTES { now + LOOK_AGAIN } else { now });
        }
        let look_at = limits.look_at;
        while !limits.limited.is_empty() {
            let piece = match throttle.piece() {
                Ok(piece) => u32::try_from(piece).unwrap_or(u32::MAX),
                Err(pause) => return look_at.min(Some(now + pause)),
            };
            if limits.allowed >= i64::from(piece) {
                break;
            }
            throttle.took(u64::from(piece));
            limits.allowed = limits.allowed.saturating_add(i64::from(piece));
            frame.put(&FromFollower::Allow { bytes: piece });
        }
        look_at
    }

    /// Compares what the leader was told with what holds now.
    fn look(&self, limits: &mut Limits, frame: &mut UpFrame) {
        let me = self.engine().me();
        let following = self.fetcher.following.lock();
        limits.limited.retain(|slot, generation| following.generation(*slot) == Some(*generation));
        for (slot, generation, key) in following.active() {
            let limited = self.fetcher.throttle.holds(key, me);
            if limited == limits.limited.contains_key(&slot) {
                continue;
            }
            if frame.len() >= FRAME_BYTES {
                return;
            }
            frame.put(&FromFollower::Limit { slot, generation, limited });
            if limited {
                limits.limited.insert(slot, generation);
            } else {
                limits.limited.remove(&slot);
            }
        }
    }
}
