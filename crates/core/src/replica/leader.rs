//! The leader of a partition: admits batches, tracks followers, moves the high watermark.

use eddy_types::{BatchFacts, BrokerId, LeaderEpoch, Millis, Offset, OffsetRange, PartitionEpoch};

use super::delete::{self, DeleteError};
use super::effect::{Effect, Effects};
use super::epochs::{self, EpochError};
use super::error::{AppendError, FetchError};
use super::in_sync::{InSync, IsrDecision, LeaderEnds, PartitionChange, Report};
use super::pending_acks::Acks;
use crate::invariant::check;
use crate::producer::{Admission, ProducerSnapshot, ProducerWindows};

/// What a leader starts from: its log as recovered or followed so far, and the partition's state in the metadata.
#[derive(Clone, Debug)]
pub struct LeaderStart {
    /// This broker.
    pub me: BrokerId,
    /// Epoch of this leadership.
    pub epoch: LeaderEpoch,
    /// Version of the partition's state in the metadata.
    pub partition_epoch: PartitionEpoch,
    /// All replicas, preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The replicas in sync, this broker among them.
    pub isr: Vec<BrokerId>,
    /// `min.insync.replicas` of the topic.
    pub min_insync: usize,
    /// Time a follower may lag before it leaves the ISR (`replica.lag.time.max.ms`). Measured from when it last had all
    /// that the leader had, not from its last fetch (KIP-16).
    pub replica_lag_max: Millis,
    /// First offset that may be read.
    pub log_start: Offset,
    /// End of the log.
    pub log_end: Offset,
    /// End of what is on disk; equal to `log_end` after a recovery.
    pub durable_end: Offset,
    /// The high watermark as far as known: `log_start` when nothing is.
    pub high_watermark: Offset,
    /// Producers of the log up to `log_end`.
    pub producers: ProducerWindows,
}

/// Where a partition begins and its three ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// First offset that may be read.
    pub log_start: Offset,
    /// End of the log: followers may copy up to here.
    pub log_end: Offset,
    /// End of what is on this broker's disk: acks=1 is answered up to here.
    pub durable_end: Offset,
    /// End of what is on the disk of every ISR member: acks=all is answered, and consumers read, up to here.
    pub high_watermark: Offset,
    /// End of what readers of committed records see.
    pub last_stable: Offset,
}

/// Where a batch is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// At the end, newly: it goes to the log.
    New(OffsetRange),
    /// Appended before at this range, perhaps not durable yet: nothing is written, the answer waits for that range.
    Duplicate(OffsetRange),
}

impl Appended {
    /// The offsets of the batch, either way.
    #[must_use]
    pub fn range(self) -> OffsetRange {
        match self {
            Appended::New(range) | Appended::Duplicate(range) => range,
        }
    }
}

/// What a follower says with a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// The offset it wants next: the end of its log.
    pub offset: Offset,
    /// End of what is on its disk, at most `offset`.
    pub durable_end: Offset,
    /// First offset of its log.
    pub log_start: Offset,
    /// Epoch of its registration (KIP-903), -1 if it does not say.
    pub broker_epoch: i64,
}

/// What a follower may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchGrant {
    /// Records below this offset, durable here or not.
    pub upto: Offset,
    /// The high watermark to send along.
    pub high_watermark: Offset,
    /// The log start to send along.
    pub log_start: Offset,
}

/// The leader of one partition in one leader epoch. A new epoch makes a new one.
#[derive(Clone, Debug)]
pub struct Leader {
    epoch: LeaderEpoch,
    /// End of the log when this leadership began.
    epoch_start: Offset,
    log_start: Offset,
    log_end: Offset,
    durable_end: Offset,
    high_watermark: Offset,
    /// The latest time told by any event.
    now: Millis,
    in_sync: InSync,
    producers: ProducerWindows,
    /// For HW-1, EP-1: what the last `check` saw.
    checked: (Offset, PartitionEpoch),
}

impl Leader {
    /// Starts a leadership. The high watermark rises at once as far as the ISR allows, on a single replica to the
    /// durable end.
    #[must_use]
    pub fn new(start: LeaderStart) -> Leader {
        let high_watermark =
            start.high_watermark.clamp(start.log_start, start.durable_end.max(start.log_start));
        let state = PartitionChange {
            partition_epoch: start.partition_epoch,
            replicas: start.replicas,
            isr: start.isr,
            min_insync: start.min_insync,
        };
        let mut leader = Leader {
            epoch: start.epoch,
            epoch_start: start.log_end,
            log_start: start.log_start,
            log_end: start.log_end,
            durable_end: start.durable_end,
            high_watermark,
            now: Millis(i64::MIN),
            in_sync: InSync::new(start.me, start.epoch, start.replica_lag_max, state),
            producers: start.producers,
            checked: (high_watermark, start.partition_epoch),
        };
        leader.producers.replicated(high_watermark);
        // Nobody waits yet for what these effects would tell.
        leader.raise_high_watermark(&mut Effects::new());
        leader
    }

    /// Admits a batch at the end of the log. The caller writes it there, with this leader's epoch, before it admits
    /// another, and calls [`Leader::durable`] when the disk has it.
    ///
    /// # Errors
    ///
    /// As [`AppendError`] says; nothing has changed then.
    pub fn append(
        &mut self,
        now: Millis,
        acks: Acks,
        batch: &BatchFacts,
        out: &mut Effects,
    ) -> Result<Appended, AppendError> {
        self.now = self.now.max(now);
        if batch.offsets < 1 {
            return Err(AppendError::NoOffsets { offsets: batch.offsets });
        }
        // Before the duplicate check, as Kafka does: while the ISR is too small no acks=all may succeed.
        let (in_sync, required) = (self.in_sync.isr_len(), self.in_sync.required());
        if acks == Acks::All && in_sync < required {
            return Err(AppendError::NotEnoughReplicas { in_sync, required });
        }
        if let Admission::Duplicate(original) = self.producers.admit(now, batch)? {
            return Ok(Appended::Duplicate(original));
        }
        let range = OffsetRange::from_count(self.log_end, i64::from(batch.offsets));
        let ended = self.producers.replay(now, batch, range.start);
        self.log_end = range.end;
        out.extend(ended.map(Effect::TransactionEnded));
        Ok(Appended::New(range))
    }

    /// The local write-ahead log has made everything below `upto` durable.
    pub fn durable(&mut self, upto: Offset, out: &mut Effects) {
        let upto = upto.min(self.log_end);
        if upto > self.durable_end {
            self.durable_end = upto;
            out.push(Effect::DurableEnd(upto));
            self.raise_high_watermark(out);
        }
    }

    /// Whether a follower may say anything at all: it has a replica here, and this is its present life (KIP-903).
    ///
    /// # Errors
    ///
    /// [`FetchError::UnknownReplica`] or [`FetchError::StaleBrokerEpoch`].
    pub fn check_follower(&self, from: BrokerId, broker_epoch: i64) -> Result<(), FetchError> {
        if !self.in_sync.is_follower(from) {
            return Err(FetchError::UnknownReplica { broker: from });
        }
        let current = self.in_sync.broker_epoch(from);
        if broker_epoch >= 0 && broker_epoch < current {
            return Err(FetchError::StaleBrokerEpoch { broker: from, sent: broker_epoch, current });
        }
        Ok(())
    }

    /// A follower asks for records and says how far it is. Ask [`divergence`](crate::divergence) first: a follower whose
    /// log leaves ours is told so, and nothing it says about its ends counts.
    ///
    /// # Errors
    ///
    /// As [`FetchError`] says; nothing has changed then.
    pub fn follower_fetched(
        &mut self,
        now: Millis,
        from: BrokerId,
        fetch: FollowerFetch,
        out: &mut Effects,
    ) -> Result<FetchGrant, FetchError> {
        self.now = self.now.max(now);
        self.check_follower(from, fetch.broker_epoch)?;
        let (log_start, log_end) = (self.log_start, self.log_end);
        if fetch.offset < log_start || fetch.offset > log_end {
            return Err(FetchError::OutOfRange { offset: fetch.offset, log_start, log_end });
        }
        let report = Report {
            durable_end: fetch.durable_end.min(fetch.offset),
            log_start: fetch.log_start,
            broker_epoch: fetch.broker_epoch,
        };
        self.in_sync.fetched(self.now, from, report, self.ends());
        let join = self.in_sync.propose_join(self.now, from, self.ends());
        out.extend(join.map(Effect::ProposeIsr));
        self.raise_high_watermark(out);
        Ok(FetchGrant { upto: log_end, high_watermark: self.high_watermark, log_start })
    }

    /// Time passes: lagging members are to leave the ISR, who was refused is proposed again, idle producers are forgotten. Some
    /// ten times per `replica.lag.time.max.ms` is often enough.
    pub fn tick(&mut self, now: Millis, out: &mut Effects) {
        self.now = self.now.max(now);
        self.producers.expire(now);
        let ends = self.ends();
        let proposal = self.in_sync.repeat_unanswered();
        let proposal = proposal.or_else(|| self.in_sync.propose_without_laggards(self.now, ends));
        out.extend(proposal.map(Effect::ProposeIsr));
        self.propose_joins(out);
        // Someone who was about to join may have stopped fetching and holds the high watermark back no longer.
        self.raise_high_watermark(out);
    }

    /// The controller has answered the [`Effect::ProposeIsr`] that was based on `based_on`.
    pub fn isr_decided(
        &mut self,
        now: Millis,
        based_on: PartitionEpoch,
        decision: IsrDecision,
        out: &mut Effects,
    ) {
        self.now = self.now.max(now);
        self.in_sync.decided(self.now, based_on, decision);
        self.propose_joins(out);
        self.raise_high_watermark(out);
    }

    /// The metadata log has news of this partition in the same leader epoch, or its topic another
    /// `min.insync.replicas`.
    pub fn reconfigure(&mut self, change: PartitionChange, out: &mut Effects) {
        self.in_sync.reconfigure(change);
        self.propose_joins(out);
        self.raise_high_watermark(out);
    }

    fn propose_joins(&mut self, out: &mut Effects) {
        out.extend(self.in_sync.propose_joins(self.now, self.ends()).map(Effect::ProposeIsr));
    }

    /// Retention has dropped what lies before `to`. It stops at the high watermark, and so does this.
    pub fn log_start_moved(&mut self, to: Offset, out: &mut Effects) {
        let to = to.min(self.high_watermark);
        if to > self.log_start {
            self.log_start = to;
            out.push(Effect::LogStart(to));
        }
    }

    /// DeleteRecords: forgets what lies before `before`, [`Offset::NONE`] for all that is below the high watermark
    /// . Gives the new log start; the answer to the client waits until [`Leader::low_watermark`] has reached it.
    ///
    /// # Errors
    ///
    /// The offset is above the high watermark or below -1.
    pub fn delete_records(&mut self, before: Offset, out: &mut Effects) -> Result<Offset, DeleteError> {
        let to = delete::new_log_start(before, self.high_watermark)?;
        self.log_start_moved(to, out);
        Ok(self.log_start)
    }

    /// The least log start over the ISR.
    #[must_use]
    pub fn low_watermark(&self) -> Offset {
        self.in_sync.low_watermark(self.log_start)
    }

    /// Where the partition begins and ends.
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

    /// Epoch of this leadership.
    #[must_use]
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// End of the log when this leadership began: before the high watermark has reached it, offsets by time cannot be
    /// answered.
    #[must_use]
    pub fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    /// Version of the partition's state that this leader acts on.
    #[must_use]
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.in_sync.partition_epoch()
    }

    /// How many replicas are in sync, and how many must be for acks=all.
    #[must_use]
    pub fn in_sync(&self) -> (usize, usize) {
        (self.in_sync.isr_len(), self.in_sync.required())
    }

    /// The followers in the ISR that a reader at `offset` may be sent to, with the end of what is on their disks.
    pub fn followers_with(&self, offset: Offset) -> impl Iterator<Item = (BrokerId, Offset)> + '_ {
        self.in_sync.followers_with(offset)
    }

    /// How many offsets of the log each follower lacks on its disk, in sync or not: everything when it was not heard in this epoch.
    pub fn lags(&self) -> impl Iterator<Item = (BrokerId, u64)> + '_ {
        self.in_sync.follower_ends().map(|(broker, end)| {
            let lag = self.log_end.0.saturating_sub(end.max(self.log_start).0);
            (broker, u64::try_from(lag).unwrap_or(0))
        })
    }

    /// Whether anybody follows.
    #[must_use]
    pub fn has_followers(&self) -> bool {
        self.in_sync.has_followers()
    }

    /// The replicas in sync as the controller has them, by id.
    pub fn isr(&self) -> impl Iterator<Item = BrokerId> + '_ {
        self.in_sync.isr()
    }

    /// Compares the leader epoch of a request with this one.
    ///
    /// # Errors
    ///
    /// It is another one.
    pub fn check_epoch(&self, asked: LeaderEpoch) -> Result<(), EpochError> {
        epochs::check_epoch(asked, self.epoch)
    }

    /// The producers known, by id (DescribeProducers, checkpoint).
    pub fn producers(&self) -> impl Iterator<Item = ProducerSnapshot> + '_ {
        self.producers.iter()
    }

    /// Ends this leadership; its producers go on to the follower or the next leader.
    #[must_use]
    pub fn into_producers(self) -> ProducerWindows {
        self.producers
    }

    /// The high watermark goes up to the least durable end, unless the ISR is too small (KIP-966).
    fn raise_high_watermark(&mut self, out: &mut Effects) {
        if self.in_sync.isr_len() < self.in_sync.required() {
            return;
        }
        let least = self.in_sync.least_durable_end(self.now, self.ends());
        if least > self.high_watermark {
            self.high_watermark = least;
            self.producers.replicated(least);
            out.push(Effect::HighWatermark(least));
        }
    }

    fn ends(&self) -> LeaderEnds {
        LeaderEnds {
            log_end: self.log_end,
            durable_end: self.durable_end,
            high_watermark: self.high_watermark,
            epoch_start: self.epoch_start,
        }
    }

    /// Asserts HW-1, HW-2, ISR-1, ISR-2, EP-1, LOG-1, TXN-1, PID-1, PID-2.
    ///
    /// # Panics
    ///
    /// When one of them does not hold: the partition must not go on.
    pub fn check(&mut self) {
        let seen = self.offsets();
        let ordered = [seen.log_start, seen.high_watermark, seen.durable_end, seen.log_end];
        check!(LOG_1, ordered.is_sorted(), "{seen:?}");
        check!(TXN_1, seen.last_stable <= seen.high_watermark, "{seen:?}");
        if let Some(open) = self.producers.first_open() {
            check!(TXN_1, seen.last_stable <= open.max(seen.log_start), "open since {open}: {seen:?}");
        }
        let (high_watermark, partition_epoch) = self.checked;
        check!(HW_1, seen.high_watermark >= high_watermark, "{high_watermark}, then {seen:?}");
        check!(
            EP_1,
            self.partition_epoch() >= partition_epoch,
            "{partition_epoch}, then {}",
            self.partition_epoch()
        );
        self.checked = (seen.high_watermark, self.partition_epoch());
        self.in_sync.check(self.ends());
        self.producers.check();
    }
}
