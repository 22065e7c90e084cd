//! Metrics of the cluster and of the metadata group, as this broker knows them, and of the runtime that serves requests.

use std::fmt;
use std::sync::{Arc, Weak};

use eddy_engine::Engine;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType::Gauge;
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;

use super::put::Put;

pub(super) fn register(registry: &mut Registry, engine: &Arc<Engine>) {
    let metrics = ClusterMetrics { engine: Arc::downgrade(engine), runtime: Handle::try_current().ok() };
    registry.register_collector(Box::new(metrics));
}

/// Weak: a scrape during the stop must not keep the engine's files open.
struct ClusterMetrics {
    engine: Weak<Engine>,
    runtime: Option<Handle>,
}

impl fmt::Debug for ClusterMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterMetrics").finish_non_exhaustive()
    }
}

impl Collector for ClusterMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(engine) = self.engine.upgrade() else { return Ok(()) };
        let mut put = Put(encoder);
        let quorum = engine.quorum();
        let status = quorum.status();
        put.gauge(
            "eddy_controller_active",
            "1 on the broker that leads the metadata group",
            u64::from(quorum.is_leader()),
        )?;
        put.gauge("eddy_raft_term", "Term of the metadata group", status.term)?;
        put.gauge(
            "eddy_raft_log_behind",
            "Metadata records that are not yet committed and applied here",
            status.log_end.saturating_sub(status.committed_end),
        )?;
        put.gauge(
            "eddy_raft_committed_end",
            "End of the metadata log that is committed and applied here",
            status.committed_end,
        )?;
        put.gauge("eddy_raft_log_end", "End of the metadata log here", status.log_end)?;
        let leader = quorum.leader().map_or(-1.0, |leader| f64::from(leader.0));
        put.measure(
            "eddy_controller_id",
            "The broker that leads the metadata group, -1 while none is known",
            None,
            leader,
        )?;
        let members = [("voter", status.voters.len()), ("learner", status.learners.len())];
        let members = members.map(|(role, count)| ([("role", role)], count as f64));
        put.family(Gauge, "eddy_raft_members", "Brokers of the metadata group", None, members)?;
        brokers(&mut put, &engine)?;
        if let Some(runtime) = &self.runtime {
            let metrics = runtime.metrics();
            put.gauge("eddy_runtime_tasks", "Tasks that are not finished", metrics.num_alive_tasks() as u64)?;
            let workers = 0..metrics.num_workers();
            let busy: f64 =
                workers.map(|worker| metrics.worker_total_busy_duration(worker).as_secs_f64()).sum();
            put.seconds_spent(
                "eddy_runtime_busy",
                "Time that the threads which serve requests were busy",
                busy,
            )?;
        }
        Ok(())
    }
}

fn brokers(put: &mut Put<'_>, engine: &Engine) -> fmt::Result {
    let image = engine.image();
    let (mut registered, mut alive, mut draining) = (0.0, 0.0, 0.0);
    for broker in image.brokers() {
        registered += 1.0;
        alive += f64::from(u8::from(!broker.fenced));
        draining += f64::from(u8::from(broker.draining));
    }
    let states = [("registered", registered), ("alive", alive), ("draining", draining)];
    let states = states.map(|(state, count)| ([("state", state)], count));
    put.family(Gauge, "eddy_cluster_brokers", "Brokers that this broker's metadata knows", None, states)?;
    let fenced = image.broker(engine.me()).is_none_or(|broker| broker.fenced);
    put.gauge("eddy_broker_fenced", "1 while the cluster takes this broker for dead", u64::from(fenced))
}
