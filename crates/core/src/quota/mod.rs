//! Quotas: how much an entity has used of late, and how long it must pause (KIP-13, KIP-124, KIP-599, KIP-612).
//!
//! Three layers: [`SampledRate`] and [`TokenBucket`] measure one entity, [`Tracked`] keeps a bounded number of entities, and
//! [`RateQuotas`] and [`BucketQuotas`] put them together for a broker. The limit comes with each use: who changes a quota has
//! nothing to tell anybody here.

mod bucket;
mod quotas;
mod rate;
#[cfg(test)]
mod tests;
mod tracked;

pub use bucket::TokenBucket;
pub use quotas::{BucketQuotas, RateQuotas};
pub use rate::SampledRate;
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

    /// Length of one window in milliseconds.
    fn window(self) -> i64 {
        i64::from(self.millis)
    }

    /// Length of all windows in milliseconds.
    fn total(self) -> i64 {
        i64::from(self.count) * self.window()
    }

    /// What an idle entity may use at once before a limit of `rate` a second makes it pause: a full windows' worth, less the one that is
    /// only begun.
    #[must_use]
    pub fn burst(self, rate: f64) -> f64 {
        rate * f64::from(self.count.saturating_sub(1).max(1)) * f64::from(self.millis) / 1000.0
    }
}
