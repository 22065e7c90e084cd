//! What every request handler may use.

use std::sync::Arc;
use std::time::Duration;

use eddy_cluster::Cluster;
use eddy_coordinator::GroupCoordinator;
use eddy_core::SessionCache;
use eddy_engine::Engine;
use parking_lot::Mutex;

use crate::advertised::Advertised;
use crate::loggers::Loggers;
use crate::metrics::Metrics;
use crate::quota::Quotas;
use crate::telemetry::Telemetry;

/// How the gateway behaves. Every field has one source: the broker's configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `listeners.advertised`, when set: the address clients are told, whatever they reached us on.
    pub advertised: Option<(String, u16)>,
    /// Largest request (`socket.request.max.bytes`).
    pub frame_bytes_max: usize,
    /// Silence after which a connection is closed (`connections.max.idle.ms`).
    pub idle_max: Duration,
    /// Silence within a frame after which a connection is closed.
    pub stall_max: Duration,
    /// Most bytes of one fetch answer (`fetch.max.bytes`).
    pub fetch_bytes_max: usize,
    /// Fetch sessions kept (`max.incremental.fetch.session.cache.slots`).
    pub fetch_sessions_max: usize,
    /// What the process logs.
    pub loggers: Arc<dyn Loggers>,
}

/// Shared by all connections.
pub(crate) struct Context {
    pub(crate) engine: Arc<Engine>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) groups: Arc<GroupCoordinator>,
    pub(crate) settings: Settings,
    pub(crate) advertised: Advertised,
    pub(crate) sessions: Mutex<SessionCache>,
    pub(crate) quotas: Quotas,
    pub(crate) telemetry: Telemetry,
    pub(crate) metrics: &'static Metrics,
}
