//! Metrics that the binary adds to those its crates register themselves.

mod cluster;
mod engine;
mod exporter;
mod groups;
mod process;
mod put;
mod topics;

use std::sync::Arc;

use eddy_coordinator::GroupCoordinator;
use eddy_engine::Engine;
use eddy_wal::Profile;
use prometheus_client::registry::Registry;

use crate::data_dir::Marker;

/// The metrics of the process itself: there from the first moment.
pub(crate) fn of_process(open_files_max: Option<u64>, marker: &Marker) -> Registry {
    let mut registry = Registry::default();
    process::register(&mut registry, open_files_max);
    process::register_build(labelled(&mut registry, marker));
    registry
}

/// The part of the registry whose metrics say which broker of which cluster they are from.
pub(crate) fn labelled<'a>(registry: &'a mut Registry, marker: &Marker) -> &'a mut Registry {
    let labels = [("cluster", marker.cluster_id.to_string()), ("broker", marker.node_id.to_string())];
    registry.sub_registry_with_labels(labels.into_iter().map(|(name, value)| (name.into(), value.into())))
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
    topics::register(registry, engine);
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
