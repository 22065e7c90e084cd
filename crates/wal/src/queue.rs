//! What waits for the commit thread, and what it has made durable.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use crate::admission::{Admission, Amount, Room};
use crate::files::Sizes;
use crate::group::count_that_fits;
use crate::pressure::Load;
use crate::stats::Counters;
use crate::{Entry, Limits, Lsn, Pressure, Stats, Stopped};

/// After so many groups of one entry in a row whoever appends is taken to be alone.
const LONE_GROUPS: u32 = 64;

/// State that the handles and the threads of a log share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) queue: Mutex<Queue>,
    /// The commit thread sleeps on it when there is nothing to do.
    work: Condvar,
    /// Groups of one entry in a row.
    lone_groups: AtomicU32,
    pub(crate) pressure: watch::Sender<Pressure>,
    durable: AtomicU64,
    stopped: AtomicBool,
    /// Woken, with its lock taken once, after `durable` or `stopped` changed.
    progress: (Mutex<()>, Condvar),
    progress_watch: watch::Sender<()>,
    pub(crate) counters: Counters,
}

/// An entry and the room that it gives back.
pub(crate) struct Queued {
    pub(crate) entry: Entry,
    pub(crate) room: Amount,
}

/// Entries that wait, and the room that they and others take.
pub(crate) struct Queue {
    entries: Vec<Queued>,
    /// Position of the first of `entries`, while there is one.
    first: Lsn,
    next: Lsn,
    /// When the first of `entries` came.
    oldest: Option<Instant>,
    /// When the first of the entries came that the commit thread has taken.
    in_flight: Option<Instant>,
    sleeping: bool,
    state: State,
    pub(crate) admission: Admission,
    pressure: Pressure,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// What is queued is still written, nothing new is let in.
    Closing,
    /// Nothing is written any more.
    Stopped,
}

impl Queue {
    pub(crate) fn is_running(&self) -> bool {
        self.state == State::Running
    }
}

impl Shared {
    pub(crate) fn new(limits: Limits, next: Lsn) -> Self {
        let queue = Queue {
            entries: Vec::new(),
            first: next,
            next,
            oldest: None,
            in_flight: None,
            sleeping: false,
            state: State::Running,
            admission: Admission::default(),
            pressure: Pressure::Normal,
        };
        Shared {
            limits,
            queue: Mutex::new(queue),
            work: Condvar::new(),
            lone_groups: AtomicU32::new(0),
            pressure: watch::Sender::new(Pressure::Normal),
            durable: AtomicU64::new(next.0),
            stopped: AtomicBool::new(false),
            progress: Default::default(),
            progress_watch: watch::Sender::new(()),
            counters: Counters::new(),
        }
    }

    pub(crate) fn submit(&self, entry: Entry, room: Option<Room>) -> Lsn {
        let room = room.map(Room::disarm).unwrap_or_default();
        let mut queue = self.queue.lock();
        let lsn = queue.next;
        queue.next = lsn.next();
        if queue.state != State::Running {
            // Nobody will ever hear that it is durable. Its room is not missed: nobody is let in any more.
            return lsn;
        }
        if queue.entries.is_empty() {
            queue.oldest = Some(Instant::now());
            queue.first = lsn;
        }
        queue.entries.push(Queued { entry, room });
        let wake = std::mem::take(&mut queue.sleeping);
        drop(queue);
        if wake {
            self.work.notify_one();
        }
        lsn
    }

    /// Waits for entries. `false` when the log is closed and all is taken.
    pub(crate) fn wait_for_work(&self) -> bool {
        let mut queue = self.queue.lock();
        while queue.entries.is_empty() {
            if queue.state != State::Running {
                return false;
            }
            queue.sleeping = true;
            self.work.wait(&mut queue);
        }
        queue.sleeping = false;
        true
    }

    /// Swaps what waits with `taken`, which must be empty. `None` when nothing waits, or more than fits into `room` bytes of a file.
    pub(crate) fn take(&self, taken: &mut Vec<Queued>, room: Option<u64>) -> Option<Taken> {
        let mut queue = self.queue.lock();
        let waiting = queue.entries.len();
        let fits = |room| count_that_fits(&queue.entries, usize::MAX, room) == waiting;
        if waiting == 0 || !room.is_none_or(fits) {
            return None;
        }
        std::mem::swap(&mut queue.entries, taken);
        queue.in_flight = queue.oldest.take();
        self.update_pressure(&mut queue);
        let lone =
            if taken.len() == 1 { self.lone_groups.load(Ordering::Relaxed).saturating_add(1) } else { 0 };
        self.lone_groups.store(lone, Ordering::Relaxed);
        Some(Taken { first: queue.first, oldest: queue.in_flight })
    }

    /// What was taken is written.
    pub(crate) fn landed(&self, in_place: bool) {
        self.counters.groups_in_place.fetch_add(in_place.into(), Ordering::Relaxed);
        let mut queue = self.queue.lock();
        queue.in_flight = None;
        self.update_pressure(&mut queue);
    }

    /// Whether the last groups had one entry each.
    pub(crate) fn is_lone(&self) -> bool {
        self.lone_groups.load(Ordering::Relaxed) >= LONE_GROUPS
    }

    /// Lets the commit thread sleep on whatever comes, until [`Shared::end_in_place`]; `false` when it does not sleep, or something
    /// has come already.
    pub(crate) fn begin_in_place(&self) -> bool {
        let mut queue = self.queue.lock();
        let idle = queue.sleeping && queue.entries.is_empty() && queue.is_running();
        if idle {
            queue.sleeping = false;
        }
        idle
    }

    pub(crate) fn end_in_place(&self) {
        let mut queue = self.queue.lock();
        if queue.entries.is_empty() && queue.is_running() {
            queue.sleeping = true;
        } else {
            drop(queue);
            self.work.notify_one();
        }
    }

    /// Computes the pressure anew and tells it when it changed.
    pub(crate) fn update_pressure(&self, queue: &mut Queue) {
        let oldest = queue.in_flight.or(queue.oldest);
        let load = Load {
            batches: queue.admission.taken.batches,
            bytes: queue.admission.taken.bytes,
            age: oldest.map_or(Duration::ZERO, |since| since.elapsed()),
            waiting: queue.admission.waiting() > 0 || queue.admission.held.is_some(),
        };
        let next = queue.pressure.next(&load, &self.limits);
        if next != queue.pressure {
            queue.pressure = next;
            self.pressure.send_replace(next);
        }
    }

    pub(crate) fn next_lsn(&self) -> Lsn {
        self.queue.lock().next
    }

    pub(crate) fn durable_lsn(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn is_closing(&self) -> bool {
        !self.queue.lock().is_running()
    }

    pub(crate) fn set_durable(&self, upto: Lsn) {
        self.durable.store(upto.0, Ordering::Release);
        self.tell_progress();
    }

    /// Nothing new is let in; the commit thread ends when it has written what is queued.
    pub(crate) fn close(&self) {
        let mut queue = self.queue.lock();
        if queue.state == State::Running {
            queue.state = State::Closing;
        }
        queue.admission.dismiss();
        self.update_pressure(&mut queue);
        drop(queue);
        self.work.notify_one();
    }

    /// Nothing more becomes durable.
    pub(crate) fn stop(&self) {
        let mut queue = self.queue.lock();
        queue.state = State::Stopped;
        queue.admission.dismiss();
        let dropped = std::mem::take(&mut queue.entries);
        drop(queue);
        drop(dropped);
        self.stopped.store(true, Ordering::Release);
        self.tell_progress();
    }

    fn tell_progress(&self) {
        drop(self.progress.0.lock());
        self.progress.1.notify_all();
        self.progress_watch.send_replace(());
    }

    pub(crate) fn stats(&self, sizes: Sizes) -> Stats {
        let counters = &self.counters;
        let queue = self.queue.lock();
        let taken = queue.admission.taken;
        let (waiting, pressure, next_lsn) = (queue.admission.waiting(), queue.pressure, queue.next);
        drop(queue);
        Stats {
            queue_batches: taken.batches,
            queue_bytes: taken.bytes,
            waiting,
            limits: self.limits,
            pressure,
            next_lsn,
            durable_lsn: self.durable_lsn(),
            groups: counters.groups.load(Ordering::Relaxed),
            groups_in_place: counters.groups_in_place.load(Ordering::Relaxed),
            entries: counters.entries.load(Ordering::Relaxed),
            bytes_written: counters.bytes_written.load(Ordering::Relaxed),
            syncs: counters.syncs.load(Ordering::Relaxed),
            file_bytes: sizes.file_bytes,
            retained_bytes: sizes.retained_bytes,
            file_bytes_max: sizes.file_bytes_max,
            sync_seconds: counters.sync_seconds.snapshot(),
            group_entries: counters.group_entries.snapshot(),
            wait_seconds: counters.wait_seconds.snapshot(),
        }
    }

    fn durable_or_stopped(&self, lsn: Lsn) -> Option<Result<(), Stopped>> {
        // Asked in this order, an entry made durable just before the stop is durable.
        let stopped = self.is_stopped();
        if self.durable_lsn() > lsn { Some(Ok(())) } else { stopped.then_some(Err(Stopped)) }
    }

    pub(crate) fn wait_durable(&self, lsn: Lsn) -> Result<(), Stopped> {
        let mut lock = self.progress.0.lock();
        loop {
            if let Some(outcome) = self.durable_or_stopped(lsn) {
                return outcome;
            }
            self.progress.1.wait(&mut lock);
        }
    }

    pub(crate) async fn until_durable(&self, lsn: Lsn) -> Result<(), Stopped> {
        let mut progress = self.progress_watch.subscribe();
        loop {
            progress.mark_unchanged();
            if let Some(outcome) = self.durable_or_stopped(lsn) {
                return outcome;
            }
            progress.changed().await.map_err(|_| Stopped)?;
        }
    }
}

/// What the commit thread took from the queue.
pub(crate) struct Taken {
    /// Position of the first entry.
    pub(crate) first: Lsn,
    /// When it came.
    pub(crate) oldest: Option<Instant>,
}
