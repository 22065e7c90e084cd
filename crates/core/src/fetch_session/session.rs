//! One session: its partitions in reading order, and what its client was last told of each.

use std::collections::BTreeMap;

use eddy_types::{Millis, Offset};

use super::request::{FetchPartition, PartitionKey, ReadResult};
use crate::invariant::check;

/// The epoch after `epoch`: `i32::MAX` is followed by 1, since 0 opens a session.
pub(super) fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

/// A partition of a session.
#[derive(Clone, Debug)]
struct Cached {
    asked: FetchPartition,
    /// What the client was last told; -1 when nothing, or an error.
    told_high_watermark: Offset,
    told_log_start: Offset,
}

impl Cached {
    fn new(asked: FetchPartition) -> Cached {
        Cached { asked, told_high_watermark: Offset::NONE, told_log_start: Offset::NONE }
    }

    /// Whether the answer has to show the partition; from now on the client knows.
    fn tell(&mut self, read: &ReadResult) -> bool {
        let news = read.has_records
            || read.must_show
            || read.failed
            || read.high_watermark != self.told_high_watermark
            || read.log_start != self.told_log_start;
        self.told_high_watermark = read.high_watermark;
        self.told_log_start = read.log_start;
        if read.failed {
            // So that the end of the error is told as well.
            self.told_high_watermark = Offset::NONE;
        }
        news
    }
}

/// A session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) uses_topic_ids: bool,
    pub(super) from_follower: bool,
    pub(super) created: Millis,
    pub(super) last_used: Millis,
    /// Epoch that the next request must have.
    pub(super) epoch: i32,
    /// Reading order; a partition that gave records goes to the end.
    ordered: BTreeMap<u64, Cached>,
    places: BTreeMap<PartitionKey, u64>,
    next_place: u64,
}

impl Session {
    pub(super) fn new(now: Millis, uses_topic_ids: bool, from_follower: bool) -> Session {
        Session {
            uses_topic_ids,
            from_follower,
            created: now,
            last_used: now,
            epoch: 1,
            ordered: BTreeMap::new(),
            places: BTreeMap::new(),
            next_place: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ordered.len()
    }

    /// How many of these are not in the session yet.
    pub(super) fn unknown(&self, partitions: &[FetchPartition]) -> usize {
        partitions.iter().filter(|asked| !self.places.contains_key(&asked.key)).count()
    }

    /// Adds a partition at the end of the order, or takes over what is asked of one that is there.
    pub(super) fn put(&mut self, asked: FetchPartition) {
        let known = self.places.get(&asked.key).and_then(|place| self.ordered.get_mut(place));
        match known {
            Some(cached) => cached.asked = asked,
            None => self.push(Cached::new(asked)),
        }
    }

    fn push(&mut self, cached: Cached) {
        self.places.insert(cached.asked.key.clone(), self.next_place);
        self.ordered.insert(self.next_place, cached);
        self.next_place += 1;
    }

    pub(super) fn forget(&mut self, key: &PartitionKey) {
        if let Some(place) = self.places.remove(key) {
            self.ordered.remove(&place);
        }
    }

    pub(super) fn plan(&self) -> Vec<FetchPartition> {
        self.ordered.values().map(|cached| cached.asked.clone()).collect()
    }

    /// Whether the answer has to show the partition. One that gave records goes behind all others, so that a small
    /// `max_bytes` does not starve them.
    pub(super) fn tell(&mut self, key: &PartitionKey, read: &ReadResult) -> bool {
        let Some(place) = self.places.get(key).copied() else { return false };
        let Some(cached) = self.ordered.get_mut(&place) else { return false };
        let news = cached.tell(read);
        if read.has_records
            && let Some(cached) = self.ordered.remove(&place)
        {
            self.push(cached);
        }
        news
    }

    pub(super) fn check(&self, id: i32) {
        check!(
            FS_1,
            self.places.len() == self.ordered.len()
                && self.places.iter().all(|(key, place)| {
                    self.ordered.get(place).is_some_and(|cached| cached.asked.key == *key)
                }),
            "session {id} has {} places for {} partitions",
            self.places.len(),
            self.ordered.len()
        );
    }
}
