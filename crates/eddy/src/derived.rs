//! What the engine and the gateway are started with: the configuration, and what follows from it and the machine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eddy_cluster::ClusterConfig;
use eddy_core::ProducerLimits;
use eddy_disk::Disk;
use eddy_engine::{Engine, EngineConfig, FlushConfig, HousekeepingConfig};
use eddy_gateway::{Loggers, Settings};
#[cfg(feature = "search")]
use eddy_indexer::IndexerConfig;
use eddy_metadata::config::{BrokerConfig, SeedBroker};
use eddy_metadata::controller::Registration;
use eddy_peer::Peers;
use eddy_quorum::{ClusterQuorum, QuorumConfig, SNAPSHOT_AFTER, Seed};
use eddy_types::{BrokerId, ClusterId, Millis};
use eddy_wal::{Profile, WalConfig};

use crate::boot::network;
use crate::config::Config;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Memory of a machine that does not tell: the smallest that takes the profile `high`.
const MEMORY_ASSUMED: u64 = 5 * GIB;

/// A client that is silent this long within a frame will not finish it.
const STALL_MAX: Duration = Duration::from_secs(30);

/// How long a registration may take once the session of a process before it has ended.
const REGISTER_WITHIN: Duration = Duration::from_secs(20);

/// The machine, as far as limits follow from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) memory_bytes: Option<u64>,
    /// Files this process may have open, `None` for no limit.
    pub(crate) open_files: Option<u64>,
}

pub(crate) fn engine(
    config: &Config,
    machine: Machine,
    new_cluster: ClusterId,
    dir: &Path,
    disk: &Arc<dyn Disk>,
    peers: Option<&Peers>,
) -> EngineConfig {
    let broker = &config.broker;
    let wal = wal(broker, machine);
    let total = disk.space(dir).map_or(0, |space| space.total);
    EngineConfig {
        data_dir: dir.to_owned(),
        me: BrokerId(broker.node_id),
        quorum: QuorumConfig {
            dir: dir.join("metadata"),
            me: BrokerId(broker.node_id),
            disk: Arc::clone(disk),
            static_config: config.fixed.clone(),
            new_cluster_id: new_cluster,
            snapshot_after: SNAPSHOT_AFTER,
            cluster: peers.map(|peers| quorum(broker, peers)),
        },
        tail_bytes: wal.limits.memory_bytes.saturating_sub(wal.limits.queue_bytes_max),
        wal,
        request_bytes: request_bytes(broker, machine),
        producer_limits: ProducerLimits {
            expiration: Millis(broker.producer_id_expiration_ms),
            ..ProducerLimits::default()
        },
        open_files: segment_files(machine.open_files),
        backpressure_max_wait: Duration::from_millis(broker.backpressure_max_wait_ms),
        flush: FlushConfig {
            checkpoint_interval: Duration::from_millis(broker.log_checkpoint_interval_ms),
            ..FlushConfig::default()
        },
        housekeeping: HousekeepingConfig {
            retention_check_interval: Duration::from_millis(broker.log_retention_check_interval_ms),
            disk_reserve_bytes: reserve_bytes(total),
        },
        on_fatal: eddy_engine::abort,
    }
}

/// How topics are indexed.
#[cfg(feature = "search")]
pub(crate) fn indexer(broker: &BrokerConfig) -> IndexerConfig {
    IndexerConfig {
        memory: usize::try_from(broker.search_memory).unwrap_or(usize::MAX),
        commit_interval: Duration::from_millis(broker.search_commit_interval_ms),
        ..IndexerConfig::default()
    }
}

/// How the metadata group finds its members.
fn quorum(broker: &BrokerConfig, peers: &Peers) -> ClusterQuorum {
    let seed = |seed: &SeedBroker| Seed { broker: seed.broker, address: network::address_of(seed) };
    ClusterQuorum { peers: peers.clone(), seeds: broker.cluster_seeds.iter().map(seed).collect() }
}

/// This broker's part in the cluster.
pub(crate) fn cluster(
    broker: &BrokerConfig,
    engine: &Arc<Engine>,
    peers: Option<Peers>,
    registration: Registration,
) -> ClusterConfig {
    let session_timeout = Duration::from_millis(broker.broker_session_timeout_ms);
    ClusterConfig {
        session_timeout,
        heartbeat_interval: Duration::from_millis(broker.broker_heartbeat_interval_ms),
        register_within: session_timeout + REGISTER_WITHIN,
        ..ClusterConfig::new(Arc::clone(engine), peers, registration)
    }
}

pub(crate) fn gateway(broker: &BrokerConfig, loggers: Arc<dyn Loggers>) -> Settings {
    Settings {
        advertised: broker.listeners_advertised.as_ref().map(|address| (address.host.clone(), address.port)),
        frame_bytes_max: broker.socket_request_max_bytes as usize,
        idle_max: idle_max(broker),
        stall_max: STALL_MAX,
        fetch_bytes_max: broker.fetch_max_bytes as usize,
        fetch_sessions_max: broker.max_incremental_fetch_session_cache_slots as usize,
        loggers,
    }
}

fn idle_max(broker: &BrokerConfig) -> Duration {
    let idle = u64::try_from(broker.connections_max_idle_ms);
    // A negative time means "never": a century is.
    idle.map_or(Duration::from_secs(100 * 365 * 86_400), Duration::from_millis)
}

/// The profile in force: the one named, or by memory.
pub(crate) fn profile(broker: &BrokerConfig, machine: Machine) -> Profile {
    let by_memory = || Profile::for_memory(machine.memory_bytes.unwrap_or(MEMORY_ASSUMED));
    broker.wal_profile.parse().unwrap_or_else(|_| by_memory())
}

fn wal(broker: &BrokerConfig, machine: Machine) -> WalConfig {
    let mut wal = WalConfig::new(profile(broker, machine));
    if let Some(total) = broker.wal_total_bytes {
        wal.total_bytes_max = total;
        // At least four files fit, so that the log can be trimmed in steps.
        wal.file_bytes = wal.file_bytes.min(total / 4 / MIB * MIB).max(MIB);
    }
    wal
}

/// Memory for requests between socket and answer: an eighth of the machine's, so that a small one survives a crowd of large
/// requests and a large one does not run out of room for many small ones.
fn request_bytes(broker: &BrokerConfig, machine: Machine) -> usize {
    let share = (machine.memory_bytes.unwrap_or(MEMORY_ASSUMED) / 8).clamp(32 * MIB, 2 * GIB);
    let bytes =
        u64::try_from(broker.queued_max_request_bytes).ok().filter(|&bytes| bytes > 0).unwrap_or(share);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Segment files kept open: a quarter of what is allowed, the rest is for connections and indexes.
fn segment_files(open_files: Option<u64>) -> usize {
    let quarter = open_files.unwrap_or(u64::MAX) / 4;
    usize::try_from(quarter.clamp(16, 16_384)).unwrap_or(16)
}

/// Disk space that writes leave free, so that deletion, checkpoints and metadata still work when the disk is full.
fn reserve_bytes(total: u64) -> u64 {
    (total / 20).min(GIB)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddy_metadata::config::StaticConfig;

    fn config(pairs: &[(&str, &str)]) -> BrokerConfig {
        BrokerConfig::from_static(&StaticConfig::from_pairs(pairs.iter().copied()).unwrap())
    }

    fn memory(bytes: u64) -> Machine {
        Machine { memory_bytes: Some(bytes), open_files: Some(1024) }
    }

    #[test]
    fn the_profile_follows_the_memory_unless_it_is_named() {
        assert_eq!(profile(&config(&[]), memory(GIB / 2)), Profile::Low);
        assert_eq!(profile(&config(&[]), memory(8 * GIB)), Profile::High);
        assert_eq!(profile(&config(&[("wal.profile", "ultra")]), memory(GIB / 2)), Profile::Ultra);
    }

    #[test]
    fn queue_and_tail_caches_share_the_memory_of_the_profile() {
        for name in ["low", "medium", "high", "ultra"] {
            let wal = wal(&config(&[("wal.profile", name)]), memory(GIB));
            assert!(wal.limits.queue_bytes_max < wal.limits.memory_bytes, "{name}");
        }
    }

    #[test]
    fn a_small_write_ahead_log_still_has_four_files() {
        let wal = wal(&config(&[("wal.profile", "ultra"), ("wal.total.bytes", "100MiB")]), memory(GIB));
        assert_eq!((wal.total_bytes_max, wal.file_bytes), (100 * MIB, 25 * MIB));
    }

    #[test]
    fn limits_stay_within_bounds_on_small_and_large_machines() {
        assert_eq!(request_bytes(&config(&[]), memory(64 * MIB)) as u64, 32 * MIB);
        assert_eq!(request_bytes(&config(&[]), memory(1 << 40)) as u64, 2 * GIB);
        assert_eq!(
            request_bytes(&config(&[("queued.max.request.bytes", "7MiB")]), memory(GIB)) as u64,
            7 * MIB
        );
        assert_eq!((segment_files(Some(20)), segment_files(None)), (16, 16_384));
        assert_eq!((reserve_bytes(100 * GIB), reserve_bytes(200 * MIB)), (GIB, 10 * MIB));
    }

    #[test]
    fn a_negative_idle_time_never_closes() {
        assert_eq!(idle_max(&config(&[("connections.max.idle.ms", "1000")])), Duration::from_secs(1));
        assert!(idle_max(&config(&[("connections.max.idle.ms", "-1")])) > Duration::from_secs(1 << 31));
    }
}
