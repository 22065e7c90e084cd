//! A follower of a partition: copies the leader's log, truncates by epoch and never by high watermark.

use eddy_types::{BatchFacts, LeaderEpoch, Millis, Offset};

use super::effect::{Effect, Effects};
use super::epochs::{self, EpochError};
use super::leader::Offsets;
use crate::invariant::check;
use crate::producer::{ProducerSnapshot, ProducerWindows};

/// What a follower starts from: its log as recovered, or as it led it until now.
#[derive(Clone, Debug)]
pub struct FollowerStart {
    /// Epoch of the leader it follows.
    pub epoch: LeaderEpoch,
    /// Epoch of the last batch in its log, [`LeaderEpoch::NONE`] if it is empty.
    pub last_epoch: LeaderEpoch,
    /// First offset of its log.
    pub log_start: Offset,
    /// End of its log.
    pub log_end: Offset,
    /// End of what is on its disk.
    pub durable_end: Offset,
    /// The high watermark as last heard: `log_start` when nothing is known.
    pub high_watermark: Offset,
    /// Producers of the log up to `log_end`.
    pub producers: ProducerWindows,
}

/// Why a truncation goes below what was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TruncationKind {
    /// The leader was elected from the ISR or the ELR: nothing below the high watermark may go.
    Clean,
    /// The leader was elected uncleanly: the operator has accepted a loss.
    Unclean,
}

/// Why a follower does not do what the leader's log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowerError {
    /// The batch does not begin where the log ends.
    #[error("batch at offset {base} does not follow log end {log_end}")]
    NotContiguous {
        /// Base offset of the batch.
        base: Offset,
        /// End of this log.
        log_end: Offset,
    },
    /// The batch is of an older epoch than the one before it, or of a newer one than the leader's.
    #[error("batch of leader epoch {sent} after {last}, leader is at {current}")]
    EpochOutOfOrder {
        /// Epoch of the batch.
        sent: LeaderEpoch,
        /// Epoch of the last batch in the log.
        last: LeaderEpoch,
        /// Epoch of the leader.
        current: LeaderEpoch,
    },
    /// A clean truncation would take back what has been promised: a defect or damage, never to be followed.
    #[error("truncation to {to} is below high watermark {high_watermark}")]
    BelowHighWatermark {
        /// Where the leader's log leaves this one.
        to: Offset,
        /// The high watermark known here.
        high_watermark: Offset,
    },
}

/// A follower of one partition in one leader epoch.
#[derive(Clone, Debug)]
pub struct Follower {
    epoch: LeaderEpoch,
    last_epoch: LeaderEpoch,
    log_start: Offset,
    log_end: Offset,
    durable_end: Offset,
    high_watermark: Offset,
    /// The leader's, which may be ahead of this disk.
    leader_high_watermark: Offset,
    producers: ProducerWindows,
}

impl Follower {
    /// Starts to follow.
    #[must_use]
    pub fn new(start: FollowerStart) -> Follower {
        let high_watermark =
            start.high_watermark.clamp(start.log_start, start.durable_end.max(start.log_start));
        let mut producers = start.producers;
        producers.replicated(high_watermark);
        Follower {
            epoch: start.epoch,
            last_epoch: start.last_epoch,
            log_start: start.log_start,
            log_end: start.log_end,
            durable_end: start.durable_end,
            high_watermark,
            leader_high_watermark: high_watermark,
            producers,
        }
    }

    /// Takes a batch that the leader has at `base` with leader epoch `epoch`. The caller writes it to the log.
    ///
    /// # Errors
    ///
    /// The batch does not continue this log; nothing has changed then.
    pub fn append(
        &mut self,
        now: Millis,
        batch: &BatchFacts,
        base: Offset,
        epoch: LeaderEpoch,
        out: &mut Effects,
    ) -> Result<(), FollowerError> {
        // A compacted log has gaps: the next batch may begin later, never earlier.
        if base < self.log_end || batch.offsets < 1 {
            return Err(FollowerError::NotContiguous { base, log_end: self.log_end });
        }
        if epoch < self.last_epoch || epoch > self.epoch {
            let (last, current) = (self.last_epoch, self.epoch);
            return Err(FollowerError::EpochOutOfOrder { sent: epoch, last, current });
        }
        let ended = self.producers.replay(now, batch, base);
        self.last_epoch = epoch;
        self.log_end = base + i64::from(batch.offsets);
        out.extend(ended.map(Effect::TransactionEnded));
        Ok(())
    }

    /// The local write-ahead log has made everything below `upto` durable: the next fetch says so.
    pub fn durable(&mut self, upto: Offset, out: &mut Effects) {
        let upto = upto.min(self.log_end);
        if upto > self.durable_end {
            self.durable_end = upto;
            out.push(Effect::DurableEnd(upto));
            self.raise_high_watermark(out);
        }
    }

    /// Time passes: idle producers are forgotten.
    pub fn tick(&mut self, now: Millis) {
        self.producers.expire(now);
    }

    /// The leader's answer to a fetch named its high watermark and its log start.
    pub fn leader_told(&mut self, high_watermark: Offset, log_start: Offset, out: &mut Effects) {
        self.leader_high_watermark = self.leader_high_watermark.max(high_watermark);
        self.raise_high_watermark(out);
        let log_start = log_start.min(self.high_watermark);
        if log_start > self.log_start {
            self.log_start = log_start;
            out.push(Effect::LogStart(log_start));
        }
    }

    /// Cuts the log to `to`, where it leaves the leader's; `last_epoch` and `producers` are those of what remains. The
    /// caller cuts the log itself.
    ///
    /// # Errors
    ///
    /// A clean truncation below the high watermark (LOG-2); nothing has changed then.
    pub fn truncate(
        &mut self,
        to: Offset,
        last_epoch: LeaderEpoch,
        kind: TruncationKind,
        producers: ProducerWindows,
    ) -> Result<(), FollowerError> {
        if kind == TruncationKind::Clean && to < self.high_watermark {
            return Err(FollowerError::BelowHighWatermark { to, high_watermark: self.high_watermark });
        }
        self.log_end = self.log_end.min(to);
        self.durable_end = self.durable_end.min(to);
        self.high_watermark = self.high_watermark.min(to);
        self.leader_high_watermark = self.high_watermark;
        self.log_start = self.log_start.min(to);
        self.last_epoch = last_epoch;
        self.producers = producers;
        self.producers.replicated(self.high_watermark);
        Ok(())
    }

    /// Drops the whole log and begins anew at the leader's log start: this log ends before the leader's begins.
    pub fn restart_at(&mut self, log_start: Offset, producers: ProducerWindows) {
        self.log_start = log_start;
        self.log_end = log_start;
        self.durable_end = log_start;
        self.high_watermark = log_start;
        self.leader_high_watermark = log_start;
        self.last_epoch = LeaderEpoch::NONE;
        self.producers = producers;
    }

    /// Where the replica begins and ends.
    #[must_use]
    pub fn offsets(&self) -> Offsets {
        Offsets {
            log_start: self.log_start,
            log_end: self.log_end,
            durable_end: self.durable_end,
            high_watermark: self.high_watermark,
            last_stable: self.producers.last_stable(self.log_start, self.high_watermark),
        }
    }

    /// Epoch of the leader it follows.
    #[must_use]
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Epoch of the last batch in its log, [`LeaderEpoch::NONE`] if it is empty.
    #[must_use]
    pub fn last_epoch(&self) -> LeaderEpoch {
        self.last_epoch
    }

    /// The producers known, by id (DescribeProducers, checkpoint).
    pub fn producers(&self) -> impl Iterator<Item = ProducerSnapshot> + '_ {
        self.producers.iter()
    }

    /// Compares the leader epoch of a request with the one followed.
    ///
    /// # Errors
    ///
    /// It is another one.
    pub fn check_epoch(&self, asked: LeaderEpoch) -> Result<(), EpochError> {
        epochs::check_epoch(asked, self.epoch)
    }

    /// Ends following; the producers go on to the leader that this replica becomes.
    #[must_use]
    pub fn into_producers(self) -> ProducerWindows {
        self.producers
    }

    fn raise_high_watermark(&mut self, out: &mut Effects) {
        let known = self.leader_high_watermark.min(self.durable_end);
        if known > self.high_watermark {
            self.high_watermark = known;
            self.producers.replicated(known);
            out.push(Effect::HighWatermark(known));
        }
    }

    /// Asserts LOG-1, TXN-1, EP-1, PID-1, PID-2.
    ///
    /// # Panics
    ///
    /// When one of them does not hold: the replica must not go on.
    pub fn check(&self) {
        let seen = self.offsets();
        let ordered = [seen.log_start, seen.high_watermark, seen.durable_end, seen.log_end];
        check!(LOG_1, ordered.is_sorted(), "{seen:?}");
        check!(TXN_1, seen.last_stable <= seen.high_watermark, "{seen:?}");
        check!(EP_1, self.last_epoch <= self.epoch, "log at {}, leader at {}", self.last_epoch, self.epoch);
        self.producers.check();
    }
}
