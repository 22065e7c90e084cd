//! Metrics of the search indexes, read from the indexer at scrape time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use eddy_indexer::{IndexStatus, Indexer, SECONDS_BOUNDS, SearchCounters, Times};
use eddy_wal::HistogramSnapshot;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType::{Counter, Gauge};
use prometheus_client::registry::{Registry, Unit};

use super::put::Put;

pub(super) fn register(registry: &mut Registry, indexer: &Arc<Indexer>, searches: Arc<SearchCounters>) {
    registry.register_collector(Box::new(SearchMetrics(Arc::downgrade(indexer))));
    registry.register_collector(Box::new(SearchTimes(searches)));
}

/// What searches take. It keeps nothing alive but the counters.
#[derive(Debug)]
struct SearchTimes(Arc<SearchCounters>);

impl Collector for SearchTimes {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut put = Put(encoder);
        let stats = self.0.stats();
        times(
            &mut put,
            "eddy_search",
            "Time that searches took, all partitions and brokers of one together",
            &stats.seconds,
        )?;
        put.counter("eddy_search_failed", "Searches that were not answered", stats.failed)
    }
}

/// Weak: a scrape during the stop must not keep the engine's files open.
struct SearchMetrics(Weak<Indexer>);

impl fmt::Debug for SearchMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SearchMetrics").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct TopicSum {
    lag_records: u64,
    /// Of the partition that is furthest behind.
    lag_seconds: f64,
    bytes: u64,
    records: u64,
    splits: usize,
}

impl TopicSum {
    fn add(&mut self, status: &IndexStatus) {
        self.lag_records += status.lag_records;
        self.lag_seconds = self.lag_seconds.max(status.lag.0 as f64 / 1000.0);
        self.bytes += status.bytes;
        self.records += status.records;
        self.splits += status.splits;
    }
}

impl Collector for SearchMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(indexer) = self.0.upgrade() else { return Ok(()) };
        let mut put = Put(encoder);
        let mut topics = BTreeMap::<Arc<str>, TopicSum>::new();
        for (topic, _, status) in indexer.statuses() {
            topics.entry(topic).or_default().add(&status);
        }
        each_topic(&mut put, &topics)?;
        totals(&mut put, &indexer)
    }
}

fn each_topic(put: &mut Put<'_>, topics: &BTreeMap<Arc<str>, TopicSum>) -> fmt::Result {
    let mut each = |name, help, unit: Option<&Unit>, of: fn(&TopicSum) -> f64| {
        put.family(Gauge, name, help, unit, topics.iter().map(|(topic, sum)| ([("topic", topic)], of(sum))))
    };
    let help = "Records that are not searchable yet";
    each("eddy_index_lag_records", help, None, |sum| sum.lag_records as f64)?;
    let help = "Age of the oldest record that is not searchable yet";
    each("eddy_index_lag", help, Some(&Unit::Seconds), |sum| sum.lag_seconds)?;
    each("eddy_index", "Size of the search indexes", Some(&Unit::Bytes), |sum| sum.bytes as f64)?;
    each("eddy_index_searchable_records", "Records in the search indexes", None, |sum| sum.records as f64)?;
    each("eddy_index_splits", "Files of the search indexes", None, |sum| sum.splits as f64)
}

fn totals(put: &mut Put<'_>, indexer: &Indexer) -> fmt::Result {
    let stats = indexer.stats();
    put.counter("eddy_index_records", "Records indexed", stats.records)?;
    put.counter("eddy_index_read_bytes", "Bytes of batches read to be indexed", stats.read_bytes)?;
    put.counter("eddy_index_written_bytes", "Bytes of index written, merges included", stats.written_bytes)?;
    let dropped = [([("reason", "unreadable")], stats.dropped as f64)];
    let help = "Records that could not be indexed at all";
    put.family(Counter, "eddy_index_dropped_records", help, None, dropped)?;
    let raw = stats.raw.iter().map(|(reason, count)| ([("reason", *reason)], *count as f64));
    let help = "Records indexed as plain text, in part, or without their value";
    put.family(Counter, "eddy_index_raw_records", help, None, raw)?;
    let backoff = stats.backoff.iter().map(|(reason, time)| ([("reason", *reason)], time.as_secs_f64()));
    let help = "Time that indexing stood aside, by what for";
    put.family(Counter, "eddy_index_backoff", help, Some(&Unit::Seconds), backoff)?;
    times(
        put,
        "eddy_index_commit",
        "Time from reading records to having them searchable",
        &stats.commit_seconds,
    )?;
    times(put, "eddy_index_merge", "Time of one merge of splits", &stats.merge_seconds)?;
    put.counter("eddy_index_rebuilds", "Indexes made anew because they could not be used", stats.rebuilds)?;
    put.bytes("eddy_index_memory", "Memory of the split that is being built", stats.memory_bytes)?;
    put.gauge("eddy_index_open_splits", "Splits that are open for searching", stats.open_splits as u64)?;
    put.gauge("eddy_index_partitions", "Partitions that are indexed here", stats.partitions as u64)
}

fn times(put: &mut Put<'_>, name: &str, help: &str, times: &Times) -> fmt::Result {
    let seen = HistogramSnapshot {
        bounds: &SECONDS_BOUNDS,
        counts: times.counts.to_vec(),
        sum: times.sum,
        count: times.count,
    };
    put.histogram(name, help, Some(&Unit::Seconds), &seen)
}
