//! When to try again.

use std::time::Duration;

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN};

/// Delays between attempts to connect: none, then doubling up to a bound, each less up to a quarter.
///
/// The jitter comes from a counter, not from a random source: brokers that lost the same peer differ by their seed.
pub(crate) struct Backoff {
    counter: u64,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Backoff { counter: seed, next: Duration::ZERO }
    }

    /// The next attempt may be at once.
    pub(crate) fn reset(&mut self) {
        self.next = Duration::ZERO;
    }

    /// How long to wait before the next attempt.
    pub(crate) fn delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
        self.counter = self.counter.wrapping_add(1);
        delay - delay / 1024 * (mixed(self.counter) % 256) as u32
    }
}

/// SplitMix64's finalizer: neighbours become unlike.
fn mixed(counter: u64) -> u64 {
    let mut x = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_begin_at_once_and_double_to_the_bound() {
        let mut backoff = Backoff::new(1);
        assert_eq!(backoff.delay(), Duration::ZERO);
        for nominal in [20, 40, 80, 160, 320, 500, 500, 500].map(Duration::from_millis) {
            let delay = backoff.delay();
            assert!(delay <= nominal && delay >= nominal * 3 / 4, "{delay:?} of {nominal:?}");
        }
        backoff.reset();
        assert_eq!(backoff.delay(), Duration::ZERO);
    }

    #[test]
    fn brokers_with_different_seeds_do_not_try_in_step() {
        let delays = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..20).map(|_| backoff.delay()).collect::<Vec<_>>()
        };
        assert_ne!(delays(1 << 32), delays(2 << 32));
    }
}
