//! The right to lead, for a time: what the controller grants to a broker that it hears from.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Until when this broker may act as a leader. A lone broker may for ever; a broker of a cluster may as long as the controller
/// cannot have taken it for dead. Read on every append: one atomic, and the clock only when the lease can end.
#[derive(Debug)]
pub struct Lease {
    base: Instant,
    /// Microseconds after `base`.
    until: AtomicU64,
    regained: Notify,
}

const FOR_EVER: u64 = u64::MAX;

impl Lease {
    pub(crate) fn for_ever() -> Lease {
        Lease { base: Instant::now(), until: AtomicU64::new(FOR_EVER), regained: Notify::new() }
    }

    /// The lease ends `duration` from now, whatever it was before. The first call ends the time in which it is held for
    /// ever. Acknowledgements that were held back go out once it is held again.
    pub fn extend(&self, duration: Duration) {
        let now = self.now();
        let until = now.saturating_add(micros(duration)).min(FOR_EVER - 1);
        let before = self.until.swap(until, Ordering::AcqRel);
        if before <= now && until > now {
            self.regained.notify_one();
        }
    }

    /// The lease ends now: this broker was told that it is fenced, or stops.
    pub fn end(&self) {
        self.until.store(self.now(), Ordering::Release);
    }

    /// Whether this broker may lead at this moment.
    pub fn is_held(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until == FOR_EVER || self.now() < until
    }

    /// Resolves when a lease that had ended is held again.
    pub(crate) async fn regained(&self) {
        self.regained.notified().await;
    }

    fn now(&self) -> u64 {
        micros(self.base.elapsed())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(FOR_EVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_broker_holds_it_for_ever_and_a_cluster_gives_it_for_a_time() {
        let lease = Lease::for_ever();
        assert!(lease.is_held());
        lease.extend(Duration::from_secs(60));
        assert!(lease.is_held());
        lease.extend(Duration::ZERO);
        assert!(!lease.is_held());
        lease.extend(Duration::from_secs(60));
        assert!(lease.is_held());
        lease.end();
        assert!(!lease.is_held());
    }
}
