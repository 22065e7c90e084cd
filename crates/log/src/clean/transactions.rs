//! What the log itself tells of its transactions: which batches were aborted, and which markers have nothing left to mark.

use std::collections::{HashMap, HashSet};

use eddy_batch::{Batch, BatchHeader};
use eddy_types::{ControlKind, Offset, ProducerId};

/// Transactions that are held in memory at a time; a compaction goes no further than these reach.
const TRANSACTIONS_MAX: usize = 200_000;

/// The transactions of a part of the log.
#[derive(Default)]
pub(super) struct Transactions {
    /// Of each producer, the offsets from the first batch of an aborted transaction to its marker, ascending.
    aborted: HashMap<ProducerId, Vec<(Offset, Offset)>>,
    aborted_count: usize,
    /// Transactions without a marker so far, by their first batch.
    open: HashMap<ProducerId, Offset>,
    /// Producers with a batch that no marker has followed yet, in the order in which the log is written again.
    unmarked: HashSet<ProducerId>,
}

impl Transactions {
    /// Takes the next batch of the log. False when no more can be remembered, this batch included.
    pub(super) fn see(&mut self, batch: &Batch) -> bool {
        let BatchHeader { producer_id, base_offset, attributes, .. } = batch.header;
        if !attributes.is_transactional() {
            return true;
        }
        if self.aborted_count + self.open.len() >= TRANSACTIONS_MAX {
            return false;
        }
        if !attributes.is_control() {
            self.open.entry(producer_id).or_insert(base_offset);
        } else if let Some(first) = self.open.remove(&producer_id)
            && batch.facts().control == Some(ControlKind::Abort)
        {
            self.aborted.entry(producer_id).or_default().push((first, base_offset));
            self.aborted_count += 1;
        }
        true
    }

    /// First batch of the transactions that were not ended as far as was seen: whether they are aborted is not known.
    pub(super) fn first_open(&self) -> Option<Offset> {
        self.open.values().min().copied()
    }

    /// Whether the records of a batch were aborted.
    pub(super) fn is_aborted(&self, header: &BatchHeader) -> bool {
        if !header.attributes.is_transactional() || header.attributes.is_control() {
            return false;
        }
        let Some(ranges) = self.aborted.get(&header.producer_id) else { return false };
        let next = ranges.partition_point(|(_, marker)| *marker <= header.base_offset);
        ranges.get(next).is_some_and(|(first, _)| *first <= header.base_offset)
    }

    /// Takes the next batch of the log while it is written again, from the log's first batch on. True for a marker none of
    /// whose batches is left.
    pub(super) fn marks_nothing(&mut self, header: &BatchHeader) -> bool {
        if !header.attributes.is_transactional() {
            return false;
        }
        if header.attributes.is_control() {
            return !self.unmarked.remove(&header.producer_id);
        }
        self.unmarked.insert(header.producer_id);
        false
    }
}
