//! How compaction gives way: to the write-ahead log when that is pressed, and to everybody else by a limit on its work.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eddy_wal::Pressure;

use crate::engine::Engine;
use crate::partition::Partition;

/// The longest sleep without a look at why to end.
const NAP_MAX: Duration = Duration::from_millis(50);

/// The longest wait for pressure to go, before a little is done all the same: a log that is never compacted fills the disk.
const YIELD_MAX: Duration = Duration::from_secs(5);

/// For each second of work so many of rest: a compaction takes no more than a share of one processor and of the disk.
const REST_FOR_WORK: u32 = 2;

/// Slows one compaction down.
pub(super) struct Pace<'a> {
    engine: &'a Arc<Engine>,
    partition: &'a Arc<Partition>,
    bytes_per_second: f64,
    /// When the work since the last rest began.
    working_since: Cell<Instant>,
}

impl<'a> Pace<'a> {
    pub(super) fn new(engine: &'a Arc<Engine>, partition: &'a Arc<Partition>, bytes_per_second: f64) -> Self {
        Pace { engine, partition, bytes_per_second, working_since: Cell::new(Instant::now()) }
    }

    /// The compaction has read and written so many bytes: waits until it may go on, or says that it must end.
    pub(super) fn moved(&self, bytes: u64) -> ControlFlow<()> {
        let worked = self.working_since.get().elapsed();
        let at_rate =
            Duration::try_from_secs_f64(bytes as f64 / self.bytes_per_second).unwrap_or(Duration::MAX);
        let rest = (worked * REST_FOR_WORK).max(at_rate.saturating_sub(worked));
        let flow = self.rest(rest);
        self.working_since.set(Instant::now());
        flow
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
