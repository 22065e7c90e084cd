//! Metrics of topics and partitions, read from the open partitions at scrape time.
//!
//! A partition that nobody has used since the start is not open and has no series; its topic counts as far as it is open.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use eddy_core::Offsets;
use eddy_engine::{Engine, Partition};
use eddy_types::Millis;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType::{Counter, Gauge};
use prometheus_client::registry::{Registry, Unit};

use super::put::Put;

/// Partitions with series of their own; a broker with more shows sums a topic only, or the scrape would be all it does.
const PARTITION_LIMIT: usize = 2000;

pub(super) fn register(registry: &mut Registry, engine: &Arc<Engine>) {
    registry.register_collector(Box::new(TopicMetrics(Arc::downgrade(engine))));
}

/// Weak: a scrape during the stop must not keep the engine's files open.
struct TopicMetrics(Weak<Engine>);

impl fmt::Debug for TopicMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicMetrics").finish_non_exhaustive()
    }
}

/// One partition at the moment of the scrape.
struct Seen {
    partition: Arc<Partition>,
    offsets: Offsets,
}

#[derive(Default)]
struct TopicSum {
    records: i64,
    bytes: u64,
    segments: u64,
    /// Records and bytes.
    produced: (u64, u64),
    fetched: (u64, u64),
    last_append: Option<Millis>,
}

impl Collector for TopicMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(engine) = self.0.upgrade() else { return Ok(()) };
        let mut put = Put(encoder);
        let mut seen: Vec<Seen> = engine
            .partitions()
            .open_partitions()
            .into_iter()
            // What is followed shows on its leader.
            .filter(|partition| partition.is_leading())
            .map(|partition| Seen { offsets: partition.offsets(), partition })
            .collect();
        seen.sort_by(|a, b| a.name().cmp(&b.name()));
        topics(&mut put, &seen)?;
        if engine.partitions().count() < PARTITION_LIMIT { partitions(&mut put, &seen) } else { Ok(()) }
    }
}

impl Seen {
    fn name(&self) -> (&str, i32) {
        (self.partition.topic(), self.partition.key().index)
    }
}

fn topics(put: &mut Put<'_>, seen: &[Seen]) -> fmt::Result {
    let mut sums = BTreeMap::<&str, TopicSum>::new();
    for one in seen {
        let sum = sums.entry(one.partition.topic()).or_default();
        sum.records += one.offsets.high_watermark.0 - one.offsets.log_start.0;
        sum.bytes += one.partition.log().size_bytes();
        sum.segments += one.partition.log().segment_count() as u64;
        let (produced, fetched) = (one.partition.traffic().produced(), one.partition.traffic().fetched());
        sum.produced = (sum.produced.0 + produced.0, sum.produced.1 + produced.1);
        sum.fetched = (sum.fetched.0 + fetched.0, sum.fetched.1 + fetched.1);
        let appended = Some(one.partition.last_append()).filter(|at| *at != Millis::NONE);
        sum.last_append = sum.last_append.max(appended);
    }
    let mut each = |kind, name, help, unit: Option<&Unit>, of: fn(&TopicSum) -> f64| {
        put.family(kind, name, help, unit, sums.iter().map(|(topic, sum)| ([("topic", *topic)], of(sum))))
    };
    let help = "High watermark less log start, over all partitions";
    each(Gauge, "eddy_topic_records", help, None, |sum| sum.records as f64)?;
    each(Gauge, "eddy_topic", "Size of the logs", Some(&Unit::Bytes), |sum| sum.bytes as f64)?;
    each(Gauge, "eddy_topic_segments", "Segments on disk", None, |sum| sum.segments as f64)?;
    each(Counter, "eddy_topic_produced_records", "Records appended", None, |sum| sum.produced.0 as f64)?;
    let help = "Bytes of batches appended";
    each(Counter, "eddy_topic_produced_bytes", help, None, |sum| sum.produced.1 as f64)?;
    let consumed = |of: fn(&TopicSum) -> f64| {
        sums.iter().map(move |(topic, sum)| ([("topic", *topic), ("kind", "consumer")], of(sum)))
    };
    let help = "Offsets that readers were sent";
    put.family(Counter, "eddy_topic_fetched_records", help, None, consumed(|sum| sum.fetched.0 as f64))?;
    let help = "Bytes of batches that readers were sent";
    put.family(Counter, "eddy_topic_fetched_bytes", help, None, consumed(|sum| sum.fetched.1 as f64))?;
    let last = sums
        .iter()
        .filter_map(|(topic, sum)| Some(([("topic", *topic)], sum.last_append?.0 as f64 / 1000.0)));
    let help = "When the topic was last written to, since the start of the broker";
    put.family(Gauge, "eddy_topic_last_append_timestamp", help, Some(&Unit::Seconds), last)
}

fn partitions(put: &mut Put<'_>, seen: &[Seen]) -> fmt::Result {
    let mut offset = |name, help, of: fn(&Offsets) -> i64| {
        let series = seen.iter().map(|one| {
            let (topic, index) = one.name();
            ([("topic", topic.to_owned()), ("partition", index.to_string())], of(&one.offsets) as f64)
        });
        put.family(Gauge, name, help, None, series)
    };
    offset("eddy_log_start_offset", "First offset that may be read", |offsets| offsets.log_start.0)?;
    offset("eddy_high_watermark", "End of what consumers may read", |offsets| offsets.high_watermark.0)?;
    offset("eddy_log_durable_end_offset", "End of what is on disk", |offsets| offsets.durable_end.0)?;
    offset("eddy_log_end_offset", "End of what was appended", |offsets| offsets.log_end.0)
}
