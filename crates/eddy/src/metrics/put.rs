//! Writes metrics whose values are read at scrape time.

use std::fmt;

use eddy_wal::HistogramSnapshot;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Writes one metric at a time.
pub(super) struct Put<'a>(pub(super) DescriptorEncoder<'a>);

impl Put<'_> {
    fn metric(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        metric: &dyn EncodeMetric,
    ) -> fmt::Result {
        let help = format!("{help}.");
        metric.encode(self.0.encode_descriptor(name, &help, unit, metric.metric_type())?)
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.metric(name, help, None, &ConstGauge::new(value))
    }

    pub(super) fn bytes(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.metric(name, help, Some(&Unit::Bytes), &ConstGauge::new(value))
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.metric(name, help, None, &ConstCounter::new(value))
    }

    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        seen: &HistogramSnapshot,
    ) -> fmt::Result {
        let bounds = seen.bounds.iter().copied().chain([f64::MAX]);
        let buckets: Vec<_> = bounds.zip(seen.counts.iter().copied()).collect();
        let help = format!("{help}.");
        self.0
            .encode_descriptor(name, &help, unit, MetricType::Histogram)?
            .encode_histogram::<[(&str, &str); 0]>(seen.sum, seen.count, &buckets, None)
    }

    /// A gauge that need not be whole.
    pub(super) fn measure(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
        self.metric(name, help, unit, &ConstGauge::new(value))
    }

    /// A counter of seconds.
    pub(super) fn seconds_spent(&mut self, name: &str, help: &str, seconds: f64) -> fmt::Result {
        self.metric(name, help, Some(&Unit::Seconds), &ConstCounter::new(seconds))
    }

    /// A series for each set of labels.
    pub(super) fn family<L: AsRef<str>, const N: usize>(
        &mut self,
        kind: MetricType,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        series: impl IntoIterator<Item = ([(&'static str, L); N], f64)>,
    ) -> fmt::Result {
        let help = format!("{help}.");
        let mut metric = self.0.encode_descriptor(name, &help, unit, kind)?;
        for (labels, value) in series {
            let labels: Vec<(&str, &str)> =
                labels.iter().map(|(key, label)| (*key, label.as_ref())).collect();
            let mut one = metric.encode_family(&labels)?;
            match kind {
                MetricType::Counter => ConstCounter::new(value).encode(one)?,
                _ => one.encode_gauge(&value)?,
            }
        }
        Ok(())
    }
}
