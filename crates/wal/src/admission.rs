//! Who may queue how much: first come, first served, until a deadline.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::Limits;
use crate::queue::{Queue, Shared};

/// Room in the queue. Dropping it gives it back; submitting an entry with it gives it back when the entry is durable.
pub struct Room {
    shared: Arc<Shared>,
    amount: Amount,
}

/// Batches and bytes of the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) batches: u32,
    pub(crate) bytes: usize,
}

impl Amount {
    pub(crate) fn add(&mut self, other: Amount) {
        self.batches += other.batches;
        self.bytes += other.bytes;
    }

    fn is_nothing(self) -> bool {
        self == Amount::default()
    }
}

impl Room {
    pub(crate) fn new(shared: Arc<Shared>, amount: Amount) -> Room {
        Room { shared, amount }
    }

    /// Splits off the room of one batch of `bytes`, for [`Wal::submit`](crate::Wal::submit). A request above the whole
    /// limit was given less than it asked for: its last batches then come with what is left.
    #[must_use]
    pub fn take_one(&mut self, bytes: usize) -> Room {
        let amount = Amount { batches: self.amount.batches.min(1), bytes: self.amount.bytes.min(bytes) };
        self.amount.batches -= amount.batches;
        self.amount.bytes -= amount.bytes;
        Room::new(self.shared.clone(), amount)
    }

    /// Batches that the room is for.
    #[must_use]
    pub fn batches(&self) -> u32 {
        self.amount.batches
    }

    /// Bytes that the room is for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.amount.bytes
    }

    /// Takes the amount out: who does so gives it back.
    pub(crate) fn disarm(mut self) -> Amount {
        std::mem::take(&mut self.amount)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.amount.is_nothing() {
            self.shared.give_back(self.amount);
        }
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("batches", &self.batches()).field("bytes", &self.bytes()).finish()
    }
}

/// No room came free in time. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write-ahead log is full: {cause}")]
pub struct Full {
    /// What it waited for.
    pub cause: Cause,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The disk is slower than the producers.
    #[error("the disk does not keep up")]
    Queue,
    /// All files hold entries that were not trimmed: the checkpoint is late.
    #[error("its files wait to be flushed to segments")]
    Untrimmed,
    /// No new file can be made.
    #[error("no space left on the disk")]
    DiskFull,
    /// The log is closed or has failed.
    #[error("it is stopped")]
    Stopped,
}

/// What is taken of the queue, and who waits for more.
#[derive(Default)]
pub(crate) struct Admission {
    pub(crate) taken: Amount,
    /// By ticket: the first is the next to be served.
    waiters: BTreeMap<u64, Waiter>,
    next_ticket: u64,
    /// Set while no file can be written to: then nobody is let in, though there may be room in the queue.
    pub(crate) held: Option<Cause>,
}

struct Waiter {
    amount: Amount,
    grant: oneshot::Sender<Room>,
}

/// A waiter that has been given room, but not yet told.
pub(crate) struct Granted(Waiter);

impl Admission {
    pub(crate) fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// Takes `amount` at once, unless there is no room or someone came earlier.
    fn enter(&mut self, amount: Amount, limits: &Limits) -> bool {
        let free = self.waiters.is_empty() && self.fits(amount, limits);
        if free {
            self.taken.add(amount);
        }
        free
    }

    fn wait(&mut self, amount: Amount) -> (u64, oneshot::Receiver<Room>) {
        let (grant, granted) = oneshot::channel();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiters.insert(ticket, Waiter { amount, grant });
        (ticket, granted)
    }

    fn fits(&self, amount: Amount, limits: &Limits) -> bool {
        self.held.is_none()
            && self.taken.batches + amount.batches <= limits.queue_depth
            && self.taken.bytes + amount.bytes <= limits.queue_bytes_max
    }

    fn give_back(&mut self, amount: Amount) {
        self.taken.batches -= amount.batches;
        self.taken.bytes -= amount.bytes;
    }

    /// Gives room to those who wait, in order, as far as it goes.
    pub(crate) fn serve(&mut self, limits: &Limits) -> Vec<Granted> {
        let mut granted = Vec::new();
        while let Some(first) = self.waiters.first_entry() {
            let amount = first.get().amount;
            if !self.fits(amount, limits) {
                break;
            }
            if let Some((_, waiter)) = self.waiters.pop_first() {
                self.taken.add(amount);
                granted.push(Granted(waiter));
            }
        }
        granted
    }

    /// Lets all who wait find out that nobody will serve them.
    pub(crate) fn dismiss(&mut self) {
        self.waiters.clear();
    }
}

impl Shared {
    pub(crate) fn try_admit(self: &Arc<Self>, batches: u32, bytes: usize) -> Option<Room> {
        let amount = self.clamp(batches, bytes);
        let mut queue = self.queue.lock();
        if !queue.is_running() {
            return None;
        }
        let entered = queue.admission.enter(amount, &self.limits);
        self.update_pressure(&mut queue);
        drop(queue);
        entered.then(|| Room::new(self.clone(), amount))
    }

    pub(crate) async fn admit(
        self: &Arc<Self>,
        batches: u32,
        bytes: usize,
        deadline: Instant,
    ) -> Result<Room, Full> {
        let amount = self.clamp(batches, bytes);
        let (place, granted) = {
            let mut queue = self.queue.lock();
            if !queue.is_running() {
                return Err(Full { cause: Cause::Stopped });
            }
            if queue.admission.enter(amount, &self.limits) {
                self.update_pressure(&mut queue);
                drop(queue);
                return Ok(Room::new(self.clone(), amount));
            }
            let (ticket, granted) = queue.admission.wait(amount);
            self.update_pressure(&mut queue);
            (Place { shared: self, ticket }, granted)
        };
        // Room that is granted while the deadline passes, or while the caller goes away, is given back with the channel.
        let outcome = tokio::time::timeout_at(deadline, granted).await;
        let held = self.queue.lock().admission.held;
        drop(place);
        match outcome {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) => Err(Full { cause: Cause::Stopped }),
            Err(_) => Err(Full { cause: held.unwrap_or(Cause::Queue) }),
        }
    }

    /// Gives room back and serves those who wait for it.
    pub(crate) fn give_back(self: &Arc<Self>, amount: Amount) {
        self.change_admission(|queue| queue.admission.give_back(amount));
    }

    /// Lets nobody in while there is a cause not to.
    pub(crate) fn hold(self: &Arc<Self>, cause: Option<Cause>) {
        self.change_admission(|queue| queue.admission.held = cause);
    }

    fn change_admission(self: &Arc<Self>, change: impl FnOnce(&mut Queue)) {
        let mut queue = self.queue.lock();
        change(&mut queue);
        loop {
            let granted = queue.admission.serve(&self.limits);
            self.update_pressure(&mut queue);
            drop(queue);
            // A waiter may have left since: what it was given goes to the next.
            let mut refused = Amount::default();
            for Granted(waiter) in granted {
                if let Err(room) = waiter.grant.send(Room::new(self.clone(), waiter.amount)) {
                    refused.add(room.disarm());
                }
            }
            if refused.is_nothing() {
                return;
            }
            queue = self.queue.lock();
            queue.admission.give_back(refused);
        }
    }

    /// A request above the whole limit waits for an empty queue, not for ever.
    fn clamp(&self, batches: u32, bytes: usize) -> Amount {
        Amount {
            batches: batches.min(self.limits.queue_depth),
            bytes: bytes.min(self.limits.queue_bytes_max),
        }
    }
}

/// A place among those who wait; left when it is dropped.
struct Place<'s> {
    shared: &'s Arc<Shared>,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let left = self.shared.queue.lock().admission.waiters.remove(&self.ticket).is_some();
        if left {
            // Those behind may ask for less.
            self.shared.change_admission(|_| {});
        }
    }
}
