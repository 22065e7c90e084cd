//! A partition's log as the simulation sees it: batches without bytes, and the list of leader epochs.

use eddy_core::ProducerWindows;
use eddy_types::{BatchFacts, LeaderEpoch, Millis, Offset, ProducerEpoch, ProducerId, ProducerSequence};

/// One batch: the values `value..value + offsets`, all unique in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Number of the partition that it was written to.
    pub(crate) partition: usize,
    pub(crate) base: Offset,
    pub(crate) offsets: i32,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) value: u64,
    /// The leader's time of day when it was appended.
    pub(crate) timestamp: Millis,
    /// Producer id and first sequence of an idempotent producer.
    pub(crate) producer: Option<(i64, i32)>,
}

impl Batch {
    pub(crate) fn end(&self) -> Offset {
        self.base + i64::from(self.offsets)
    }

    pub(crate) fn facts(&self) -> BatchFacts {
        BatchFacts {
            offsets: self.offsets,
            records: self.offsets,
            bytes: 100,
            max_timestamp: self.timestamp,
            producer: self.producer.map(|(id, first)| ProducerSequence {
                id: ProducerId(id),
                epoch: ProducerEpoch(0),
                first,
                last: first + self.offsets - 1,
            }),
            transactional: false,
            control: None,
        }
    }
}

/// Batches in offset order. What lies before `start` is forgotten; a batch that straddles it is kept whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) start: Offset,
    end: Offset,
    batches: Vec<Batch>,
    /// Each epoch and where it begins; entries before the log start are forgotten, but for the one that covers it.
    epochs: Vec<(LeaderEpoch, Offset)>,
}

impl Log {
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    /// Whether it is as a new one is.
    pub(crate) fn is_empty(&self) -> bool {
        self.end == Offset::ZERO
    }

    /// Adds a batch at the end.
    pub(crate) fn append(&mut self, batch: Batch) {
        assert_eq!(batch.base, self.end, "a batch leaves a gap");
        if self.last_epoch() < batch.epoch {
            self.epochs.push((batch.epoch, batch.base));
        }
        self.end = batch.end();
        self.batches.push(batch);
    }

    /// Epoch of the last batch, as far as remembered.
    pub(crate) fn last_epoch(&self) -> LeaderEpoch {
        self.epochs.last().map_or(LeaderEpoch::NONE, |(epoch, _)| *epoch)
    }

    /// The largest epoch not above `asked` and where it ends.
    pub(crate) fn end_of(&self, asked: LeaderEpoch) -> (LeaderEpoch, Offset) {
        let after = self.epochs.partition_point(|(epoch, _)| *epoch <= asked);
        match after.checked_sub(1).and_then(|index| self.epochs.get(index)) {
            None => (LeaderEpoch::NONE, Offset::NONE),
            Some((epoch, _)) => (*epoch, self.epochs.get(after).map_or(self.end, |(_, start)| *start)),
        }
    }

    /// Cuts the log to `to`, which is at a batch's boundary.
    pub(crate) fn truncate(&mut self, to: Offset) {
        if to >= self.end {
            return;
        }
        let keep = self.batches.partition_point(|batch| batch.end() <= to);
        self.batches.truncate(keep);
        self.end = to;
        self.start = self.start.min(to);
        let keep = self.epochs.partition_point(|(_, start)| *start < to);
        self.epochs.truncate(keep);
    }

    /// Drops everything and begins anew at `at`.
    pub(crate) fn restart_at(&mut self, at: Offset) {
        *self = Log { start: at, end: at, ..Log::default() };
    }

    /// Forgets what lies before `to`.
    pub(crate) fn trim(&mut self, to: Offset) {
        let to = to.min(self.end);
        if to <= self.start {
            return;
        }
        self.start = to;
        let covering = self.epochs.partition_point(|(_, start)| *start <= to).saturating_sub(1);
        self.epochs.drain(..covering);
        if let Some(first) = self.epochs.first_mut() {
            first.1 = first.1.max(to);
        }
    }

    /// The batches from the one that holds `from`, up to `upto`.
    pub(crate) fn read(&self, from: Offset, upto: Offset) -> &[Batch] {
        let first = self.batches.partition_point(|batch| batch.end() <= from);
        let after = self.batches.partition_point(|batch| batch.end() <= upto);
        self.batches.get(first..after.max(first)).unwrap_or(&[])
    }

    /// Where the first batch begins: before the log start, when that lies within a batch. A replica that is filled anew
    /// begins here.
    pub(crate) fn floor(&self) -> Offset {
        self.read(self.start, self.end).first().map_or(self.start, |batch| batch.base.min(self.start))
    }

    pub(crate) fn batches(&self) -> &[Batch] {
        &self.batches
    }

    /// Producer windows as a replay of the log at `now` gives them.
    pub(crate) fn producers(&self, now: Millis) -> ProducerWindows {
        let mut windows = ProducerWindows::default();
        for batch in &self.batches {
            windows.replay(now, &batch.facts(), batch.base);
        }
        windows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base: i64, offsets: i32, epoch: i32) -> Batch {
        Batch {
            partition: 0,
            base: Offset(base),
            offsets,
            epoch: LeaderEpoch(epoch),
            value: 0,
            timestamp: Millis(0),
            producer: None,
        }
    }

    fn three_epochs() -> Log {
        let mut log = Log::default();
        for (base, offsets, epoch) in [(0, 2, 1), (2, 3, 1), (5, 1, 3), (6, 2, 4)] {
            log.append(batch(base, offsets, epoch));
        }
        log
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_begins() {
        let log = three_epochs();
        let end_of = |epoch| log.end_of(LeaderEpoch(epoch));
        assert_eq!(end_of(0), (LeaderEpoch::NONE, Offset::NONE));
        assert_eq!(end_of(1), (LeaderEpoch(1), Offset(5)));
        assert_eq!(end_of(2), (LeaderEpoch(1), Offset(5)));
        assert_eq!(end_of(9), (LeaderEpoch(4), Offset(8)));
    }

    #[test]
    fn a_cut_takes_the_epochs_along() {
        let mut log = three_epochs();
        log.truncate(Offset(5));
        assert_eq!((log.end(), log.last_epoch()), (Offset(5), LeaderEpoch(1)));
        assert_eq!(log.read(Offset(0), Offset(9)).len(), 2);
    }

    #[test]
    fn a_trimmed_log_knows_the_epoch_of_its_start() {
        let mut log = three_epochs();
        log.trim(Offset(5));
        assert_eq!(log.end_of(LeaderEpoch(2)), (LeaderEpoch::NONE, Offset::NONE));
        assert_eq!(log.end_of(LeaderEpoch(3)), (LeaderEpoch(3), Offset(6)));
        log.trim(Offset(8));
        assert_eq!((log.start, log.last_epoch()), (Offset(8), LeaderEpoch(4)));
    }
}
