//! The names and labels of the usual exporter for Kafka (`kafka_exporter`), so that dashboards, alerts and autoscalers made
//! for it work unchanged.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use eddy_engine::{Engine, PartitionKey};
use eddy_metadata::Image;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType::Gauge;
use prometheus_client::registry::Registry;

use super::groups::{Groups, Standing};
use super::put::Put;

/// Registers everything on the registry of that endpoint.
pub(super) fn register(registry: &mut Registry, groups: &Arc<Groups>) {
    registry.register_collector(Box::new(Exporter(Arc::clone(groups))));
}

struct Exporter(Arc<Groups>);

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

impl Collector for Exporter {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some((engine, snapshot, standings)) = self.0.now() else { return Ok(()) };
        let image = engine.image();
        let mut put = Put(encoder);
        put.gauge("kafka_brokers", "Number of brokers", image.brokers().count() as u64)?;
        partitions(&mut put, &engine, &image)?;
        let members =
            snapshot.groups.iter().map(|group| ([("consumergroup", &*group.group)], group.members as f64));
        put.family(Gauge, "kafka_consumergroup_members", "Members of a group", None, members)?;
        offsets(&mut put, &standings)
    }
}

fn partitions(put: &mut Put<'_>, engine: &Engine, image: &Image) -> fmt::Result {
    let topics = image.topics().map(|topic| ([("topic", &*topic.name)], topic.partitions.len() as f64));
    put.family(Gauge, "kafka_topic_partitions", "Partitions of a topic", None, topics)?;
    let all: Vec<_> = image
        .topics()
        .flat_map(|topic| {
            (0..).zip(topic.partitions.iter()).map(move |(index, partition)| (topic, index, partition))
        })
        .map(|(topic, index, partition)| {
            let open = engine.partitions().get_open(PartitionKey { topic: topic.id, index });
            (topic.name.to_string(), index.to_string(), partition, open.map(|open| open.offsets()))
        })
        .collect();
    let labels = |topic: &String, index: &String| [("topic", topic.clone()), ("partition", index.clone())];
    let current = all.iter().filter_map(|(topic, index, _, at)| {
        Some((labels(topic, index), at.as_ref()?.high_watermark.0 as f64))
    });
    put.family(Gauge, "kafka_topic_partition_current_offset", "End of a partition", None, current)?;
    let oldest = all
        .iter()
        .filter_map(|(topic, index, _, at)| Some((labels(topic, index), at.as_ref()?.log_start.0 as f64)));
    put.family(Gauge, "kafka_topic_partition_oldest_offset", "Start of a partition", None, oldest)?;
    let mut each = |name, help, of: fn(&eddy_metadata::Partition) -> f64| {
        let series = all.iter().map(|(topic, index, partition, _)| (labels(topic, index), of(partition)));
        put.family(Gauge, name, help, None, series)
    };
    each("kafka_topic_partition_leader", "Broker that leads, -1 for none", |partition| {
        partition.leader.map_or(-1.0, |leader| f64::from(leader.0))
    })?;
    each("kafka_topic_partition_leader_is_preferred", "1 when the first replica leads", |partition| {
        f64::from(u8::from(
            partition.leader.is_some() && partition.leader.as_ref() == partition.replicas.first(),
        ))
    })?;
    each("kafka_topic_partition_replicas", "Replicas of a partition", |partition| {
        partition.replicas.len() as f64
    })?;
    each("kafka_topic_partition_in_sync_replica", "Replicas in sync", |partition| {
        partition.isr.len() as f64
    })?;
    each("kafka_topic_partition_under_replicated_partition", "1 when a replica is out of sync", |partition| {
        f64::from(u8::from(partition.isr.len() < partition.replicas.len()))
    })
}

fn offsets(put: &mut Put<'_>, standings: &[Standing]) -> fmt::Result {
    let labels = |one: &Standing| {
        [
            ("consumergroup", one.group.to_string()),
            ("topic", one.topic.to_string()),
            ("partition", one.partition.to_string()),
        ]
    };
    let committed = standings.iter().map(|one| (labels(one), one.committed.0 as f64));
    put.family(
        Gauge,
        "kafka_consumergroup_current_offset",
        "The next offset that a group reads",
        None,
        committed,
    )?;
    let lag = standings.iter().filter_map(|one| Some((labels(one), one.lag? as f64)));
    put.family(Gauge, "kafka_consumergroup_lag", "Records that a group has still to read", None, lag)?;
    let mut sums = BTreeMap::<(&str, &str), (f64, f64)>::new();
    for one in standings {
        let sum = sums.entry((&one.group, &one.topic)).or_default();
        *sum = (sum.0 + one.committed.0 as f64, sum.1 + one.lag.unwrap_or(0) as f64);
    }
    let series = |of: fn(&(f64, f64)) -> f64| {
        sums.iter()
            .map(move |((group, topic), sum)| ([("consumergroup", *group), ("topic", *topic)], of(sum)))
    };
    let help = "Sum over the partitions of a topic";
    put.family(Gauge, "kafka_consumergroup_current_offset_sum", help, None, series(|sum| sum.0))?;
    put.family(Gauge, "kafka_consumergroup_lag_sum", help, None, series(|sum| sum.1))
}
