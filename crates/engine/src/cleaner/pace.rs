//! How compaction gives way: to the write-ahead log when that is pressed, and to everybody else by a limit on its work.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eddy_wal::{Lsn, Pressure};

use crate::engine::Engine;
use crate::partition::Partition;

/// The longest sleep without a look at why to end.
const NAP_MAX: Duration = Duration::from_millis(50);

/// The longest wait for pressure to go, before a little is done all the same: a log that is never compacted fills the disk. A slice
/// of work each time is two thirds of a megabyte a second.
const YIELD_MAX: Duration = Duration::from_millis(100);

/// The longest rest after a slice of work, which on a machine that is fully used may take long because it gets no processor.
const REST_MAX: Duration = Duration::from_millis(50);

/// So long after an append the broker counts as busy: a piece of work is shorter than the time between two requests.
const BUSY_FOR: Duration = Duration::from_millis(250);

/// For each second of work so many of rest while something is appended: a compaction takes a small share of one processor and of
/// the disk.
const REST_FOR_WORK: u32 = 8;

/// The same for a log that has got so far behind that it must not get further.
const REST_WHEN_BEHIND: u32 = 1;
const BEHIND_BYTES: u64 = 2 << 30;

/// Slows one compaction down.
pub(super) struct Pace<'a> {
    engine: &'a Arc<Engine>,
    partition: &'a Arc<Partition>,
    bytes_per_second: f64,
    rest_for_work: u32,
    /// When the work since the last rest began.
    working_since: Cell<Instant>,
    /// Where the write-ahead log ended when it was last seen to have grown, and when that was.
    grown: Cell<(Lsn, Instant)>,
}

impl<'a> Pace<'a> {
    /// `dirty_bytes` is what waits to be compacted.
    pub(super) fn new(
        engine: &'a Arc<Engine>,
        partition: &'a Arc<Partition>,
        bytes_per_second: f64,
        dirty_bytes: u64,
    ) -> Self {
        let rest_for_work = if dirty_bytes > BEHIND_BYTES { REST_WHEN_BEHIND } else { REST_FOR_WORK };
        let now = Instant::now();
        let grown = Cell::new((engine.wal().durable_lsn(), now));
        Pace { engine, partition, bytes_per_second, rest_for_work, working_since: Cell::new(now), grown }
    }

    /// The compaction has read and written so many bytes: waits until it may go on, or says that it must end.
    pub(super) fn moved(&self, bytes: u64) -> ControlFlow<()> {
        let worked = self.working_since.get().elapsed();
        let at_rate =
            Duration::try_from_secs_f64(bytes as f64 / self.bytes_per_second).unwrap_or(Duration::MAX);
        // Nobody is disturbed while nothing is appended.
        let for_others =
            if self.is_busy() { (worked * self.rest_for_work).min(REST_MAX) } else { Duration::ZERO };
        let flow = self.rest(for_others.max(at_rate.saturating_sub(worked)));
        self.working_since.set(Instant::now());
        flow
    }

    fn is_busy(&self) -> bool {
        // Read without a lock: nobody must wait for a thread that has the lowest priority.
        let lsn = self.engine.wal().durable_lsn();
        let (known, since) = self.grown.get();
        if lsn != known {
            self.grown.set((lsn, Instant::now()));
            return true;
        }
        since.elapsed() < BUSY_FOR
    }

    fn rest(&self, rest: Duration) -> ControlFlow<()> {
        let begin = Instant::now();
        loop {
            if self.must_end() {
                return ControlFlow::Break(());
            }
            let rested = begin.elapsed();
            let is_pressed = *self.engine.pressure().borrow() != Pressure::Normal;
            let left = if is_pressed { rest.max(YIELD_MAX) } else { rest }.saturating_sub(rested);
            if left.is_zero() {
                return ControlFlow::Continue(());
            }
            std::thread::sleep(left.min(NAP_MAX));
        }
    }

    fn must_end(&self) -> bool {
        *self.engine.stopping().borrow()
            || self.partition.is_gone()
            // What is left of the disk is not for copies.
            || self.engine.disk_space().protect.load(Ordering::Relaxed)
    }
}
