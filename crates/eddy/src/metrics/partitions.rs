//! How the partitions stand, read from the metadata at scrape time.
//!
//! Each partition counts on one broker, the one that leads it, and one without a leader on the controller: sums over all
//! brokers are those of the cluster.

use std::fmt;
use std::sync::{Arc, Weak};

use eddy_engine::Engine;
use eddy_metadata::{Image, PlacedPartition};
use eddy_types::BrokerId;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType::Gauge;
use prometheus_client::registry::Registry;

use super::put::Put;

pub(super) fn register(registry: &mut Registry, engine: &Arc<Engine>) {
    registry.register_collector(Box::new(PartitionMetrics { engine: Arc::downgrade(engine) }));
}

/// Weak: a scrape during the stop must not keep the engine's files open.
struct PartitionMetrics {
    engine: Weak<Engine>,
}

impl fmt::Debug for PartitionMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionMetrics").finish_non_exhaustive()
    }
}

/// Numbers of partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Led by this broker.
    leading: u64,
    /// Held by this broker and led by another, or by none.
    following: u64,
    /// Of those that it leads: an acknowledgement of all is one of fewer than all replicas.
    under_replicated: u64,
    /// Of those that it leads: acks=all is refused.
    under_min_isr: u64,
    /// Of those that it leads: one more loss, and acks=all is refused.
    at_min_isr: u64,
    /// Of those that it leads: another replica should.
    not_preferred: u64,
    /// Of those that it leads: replicas are moving.
    reassigning: u64,
    /// Without a leader, in the whole cluster.
    offline: u64,
}

impl Counts {
    fn of(image: &Image, me: BrokerId) -> Counts {
        let mut counts = Counts::default();
        for PlacedPartition { topic, partition, .. } in image.partitions() {
            let wanted = partition.replicas.len() - partition.adding.len();
            let in_sync = partition.isr.iter().filter(|id| !partition.adding.contains(id)).count();
            // A partition with fewer replicas than the minimum needs all of them.
            let least = (topic.config.min_insync_replicas as usize).min(wanted);
            let members = partition.isr.len();
            counts.offline += u64::from(partition.leader.is_none());
            if partition.leader == Some(me) {
                counts.leading += 1;
                counts.under_replicated += u64::from(in_sync < wanted);
                counts.under_min_isr += u64::from(members < least);
                counts.at_min_isr += u64::from(members == least && wanted > least);
                counts.not_preferred += u64::from(partition.replicas.first() != Some(&me));
                counts.reassigning += u64::from(partition.is_reassigning());
            } else if partition.replicas.contains(&me) {
                counts.following += 1;
            }
        }
        counts
    }
}

impl Collector for PartitionMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(engine) = self.engine.upgrade() else { return Ok(()) };
        let counts = Counts::of(&engine.image(), engine.me());
        let offline = if engine.quorum().is_leader() { counts.offline } else { 0 };
        let mut put = Put(encoder);
        let roles = [("leader", counts.leading), ("follower", counts.following)];
        let roles = roles.map(|(role, count)| ([("role", role)], count as f64));
        put.family(Gauge, "eddy_partitions", "Partitions of this broker", None, roles)?;
        for (name, help, value) in [
            ("offline", "Partitions without a leader; told by the controller", offline),
            ("under_replicated", "Partitions led here with a replica out of sync", counts.under_replicated),
            (
                "under_min_isr",
                "Partitions led here with fewer replicas in sync than min.insync.replicas",
                counts.under_min_isr,
            ),
            (
                "at_min_isr",
                "Partitions led here with just as many replicas in sync as min.insync.replicas",
                counts.at_min_isr,
            ),
            ("not_preferred", "Partitions led here whose first replica is another", counts.not_preferred),
            ("reassigning", "Partitions led here whose replicas are moving", counts.reassigning),
        ] {
            put.gauge(&format!("eddy_partitions_{name}"), help, value)?;
        }
        Ok(())
    }
}
