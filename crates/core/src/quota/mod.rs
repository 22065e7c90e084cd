//! Quotas: how much an entity has used of late, and how long it must pause (KIP-13, KIP-124, KIP-599, KIP-612), and
//! how a rate is shared out (KIP-73).
//!
//! [`TokenBucket`] measures one entity, [`Tracked`] keeps a bounded number of them, and [`RateQuotas`] and [`BucketQuotas`] put both
//! together for a broker. The limit comes with each use: who changes a quota has nothing to tell anybody here.
//!
//! Kafka measures rates over samples of the last windows, and forgets a sample whole: a client of large requests gets up to
//! twice its quota, because its pause ends after the sample that caused it. Here what was used is paid for at the rate of the
//! quota. The pause after a burst is the same, `(rate - quota) / quota` of the windows, and over any time nobody gets
//! more than the quota and one burst.

mod bucket;
mod pace;
mod quotas;
#[cfg(test)]
mod tests;
mod tracked;

pub use bucket::TokenBucket;
pub use pace::Pace;
pub use quotas::{BucketQuotas, RateQuotas};
pub use tracked::Tracked;

/// Over what time use is measured (`quota.window.num`, `quota.window.size.seconds`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaWindows {
    /// Number of windows, at least 1.
    pub count: u32,
    /// Length of one in milliseconds, at least 1.
    pub millis: u32,
}

impl QuotaWindows {
    /// As many as `count` windows of as many `seconds`. Kafka's defaults are 11 of one second.
    #[must_use]
    pub fn new(count: u32, seconds: u32) -> QuotaWindows {
        QuotaWindows { count: count.max(1), millis: seconds.max(1).saturating_mul(1000) }
    }

    /// What an entity at rest may use at once before a limit of `rate` a second makes it pause: all windows' worth, less the one
    /// that has only begun.
    #[must_use]
    pub fn burst(self, rate: f64) -> f64 {
        self.worth(rate, self.count.saturating_sub(1).max(1))
    }

    /// What all windows are worth: the size of a bucket of KIP-599.
    fn total(self, rate: f64) -> f64 {
        self.worth(rate, self.count)
    }

    fn worth(self, rate: f64, windows: u32) -> f64 {
        rate * f64::from(windows) * f64::from(self.millis) / 1000.0
    }
}
