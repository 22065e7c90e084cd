//! Metrics that the binary adds to those its crates register themselves.

mod changes;
mod cluster;
mod engine;
mod exporter;
mod groups;
mod partitions;
mod process;
mod put;
mod replication;
#[cfg(feature = "search")]
mod search;
mod topics;

use std::sync::Arc;

use eddy_cluster::Cluster;
use eddy_coordinator::GroupCoordinator;
use eddy_engine::Engine;
use eddy_peer::Peers;
use eddy_types::{BrokerId, ClusterId};
use eddy_wal::Profile;
use prometheus_client::registry::Registry;

/// The metrics of the process itself: there from the first moment.
pub(crate) fn of_process(open_files_max: Option<u64>) -> Registry {
    let mut registry = Registry::default();
    process::register(&mut registry, open_files_max);
    registry
}

/// The part of the registry whose metrics say which broker of which cluster they are from; made once, when both are known.
pub(crate) fn labelled(registry: &mut Registry, cluster: ClusterId, broker: BrokerId) -> &mut Registry {
    let labels = [("cluster", cluster.to_string()), ("broker", broker.to_string())];
    let labels = labels.into_iter().map(|(name, value)| (name.into(), value.into()));
    let registry = registry.sub_registry_with_labels(labels);
    process::register_build(registry);
    registry
}

/// What the engine counts, read when it is asked for.
pub(crate) fn of_engine(
    registry: &mut Registry,
    engine: &Arc<Engine>,
    profile: Profile,
    dir: &std::path::Path,
) {
    engine::register(registry, engine, profile, dir);
    cluster::register(registry, engine);
    partitions::register(registry, engine);
    topics::register(registry, engine);
}

/// This broker's part in the cluster.
pub(crate) fn of_cluster(
    registry: &mut Registry,
    engine: &Arc<Engine>,
    cluster: &Arc<Cluster>,
    peers: Option<&Peers>,
) {
    replication::register(registry, engine, cluster, peers);
}

/// How the indexes of this broker stand.
#[cfg(feature = "search")]
pub(crate) fn of_indexer(
    registry: &mut Registry,
    indexer: &Arc<eddy_indexer::Indexer>,
    search: &eddy_indexer::Search,
) {
    search::register(registry, indexer, search.counters());
}

/// What the group coordinator knows: under our names in `registry`, and in `exporter` under those of the usual exporter for
/// Kafka, with what else that one tells.
pub(crate) fn of_groups(
    registry: &mut Registry,
    exporter: &mut Registry,
    engine: &Arc<Engine>,
    coordinator: &Arc<GroupCoordinator>,
) {
    let groups = groups::Groups::start(engine, coordinator);
    groups::register(registry, &groups);
    exporter::register(exporter, &groups);
}
