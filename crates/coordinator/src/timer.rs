//! One timer for the deadlines of all shards.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use eddy_types::Millis;
use tokio::sync::Notify;

/// No deadline.
pub(crate) const NEVER: Millis = Millis(i64::MAX);

/// Shortest pause between two rounds, so that a deadline which does not go away cannot take a core.
const PAUSE_MIN: Duration = Duration::from_millis(5);
/// Longest sleep; a round over idle shards costs next to nothing.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// When the timer's task looks at the shards next.
#[derive(Debug)]
pub(crate) struct Alarm {
    at: AtomicI64,
    sooner: Notify,
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm { at: AtomicI64::new(NEVER.0), sooner: Notify::new() }
    }
}

impl Alarm {
    /// A shard has something to do at `deadline`.
    pub(crate) fn ring_at(&self, deadline: Millis) {
        if deadline.0 < self.at.load(Ordering::Acquire) {
            self.sooner.notify_one();
        }
    }

    /// The task is about to ask the shards for their deadlines: one that changes from now on cuts the next sleep short.
    pub(crate) fn look(&self) {
        self.at.store(NEVER.0, Ordering::Release);
    }

    /// Sleeps until `deadline`, or until a shard asks for a sooner one.
    pub(crate) async fn sleep(&self, now: Millis, deadline: Millis) {
        self.at.store(deadline.0, Ordering::Release);
        let pause = u64::try_from(deadline.0.saturating_sub(now.0)).unwrap_or(0);
        let pause = Duration::from_millis(pause).clamp(PAUSE_MIN, PAUSE_MAX);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.sooner.notified() => {}
        }
    }
}
