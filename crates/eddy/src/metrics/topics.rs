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
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

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
    last_append: Option<Millis>,
}

impl Collector for TopicMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(engine) = self.0.upgrade() else { return Ok(()) };
        let leading = i64::try_from(engine.partitions().count()).unwrap_or(i64::MAX);
        let labels = [("role", "leader")];
        family(&mut encoder, "eddy_partitions", "Partitions of this broker.", None, [(labels, leading)])?;
        let mut seen: Vec<Seen> = engine
            .partitions()
            .open_partitions()
            .into_iter()
            .map(|partition| Seen { offsets: partition.offsets(), partition })
            .collect();
        seen.sort_by(|a, b| a.name().cmp(&b.name()));
        topics(&mut encoder, &seen)?;
        if engine.partitions().count() < PARTITION_LIMIT { partitions(&mut encoder, &seen) } else { Ok(()) }
    }
}

impl Seen {
    fn name(&self) -> (&str, i32) {
        (self.partition.topic(), self.partition.key().index)
    }
}

fn topics(encoder: &mut DescriptorEncoder<'_>, seen: &[Seen]) -> fmt::Result {
    let mut sums = BTreeMap::<&str, TopicSum>::new();
    for one in seen {
        let sum = sums.entry(one.partition.topic()).or_default();
        sum.records += one.offsets.high_watermark.0 - one.offsets.log_start.0;
        sum.bytes += one.partition.log().size_bytes();
        let appended = Some(one.partition.last_append()).filter(|at| *at != Millis::NONE);
        sum.last_append = sum.last_append.max(appended);
    }
    let records = sums.iter().map(|(topic, sum)| ([("topic", *topic)], sum.records));
    family(
        encoder,
        "eddy_topic_records",
        "High watermark less log start, over all partitions.",
        None,
        records,
    )?;
    let bytes =
        sums.iter().map(|(topic, sum)| ([("topic", *topic)], i64::try_from(sum.bytes).unwrap_or(i64::MAX)));
    family(encoder, "eddy_topic", "Size of the logs.", Some(&Unit::Bytes), bytes)?;
    let last = sums.iter().filter_map(|(topic, sum)| Some(([("topic", *topic)], sum.last_append?.0 / 1000)));
    let help = "When the topic was last written to, since the start of the broker.";
    family(encoder, "eddy_topic_last_append_timestamp", help, Some(&Unit::Seconds), last)
}

fn partitions(encoder: &mut DescriptorEncoder<'_>, seen: &[Seen]) -> fmt::Result {
    let mut offset = |name, help, of: fn(&Offsets) -> i64| {
        let series = seen.iter().map(|one| {
            let (topic, index) = one.name();
            ([("topic", topic.to_owned()), ("partition", index.to_string())], of(&one.offsets))
        });
        family(encoder, name, help, None, series)
    };
    offset("eddy_log_start_offset", "First offset that may be read.", |offsets| offsets.log_start.0)?;
    offset("eddy_high_watermark", "End of what consumers may read.", |offsets| offsets.high_watermark.0)?;
    offset("eddy_log_durable_end_offset", "End of what is on disk.", |offsets| offsets.durable_end.0)?;
    offset("eddy_log_end_offset", "End of what was appended.", |offsets| offsets.log_end.0)
}

fn family<L: AsRef<str>, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    series: impl IntoIterator<Item = ([(&'static str, L); N], i64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in series {
        let labels: Vec<(&str, &str)> = labels.iter().map(|(key, label)| (*key, label.as_ref())).collect();
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}
