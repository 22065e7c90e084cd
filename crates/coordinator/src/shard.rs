//! One shard at run time: a machine, its partition, and who waits for answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use eddy_core::Acks;
use eddy_core::group::{Effects, GroupShard, Reply, ReplyToken};
use eddy_engine::{AckToken, Partition, PartitionKey};
use eddy_types::Millis;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::batch::batch;
use crate::error::Unavailable;
use crate::notes::Notes;
use crate::replies::Replies;
use crate::timer::{Alarm, NEVER, SteadyClock};

/// Room in the write-ahead log for one batch; taken before the event, because afterwards it cannot be refused.
pub(crate) type Room = Option<eddy_engine::Room>;

/// What all shards of a broker share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) clock: SteadyClock,
    pub(crate) alarm: Alarm,
    pub(crate) notes: Notes,
}

/// A shard that is loaded.
pub(crate) struct Shard {
    partition: Arc<Partition>,
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
    /// A shard whose machine has replayed the partition.
    pub(crate) fn new(partition: Arc<Partition>, groups: GroupShard, around: Arc<Surroundings>) -> Shard {
        Shard {
            partition,
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
    ) -> Result<oneshot::Receiver<Reply>, Unavailable> {
        let mut machine = self.machine.lock();
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

    /// Ends the shard: what its machine knows counts for nothing any more, and those who wait are told.
    pub(crate) fn close(&self) {
        self.replies.close();
    }

    /// Whether the shard has ended; its partition then has to be loaded again.
    pub(crate) fn is_closed(&self) -> bool {
        self.replies.is_closed() || self.partition.is_gone()
    }

    fn run(
        &self,
        machine: &mut Machine,
        room: Room,
        event: impl FnOnce(&mut GroupShard, Millis, &mut Effects),
    ) {
        let now = self.around.clock.now();
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
                tracing::error!(topic = %self.partition.topic(), partition = self.key().index, %error,
                    "groups cannot be written; their shard is loaded again");
                return self.close();
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
    ) -> Result<(), Box<dyn std::error::Error>> {
        let replies = Arc::clone(&self.replies);
        let durable = AckToken::call(move |result| match result {
            Ok(_) => replies.durable(number),
            Err(_) => replies.close(),
        });
        Ok(self.partition.append(now, Acks::All, batch(now, records)?, room, Some(durable))?)
    }
}

/// Ends a shard whose machine stopped in the middle of an event: only reading its log again tells where it stands.
struct CloseOnPanic<'a>(&'a Replies);

impl Drop for CloseOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}
