//! Reads that wait for the disk, beside the stream: a partition that is read from there holds up no other.

use std::collections::BTreeSet;

use eddy_engine::{ColdRead, ReadError, ReplicaRead};
use tokio::task::{JoinError, JoinSet};

use super::serving::Served;

/// Reads of one stream at the same time: each holds a turn's bytes, and more would only wait for the same disk.
const READS_MAX: usize = 4;

/// What is sent of a partition, as it was when the read began.
pub(super) struct Turn {
    pub(super) slot: u32,
    pub(super) served: Served,
    /// Whether it counts against the throttle of the leader.
    pub(super) throttled: bool,
}

/// A read that is done. One that panicked, as its hook has reported, ends the stream: the follower asks for everything anew then.
pub(super) type Done = Result<(Turn, Result<ReplicaRead, ReadError>), JoinError>;

/// The reads under way.
#[derive(Default)]
pub(super) struct ColdReads {
    running: JoinSet<(Turn, Result<ReplicaRead, ReadError>)>,
    slots: BTreeSet<u32>,
    /// Slots that wait for a place.
    waiting: BTreeSet<u32>,
}

impl ColdReads {
    /// Whether a slot is being read, or waits for that.
    pub(super) fn has(&self, slot: u32) -> bool {
        self.slots.contains(&slot) || self.waiting.contains(&slot)
    }

    /// Whether there is room for a read; a slot for which there is none is noted.
    pub(super) fn has_room(&mut self, slot: u32) -> bool {
        let room = self.slots.len() < READS_MAX;
        if !room {
            self.waiting.insert(slot);
        }
        room
    }

    /// Reads.
    pub(super) fn begin(&mut self, turn: Turn, read: ColdRead) {
        self.slots.insert(turn.slot);
        self.running.spawn(async move { (turn, read.finish().await) });
    }

    /// Waits until a read is done; for ever while there is none. Cancel-safe.
    pub(super) async fn next(&mut self) -> Done {
        match self.running.join_next().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// A read that is done, without waiting.
    pub(super) fn try_next(&mut self) -> Option<Done> {
        self.running.try_join_next()
    }

    /// A slot is no longer read; gives those that waited for its place.
    pub(super) fn finished(&mut self, slot: u32) -> BTreeSet<u32> {
        self.slots.remove(&slot);
        std::mem::take(&mut self.waiting)
    }
}
