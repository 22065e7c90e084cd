//! What is true of a partition: the batches that some leader's high watermark has ever covered.
//!
//! An unclean election that somebody asks for begins another line of the history: what its leader has of the one before stays true,
//! the rest is lost. Who has not heard of the election still goes by the old line, in its leader epochs.

use std::collections::BTreeMap;

use eddy_types::{LeaderEpoch, Offset};

use crate::log::{Batch, Log};

#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    pub(crate) batches: Vec<Batch>,
    pub(crate) end: Offset,
    /// Where each value is.
    pub(crate) places: BTreeMap<u64, Offset>,
    /// End of what producers were promised with acks=all.
    pub(crate) acked_end: Offset,
}

impl Truth {
    pub(crate) fn at(&self, base: Offset) -> Option<&Batch> {
        let index = self.batches.partition_point(|batch| batch.base < base);
        self.batches.get(index).filter(|batch| batch.base == base)
    }

    /// What stays true when a replica's log, durable up to `durable_end`, takes the place of the others, and up to where. What its own
    /// high watermark covers may be of an earlier line: that is true again.
    fn kept_by(&self, log: &Log, durable_end: Offset, high_watermark: Offset) -> (Truth, Offset) {
        let own = log.read(log.start, durable_end);
        let first = own.first().map_or(log.start, |batch| batch.base);
        let (deleted, rest) =
            self.batches.split_at(self.batches.partition_point(|batch| batch.end() <= first));
        let equal = own.iter().zip(rest).take_while(|(one, other)| one == other).count();
        let covered = own.partition_point(|batch| batch.end() <= high_watermark);
        let end_of = |count: usize| count.checked_sub(1).map_or(first, |last| own[last].end());
        let (kept, end) = (end_of(equal), end_of(equal.max(covered)));
        let batches: Vec<Batch> =
            deleted.iter().chain(own.iter().take(equal.max(covered))).copied().collect();
        let places = batches.iter().map(|batch| (batch.value, batch.base)).collect();
        (Truth { batches, end, places, acked_end: self.acked_end.min(kept) }, kept)
    }
}

#[derive(Debug, Default)]
struct Line {
    /// Leader epoch that it begins with.
    from: LeaderEpoch,
    /// Where it left the line before, once a leader has taken its role.
    kept: Option<Offset>,
    truth: Truth,
}

/// All that was ever true of a partition.
#[derive(Debug)]
pub(crate) struct History {
    lines: Vec<Line>,
    /// The log may begin here at most.
    pub(crate) deleted: Offset,
}

impl History {
    pub(crate) fn new() -> History {
        let first = Line { from: LeaderEpoch::NONE, kept: Some(Offset::ZERO), truth: Truth::default() };
        History { lines: vec![first], deleted: Offset::ZERO }
    }

    /// Number of the line that holds in a leader epoch.
    pub(crate) fn line(&self, epoch: LeaderEpoch) -> usize {
        self.lines.partition_point(|line| line.from <= epoch).saturating_sub(1)
    }

    pub(crate) fn newest_line(&self) -> usize {
        self.lines.len() - 1
    }

    pub(crate) fn of(&self, epoch: LeaderEpoch) -> &Truth {
        &self.lines[self.line(epoch)].truth
    }

    pub(crate) fn of_mut(&mut self, epoch: LeaderEpoch) -> &mut Truth {
        let line = self.line(epoch);
        &mut self.lines[line].truth
    }

    pub(crate) fn newest(&self) -> &Truth {
        &self.lines[self.newest_line()].truth
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Truth> {
        self.lines.iter().map(|line| &line.truth)
    }

    /// An unclean election that was asked for begins with this epoch.
    pub(crate) fn fork(&mut self, from: LeaderEpoch) {
        self.lines.push(Line { from, ..Line::default() });
    }

    /// A replica leads: when it is the first of its line, that line is what it has. Whether something was lost with that.
    pub(crate) fn led_by(
        &mut self,
        epoch: LeaderEpoch,
        log: &Log,
        durable_end: Offset,
        high_watermark: Offset,
    ) -> bool {
        let line = self.line(epoch);
        let (earlier, later) = self.lines.split_at_mut(line);
        let Some(line) = later.first_mut().filter(|line| line.kept.is_none()) else { return false };
        let Some(before) = earlier.iter().rfind(|line| line.kept.is_some()) else { return false };
        let (truth, kept) = before.truth.kept_by(log, durable_end, high_watermark);
        (line.truth, line.kept) = (truth, Some(kept));
        kept < before.truth.end
    }

    /// What is left, on a later line, of everything up to an offset that was true on an earlier one.
    pub(crate) fn left_of(&self, offset: Offset, from_line: usize, line: usize) -> Offset {
        let passed = self.lines.get(from_line + 1..=line).unwrap_or(&[]);
        passed.iter().filter_map(|line| line.kept).fold(offset, Offset::min)
    }
}
