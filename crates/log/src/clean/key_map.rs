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
/// Slots of a table at first.
const SLOTS_FIRST: usize = 64;
/// The map is so many tables at most, unless they would have fewer slots each than this: they grow one by one, so that little
/// memory is taken twice at a time.
const TABLES_MAX: usize = 64;
const TABLE_SLOTS: usize = 16 << 10;

/// Hash tables that share the keys between them. Each grows by half, up to its share of the memory; the old slots count while they are
/// copied.
pub(super) struct KeyMap {
    tables: Vec<Table>,
    slots_max: usize,
    hashers: [RandomState; 2],
}

/// A table with open addressing.
struct Table {
    slots: Vec<Slot>,
    used: usize,
}

impl KeyMap {
    /// A map that takes at most `bytes` of memory at any moment, or a small fixed amount if that is less.
    pub(super) fn new(bytes: usize) -> KeyMap {
        let slots = bytes / SLOT_BYTES;
        let tables = (slots / TABLE_SLOTS).clamp(1, TABLES_MAX);
        let empty = || Table { slots: vec![FREE; SLOTS_FIRST], used: 0 };
        KeyMap {
            tables: std::iter::repeat_with(empty).take(tables).collect(),
            // One is there twice while it grows.
            slots_max: (slots / (tables + 1)).max(SLOTS_MIN),
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// Notes that `key` occurs at `offset`, which is not below those noted before. False when there is no room for another
    /// key: nothing was noted then.
    pub(super) fn insert(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hash(key);
        let (table, slots_max) = (self.table_of(hash), self.slots_max);
        self.tables.get_mut(table).is_some_and(|table| table.insert(hash, offset, slots_max))
    }

    /// The newest offset noted for `key`.
    pub(super) fn newest(&self, key: &[u8]) -> Option<Offset> {
        let hash = self.hash(key);
        let table = self.tables.get(self.table_of(hash))?;
        let slot = table.slots.get(table.place(hash))?;
        (slot.offset >= 0).then_some(Offset(slot.offset))
    }

    /// Bytes of memory that the tables take.
    pub(super) fn bytes(&self) -> usize {
        self.tables.iter().map(|table| table.slots.len() * SLOT_BYTES).sum()
    }

    fn hash(&self, key: &[u8]) -> KeyHash {
        self.hashers.each_ref().map(|keyed| {
            let mut hasher = keyed.build_hasher();
            hasher.write(key);
            hasher.finish()
        })
    }

    fn table_of(&self, hash: KeyHash) -> usize {
        (hash[1] % self.tables.len() as u64) as usize
    }
}

impl Table {
    fn insert(&mut self, hash: KeyHash, offset: Offset, slots_max: usize) -> bool {
        let has_room = !self.is_full() || self.grow(slots_max);
        let Some(slot) = self.slot_mut(hash) else { return false };
        let is_new = slot.offset < 0;
        // A key that is known needs no room.
        if is_new && !has_room {
            return false;
        }
        *slot = Slot { hash, offset: offset.0 };
        self.used += usize::from(is_new);
        true
    }

    /// Above four fifths the search for a free slot becomes long.
    fn is_full(&self) -> bool {
        self.used >= self.slots.len() / 5 * 4
    }

    fn grow(&mut self, slots_max: usize) -> bool {
        let before = self.slots.len();
        let slots = (before + before / 2).min(slots_max);
        // Not for a few slots more: each growth copies all.
        if slots < before + before / 8 {
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
        assert_eq!(map.tables.len(), 1);
        assert!(!map.insert(b"one more", Offset(keys)));
        assert!(map.insert(&5_i64.to_be_bytes(), Offset(keys + 1)));
        assert_eq!(map.newest(&5_i64.to_be_bytes()), Some(Offset(keys + 1)));
        assert_eq!(map.newest(b"one more"), None);
    }

    #[test]
    fn a_large_map_takes_little_more_memory_than_its_keys_need() {
        const KEYS: usize = 450_000;
        let mut map = KeyMap::new(116 << 20);
        assert_eq!(map.tables.len(), TABLES_MAX);
        assert!((0..KEYS as u64).all(|key| map.insert(&key.to_be_bytes(), Offset(key as i64))));
        let needed = KEYS * SLOT_BYTES;
        assert!((needed..needed * 2).contains(&map.bytes()), "{} for {needed}", map.bytes());
        let largest = map.tables.iter().map(|table| table.slots.len() * SLOT_BYTES).max().unwrap();
        assert!(largest < map.bytes() / 30, "twice while it grows: {largest}");
        assert!((0..KEYS as u64).all(|key| map.newest(&key.to_be_bytes()) == Some(Offset(key as i64))));
    }

    #[test]
    fn there_is_room_for_some_keys_without_memory() {
        let mut map = KeyMap::new(0);
        assert!((0..800_i64).all(|key| map.insert(&key.to_be_bytes(), Offset(key))));
    }
}
