//! How much of its time a thread waits for a processor, as the kernel counts it.
//!
//! A thread of the lowest priority that others keep from the processor still takes what they leave between two of their steps,
//! and with it caches and time slices that they would have had a moment later: on a machine with few processors they notice.

use std::fs;
use std::time::{Duration, Instant};

/// Nanoseconds at work or waiting between two judgements.
const WINDOW: u64 = 10_000_000;

/// Time over which waiting is averaged. It goes on while the thread rests: else contention would seem to last the longer the less
/// the thread works for its sake.
const MEMORY: Duration = Duration::from_millis(160);

/// Share of the last window in the average, at most: one slice of somebody else's is no contention.
const WEIGHT_MAX: f64 = 0.25;

/// Average share of waiting from which on others need the processors. On an idle machine it is below a tenth, beside loads that take
/// all processors a quarter to a half.
const HIGH: f64 = 0.2;

/// Watches the thread that calls it, always the same. The default watches none.
#[derive(Debug, Default)]
pub(crate) struct Contention {
    watches: bool,
    counted: Option<(u64, u64)>,
    judged: Option<Instant>,
    average: f64,
}

impl Contention {
    pub(crate) fn of_this_thread() -> Contention {
        Contention { watches: true, ..Contention::default() }
    }

    /// One that is high, and stays so.
    #[cfg(test)]
    pub(crate) fn high() -> Contention {
        Contention { average: 1.0, ..Contention::default() }
    }

    /// Looks at what the kernel says by now; true when that is a new judgement. Where the kernel says nothing there is no contention.
    pub(crate) fn look(&mut self) -> bool {
        if !self.watches {
            return false;
        }
        let Ok(text) = fs::read_to_string("/proc/thread-self/schedstat") else { return false };
        let mut numbers = text.split_ascii_whitespace().map_while(|number| number.parse().ok());
        let (Some(ran), Some(waited)) = (numbers.next(), numbers.next()) else { return false };
        self.count(ran, waited, Instant::now())
    }

    /// Whether others need the processors.
    pub(crate) fn is_high(&self) -> bool {
        self.average > HIGH
    }

    /// Takes nanoseconds since the start of the thread.
    fn count(&mut self, ran: u64, waited: u64, now: Instant) -> bool {
        let (ran_before, waited_before) = *self.counted.get_or_insert((ran, waited));
        let (ran_since, waited_since) =
            (ran.saturating_sub(ran_before), waited.saturating_sub(waited_before));
        if ran_since + waited_since < WINDOW {
            return false;
        }
        self.counted = Some((ran, waited));
        let since = now.saturating_duration_since(self.judged.replace(now).unwrap_or(now));
        let weight = (since.as_secs_f64() / MEMORY.as_secs_f64()).min(WEIGHT_MAX);
        let share = waited_since as f64 / (ran_since + waited_since) as f64;
        self.average += (share - self.average) * weight;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows of so many milliseconds at work, of waiting and of rest; gives whether contention is high after each.
    fn after(
        contention: &mut Contention,
        windows: usize,
        (ran, waited, rested): (u64, u64, u64),
    ) -> Vec<bool> {
        let mut now = contention.judged.unwrap_or_else(Instant::now);
        let mut high = Vec::new();
        for _ in 0..windows {
            now += Duration::from_millis(ran + waited + rested);
            let (ran_before, waited_before) = contention.counted.unwrap_or_default();
            contention.count(ran_before + ran * 1_000_000, waited_before + waited * 1_000_000, now);
            high.push(contention.is_high());
        }
        high
    }

    #[test]
    fn waiting_for_long_is_contention_and_waiting_once_is_not() {
        let mut contention = Contention::default();
        assert!(after(&mut contention, 100, (19, 1, 0)).iter().all(|high| !high));
        assert!(!after(&mut contention, 1, (5, 5, 0)).contains(&true), "one slice of somebody else's");
        assert!(!after(&mut contention, 1, (5, 5, 1000)).contains(&true), "nor after a rest");
        assert!(after(&mut contention, 100, (7, 3, 0)).ends_with(&[true; 50]));
        assert!(after(&mut contention, 100, (19, 1, 0)).ends_with(&[false; 50]), "it is over");
    }

    #[test]
    fn a_thread_that_rests_most_of_the_time_notices_the_end_of_contention_as_soon() {
        let mut contention = Contention::default();
        assert!(after(&mut contention, 100, (5, 5, 0)).ends_with(&[true; 50]));
        assert!(after(&mut contention, 5, (10, 0, 90)).ends_with(&[false]), "half a second");
    }

    #[test]
    fn what_the_kernel_says_is_understood() {
        let mut contention = Contention::of_this_thread();
        let begin = std::time::Instant::now();
        let mut judged = !std::path::Path::new("/proc/thread-self/schedstat").exists();
        while !judged && begin.elapsed() < std::time::Duration::from_secs(30) {
            judged = contention.look();
        }
        assert!(judged);
    }
}
