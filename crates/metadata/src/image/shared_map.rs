//! A sorted map that shares nearly all of itself with its clones.
//!
//! The applier publishes a clone of the image after each batch and then changes its own. A plain map behind an `Arc` would be
//! copied whole each time: milliseconds for thousands of topics. Here a change copies the one chunk it falls into.

use std::borrow::Borrow;
use std::sync::Arc;

/// Entries above which a chunk is split in two.
const CHUNK_MAX: usize = 128;

/// A sorted map in chunks of up to [`CHUNK_MAX`] entries; no chunk is empty.
#[derive(Clone, Debug)]
pub(super) struct SharedMap<K, V> {
    chunks: Vec<Arc<Vec<(K, V)>>>,
    len: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        SharedMap { chunks: Vec::new(), len: 0 }
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let index = chunk.binary_search_by(|(other, _)| other.borrow().cmp(key)).ok()?;
        chunk.get(index).map(|(_, value)| value)
    }

    pub(super) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let index = self.chunk_of(key);
        let chunk = self.chunks.get_mut(index)?;
        let index = chunk.binary_search_by(|(other, _)| other.borrow().cmp(key)).ok()?;
        Arc::make_mut(chunk).get_mut(index).map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let at = self.chunk_of(&key);
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return;
        };
        let chunk = Arc::make_mut(chunk);
        match chunk.binary_search_by(|(other, _)| other.cmp(&key)) {
            Ok(index) => {
                if let Some(entry) = chunk.get_mut(index) {
                    entry.1 = value;
                }
            }
            Err(index) => {
                chunk.insert(index, (key, value));
                self.len += 1;
            }
        }
        if chunk.len() > CHUNK_MAX {
            let upper = chunk.split_off(CHUNK_MAX / 2);
            self.chunks.insert(at + 1, Arc::new(upper));
        }
    }

    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.chunk_of(key);
        let chunk = self.chunks.get_mut(at)?;
        let index = chunk.binary_search_by(|(other, _)| other.borrow().cmp(key)).ok()?;
        let (_, value) = Arc::make_mut(chunk).remove(index);
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
        self.len -= 1;
        Some(value)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All entries, by key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|(key, value)| (key, value))
    }

    /// The chunk that has the key, or would: the last one that does not begin above it.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let begins_at_or_below =
            |chunk: &Arc<Vec<(K, V)>>| chunk.first().is_some_and(|(first, _)| first.borrow() <= key);
        self.chunks.partition_point(begins_at_or_below).saturating_sub(1)
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = SharedMap::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_plain_map_holds(changes in prop::collection::vec((0u16..600, prop::option::of(any::<u8>())), 0..2000)) {
            let mut map = SharedMap::default();
            let mut plain = BTreeMap::new();
            for (key, value) in changes {
                match value {
                    Some(value) => {
                        map.insert(key, value);
                        plain.insert(key, value);
                    }
                    None => prop_assert_eq!(map.remove(&key), plain.remove(&key)),
                }
                prop_assert_eq!(map.get(&key), plain.get(&key));
                prop_assert_eq!(map.len(), plain.len());
            }
            prop_assert!(map.iter().eq(plain.iter()));
            prop_assert!(plain.keys().all(|key| map.get_mut(key).is_some()));
        }
    }

    #[test]
    fn a_change_leaves_clones_alone_and_copies_one_chunk() {
        let mut map: SharedMap<u32, u32> = (0..10_000).map(|n| (n, n)).collect();
        let before = map.clone();
        map.insert(5000, 1);
        map.remove(&5001);
        assert_eq!((before.get(&5000), before.get(&5001)), (Some(&5000), Some(&5001)));
        let copied = map.chunks.iter().zip(&before.chunks).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert!(copied <= 2, "{copied}");
    }
}
