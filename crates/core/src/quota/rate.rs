//! Use over sliding windows.

use std::collections::VecDeque;

use eddy_types::Millis;

use super::QuotaWindows;

/// How much one entity used of late, by window: at most as many samples as there are windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampledRate {
    samples: VecDeque<Sample>,
}

/// A window in which something was used.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    start: Millis,
    used: f64,
}

impl SampledRate {
    /// Counts a use. A negative one takes back what was counted and did not happen.
    pub fn record(&mut self, now: Millis, windows: QuotaWindows, amount: f64) {
        self.forget(now, windows);
        match self.samples.back_mut() {
            // A clock that steps back stays in the newest window.
            Some(sample) if (now - sample.start).0 < windows.window() => sample.used += amount,
            _ => self.samples.push_back(Sample { start: now, used: amount }),
        }
        while self.samples.len() > windows.count as usize {
            self.samples.pop_front();
        }
    }

    /// Use per second.
    #[must_use]
    pub fn rate(&mut self, now: Millis, windows: QuotaWindows) -> f64 {
        self.forget(now, windows);
        self.used() / (self.measured(now, windows) / 1000.0)
    }

    /// How long to pause until the rate is down to `limit` a second: `(rate - limit) / limit` of the time measured.
    #[must_use]
    pub fn delay(&mut self, now: Millis, windows: QuotaWindows, limit: f64) -> Millis {
        let rate = self.rate(now, windows);
        if rate <= limit {
            return Millis(0);
        }
        // A cast saturates.
        Millis(((rate - limit) / limit * self.measured(now, windows)).round() as i64)
    }

    fn used(&self) -> f64 {
        self.samples.iter().map(|sample| sample.used).sum()
    }

    fn forget(&mut self, now: Millis, windows: QuotaWindows) {
        while self.samples.front().is_some_and(|sample| (now - sample.start).0 >= windows.total()) {
            self.samples.pop_front();
        }
    }

    /// Milliseconds that the use is spread over, as Kafka reckons: since the oldest sample, but all windows less one at least, so
    /// that an entity may begin with a burst.
    fn measured(&self, now: Millis, windows: QuotaWindows) -> f64 {
        let oldest = self.samples.front().map_or(now, |sample| sample.start);
        let elapsed = (now - oldest).0.max(0);
        let full = elapsed / windows.window();
        let missing = (i64::from(windows.count) - 1 - full).max(0);
        (elapsed + missing * windows.window()).max(windows.window()) as f64
    }
}
