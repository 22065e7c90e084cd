//! The producers of one partition: admission, replay, expiry, checkpoint.

use std::collections::BTreeMap;

use eddy_types::{BatchFacts, ControlKind, Millis, Offset, OffsetRange, ProducerId, ProducerSequence};

use super::transactions::{EndedTransaction, Transactions};
use super::window::{ProducerSnapshot, SequenceError, Window, WindowBatch};

/// How long and how many producers a partition remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerLimits {
    /// Idle time after which a producer is forgotten (`producer.id.expiration.ms`, R-3.23).
    pub expiration: Millis,
    /// Producers remembered per partition, about 300 bytes each. Kafka has no such limit: a client that asks for a new
    /// id per record makes it run out of memory.
    pub producers_max: usize,
    /// Idle time after which a producer makes room for a new one when the partition is full. Longer than any client's
    /// delivery timeout, after which a resend no longer comes.
    pub evictable_after: Millis,
}

impl Default for ProducerLimits {
    fn default() -> ProducerLimits {
        ProducerLimits {
            expiration: Millis(24 * 60 * 60 * 1000),
            producers_max: 50_000,
            evictable_after: Millis(5 * 60 * 1000),
        }
    }
}

/// What the window says to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Not seen before: append it.
    New,
    /// Appended before, at this range. It may not be durable yet: the answer waits for it again.
    Duplicate(OffsetRange),
}

/// The idempotent producers that a partition knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerWindows {
    limits: ProducerLimits,
    producers: BTreeMap<ProducerId, Window>,
    transactions: Transactions,
    /// No producer can expire before: saves the scan.
    next_expiry: Millis,
    /// No producer can become evictable before: saves the scan while the partition is full.
    next_eviction: Millis,
}

impl Default for ProducerWindows {
    fn default() -> ProducerWindows {
        ProducerWindows::new(ProducerLimits::default())
    }
}

impl ProducerWindows {
    /// No producers known.
    #[must_use]
    pub fn new(limits: ProducerLimits) -> ProducerWindows {
        ProducerWindows {
            limits,
            producers: BTreeMap::new(),
            transactions: Transactions::default(),
            next_expiry: Millis(i64::MIN),
            next_eviction: Millis(i64::MIN),
        }
    }

    /// The producers of a checkpoint. Their idle time starts again at `now`: to remember a producer too long costs
    /// memory, to forget it early costs a duplicate.
    #[must_use]
    pub fn restore(now: Millis, limits: ProducerLimits, snapshots: Vec<ProducerSnapshot>) -> ProducerWindows {
        let mut windows = ProducerWindows::new(limits);
        for snapshot in snapshots {
            let id = snapshot.id;
            if let Some(first_offset) = snapshot.open_transaction {
                windows.transactions.begin(id, first_offset);
            }
            windows.producers.insert(id, Window::restored(now, snapshot));
        }
        windows
    }

    /// The state for a checkpoint, by producer id.
    #[must_use]
    pub fn snapshot(&self) -> Vec<ProducerSnapshot> {
        self.iter().collect()
    }

    /// The producers, by id (DescribeProducers).
    pub fn iter(&self) -> impl Iterator<Item = ProducerSnapshot> + '_ {
        self.producers.iter().map(|(id, window)| window.snapshot(*id))
    }

    /// Number of producers known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// Whether no producer is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Judges a batch that is about to be appended. Batches without a producer id are always new.
    ///
    /// # Errors
    ///
    /// As [`SequenceError`] says; nothing changes then.
    pub fn admit(&mut self, now: Millis, batch: &BatchFacts) -> Result<Admission, SequenceError> {
        let Some(sent) = &batch.producer else { return Ok(Admission::New) };
        match self.producers.get(&sent.id) {
            Some(window) => {
                if batch.control.is_none()
                    && let Some(original) = window.duplicate_of(sent)
                {
                    return Ok(Admission::Duplicate(original));
                }
                window.may_follow(batch, sent)?;
            }
            // Nothing known, or forgotten: any sequence is taken.
            None => self.make_room(now, sent.id)?,
        }
        Ok(Admission::New)
    }

    /// Takes note of a batch that the log holds at `base`: after an admission, from the leader, or from recovery. The
    /// same log gives the same state. Says which transaction the batch ended.
    pub fn replay(&mut self, now: Millis, batch: &BatchFacts, base: Offset) -> Option<EndedTransaction> {
        let sent = batch.producer.as_ref()?;
        if self.producers.len() >= self.limits.producers_max && !self.producers.contains_key(&sent.id) {
            self.forget_oldest_quarter();
        }
        let window = self.producers.entry(sent.id).or_insert_with(|| Window::new(sent.epoch));
        window.adopt_epoch(sent.epoch);
        window.last_used = window.last_used.max(now);
        window.last_timestamp = batch.max_timestamp;
        window.last_offset = OffsetRange::from_count(base, i64::from(batch.offsets)).last();
        match batch.control {
            Some(ControlKind::Commit) => self.end_transaction(sent.id, base, false),
            Some(ControlKind::Abort) => self.end_transaction(sent.id, base, true),
            Some(ControlKind::Other(_)) => None,
            None => {
                self.note_data(batch, sent, base);
                None
            }
        }
    }

    fn note_data(&mut self, batch: &BatchFacts, sent: &ProducerSequence, base: Offset) {
        let Some(window) = self.producers.get_mut(&sent.id) else { return };
        if sent.first >= 0 {
            window.remember(WindowBatch {
                first_sequence: sent.first,
                last_sequence: sent.last,
                base_offset: base,
                last_offset: window.last_offset,
                timestamp: batch.max_timestamp,
            });
        }
        if batch.transactional && window.open_transaction.is_none() {
            window.open_transaction = Some(base);
            self.transactions.begin(sent.id, base);
        }
    }

    fn end_transaction(&mut self, id: ProducerId, marker: Offset, aborted: bool) -> Option<EndedTransaction> {
        let first_offset = self.producers.get_mut(&id)?.open_transaction.take()?;
        Some(self.transactions.end(id, first_offset, marker, aborted))
    }

    /// Forgets producers that were idle for the expiration time and have no open transaction; says how many.
    pub fn expire(&mut self, now: Millis) -> usize {
        if now < self.next_expiry {
            return 0;
        }
        let before = self.producers.len();
        let oldest = self.forget_idle(now, self.limits.expiration);
        self.next_expiry = oldest.unwrap_or(now) + self.limits.expiration;
        before - self.producers.len()
    }

    /// The high watermark rose: transactions whose marker is below it are stable.
    pub fn replicated(&mut self, high_watermark: Offset) {
        self.transactions.replicated(high_watermark);
    }

    /// End of what readers of committed records see: the high watermark, or the first offset of the oldest transaction
    /// that is open or whose marker is not below the high watermark; not before the log start.
    #[must_use]
    pub fn last_stable(&self, log_start: Offset, high_watermark: Offset) -> Offset {
        let stable = self.transactions.first_unstable().unwrap_or(high_watermark);
        stable.max(log_start).min(high_watermark)
    }

    /// First offset of the oldest open transaction.
    #[must_use]
    pub fn first_open(&self) -> Option<Offset> {
        self.transactions.first_open()
    }

    /// Asserts PID-1 and PID-2.
    ///
    /// # Panics
    ///
    /// When one of them does not hold.
    pub fn check(&self) {
        for (id, window) in &self.producers {
            window.check(*id);
        }
    }

    fn make_room(&mut self, now: Millis, id: ProducerId) -> Result<(), SequenceError> {
        if self.producers.len() < self.limits.producers_max {
            return Ok(());
        }
        if now >= self.next_eviction {
            let oldest = self.forget_idle(now, self.limits.evictable_after);
            self.next_eviction = oldest.unwrap_or(now) + self.limits.evictable_after;
        }
        if self.producers.len() < self.limits.producers_max {
            return Ok(());
        }
        Err(SequenceError::TooManyProducers { id, in_use: self.producers.len() })
    }

    /// Forgets what was idle for `idle`; says when the longest idle of the others was last used.
    fn forget_idle(&mut self, now: Millis, idle: Millis) -> Option<Millis> {
        let mut oldest: Option<Millis> = None;
        self.producers.retain(|_, window| {
            let keep = window.open_transaction.is_some() || now - window.last_used < idle;
            if keep && window.open_transaction.is_none() {
                oldest = Some(oldest.map_or(window.last_used, |oldest| oldest.min(window.last_used)));
            }
            keep
        });
        oldest
    }

    /// A log cannot be refused as a client can: replay forgets the least recently used, a quarter at a time so that the
    /// scan is paid once for many. Producers with an open transaction stay, since they hold the last stable offset.
    fn forget_oldest_quarter(&mut self) {
        let mut by_age: Vec<(Millis, Offset, ProducerId)> = self
            .producers
            .iter()
            .filter(|(_, window)| window.open_transaction.is_none())
            .map(|(id, window)| (window.last_used, window.last_offset, *id))
            .collect();
        by_age.sort_unstable();
        for (_, _, id) in by_age.iter().take((self.limits.producers_max / 4).max(1)) {
            self.producers.remove(id);
        }
    }
}
