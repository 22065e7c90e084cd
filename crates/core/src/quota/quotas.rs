//! The use of all entities against their limits.

use eddy_types::Millis;

use super::{QuotaWindows, TokenBucket, Tracked};

/// Limits on a rate: bytes, time, connections. What is over the limit was used all the same, and is paid for with a pause.
#[derive(Clone, Debug)]
pub struct RateQuotas<K> {
    entities: Tracked<K, TokenBucket>,
}

impl<K: Ord + Clone> RateQuotas<K> {
    /// Follows at most `entities_max` entities; who was idle longest is forgotten.
    #[must_use]
    pub fn new(entities_max: usize) -> RateQuotas<K> {
        RateQuotas { entities: Tracked::new(entities_max) }
    }

    /// Counts a use and tells the pause that brings the entity back to `limit` a second.
    pub fn record(
        &mut self,
        now: Millis,
        windows: QuotaWindows,
        entity: &K,
        amount: f64,
        limit: f64,
    ) -> Millis {
        let used = self.entities.entry(entity);
        used.take(now, limit, amount);
        used.delay(now, windows.burst(limit), limit)
    }

    /// Takes back a use that did not happen.
    pub fn unrecord(&mut self, now: Millis, entity: &K, amount: f64, limit: f64) {
        if let Some(used) = self.entities.get_mut(entity) {
            used.take(now, limit, -amount);
        }
    }
}

/// Limits on changes of the cluster: partitions made and removed (KIP-599).
#[derive(Clone, Debug)]
pub struct BucketQuotas<K> {
    entities: Tracked<K, TokenBucket>,
}

impl<K: Ord + Clone> BucketQuotas<K> {
    /// Follows at most `entities_max` entities; who was idle longest is forgotten.
    #[must_use]
    pub fn new(entities_max: usize) -> BucketQuotas<K> {
        BucketQuotas { entities: Tracked::new(entities_max) }
    }

    /// Takes tokens if the entity owes none; what it takes may exceed what there is. Else tells how long it must wait.
    pub fn take_strictly(
        &mut self,
        now: Millis,
        windows: QuotaWindows,
        entity: &K,
        amount: f64,
        limit: f64,
    ) -> Result<(), Millis> {
        let bucket = self.entities.entry(entity);
        match bucket.delay(now, windows.total(limit), limit) {
            Millis(0) => {
                bucket.take(now, limit, amount);
                Ok(())
            }
            delay => Err(delay),
        }
    }

    /// Takes tokens in any case, and tells the pause until none is owed.
    pub fn take(
        &mut self,
        now: Millis,
        windows: QuotaWindows,
        entity: &K,
        amount: f64,
        limit: f64,
    ) -> Millis {
        let bucket = self.entities.entry(entity);
        bucket.take(now, limit, amount);
        bucket.delay(now, windows.total(limit), limit)
    }

    /// Gives back what was taken for a change that is not made like that after all.
    pub fn give_back(&mut self, now: Millis, entity: &K, amount: f64, limit: f64) {
        if let Some(bucket) = self.entities.get_mut(entity) {
            bucket.take(now, limit, -amount);
        }
    }
}
