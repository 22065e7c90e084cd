//! One producer's window on one partition: the sequence and epoch rules.

use eddy_types::{BatchFacts, Millis, Offset, OffsetRange, ProducerEpoch, ProducerId, ProducerSequence};

use crate::invariant::check;

/// Batches remembered of each producer: clients keep at most five requests in flight.
pub const WINDOW_BATCHES: usize = 5;

/// No transaction coordinator has written a marker for the producer.
pub const NO_COORDINATOR_EPOCH: i32 = -1;

/// A batch that can still be recognised when it comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowBatch {
    /// Sequence of the first record.
    pub first_sequence: i32,
    /// Sequence of the last record; below the first one when the numbers wrapped.
    pub last_sequence: i32,
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// Largest timestamp of the batch.
    pub timestamp: Millis,
}

impl WindowBatch {
    pub(crate) fn range(&self) -> OffsetRange {
        OffsetRange { start: self.base_offset, end: self.last_offset.next() }
    }
}

/// A producer's state as a checkpoint keeps it and DescribeProducers shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerSnapshot {
    /// Whose state it is.
    pub id: ProducerId,
    /// Its current epoch.
    pub epoch: ProducerEpoch,
    /// Largest timestamp of its last batch, [`Millis::NONE`] when that had none.
    pub last_timestamp: Millis,
    /// Its last batches of this epoch, oldest first, at most [`WINDOW_BATCHES`].
    pub batches: Vec<WindowBatch>,
    /// Epoch of the coordinator that wrote its last marker, or [`NO_COORDINATOR_EPOCH`].
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub open_transaction: Option<Offset>,
}

impl ProducerSnapshot {
    /// Sequence of its last record; `None` when its last batch is no longer remembered.
    #[must_use]
    pub fn last_sequence(&self) -> Option<i32> {
        self.batches.last().map(|batch| batch.last_sequence)
    }
}

/// Why a producer's batch is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// A newer epoch has fenced the producer (R-3.21, INVALID_PRODUCER_EPOCH).
    #[error("epoch {sent} of producer {id} is fenced by epoch {current}")]
    FencedEpoch {
        /// The producer.
        id: ProducerId,
        /// Epoch in the batch.
        sent: ProducerEpoch,
        /// Epoch known here.
        current: ProducerEpoch,
    },
    /// The batch leaves a gap, or is a duplicate older than the window (R-3.20, R-3.21, OUT_OF_ORDER_SEQUENCE_NUMBER).
    #[error("sequence {sent} of producer {id} is not the next one, {expected}")]
    OutOfOrder {
        /// The producer.
        id: ProducerId,
        /// First sequence of the batch.
        sent: i32,
        /// First sequence that would be taken.
        expected: i32,
    },
    /// A batch outside the producer's open transaction (R-3.25, INVALID_TXN_STATE).
    #[error("producer {id} has a transaction open since offset {since}")]
    TransactionOpen {
        /// The producer.
        id: ProducerId,
        /// First offset of the transaction.
        since: Offset,
    },
    /// The partition remembers as many producers as it may, and none of them is idle. Trying again later helps.
    #[error("no room for producer {id}: producers in use {in_use}")]
    TooManyProducers {
        /// The producer.
        id: ProducerId,
        /// Producers remembered.
        in_use: usize,
    },
}

/// State of one producer on one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) epoch: ProducerEpoch,
    pub(super) last_timestamp: Millis,
    pub(super) coordinator_epoch: i32,
    pub(super) open_transaction: Option<Offset>,
    /// When this broker last saw a batch of the producer. Record timestamps say nothing about idleness: a backfill
    /// carries old ones, and dropping its window would let its resends in twice.
    pub(super) last_used: Millis,
    /// Offset of the last batch or marker; breaks ties of `last_used` in the order of the log.
    pub(super) last_offset: Offset,
    batches: Vec<WindowBatch>,
}

impl Window {
    pub(super) fn new(epoch: ProducerEpoch) -> Window {
        Window {
            epoch,
            last_timestamp: Millis::NONE,
            coordinator_epoch: NO_COORDINATOR_EPOCH,
            open_transaction: None,
            last_used: Millis::NONE,
            last_offset: Offset::NONE,
            batches: Vec::new(),
        }
    }

    /// The range of the same batch appended before, if the window still has it.
    pub(super) fn duplicate_of(&self, sent: &ProducerSequence) -> Option<OffsetRange> {
        if sent.epoch != self.epoch {
            return None;
        }
        let same =
            |batch: &&WindowBatch| batch.first_sequence == sent.first && batch.last_sequence == sent.last;
        self.batches.iter().find(same).map(WindowBatch::range)
    }

    /// Whether a batch that is no duplicate may follow.
    pub(super) fn may_follow(
        &self,
        batch: &BatchFacts,
        sent: &ProducerSequence,
    ) -> Result<(), SequenceError> {
        let id = sent.id;
        if sent.epoch < self.epoch {
            return Err(SequenceError::FencedEpoch { id, sent: sent.epoch, current: self.epoch });
        }
        if batch.control.is_some() {
            return Ok(());
        }
        // What a coordinator writes for a producer carries the epoch but no sequence.
        if sent.first >= 0 {
            let expected = if sent.epoch > self.epoch { 0 } else { self.next_sequence() };
            if sent.first != expected {
                return Err(SequenceError::OutOfOrder { id, sent: sent.first, expected });
            }
        }
        match self.open_transaction {
            Some(since) if !batch.transactional => Err(SequenceError::TransactionOpen { id, since }),
            _ => Ok(()),
        }
    }

    /// A window without batches means that the epoch began with a marker: its numbers start at 0.
    fn next_sequence(&self) -> i32 {
        self.batches.last().map_or(0, |batch| next_sequence(batch.last_sequence))
    }

    /// Takes over the epoch; the sequences of another epoch mean nothing any more.
    pub(super) fn adopt_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }

    pub(super) fn remember(&mut self, batch: WindowBatch) {
        let follows = |last: &WindowBatch| next_sequence(last.last_sequence) == batch.first_sequence;
        if !self.batches.last().is_none_or(follows) {
            // A compacted log lacks batches in between. Those before can no longer be resent by anyone.
            self.batches.clear();
        }
        if self.batches.len() == WINDOW_BATCHES {
            self.batches.remove(0);
        }
        self.batches.push(batch);
    }

    pub(super) fn snapshot(&self, id: ProducerId) -> ProducerSnapshot {
        ProducerSnapshot {
            id,
            epoch: self.epoch,
            last_timestamp: self.last_timestamp,
            batches: self.batches.clone(),
            coordinator_epoch: self.coordinator_epoch,
            open_transaction: self.open_transaction,
        }
    }

    pub(super) fn restored(now: Millis, snapshot: ProducerSnapshot) -> Window {
        let mut batches = snapshot.batches;
        batches.drain(..batches.len().saturating_sub(WINDOW_BATCHES));
        Window {
            epoch: snapshot.epoch,
            last_timestamp: snapshot.last_timestamp,
            coordinator_epoch: snapshot.coordinator_epoch,
            open_transaction: snapshot.open_transaction,
            last_used: now,
            last_offset: batches.last().map_or(Offset::NONE, |batch| batch.last_offset),
            batches,
        }
    }

    pub(super) fn check(&self, id: ProducerId) {
        check!(
            PID_2,
            self.batches.len() <= WINDOW_BATCHES,
            "producer {id} has {} batches",
            self.batches.len()
        );
        for (earlier, later) in self.batches.iter().zip(self.batches.iter().skip(1)) {
            check!(
                PID_1,
                later.first_sequence == next_sequence(earlier.last_sequence)
                    && later.base_offset > earlier.last_offset,
                "producer {id}: {later:?} after {earlier:?}"
            );
        }
    }
}

/// Sequences wrap from `i32::MAX` to 0.
fn next_sequence(last: i32) -> i32 {
    last.checked_add(1).unwrap_or(0)
}
