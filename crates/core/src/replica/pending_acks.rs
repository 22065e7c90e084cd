//! Produce answers that wait for a disk or for the followers.

use std::collections::VecDeque;

use eddy_types::Offset;

use crate::invariant::check;

/// When a produce request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Never (acks=0).
    None,
    /// When the leader has it on disk (acks=1).
    Leader,
    /// When every ISR member has it on disk (acks=-1, "all").
    All,
}

/// acks is none of -1, 0, 1 (INVALID_REQUIRED_ACKS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("acks must be -1, 0 or 1: {0}")]
pub struct InvalidAcks(pub i16);

impl TryFrom<i16> for Acks {
    type Error = InvalidAcks;

    fn try_from(acks: i16) -> Result<Acks, InvalidAcks> {
        match acks {
            0 => Ok(Acks::None),
            1 => Ok(Acks::Leader),
            -1 => Ok(Acks::All),
            other => Err(InvalidAcks(other)),
        }
    }
}

/// Tokens that stand for waiting answers, released in offset order. `T` means nothing here.
///
/// A token of acks=0 is kept as one of acks=1: it holds the memory of the batch until the disk has it.
#[derive(Debug)]
pub struct PendingAcks<T> {
    limit: usize,
    /// acks=0 and acks=1: wait for the durable end.
    leader: VecDeque<(Offset, T)>,
    /// acks=all: wait for the high watermark.
    all: VecDeque<(Offset, T)>,
}

impl<T> PendingAcks<T> {
    /// Nothing waits; at most `limit` tokens ever will.
    #[must_use]
    pub fn new(limit: usize) -> PendingAcks<T> {
        PendingAcks { limit, leader: VecDeque::new(), all: VecDeque::new() }
    }

    /// Lets `token` wait until everything below `end`, the end of its batch's range, is acknowledged. A resent batch may
    /// be acknowledged already: call [`PendingAcks::release`] after it.
    ///
    /// # Errors
    ///
    /// Gives the token back when as many wait as may. Ask [`PendingAcks::is_full`] before the append to avoid that.
    pub fn push(&mut self, end: Offset, acks: Acks, token: T) -> Result<(), T> {
        if self.is_full() {
            return Err(token);
        }
        let queue = match acks {
            Acks::None | Acks::Leader => &mut self.leader,
            Acks::All => &mut self.all,
        };
        // A new batch goes to the back; only a resent one, which waits for its first range, goes before others.
        let at = queue.partition_point(|(other, _)| *other <= end);
        queue.insert(at, (end, token));
        Ok(())
    }

    /// Takes what is acknowledged: acks=1 up to `durable_end`, acks=all up to `high_watermark`; in offset order.
    pub fn release(&mut self, durable_end: Offset, high_watermark: Offset) -> Vec<T> {
        let mut released = Vec::new();
        loop {
            let leader = self.leader.front().map(|(end, _)| *end).filter(|end| *end <= durable_end);
            let all = self.all.front().map(|(end, _)| *end).filter(|end| *end <= high_watermark);
            let queue = match (leader, all) {
                (Some(leader), Some(all)) if all < leader => &mut self.all,
                (Some(_), _) => &mut self.leader,
                (None, Some(_)) => &mut self.all,
                (None, None) => return released,
            };
            released.extend(queue.pop_front().map(|(_, token)| token));
        }
    }

    /// Takes everything, in offset order: the leader steps down, or its disk failed.
    pub fn fail_all(&mut self) -> Vec<T> {
        self.release(Offset(i64::MAX), Offset(i64::MAX))
    }

    /// Drops the tokens that nobody waits for any more, such as those of timed out requests.
    pub fn retain(&mut self, mut alive: impl FnMut(&T) -> bool) {
        self.leader.retain(|(_, token)| alive(token));
        self.all.retain(|(_, token)| alive(token));
    }

    /// Number of tokens that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leader.len() + self.all.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leader.is_empty() && self.all.is_empty()
    }

    /// Whether as many wait as may.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.limit
    }

    /// Asserts ACK-1.
    ///
    /// # Panics
    ///
    /// When it does not hold.
    pub fn check(&self) {
        for queue in [&self.leader, &self.all] {
            for ((earlier, _), (later, _)) in queue.iter().zip(queue.iter().skip(1)) {
                check!(ACK_1, earlier <= later, "{later} waits behind {earlier}");
            }
        }
    }
}
