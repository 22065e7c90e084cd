//! A bounded number of entities, of which the idle ones go first.

use std::collections::BTreeMap;

/// A map that forgets what was not used while as many others were as fit a half of it. Both halves together never hold more than
/// the limit, and a use costs two look-ups.
#[derive(Clone, Debug)]
pub struct Tracked<K, V> {
    recent: BTreeMap<K, V>,
    older: BTreeMap<K, V>,
    half: usize,
}

impl<K: Ord + Clone, V: Default> Tracked<K, V> {
    /// A map of at most `max` entities; at least 2.
    #[must_use]
    pub fn new(max: usize) -> Tracked<K, V> {
        Tracked { recent: BTreeMap::new(), older: BTreeMap::new(), half: (max / 2).max(1) }
    }

    /// What is kept of an entity; new when nothing is, or no more.
    pub fn entry(&mut self, key: &K) -> &mut V {
        if !self.recent.contains_key(key) {
            if self.recent.len() >= self.half {
                self.older = std::mem::take(&mut self.recent);
            }
            let kept = self.older.remove(key).unwrap_or_default();
            self.recent.insert(key.clone(), kept);
        }
        self.recent.entry(key.clone()).or_default()
    }

    /// What is kept of an entity, if anything is.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if self.recent.contains_key(key) {
            return self.recent.get_mut(key);
        }
        self.older.get_mut(key)
    }

    /// Number of entities kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.recent.len() + self.older.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
