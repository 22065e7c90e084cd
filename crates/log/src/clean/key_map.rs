//! The newest offset of each key in a part of a log, in bounded memory.

use std::hash::{BuildHasher, Hasher, RandomState};

use eddy_types::Offset;

/// Keys are told apart by 128 bits of two keyed hashes: a record goes when a later one has its key, so two keys that are taken
/// for one lose data. With secret keys nobody can make two that collide, and by chance it does not happen.
type KeyHash = [u64; 2];

#[derive(Clone, Copy)]
struct Slot {
    hash: KeyHash,
    /// Negative when the slot is free.
    offset: i64,
}

const FREE: Slot = Slot { hash: [0; 2], offset: -1 };
const SLOT_BYTES: usize = size_of::<Slot>();
/// Keys for which there is always room: a compaction gets on, however little memory it has.
const SLOTS_MIN: usize = 1024;

/// A hash table with open addressing. It grows by doubling, up to the memory it was given; the old table counts while it is
/// copied.
pub(super) struct KeyMap {
    slots: Vec<Slot>,
    used: usize,
    slots_max: usize,
    hashers: [RandomState; 2],
}

impl KeyMap {
    /// A map that takes at most `bytes` of memory at any moment, or a small fixed amount if that is less.
    pub(super) fn new(bytes: usize) -> KeyMap {
        KeyMap {
            slots: vec![FREE; SLOTS_MIN],
            used: 0,
            slots_max: (bytes / SLOT_BYTES / 3 * 2).max(SLOTS_MIN),
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// Notes that `key` occurs at `offset`, which is not below those noted before. False when there is no room for another
    /// key: nothing was noted then.
    pub(super) fn insert(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hash(key);
        if self.is_full() && !self.grow() {
            // A key that is known needs no room.
            return match self.slot_mut(hash) {
                Some(slot) if slot.offset >= 0 => {
                    slot.offset = offset.0;
                    true
                }
                _ => false,
            };
        }
        let Some(slot) = self.slot_mut(hash) else { return false };
        let is_new = slot.offset < 0;
        *slot = Slot { hash, offset: offset.0 };
        self.used += usize::from(is_new);
        true
    }

    /// The newest offset noted for `key`.
    pub(super) fn newest(&self, key: &[u8]) -> Option<Offset> {
        let hash = self.hash(key);
        let slot = self.slots.get(self.place(hash))?;
        (slot.offset >= 0).then_some(Offset(slot.offset))
    }

    /// Bytes of memory that the table takes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * SLOT_BYTES
    }

    fn hash(&self, key: &[u8]) -> KeyHash {
        self.hashers.each_ref().map(|keyed| {
            let mut hasher = keyed.build_hasher();
            hasher.write(key);
            hasher.finish()
        })
    }

    /// Above four fifths the search for a free slot becomes long.
    fn is_full(&self) -> bool {
        self.used >= self.slots.len() / 5 * 4
    }

    fn grow(&mut self) -> bool {
        let slots = (self.slots.len() * 2).min(self.slots_max);
        // Not for a few slots more: each growth copies all.
        if slots < self.slots.len() + self.slots.len() / 4 {
            return false;
        }
        let old = std::mem::replace(&mut self.slots, vec![FREE; slots]);
        for slot in old.into_iter().filter(|slot| slot.offset >= 0) {
            if let Some(place) = self.slot_mut(slot.hash) {
                *place = slot;
            }
        }
        true
    }

    fn slot_mut(&mut self, hash: KeyHash) -> Option<&mut Slot> {
        let place = self.place(hash);
        self.slots.get_mut(place)
    }

    /// Where a hash stands, or the free slot where it would. There always is a free one.
    fn place(&self, hash: KeyHash) -> usize {
        let mut at = (hash[0] % self.slots.len() as u64) as usize;
        while let Some(slot) = self.slots.get(at)
            && slot.offset >= 0
            && slot.hash != hash
        {
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_newest_offset_of_each_key_is_known() {
        let mut map = KeyMap::new(1 << 20);
        let mut model = BTreeMap::new();
        for offset in 0..40_000_i64 {
            let key = format!("key-{}", offset * offset % 9973);
            assert!(map.insert(key.as_bytes(), Offset(offset)));
            model.insert(key, Offset(offset));
        }
        for (key, offset) in &model {
            assert_eq!(map.newest(key.as_bytes()), Some(*offset), "{key}");
        }
        assert_eq!(map.newest(b"another"), None);
        assert!(map.newest(b"").is_none() && map.insert(b"", Offset(7)));
        assert_eq!(map.newest(b""), Some(Offset(7)));
    }

    #[test]
    fn a_full_map_takes_known_keys_only_and_stays_within_its_memory() {
        const BYTES: usize = 300_000;
        let mut map = KeyMap::new(BYTES);
        let keys = (0_i64..).take_while(|key| map.insert(&key.to_be_bytes(), Offset(*key))).count() as i64;
        assert!((BYTES / SLOT_BYTES / 3..BYTES / SLOT_BYTES).contains(&(keys as usize)), "{keys} keys");
        assert!(map.bytes() <= BYTES * 2 / 3);
        assert!(!map.insert(b"one more", Offset(keys)));
        assert!(map.insert(&5_i64.to_be_bytes(), Offset(keys + 1)));
        assert_eq!(map.newest(&5_i64.to_be_bytes()), Some(Offset(keys + 1)));
        assert_eq!(map.newest(b"one more"), None);
    }

    #[test]
    fn there_is_room_for_some_keys_without_memory() {
        let mut map = KeyMap::new(0);
        assert!((0..800_i64).all(|key| map.insert(&key.to_be_bytes(), Offset(key))));
    }
}
