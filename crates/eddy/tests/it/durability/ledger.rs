//! What producers sent, what was acknowledged to them, and whether a reader finds that and nothing else.

use std::collections::HashMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use eddy_client::PartitionName;
use eddy_types::Offset;

/// Producer and counter, which begin each value.
const ID_BYTES: usize = 12;
const VALUE_BYTES_MIN: u64 = 64;
const VALUE_BYTES_MAX: u64 = 4096;

/// A record, named by its producer and that producer's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RecordId {
    pub(super) producer: u32,
    pub(super) counter: u64,
}

/// A small generator of pseudo-random numbers (SplitMix64), so that a seed repeats a run.
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `[low, high]`.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }
}

impl RecordId {
    /// The record's value: its id, then bytes that follow from it, 64 to 4096 in all.
    pub(super) fn value(self) -> Bytes {
        let mut random = Random((u64::from(self.producer) << 40) ^ self.counter);
        let length = random.between(VALUE_BYTES_MIN, VALUE_BYTES_MAX) as usize;
        let mut value = BytesMut::with_capacity(length + 8);
        value.put_u32(self.producer);
        value.put_u64(self.counter);
        while value.len() < length {
            value.put_u64(random.next());
        }
        value.truncate(length);
        value.freeze()
    }

    fn of(value: &Bytes) -> RecordId {
        assert!(value.len() >= ID_BYTES, "a value that nobody sent: {value:?}");
        let mut bytes = value.clone();
        RecordId { producer: bytes.get_u32(), counter: bytes.get_u64() }
    }
}

/// What a run knows so far. Partitions go by their place in a list.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Where each acknowledged record is, as its producer was told.
    acknowledged: HashMap<RecordId, (usize, Offset)>,
    /// What was read, by partition and offset.
    read: Vec<Vec<RecordId>>,
    /// Where each record was read.
    found: HashMap<RecordId, (usize, Offset)>,
}

impl Ledger {
    pub(super) fn new(partitions: usize) -> Ledger {
        Ledger { read: vec![Vec::new(); partitions], ..Ledger::default() }
    }

    pub(super) fn acknowledge(&mut self, record: RecordId, partition: usize, offset: Offset) {
        let before = self.acknowledged.insert(record, (partition, offset));
        assert_eq!(before, None, "{record:?} was acknowledged twice");
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// How far a partition was read.
    pub(super) fn end(&self, partition: usize) -> Offset {
        Offset(self.read[partition].len() as i64)
    }

    /// Notes the next record of a partition: offsets have no gaps, and no record is there twice.
    pub(super) fn read(&mut self, name: &PartitionName, partition: usize, offset: Offset, value: &Bytes) {
        assert_eq!(offset, self.end(partition), "{name} has a gap");
        let record = RecordId::of(value);
        assert_eq!(
            *value,
            record.value(),
            "{name} at {offset}: the value of {record:?} is not what was sent"
        );
        let before = self.found.insert(record, (partition, offset));
        assert_eq!(before, None, "{record:?} is there twice: now in {name} at {offset}");
        self.read[partition].push(record);
    }

    /// Compares with what was read before: nothing moved or changed.
    pub(super) fn read_again(&self, name: &PartitionName, partition: usize, offset: Offset, value: &Bytes) {
        let before = self.read[partition][usize::try_from(offset.0).unwrap()];
        assert_eq!(RecordId::of(value), before, "{name} at {offset} holds another record than before");
        assert_eq!(*value, before.value(), "{name} at {offset} changed");
    }

    /// After everything was read: each acknowledged record is where its producer was told.
    pub(super) fn check(&self) {
        for (record, told) in &self.acknowledged {
            let found = self.found.get(record);
            assert!(found.is_some(), "{record:?} was acknowledged at {told:?} and is lost");
            assert_eq!(found, Some(told), "{record:?} is not where its producer was told");
        }
    }
}
