//! What clients count: records, bytes, latencies, refusals.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Clients share so many places to count in: a histogram for each of thousands would cost more memory than their connections.
const PLACES: usize = 16;
/// Latencies are kept to three digits, up to an hour.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// Figures of one place, or of all.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    /// Requests or fetches that were answered.
    pub requests: u64,
    pub records: u64,
    pub bytes: u64,
    /// Of the whole run, warm-up included.
    pub sent: u64,
    /// As `sent`: acknowledged, or refused.
    pub answered: u64,
    /// Due and never sent: too many were under way, or the client was too slow.
    pub unsent: u64,
    /// Requests that the broker refused, by the name of the code.
    pub refused: BTreeMap<&'static str, u64>,
    /// Microseconds.
    latency: Histogram<u64>,
    latency_max_us: u64,
}

impl Default for Counts {
    fn default() -> Counts {
        #[allow(clippy::expect_used, reason = "these bounds are constant")]
        let mut latency = Histogram::new(3).expect("three digits are allowed");
        latency.auto(true);
        Counts {
            requests: 0,
            records: 0,
            bytes: 0,
            sent: 0,
            answered: 0,
            unsent: 0,
            refused: BTreeMap::new(),
            latency,
            latency_max_us: 0,
        }
    }
}

impl Counts {
    pub(super) fn latency(&mut self, took: Duration, records: u64) {
        let us = (took.as_micros() as u64).min(LATENCY_MAX_US);
        self.latency_max_us = self.latency_max_us.max(us);
        // It grows to every value up to the bound.
        self.latency.record_n(us, records).ok();
    }

    fn add(&mut self, other: &Counts) {
        self.requests += other.requests;
        self.records += other.records;
        self.bytes += other.bytes;
        self.sent += other.sent;
        self.answered += other.answered;
        self.unsent += other.unsent;
        for (code, count) in &other.refused {
            *self.refused.entry(code).or_default() += count;
        }
        self.latency.add(&other.latency).ok();
        self.latency_max_us = self.latency_max_us.max(other.latency_max_us);
    }

    /// None without a latency.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        if self.latency.is_empty() {
            return None;
        }
        // A bucket's upper end may be above what was really seen.
        let ms = |quantile| self.latency.value_at_quantile(quantile).min(self.latency_max_us) as f64 / 1e3;
        Some(Percentiles {
            mean_ms: self.latency.mean() / 1e3,
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: self.latency_max_us as f64 / 1e3,
        })
    }
}

/// Of latencies, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

/// Where the clients of a run count.
#[derive(Debug)]
pub(super) struct Tally(Vec<Mutex<Counts>>);

impl Default for Tally {
    fn default() -> Tally {
        Tally((0..PLACES).map(|_| Mutex::default()).collect())
    }
}

impl Tally {
    pub(super) fn count(&self, client: u32, count: impl FnOnce(&mut Counts)) {
        if let Some(place) = self.0.get(client as usize % PLACES) {
            count(&mut place.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Records and bytes so far.
    pub(super) fn so_far(&self) -> (u64, u64) {
        self.0.iter().fold((0, 0), |(records, bytes), place| {
            let place = place.lock().unwrap_or_else(PoisonError::into_inner);
            (records + place.records, bytes + place.bytes)
        })
    }

    pub(super) fn total(&self) -> Counts {
        let mut total = Counts::default();
        for place in &self.0 {
            total.add(&place.lock().unwrap_or_else(PoisonError::into_inner));
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_clients_and_the_maximum_is_exact() {
        let tally = Tally::default();
        for client in 0..100 {
            tally.count(client, |counts| {
                counts.records += 1;
                counts.latency(Duration::from_millis(u64::from(client) + 1), 1);
            });
        }
        tally.count(3, |counts| counts.latency(Duration::from_micros(1_234_567), 1));
        let total = tally.total();
        let percentiles = total.percentiles().unwrap();
        assert_eq!(total.records, 100);
        assert!((50.0..52.0).contains(&percentiles.p50_ms), "{percentiles:?}");
        assert!((99.0..101.1).contains(&percentiles.p99_ms), "{percentiles:?}");
        assert_eq!(percentiles.max_ms, 1234.567);
        assert_eq!(percentiles.p999_ms, 1234.567);
        assert_eq!(Counts::default().percentiles(), None);
    }
}
