//! Metrics of replication and of this broker's standing in the cluster, read at scrape time.

use std::fmt;
use std::sync::{Arc, Weak};

use eddy_cluster::{Cluster, FetcherStats, SessionStats};
use eddy_engine::{Engine, FollowerLag};
use eddy_peer::Peers;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType::{self, Counter, Gauge};
use prometheus_client::registry::{Registry, Unit};

use super::changes::Changes;
use super::put::Put;

pub(super) fn register(
    registry: &mut Registry,
    engine: &Arc<Engine>,
    cluster: &Arc<Cluster>,
    peers: Option<&Peers>,
) {
    let metrics = ReplicationMetrics {
        cluster: Arc::downgrade(cluster),
        changes: Changes::start(engine),
        peers: peers.cloned(),
    };
    registry.register_collector(Box::new(metrics));
}

struct ReplicationMetrics {
    /// Weak: a scrape during the stop must not keep the engine's files open.
    cluster: Weak<Cluster>,
    changes: Arc<Changes>,
    peers: Option<Peers>,
}

impl fmt::Debug for ReplicationMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicationMetrics").finish_non_exhaustive()
    }
}

/// A number of each fetcher, session or follower.
type Column<T> = (MetricType, &'static str, &'static str, Option<Unit>, fn(&T) -> f64);

const FETCHERS: &[Column<FetcherStats>] = &[
    (Gauge, "connected", "1 while there is a connection to the leader", None, |one| {
        f64::from(u8::from(one.connected))
    }),
    (Gauge, "partitions", "Partitions that are followed at the leader", None, |one| one.partitions as f64),
    (Gauge, "lag_records", "Offsets that the leader is ahead, over all partitions", None, |one| {
        one.lag_records as f64
    }),
    (
        Gauge,
        "lag_records_max",
        "Offsets that the leader is ahead, in the partition where it is most",
        None,
        |one| one.lag_records_max as f64,
    ),
    (Counter, "bytes", "Bytes of batches taken from the leader", None, |one| one.bytes as f64),
    (
        Counter,
        "throttled_bytes",
        "Bytes of batches taken from the leader that the throttle of followers has let through",
        None,
        |one| one.throttled_bytes as f64,
    ),
    (Counter, "reconnects", "Connections to the leader after the first", None, |one| one.reconnects as f64),
    (Counter, "failures", "Batches of the leader that were refused here", None, |one| one.failures as f64),
    (Counter, "truncations", "Logs that were cut because they had left the leader's", None, |one| {
        one.truncations as f64
    }),
];

const SESSIONS: &[Column<SessionStats>] = &[
    (Gauge, "partitions", "Partitions that the follower follows here", None, |one| one.partitions as f64),
    (Counter, "bytes", "Bytes of batches sent to the follower", None, |one| one.bytes as f64),
    (
        Counter,
        "throttled_bytes",
        "Bytes of batches sent to the follower that the throttle of leaders has let through",
        None,
        |one| one.throttled_bytes as f64,
    ),
    (
        Gauge,
        "held",
        "Partitions that a throttle holds back, of this broker or of the follower",
        None,
        |one| one.held as f64,
    ),
];

/// Told by the leader, also of followers that do not run.
const LAGS: &[Column<FollowerLag>] = &[
    (
        Gauge,
        "lag_records",
        "Offsets that a follower lacks on its disk, of all partitions led here",
        None,
        |lag| lag.records as f64,
    ),
    (
        Gauge,
        "lag_records_max",
        "Offsets that a follower lacks on its disk, of the partition led here where it is most",
        None,
        |lag| lag.records_max as f64,
    ),
];

impl Collector for ReplicationMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(cluster) = self.cluster.upgrade() else { return Ok(()) };
        let mut put = Put(encoder);
        let elections = self.changes.elections().map(|(kind, count)| ([("kind", kind)], count as f64));
        put.family(Counter, "eddy_elections", "Elections that this broker won", None, elections)?;
        let isr =
            self.changes.isr_changes().map(|(direction, count)| ([("direction", direction)], count as f64));
        put.family(
            Counter,
            "eddy_isr_changes",
            "Changes of in-sync replicas of partitions led here",
            None,
            isr,
        )?;
        let stats = cluster.stats();
        let age = stats.heartbeat_age.map_or(0.0, |age| age.as_secs_f64());
        let help = "Time since the last heartbeat that the controller answered";
        put.measure("eddy_heartbeat_age", help, Some(&Unit::Seconds), age)?;
        put.gauge(
            "eddy_isr_proposals",
            "Proposals for other in-sync replicas that wait for the controller",
            stats.isr_proposals as u64,
        )?;
        for (kind, name, help, unit, value) in FETCHERS {
            let series = stats.fetchers.iter().map(|one| ([("leader", one.leader.to_string())], value(one)));
            put.family(*kind, &format!("eddy_replica_fetcher_{name}"), help, unit.as_ref(), series)?;
        }
        for (kind, name, help, unit, value) in SESSIONS {
            let series =
                stats.sessions.iter().map(|one| ([("follower", one.follower.to_string())], value(one)));
            put.family(*kind, &format!("eddy_replica_session_{name}"), help, unit.as_ref(), series)?;
        }
        for (kind, name, help, unit, value) in LAGS {
            let series = stats.lags.iter().map(|(id, lag)| ([("follower", id.to_string())], value(lag)));
            put.family(*kind, &format!("eddy_replica_{name}"), help, unit.as_ref(), series)?;
        }
        let seen = self.peers.as_ref().map(Peers::stats).unwrap_or_default();
        let results = [
            ("accepted", seen.accepted),
            ("refused", seen.refused),
            ("garbage", seen.garbage),
            ("unfinished", seen.unfinished),
        ];
        let results = results.map(|(result, count)| ([("result", result)], count as f64));
        put.family(Counter, "eddy_peer_connections", "Connections of other brokers", None, results)
    }
}
