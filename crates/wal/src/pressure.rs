//! How full the log is, as one value for those who can do less.

use std::time::Duration;

use crate::Limits;

/// How full the log is. Rises at once and falls late, so that it does not flutter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// All may run.
    #[default]
    Normal,
    /// The queue is over half full by count or bytes, or its oldest entry is older than the latency budget: work that
    /// can wait should.
    Pressed,
    /// Someone waits for room, or no file can be written to.
    Full,
}

/// What pressure is computed from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) batches: u32,
    pub(crate) bytes: usize,
    /// Age of the oldest entry that is not durable.
    pub(crate) age: Duration,
    /// A request waits for room, or the log for a file.
    pub(crate) waiting: bool,
}

impl Load {
    /// Whether more than `numerator` fourths of the queue are taken.
    fn over_fourths(&self, numerator: u64, limits: &Limits) -> bool {
        u64::from(self.batches) * 4 > u64::from(limits.queue_depth) * numerator
            || self.bytes as u64 * 4 > limits.queue_bytes_max as u64 * numerator
    }
}

impl Pressure {
    /// The pressure that follows this one under `load`. What raised it must fall to half before it is taken back.
    pub(crate) fn next(self, load: &Load, limits: &Limits) -> Pressure {
        if load.waiting || (self == Pressure::Full && load.over_fourths(3, limits)) {
            return Pressure::Full;
        }
        let rises = load.over_fourths(2, limits) || load.age > limits.latency_budget;
        let stays = load.over_fourths(1, limits) || load.age > limits.latency_budget / 2;
        if rises || (self != Pressure::Normal && stays) { Pressure::Pressed } else { Pressure::Normal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        queue_depth: 100,
        queue_bytes_max: 1000,
        group_bytes_max: 100,
        latency_budget: Duration::from_millis(20),
        memory_bytes: 2000,
    };

    fn check(from: Pressure, batches: u32, bytes: usize, age_ms: u64, waiting: bool, expected: Pressure) {
        let load = Load { batches, bytes, age: Duration::from_millis(age_ms), waiting };
        assert_eq!(from.next(&load, &LIMITS), expected, "from {from:?} under {load:?}");
    }

    #[test]
    fn pressure_rises_at_half_and_falls_at_a_quarter() {
        use Pressure::*;
        check(Normal, 50, 500, 20, false, Normal);
        check(Normal, 51, 0, 0, false, Pressed);
        check(Normal, 0, 501, 0, false, Pressed);
        check(Normal, 0, 0, 21, false, Pressed);
        check(Pressed, 26, 0, 0, false, Pressed);
        check(Pressed, 0, 251, 0, false, Pressed);
        check(Pressed, 0, 0, 11, false, Pressed);
        check(Pressed, 25, 250, 10, false, Normal);
    }

    #[test]
    fn full_lasts_until_nobody_waits_and_a_quarter_is_free() {
        use Pressure::*;
        check(Normal, 0, 0, 0, true, Full);
        check(Pressed, 100, 1000, 50, false, Pressed);
        check(Full, 76, 0, 0, false, Full);
        check(Full, 0, 751, 0, false, Full);
        check(Full, 75, 750, 0, false, Pressed);
        check(Full, 10, 10, 0, false, Normal);
    }
}
