//! Kafka in and out: listeners, connections, dispatch, one file per API.
//!
//! The only crate that knows the wire's message types. A request goes `listener` → `connection` → `frames` → `dispatch` →
//! `api/kNN_name`; the answer goes back through the connection's `pipeline`, in request order.

mod admission;
mod advertised;
mod api;
mod brokers;
mod call;
mod config_resource;
mod connection;
mod connection_state;
mod context;
mod deadline;
mod dispatch;
mod error;
mod features;
mod foreign;
mod frames;
mod groups;
mod listener;
mod loggers;
mod metrics;
mod pipeline;
mod quota;
mod resolve;
mod rules;
mod telemetry;
mod topics;

use std::sync::Arc;

pub use context::Settings;
use eddy_cluster::Cluster;
use eddy_coordinator::GroupCoordinator;
use eddy_core::{SessionCache, SessionLimits};
use eddy_engine::Engine;
pub use listener::bind;
pub use loggers::{LogLevel, Loggers, ROOT};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::advertised::Advertised;
use crate::context::Context;
use crate::metrics::Metrics;
use crate::quota::Quotas;
use crate::telemetry::Telemetry;

/// What requests are put before.
pub struct Parts {
    /// Partitions and metadata.
    pub engine: Arc<Engine>,
    /// This broker's part in the cluster.
    pub cluster: Arc<Cluster>,
    /// The groups that this broker coordinates.
    pub groups: Arc<GroupCoordinator>,
}

/// Serves Kafka clients on `listener` until the engine stops; the task ends when no more connections are accepted.
pub fn serve(
    Parts { engine, cluster, groups }: Parts,
    settings: Settings,
    listener: TcpListener,
    registry: &mut Registry,
) -> JoinHandle<()> {
    let sessions = SessionLimits { slots: settings.fetch_sessions_max, ..SessionLimits::default() };
    let metrics = Metrics::register(registry, &api::keys(), &engine);
    let ctx = Arc::new(Context {
        engine,
        cluster,
        groups,
        advertised: Advertised::new(settings.advertised.clone()),
        sessions: parking_lot::Mutex::new(SessionCache::new(sessions)),
        quotas: Quotas::register(registry),
        telemetry: Telemetry::register(registry),
        metrics,
        settings,
    });
    tokio::spawn(listener::run(ctx, listener))
}
