//! What a run measured.

use std::fmt;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::cpu::Cores;

/// Figures of one run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) cores: Cores,
    /// Microseconds from request to answer.
    pub(crate) latency: Histogram<u64>,
}

/// A histogram of microseconds up to a minute, to three digits.
pub(crate) fn latency_histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

impl Report {
    fn records_per_second(&self) -> f64 {
        self.records as f64 / self.cores.seconds
    }

    /// In 10^6 bytes.
    fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.cores.seconds / 1e6
    }

    fn milliseconds(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "records_per_second": self.records_per_second(),
            "megabytes_per_second": self.megabytes_per_second(),
            "p50_ms": self.milliseconds(0.5),
            "p99_ms": self.milliseconds(0.99),
            "p999_ms": self.milliseconds(0.999),
            "max_ms": self.milliseconds(1.0),
            "broker_cores": self.cores.broker,
            "client_cores": self.cores.client,
            "seconds": self.cores.seconds,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} records/s, {:.1} MB/s; p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms; client {:.2} cores",
            self.records_per_second(),
            self.megabytes_per_second(),
            self.milliseconds(0.5),
            self.milliseconds(0.99),
            self.milliseconds(1.0),
            self.cores.client,
        )?;
        match self.cores.broker {
            Some(broker) => write!(f, ", broker {broker:.2} cores"),
            None => Ok(()),
        }
    }
}
