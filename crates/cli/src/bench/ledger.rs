//! What was acknowledged and what was read: loss, duplicates, order.
//!
//! Each value begins with a [`Stamp`] that tells the run, the client and its running number, so that records of other runs and programs in
//! the same topic do no harm. A client's numbers rise, also within each of its partitions.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut};
use serde::Serialize;

/// Bytes of a stamp.
pub(super) const STAMP_BYTES: usize = 28;

/// Whose record it is, which, and when it was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub run: u64,
    pub client: u32,
    pub number: u64,
    /// Nanoseconds after the course began.
    pub due_ns: u64,
}

impl Stamp {
    pub(super) fn write(self, value: &mut [u8]) {
        let Some(mut head) = value.get_mut(..STAMP_BYTES) else { return };
        head.put_u64(self.run);
        head.put_u32(self.client);
        head.put_u64(self.number);
        head.put_u64(self.due_ns);
    }

    pub(super) fn read(value: &[u8]) -> Option<Stamp> {
        let mut head = value.get(..STAMP_BYTES)?;
        Some(Stamp {
            run: head.get_u64(),
            client: head.get_u32(),
            number: head.get_u64(),
            due_ns: head.get_u64(),
        })
    }
}

/// What the clients of a run wrote and what was read of it. Memory: two bits a record.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) run: u64,
    clients: Vec<Mutex<Client>>,
}

#[derive(Debug, Default)]
struct Client {
    /// Numbers below it may be in the log.
    sent: u64,
    acknowledged: Bits,
    read: Bits,
    /// The number that was read last, by partition.
    last: BTreeMap<i32, u64>,
    duplicates: u64,
    out_of_order: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    pub sent: u64,
    pub acknowledged: u64,
    /// Different records of this run.
    pub read: u64,
    /// Acknowledged and not read.
    pub lost: u64,
    /// Read more than once: how often more.
    pub duplicates: u64,
    /// Read behind one that was sent later to the same partition.
    pub out_of_order: u64,
}

impl Ledger {
    pub(super) fn new(run: u64, clients: u32) -> Ledger {
        Ledger { run, clients: (0..clients).map(|_| Mutex::default()).collect() }
    }

    /// Numbers for records that are about to be sent.
    pub(super) fn number(&self, client: u32, records: u32) -> u64 {
        let Some(mut client) = self.client(client) else { return 0 };
        let first = client.sent;
        client.sent += u64::from(records);
        first
    }

    pub(super) fn acknowledge(&self, client: u32, numbers: Range<u64>) {
        if let Some(mut client) = self.client(client) {
            for number in numbers {
                client.acknowledged.set(number);
            }
        }
    }

    /// A record was read; false when it is none of this run's, or was read before.
    pub(super) fn read(&self, partition: i32, stamp: &Stamp) -> bool {
        if stamp.run != self.run {
            return false;
        }
        let Some(mut client) = self.client(stamp.client) else { return false };
        if stamp.number >= client.sent {
            return false;
        }
        if !client.read.set(stamp.number) {
            client.duplicates += 1;
            return false;
        }
        let last = client.last.insert(partition, stamp.number);
        if last.is_some_and(|last| last > stamp.number) {
            client.out_of_order += 1;
        }
        true
    }

    pub(super) fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for client in &self.clients {
            let client = client.lock().unwrap_or_else(PoisonError::into_inner);
            verdict.sent += client.sent;
            verdict.acknowledged += client.acknowledged.count();
            verdict.read += client.read.count();
            verdict.lost += client.acknowledged.count_without(&client.read);
            verdict.duplicates += client.duplicates;
            verdict.out_of_order += client.out_of_order;
        }
        verdict
    }

    fn client(&self, number: u32) -> Option<MutexGuard<'_, Client>> {
        let client = self.clients.get(number as usize)?;
        Some(client.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Verdict {
    pub(super) fn is_good(&self) -> bool {
        self.lost == 0 && self.duplicates == 0 && self.out_of_order == 0
    }
}

/// A set of numbers from 0 on.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Whether it was not there.
    fn set(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let Some(word) = self.0.get_mut(word) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    fn count_without(&self, other: &Bits) -> u64 {
        let others = other.0.iter().chain(std::iter::repeat(&0));
        self.0.iter().zip(others).map(|(word, other)| u64::from((word & !other).count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(client: u32, number: u64) -> Stamp {
        Stamp { run: 7, client, number, due_ns: 5 }
    }

    /// Two clients with a hundred records each, all acknowledged but the last ten.
    fn ledger() -> Ledger {
        let ledger = Ledger::new(7, 2);
        for client in 0..2 {
            assert_eq!(ledger.number(client, 100), 0);
            ledger.acknowledge(client, 0..90);
        }
        ledger
    }

    #[test]
    fn all_read_once_and_in_order_is_good() {
        let ledger = ledger();
        for number in 0..100 {
            for client in 0..2 {
                assert!(ledger.read((number % 3) as i32, &stamp(client, number)));
            }
        }
        let verdict = ledger.verdict();
        assert!(verdict.is_good(), "{verdict:?}");
        assert_eq!((verdict.sent, verdict.acknowledged, verdict.read), (200, 180, 200));
    }

    #[test]
    fn what_is_missing_twice_or_late_is_counted() {
        let ledger = ledger();
        for number in (0..90).filter(|number| ![5, 70].contains(number)) {
            ledger.read(0, &stamp(0, number));
        }
        ledger.read(0, &stamp(0, 5));
        assert!(!ledger.read(0, &stamp(0, 6)));
        let verdict = ledger.verdict();
        assert_eq!((verdict.lost, verdict.duplicates, verdict.out_of_order), (91, 1, 1));
    }

    #[test]
    fn records_of_others_are_passed_over() {
        let ledger = ledger();
        for foreign in [Stamp { run: 8, ..stamp(0, 1) }, stamp(2, 1), stamp(0, 100), stamp(0, u64::MAX)] {
            assert!(!ledger.read(0, &foreign), "{foreign:?}");
        }
        assert_eq!(ledger.verdict().read, 0);
    }

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let mut value = [9; 40];
        stamp(1, 2).write(&mut value);
        assert_eq!(Stamp::read(&value), Some(stamp(1, 2)));
        assert_eq!(value[STAMP_BYTES], 9);
        assert_eq!(Stamp::read(&value[..20]), None);
    }
}
