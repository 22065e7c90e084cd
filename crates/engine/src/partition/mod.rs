//! One partition at run time: the replica's state machine, its log, and who waits for them.
//!
//! Everything that orders records happens under one short lock: the state machine admits a batch and gives it offsets, the
//! batch enters the tail cache and the write-ahead log's queue in that order. Nothing under the lock waits or touches a
//! file. Whoever must be told of a change is told after the lock is released.

mod append;
mod cut;
mod following;
mod key;
mod leading;
mod mark;
mod producers;
mod replica_read;
mod role;
mod settle;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use eddy_core::{Effects, EpochError, Offsets, PendingAcks, ProducerSnapshot};
use eddy_log::Log;
use eddy_types::{BrokerId, Clock, LeaderEpoch, LocalPartition, Millis, Offset, OffsetRange};
use eddy_wal::{Entry, Lsn, Wal};
use parking_lot::Mutex;

pub(crate) use self::cut::Milestones;
pub use self::following::FollowerPosition;
pub use self::key::{NewBatch, PartitionKey};
pub(crate) use self::leading::Followed;
pub use self::leading::{FollowAnswer, FollowerLag};
pub(crate) use self::mark::Mark;
pub(crate) use self::producers::SafePoints;
pub use self::replica_read::{ColdRead, ReplicaRead, ReplicaReading};
pub use self::role::Role;
pub(crate) use self::role::{Assignment, Replica};
use crate::ack::AckToken;
use crate::error::AppendError;
use crate::flush_queue::FlushQueue;
use crate::isr::IsrProposals;
use crate::lease::Lease;
use crate::replica_watch::{DurableNews, ReplicaWatch, ReplicaWatchers};
use crate::role_changes::RoleFeed;
use crate::traffic::Traffic;
use crate::watch::{FetchWaiter, Watchers};

/// Answers of one partition that may wait at the same time. Every one holds a place in the WAL's queue until it is durable here;
/// those of acks=all go on waiting for the followers.
const PENDING_ACKS_MAX: usize = 200_000;

/// What all partitions of a broker share.
pub(crate) struct Shared {
    pub(crate) me: BrokerId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) wal: Wal,
    pub(crate) flush_queue: Arc<FlushQueue>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) isr: Arc<IsrProposals>,
    pub(crate) roles: Arc<RoleFeed>,
    pub(crate) milestones: Milestones,
    pub(crate) followed: Followed,
    pub(crate) durable_news: DurableNews,
    pub(crate) producer_limits: eddy_core::ProducerLimits,
}

/// A replica that this broker holds.
pub struct Partition {
    key: PartitionKey,
    topic: Arc<str>,
    local: LocalPartition,
    log: Log,
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// Whether this broker leads: what a request asks before it takes the lock.
    leading: AtomicBool,
    /// By the steady clock.
    last_append: AtomicI64,
    traffic: Traffic,
}

struct State {
    replica: Replica,
    /// The newest state of the partition that was adopted; `None` before the first.
    adopted: Option<Adopted>,
    pending: PendingAcks<(OffsetRange, AckToken)>,
    watchers: Watchers,
    sessions: ReplicaWatchers,
    effects: Effects,
    /// The leader was elected uncleanly, or may have been: the log may be cut below the high watermark.
    may_lose: bool,
    /// A cut of the log that waits for the write-ahead log.
    cut: Option<cut::Cut>,
    /// Cuts so far.
    cuts: u64,
    safe_points: SafePoints,
    /// The newest move of the log start.
    log_start_moved: Option<(Lsn, Offset)>,
    /// The log start as it is on disk.
    durable_start: Offset,
    /// The flusher knows that this partition has something to flush or to record in the next checkpoint.
    dirty: bool,
    /// Why it was closed.
    gone: Option<AppendError>,
}

/// Which state of the partition a replica acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Adopted {
    leader: Option<BrokerId>,
    epoch: LeaderEpoch,
}

/// A partition whose log is open and was replayed.
pub(crate) struct Opening {
    pub(crate) key: PartitionKey,
    pub(crate) topic: Arc<str>,
    pub(crate) local: LocalPartition,
    pub(crate) log: Log,
    /// The high watermark as far as a checkpoint knows it; [`Offset::NONE`] when it does not.
    pub(crate) high_watermark: Offset,
    pub(crate) producers: eddy_core::ProducerWindows,
    pub(crate) safe_points: SafePoints,
}

impl Partition {
    /// A replica without a role. Its number is named in the write-ahead log before anything is appended under it.
    pub(crate) fn open(opening: Opening, shared: Arc<Shared>) -> Arc<Partition> {
        let Opening { key, topic, local, log, high_watermark, producers, safe_points } = opening;
        let durable_start = log.start_offset();
        let replica = Replica::of_nobody(&log, high_watermark, producers);
        let partition = Arc::new(Partition {
            key,
            topic,
            local,
            log,
            shared,
            state: Mutex::new(State {
                replica,
                adopted: None,
                pending: PendingAcks::new(PENDING_ACKS_MAX),
                watchers: Watchers::default(),
                sessions: ReplicaWatchers::default(),
                effects: Effects::new(),
                may_lose: false,
                cut: None,
                cuts: 0,
                safe_points,
                log_start_moved: None,
                durable_start,
                dirty: false,
                gone: None,
            }),
            leading: AtomicBool::new(false),
            last_append: AtomicI64::new(Millis::NONE.0),
            traffic: Traffic::default(),
        });
        partition.touch(&mut partition.state.lock());
        let name = Entry::Name { partition: local, topic: key.topic, index: key.index };
        partition.shared.wal.submit(name, None);
        partition
    }

    /// Tells the flusher of the partition, once until it has looked. This must come before the entry is submitted: a
    /// checkpoint reads its position first and its list of partitions second, so it misses no entry below that position.
    fn touch(self: &Arc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.dirty, true) {
            self.shared.flush_queue.push(Arc::clone(self));
        }
    }

    /// Identity of the partition.
    pub fn key(&self) -> PartitionKey {
        self.key
    }

    /// Name of its topic.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Its number in the write-ahead log.
    pub fn local(&self) -> LocalPartition {
        self.local
    }

    /// Its log on disk.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What went in and out since the start.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Time of day of the newest append since the start, [`Millis::NONE`] before the first.
    pub fn last_append(&self) -> Millis {
        match Millis(self.last_append.load(Ordering::Relaxed)) {
            Millis::NONE => Millis::NONE,
            at => self.shared.clock.now() - (self.shared.clock.steady() - at),
        }
    }

    /// `at` is by the steady clock.
    fn note_append(&self, at: Millis) {
        self.last_append.store(at.0, Ordering::Relaxed);
    }

    /// The ends of the partition and its last stable offset.
    pub fn offsets(&self) -> Offsets {
        self.state.lock().replica.offsets()
    }

    /// Epoch of the leader, this broker or the one that it follows.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.state.lock().replica.epoch()
    }

    /// Checks a leader epoch that a client sent and gives the offsets that a read may use, in one moment.
    ///
    /// # Errors
    /// The epoch is older or newer than ours.
    pub fn checked_offsets(&self, asked: LeaderEpoch) -> Result<Offsets, EpochError> {
        let state = self.state.lock();
        state.replica.check_epoch(asked)?;
        Ok(state.replica.offsets())
    }

    /// Registers a parked fetch, to be woken when the high watermark or the role moves or the partition goes. A move after
    /// this call is not missed: read once more between registering and waiting.
    pub fn watch(&self, waiter: &Arc<FetchWaiter>) {
        let mut state = self.state.lock();
        state.watchers.add(waiter);
        if state.gone.is_some() {
            let woken = state.watchers.take();
            drop(state);
            woken.wake();
        }
    }

    /// Lists `slot` in `watch` whenever something has moved that the other side of a session wants to know, and once now. On a leader
    /// that is the log end and the role, and, as news that can wait ([`ReplicaWatch::take_later`]), high watermark and log start; on
    /// a follower what its disk holds, and the role.
    pub fn watch_replica(&self, watch: &Arc<ReplicaWatch>, slot: u32) {
        self.state.lock().sessions.add(watch, slot);
    }

    /// Ends [`Partition::watch_replica`]: the slot may stand for another partition after this.
    pub fn unwatch_replica(&self, watch: &Arc<ReplicaWatch>, slot: u32) {
        self.state.lock().sessions.remove(watch, slot);
    }

    /// States of the idempotent producers, for DescribeProducers and the checkpoint.
    pub fn producers(&self) -> Vec<ProducerSnapshot> {
        self.state.lock().replica.producers()
    }

    /// Leader epoch of the batch at an offset, as far as the log remembers epochs.
    pub fn epoch_at(&self, offset: Offset) -> LeaderEpoch {
        self.log.epoch_at(offset).unwrap_or(LeaderEpoch::NONE)
    }

    /// The log was compacted: the next checkpoint says how far.
    pub(crate) fn note_cleaned(self: &Arc<Self>) {
        self.touch(&mut self.state.lock());
    }

    /// Whether the replica was closed: its topic was deleted, or it moved to other brokers.
    pub fn is_gone(&self) -> bool {
        self.state.lock().gone.is_some()
    }
}
