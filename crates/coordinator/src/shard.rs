//! One shard at run time: a machine, its partition, and who waits for answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use eddy_core::group::{Effects, GroupShard, ReplyToken};
use eddy_core::{Acks, AppendError as Refusal};
use eddy_engine::{AckToken, AppendError, Lease, Partition, PartitionKey};
use eddy_types::{Clock, LeaderEpoch, Millis};
use parking_lot::Mutex;

use crate::batch::{UnwritableBatch, batch};
use crate::error::Unavailable;
use crate::notes::Notes;
use crate::replies::{Receiver, Replies};
use crate::timer::{Alarm, NEVER};

/// Room in the write-ahead log for one batch; taken before the event, because afterwards it cannot be refused.
pub(crate) type Room = Option<eddy_engine::Room>;

/// What all shards of a broker share.
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alarm: Alarm,
    pub(crate) notes: Notes,
    /// The broker's right to lead. Without it another one may coordinate by now.
    pub(crate) lease: Arc<Lease>,
}

/// A shard that is loaded. It lives as long as this broker leads the partition in one leader epoch: whoever leads in between may
/// have written what its machine does not know.
pub(crate) struct Shard {
    partition: Arc<Partition>,
    epoch: LeaderEpoch,
    around: Arc<Surroundings>,
    machine: Mutex<Machine>,
    replies: Arc<Replies>,
    /// The machine's next deadline.
    deadline: AtomicI64,
}

struct Machine {
    groups: GroupShard,
    effects: Effects,
    tokens: u64,
    /// Batches appended so far.
    appends: u64,
}

impl Shard {
    /// A shard whose machine has replayed the partition, up to where it ended when this broker began to lead it in `epoch`.
    pub(crate) fn new(
        partition: Arc<Partition>,
        epoch: LeaderEpoch,
        groups: GroupShard,
        around: Arc<Surroundings>,
    ) -> Shard {
        Shard {
            partition,
            epoch,
            around,
            machine: Mutex::new(Machine { groups, effects: Effects::default(), tokens: 0, appends: 0 }),
            replies: Arc::default(),
            deadline: AtomicI64::new(NEVER.0),
        }
    }

    /// The partition that keeps the shard.
    pub(crate) fn key(&self) -> PartitionKey {
        self.partition.key()
    }

    /// A request. What is received is the machine's answer, once it may leave.
    pub(crate) fn ask(
        &self,
        room: Room,
        event: impl FnOnce(&mut GroupShard, Millis, ReplyToken, &mut Effects),
    ) -> Result<Receiver, Unavailable> {
        let mut machine = self.machine.lock();
        // Also for what only looks: another broker may know better by now.
        if !self.leads() || !self.around.lease.is_held() {
            return Err(Unavailable::NotCoordinator);
        }
        if room.is_some() {
            self.can_write()?;
        }
        machine.tokens += 1;
        let token = ReplyToken(machine.tokens);
        let asked = self.replies.ask(token)?;
        self.run(&mut machine, room, |groups, now, out| event(groups, now, token, out));
        Ok(asked)
    }

    /// Something that nobody waits for: time, or news of topics.
    pub(crate) fn tell(&self, room: Room, event: impl FnOnce(&mut GroupShard, Millis, &mut Effects)) {
        if !self.is_closed() {
            self.run(&mut self.machine.lock(), room, event);
        }
    }

    /// Looks at the machine; what is seen may not be on disk yet.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&GroupShard) -> T) -> T {
        at(&self.machine.lock().groups)
    }

    /// When the machine wants to be told the time.
    pub(crate) fn deadline(&self) -> Millis {
        if self.is_closed() { NEVER } else { Millis(self.deadline.load(Ordering::Acquire)) }
    }

    /// Ends the shard: what its machine knows counts for nothing any more, and those who wait are told. An event that is under way
    /// is over when this returns, so that whoever loads the partition now reads all that this shard has written.
    pub(crate) fn close(&self, why: Unavailable) {
        let under_way = self.machine.lock();
        self.replies.close(why);
        drop(under_way);
    }

    /// Whether the shard has ended; its partition then has to be loaded again.
    pub(crate) fn is_closed(&self) -> bool {
        self.replies.is_closed() || !self.leads()
    }

    /// Whether this broker leads the partition in the epoch of the shard.
    fn leads(&self) -> bool {
        self.partition.is_leading() && self.partition.leader_epoch() == self.epoch
    }

    /// Whether what the machine wants to keep can be written. It cannot take back what could not be, so it is not asked then.
    ///
    /// # Errors
    /// Too few replicas are in sync, or the right to lead has run out.
    pub(crate) fn can_write(&self) -> Result<(), Unavailable> {
        let enough = self.partition.in_sync().is_some_and(|(in_sync, required)| in_sync >= required);
        match (self.around.lease.is_held(), enough) {
            (false, _) => Err(Unavailable::NotCoordinator),
            (true, false) => Err(Unavailable::TooFewReplicas),
            (true, true) => Ok(()),
        }
    }

    /// Those who have waited too long for the replicas are told so.
    pub(crate) fn expire(&self) {
        self.replies.expire();
    }

    fn run(
        &self,
        machine: &mut Machine,
        room: Room,
        event: impl FnOnce(&mut GroupShard, Millis, &mut Effects),
    ) {
        let now = self.around.clock.steady();
        let Machine { groups, effects, .. } = machine;
        let guard = CloseOnPanic(&self.replies);
        event(groups, now, effects);
        if cfg!(debug_assertions) {
            groups.check();
        }
        drop(guard);
        let Effects { records, replies, notes } = std::mem::take(effects);
        if !records.is_empty() {
            machine.appends += 1;
            if let Err(error) = self.append(now, machine.appends, &records, room) {
                // The machine is ahead of its log now: only reading the log again makes them one.
                return self.replies.close(self.unwritten(&error));
            }
        }
        self.replies.answer(machine.appends, replies);
        self.around.notes.take(&notes);
        let deadline = machine.groups.next_deadline().unwrap_or(NEVER);
        self.deadline.store(deadline.0, Ordering::Release);
        self.around.alarm.ring_at(deadline);
    }

    fn append(
        &self,
        now: Millis,
        number: u64,
        records: &[eddy_core::group::GroupRecord],
        room: Room,
    ) -> Result<(), Unwritten> {
        let replies = Arc::clone(&self.replies);
        let durable = AckToken::call(move |result| match result {
            Ok(_) => replies.durable(number),
            // Another broker leads, and nobody knows what of this it has.
            Err(_) => replies.close(Unavailable::NotCoordinator),
        });
        Ok(self.partition.append(Acks::All, batch(now, records)?, room, Some(durable))?)
    }

    /// What those who wait are told when an append failed.
    fn unwritten(&self, error: &Unwritten) -> Unavailable {
        match error {
            Unwritten::Append(AppendError::NotLeader { .. } | AppendError::PartitionGone) => {
                Unavailable::NotCoordinator
            }
            Unwritten::Append(AppendError::Refused(Refusal::NotEnoughReplicas { .. })) => {
                Unavailable::TooFewReplicas
            }
            error => {
                tracing::error!(topic = %self.partition.topic(), partition = self.key().index, %error,
                    "groups cannot be written; their shard is loaded again");
                Unavailable::NotCoordinator
            }
        }
    }
}

/// Why an event's records are not in the log.
#[derive(Debug, thiserror::Error)]
enum Unwritten {
    #[error(transparent)]
    Batch(#[from] UnwritableBatch),
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Ends a shard whose machine stopped in the middle of an event: only reading its log again tells where it stands.
struct CloseOnPanic<'a>(&'a Replies);

impl Drop for CloseOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close(Unavailable::NotCoordinator);
        }
    }
}
