//! Which offsets of a partition are not yet decided: what holds the last stable offset back.

use std::collections::BTreeMap;

use eddy_types::{Offset, ProducerId};

/// A transaction whose marker the log now holds: what the index of aborted transactions needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedTransaction {
    /// Whose transaction it was.
    pub producer: ProducerId,
    /// Its first offset.
    pub first_offset: Offset,
    /// Offset of its marker.
    pub last_offset: Offset,
    /// Whether it was aborted.
    pub aborted: bool,
    /// Where readers of committed records could read up to once this marker is below the high watermark.
    pub last_stable: Offset,
}

/// First offsets of transactions that are open, or whose marker is not yet below the high watermark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Transactions {
    open: BTreeMap<Offset, ProducerId>,
    /// First offset to the offset of the marker.
    ended: BTreeMap<Offset, Offset>,
}

impl Transactions {
    pub(super) fn begin(&mut self, producer: ProducerId, first_offset: Offset) {
        self.open.insert(first_offset, producer);
    }

    pub(super) fn end(
        &mut self,
        producer: ProducerId,
        first_offset: Offset,
        marker: Offset,
        aborted: bool,
    ) -> EndedTransaction {
        self.open.remove(&first_offset);
        self.ended.insert(first_offset, marker);
        let last_stable = self.open.keys().next().copied().unwrap_or(marker.next());
        EndedTransaction { producer, first_offset, last_offset: marker, aborted, last_stable }
    }

    /// Transactions whose marker is below the high watermark hold nothing back any more.
    pub(super) fn replicated(&mut self, high_watermark: Offset) {
        self.ended.retain(|_, marker| *marker >= high_watermark);
    }

    pub(super) fn first_unstable(&self) -> Option<Offset> {
        let open = self.open.keys().next();
        let ended = self.ended.keys().next();
        open.into_iter().chain(ended).min().copied()
    }

    pub(super) fn first_open(&self) -> Option<Offset> {
        self.open.keys().next().copied()
    }
}
