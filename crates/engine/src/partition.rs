//! One partition at run time: the replica's state machine, its log, and who waits for them.
//!
//! Everything that orders records happens under one short lock: the state machine admits a batch and gives it offsets, the
//! batch enters the tail cache and the write-ahead log's queue in that order. Nothing under the lock waits or touches a
//! file. Whoever must be told of a change is told after the lock is released.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::{Bytes, BytesMut};
use eddy_batch::stamp;
use eddy_core::{
    Acks, Appended, DeleteError, Effect, Effects, EpochError, Leader, LeaderStart, Offsets, PartitionChange,
    PendingAcks, ProducerSnapshot,
};
use eddy_log::{Log, TailBatch};
use eddy_types::{BatchFacts, BrokerId, LeaderEpoch, LocalPartition, Millis, Offset, OffsetRange, TopicId};
use eddy_wal::{Entry, Lsn, Room, Wal};
use parking_lot::{Mutex, MutexGuard};

use crate::ack::AckToken;
use crate::error::AppendError;
use crate::flush_queue::FlushQueue;
use crate::traffic::Traffic;
use crate::watch::{FetchWaiter, Watchers, Woken};

/// Identity of a partition: its topic's id, not its name, so that a topic made again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey {
    /// Id of the topic.
    pub topic: TopicId,
    /// Index of the partition in the topic.
    pub index: i32,
}

impl std::fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}

/// A validated batch on its way into the log.
#[derive(Debug)]
pub struct NewBatch {
    /// What validation found in it.
    pub facts: BatchFacts,
    /// The batch; stamped in place when nobody else holds its bytes, copied once otherwise.
    pub bytes: Bytes,
    /// Bytes of memory that holding `bytes` keeps alive.
    pub charge: usize,
}

/// Answers of one partition that may wait at the same time. Every one holds a place in the WAL's queue until it is durable, so
/// the deepest queue bounds it on one node.
const PENDING_ACKS_MAX: usize = 200_000;

/// A partition that this broker serves.
pub struct Partition {
    key: PartitionKey,
    topic: Arc<str>,
    local: LocalPartition,
    log: Log,
    wal: Wal,
    flush_queue: Arc<FlushQueue>,
    state: Mutex<State>,
    last_append: AtomicI64,
    traffic: Traffic,
}

struct State {
    leader: Leader,
    pending: PendingAcks<(OffsetRange, AckToken)>,
    watchers: Watchers,
    effects: Effects,
    /// The flusher knows that this partition has something to flush or to record in the next checkpoint.
    dirty: bool,
    gone: bool,
}

/// What must be known to start leading a partition whose log is open.
pub(crate) struct Opening {
    pub(crate) key: PartitionKey,
    pub(crate) topic: Arc<str>,
    pub(crate) local: LocalPartition,
    pub(crate) log: Log,
    pub(crate) start: LeaderStart,
}

/// Where a partition stands on disk, taken in one moment under its lock: what a checkpoint must agree on.
pub(crate) struct Mark {
    /// Everything below is in the write-ahead log, durably.
    pub(crate) durable_end: Offset,
    /// The producers' windows at `durable_end`: a window must never claim a batch that a crash may lose, or its resend would
    /// be taken for a duplicate of nothing.
    pub(crate) producers: Vec<ProducerSnapshot>,
    /// Whether there is more than `durable_end` says: the next checkpoint looks again.
    pub(crate) more_to_come: bool,
}

impl Partition {
    /// Starts leading. The partition's number is named in the write-ahead log before anything is appended under it.
    pub(crate) fn open(opening: Opening, wal: Wal, flush_queue: Arc<FlushQueue>) -> Arc<Partition> {
        let Opening { key, topic, local, log, start } = opening;
        log.assign_epoch(start.epoch, start.log_end);
        let partition = Arc::new(Partition {
            key,
            topic,
            local,
            log,
            wal,
            flush_queue,
            state: Mutex::new(State {
                leader: Leader::new(start),
                pending: PendingAcks::new(PENDING_ACKS_MAX),
                watchers: Watchers::default(),
                effects: Effects::new(),
                dirty: false,
                gone: false,
            }),
            last_append: AtomicI64::new(Millis::NONE.0),
            traffic: Traffic::default(),
        });
        partition.touch(&mut partition.state.lock());
        partition.wal.submit(Entry::Name { partition: local, topic: key.topic, index: key.index }, None);
        partition
    }

    /// Tells the flusher of the partition, once until it has looked. This must come before the entry is submitted: a
    /// checkpoint reads its position first and its list of partitions second, so it misses no entry below that position.
    fn touch(self: &Arc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.dirty, true) {
            self.flush_queue.push(Arc::clone(self));
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

    /// Wall-clock time of the newest append since the start, [`Millis::NONE`] before the first.
    pub fn last_append(&self) -> Millis {
        Millis(self.last_append.load(Ordering::Relaxed))
    }

    /// Appends a batch. On success `token` completes when the batch is acknowledged as `acks` asks: on this broker's disk
    /// (acks=1), or below the high watermark (acks=all). A resent batch completes with the offsets it got the first time
    ///
    ///
    /// # Errors
    /// The batch was refused, or the partition is gone: nothing was written, and nothing comes through `token`.
    pub fn append(
        self: &Arc<Self>,
        now: Millis,
        acks: Acks,
        batch: NewBatch,
        room: Option<Room>,
        token: Option<AckToken>,
    ) -> Result<(), AppendError> {
        let NewBatch { facts, bytes, charge } = batch;
        // A copy keeps only itself in memory, not the frame it came in.
        let (mut bytes, charge) = match bytes.try_into_mut() {
            Ok(unique) => (unique, charge),
            Err(shared) => (BytesMut::from(shared.as_ref()), shared.len()),
        };
        let mut state = self.state.lock();
        let admitted = self.admit(&mut state, now, acks, &facts);
        let range = match admitted {
            Err(error) => {
                // The token completes when it is dropped: not under the lock.
                drop(state);
                return Err(error);
            }
            Ok(Appended::Duplicate(range)) => range,
            Ok(Appended::New(range)) => {
                self.touch(&mut state);
                let epoch = state.leader.epoch();
                stamp(&mut bytes, range.start, epoch);
                let stamped = TailBatch {
                    base_offset: range.start,
                    end_offset: range.end,
                    leader_epoch: epoch,
                    max_timestamp: facts.max_timestamp,
                    bytes: bytes.freeze(),
                    charge,
                };
                self.traffic.count_produced(range, stamped.bytes.len());
                self.enqueue(stamped, room);
                range
            }
        };
        if let Some(token) = token {
            // Full cannot be: see the limit. A token that is given back completes as it is dropped.
            let _ = state.pending.push(range.end, acks, (range, token));
        }
        self.settle(state);
        self.last_append.store(now.0, Ordering::Relaxed);
        Ok(())
    }

    fn admit(
        &self,
        state: &mut State,
        now: Millis,
        acks: Acks,
        facts: &BatchFacts,
    ) -> Result<Appended, AppendError> {
        if state.gone {
            return Err(AppendError::PartitionGone);
        }
        let State { leader, effects, .. } = state;
        Ok(leader.append(now, acks, facts, effects)?)
    }

    /// Puts a stamped batch into the tail cache and the WAL's queue.
    fn enqueue(&self, batch: TailBatch, room: Option<Room>) {
        let entry = Entry::Append {
            partition: self.local,
            base_offset: batch.base_offset,
            end_offset: batch.end_offset,
            leader_epoch: batch.leader_epoch,
            batch: batch.bytes.clone(),
        };
        self.log.append(batch);
        self.wal.submit(entry, room);
    }

    /// The write-ahead log has made everything below `upto` durable.
    pub(crate) fn durable(&self, upto: Offset) {
        let mut state = self.state.lock();
        let State { leader, effects, .. } = &mut *state;
        leader.durable(upto, effects);
        self.settle(state);
    }

    /// Executes what the state machine asked for, and wakes those concerned after the lock is released.
    fn settle(&self, mut guard: MutexGuard<'_, State>) {
        let state = &mut *guard;
        if cfg!(debug_assertions) {
            state.leader.check();
        }
        let mut woken = Woken::none();
        for effect in state.effects.drain(..) {
            match effect {
                Effect::HighWatermark(_) => woken = state.watchers.take(),
                Effect::LogStart(start) => self.log.set_start_offset(start),
                // The ends are taken from the machine below. Nobody can leave or join the ISR of a lone replica, and no
                // transaction is admitted.
                Effect::DurableEnd(_) | Effect::ProposeIsr(_) | Effect::TransactionEnded(_) => {}
            }
        }
        let offsets = state.leader.offsets();
        let released = state.pending.release(offsets.durable_end, offsets.high_watermark);
        drop(guard);
        for (range, token) in released {
            token.complete(Ok(range));
        }
        woken.wake();
    }

    /// The ends of the partition and its last stable offset.
    pub fn offsets(&self) -> Offsets {
        self.state.lock().leader.offsets()
    }

    /// Epoch of this broker's leadership.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.state.lock().leader.epoch()
    }

    /// Checks a leader epoch that a client sent and gives the offsets that a read may use, in one moment.
    ///
    /// # Errors
    /// The epoch is older or newer than ours.
    pub fn checked_offsets(&self, asked: LeaderEpoch) -> Result<Offsets, EpochError> {
        let state = self.state.lock();
        state.leader.check_epoch(asked)?;
        Ok(state.leader.offsets())
    }

    /// Registers a parked fetch, to be woken when the high watermark moves or the partition goes. A move after this call
    /// is not missed: read once more between registering and waiting.
    pub fn watch(&self, waiter: &Arc<FetchWaiter>) {
        let mut state = self.state.lock();
        state.watchers.add(waiter);
        if state.gone {
            let woken = state.watchers.take();
            drop(state);
            woken.wake();
        }
    }

    /// Moves the log start (DeleteRecords, R-3.130); -1 means the high watermark. Returns the new log start and the
    /// position at which that is on disk: wait for it before answering.
    ///
    /// # Errors
    /// The offset is negative or above the high watermark.
    pub fn delete_records(self: &Arc<Self>, before: Offset) -> Result<(Offset, Lsn), DeleteError> {
        let mut state = self.state.lock();
        let State { leader, effects, .. } = &mut *state;
        let start = leader.delete_records(before, effects)?;
        self.touch(&mut state);
        let lsn = self.wal.submit(Entry::LogStart { partition: self.local, offset: start }, None);
        self.settle(state);
        Ok((start, lsn))
    }

    /// Retention has decided that the log starts at `to`; nothing happens when it starts there or above already. Returns the
    /// position at which that is on disk.
    pub(crate) fn raise_log_start(self: &Arc<Self>, to: Offset) -> Option<Lsn> {
        if to <= self.offsets().log_start {
            return None;
        }
        // Retention looks only below the high watermark, which never falls: it cannot be refused.
        self.delete_records(to).ok().map(|(_, lsn)| lsn)
    }

    /// States of the idempotent producers, for DescribeProducers and the checkpoint.
    pub fn producers(&self) -> Vec<ProducerSnapshot> {
        self.state.lock().leader.producers().collect()
    }

    /// Time passes: idle producers expire.
    pub(crate) fn tick(&self, now: Millis) {
        let mut state = self.state.lock();
        let State { leader, effects, .. } = &mut *state;
        leader.tick(now, effects);
        self.settle(state);
    }

    /// News of the partition from the metadata.
    pub(crate) fn reconfigure(&self, change: PartitionChange) {
        let mut state = self.state.lock();
        let State { leader, effects, .. } = &mut *state;
        leader.reconfigure(change, effects);
        self.settle(state);
    }

    /// Leader epoch of the batch at an offset, as far as the log remembers epochs.
    pub fn epoch_at(&self, offset: Offset) -> LeaderEpoch {
        self.log.epoch_at(offset).unwrap_or(LeaderEpoch::NONE)
    }

    /// The log was compacted: the next checkpoint says how far.
    pub(crate) fn note_cleaned(self: &Arc<Self>) {
        self.touch(&mut self.state.lock());
    }

    /// Where the partition stands on disk now. What changes afterwards tells the flusher anew.
    pub(crate) fn mark(&self) -> Mark {
        let mut state = self.state.lock();
        let Offsets { durable_end, log_end, .. } = state.leader.offsets();
        let more_to_come = durable_end < log_end;
        state.dirty = more_to_come;
        let mut producers: Vec<ProducerSnapshot> = state.leader.producers().collect();
        if more_to_come {
            for producer in &mut producers {
                producer.batches.retain(|batch| batch.last_offset < durable_end);
            }
        }
        Mark { durable_end, producers, more_to_come }
    }

    /// The topic was deleted: everybody who waits is told, and nothing is admitted any more.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.gone = true;
        let failed = state.pending.fail_all();
        let woken = state.watchers.take();
        self.wal.submit(Entry::Forget { partition: self.local }, None);
        drop(state);
        // Their tokens say so as they are dropped.
        drop(failed);
        woken.wake();
    }

    /// Whether the topic was deleted.
    pub fn is_gone(&self) -> bool {
        self.state.lock().gone
    }
}

/// The start of a lone leader: the ISR is this broker, and all that the log holds is durable.
pub(crate) fn lone_leader(me: BrokerId, log: &Log, setup: LeaderSetup) -> LeaderStart {
    LeaderStart {
        me,
        epoch: setup.epoch,
        partition_epoch: setup.partition_epoch,
        replicas: setup.replicas,
        isr: setup.isr,
        min_insync: setup.min_insync,
        replica_lag_max: setup.replica_lag_max,
        log_start: log.start_offset(),
        log_end: log.end_offset(),
        durable_end: log.end_offset(),
        high_watermark: log.end_offset(),
        producers: setup.producers,
    }
}

/// What the metadata image and the checkpoint say of a partition that is about to be led.
pub(crate) struct LeaderSetup {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) partition_epoch: eddy_types::PartitionEpoch,
    pub(crate) replicas: Vec<BrokerId>,
    pub(crate) isr: Vec<BrokerId>,
    pub(crate) min_insync: usize,
    pub(crate) replica_lag_max: Millis,
    pub(crate) producers: eddy_core::ProducerWindows,
}
