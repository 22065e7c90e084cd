//! How much of its time a thread waits for a processor, as the kernel counts it.
//!
//! A thread of the lowest priority that others keep from the processor still takes what they leave between two of their steps,
//! and with it caches and time slices that they would have had a moment later: on a machine with few processors they notice.

use std::fs;

/// Nanoseconds between two judgements.
const WINDOW: u64 = 10_000_000;

/// Share of the last window in the average.
const WEIGHT: f64 = 1.0 / 16.0;

/// Average share of waiting from which on others need the processors. On an idle machine it is below a tenth, beside loads that take
/// all processors a quarter to a half.
const HIGH: f64 = 0.2;

/// Watches the thread that calls it, always the same. The default watches none.
#[derive(Debug, Default)]
pub(crate) struct Contention {
    watches: bool,
    counted: Option<(u64, u64)>,
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
        self.count(ran, waited)
    }

    /// Whether others need the processors.
    pub(crate) fn is_high(&self) -> bool {
        self.average > HIGH
    }

    /// Takes nanoseconds since the start of the thread.
    fn count(&mut self, ran: u64, waited: u64) -> bool {
        let (ran_before, waited_before) = *self.counted.get_or_insert((ran, waited));
        let (ran_since, waited_since) =
            (ran.saturating_sub(ran_before), waited.saturating_sub(waited_before));
        if ran_since + waited_since < WINDOW {
            return false;
        }
        self.counted = Some((ran, waited));
        let share = waited_since as f64 / (ran_since + waited_since) as f64;
        self.average += (share - self.average) * WEIGHT;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows of so many milliseconds at work, and of waiting; gives whether contention is high after each.
    fn after(contention: &mut Contention, windows: usize, ran: u64, waited: u64) -> Vec<bool> {
        let mut high = Vec::new();
        for _ in 0..windows {
            let (ran_before, waited_before) = contention.counted.unwrap_or_default();
            contention.count(ran_before + ran * 1_000_000, waited_before + waited * 1_000_000);
            high.push(contention.is_high());
        }
        high
    }

    #[test]
    fn waiting_for_long_is_contention_and_waiting_once_is_not() {
        let mut contention = Contention::default();
        assert!(after(&mut contention, 100, 19, 1).iter().all(|high| !high));
        assert!(!after(&mut contention, 1, 5, 5).contains(&true), "one slice of somebody else's");
        assert!(after(&mut contention, 100, 7, 3).ends_with(&[true; 50]));
        assert!(after(&mut contention, 100, 19, 1).ends_with(&[false; 50]), "it is over");
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
