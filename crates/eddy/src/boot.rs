//! The order in which a broker starts and stops.
//!
//! Start: directory lock and marker, listeners, admin, engine, registration, coordinator, gateway. What can be refused is refused before
//! anything is written. Stop: clients first, then the log, the admin listener last, so that a stop can be watched.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use eddy_admin::{Admin, Readiness};
use eddy_cluster::{Cluster, ClusterConfig};
use eddy_coordinator::GroupCoordinator;
use eddy_disk::{Disk, RealDisk};
use eddy_engine::Engine;
use eddy_gateway::{Loggers, Parts};
use eddy_metadata::Endpoint;
use eddy_metadata::config::BrokerConfig;
use eddy_metadata::controller::Registration;
use eddy_types::{BrokerId, DirectoryId, SystemClock};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::codes;
use crate::config::Config;
use crate::data_dir::{self, DataDir};
use crate::derived::{self, Machine};
use crate::failure::{Failure, Problem};
use crate::listeners;
use crate::metrics;
use crate::start_error;

/// How long what still has work at the end of a stop may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// A broker that serves.
pub(crate) struct Running {
    engine: Arc<Engine>,
    groups: Arc<GroupCoordinator>,
    gateway: JoinHandle<()>,
    readiness: watch::Sender<Readiness>,
    admin: AdminTask,
    data_dir: DataDir,
}

struct AdminTask {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts a broker; it serves when this returns. `began` is when the process did.
pub(crate) async fn run(
    config: Config,
    machine: Machine,
    loggers: Arc<dyn Loggers>,
    began: Instant,
) -> Result<Running, Failure> {
    let disk = RealDisk::shared();
    let broker = &config.broker;
    let mut data_dir = DataDir::open(disk.as_ref(), Path::new(&broker.data_dir), BrokerId(broker.node_id))?;
    let marker = data_dir.marker().clone();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        node = %marker.node_id,
        cluster = marker.cluster_id.map(tracing::field::display),
        data_dir = %data_dir.path().display(),
        wal_profile = %derived::profile(broker, machine),
        "starting"
    );
    let kafka = listeners::bind("kafka", &broker.listeners_kafka).await?;
    let admin_listener = listeners::bind("admin", &broker.listeners_admin).await?;
    let (kafka_address, admin_address) = (local(&kafka)?, local(&admin_listener)?);
    data_dir.claim(disk.as_ref())?;

    let registry = Arc::new(RwLock::new(metrics::of_process(machine.open_files)));
    let (readiness, watched) = watch::channel(Readiness::Starting("recovering the log".into()));
    let exporter = Arc::new(RwLock::new(Registry::default()));
    let registries = (Arc::clone(&registry), Arc::clone(&exporter));
    let admin = Admin { registry: registries.0, exporter: registries.1, readiness: watched };
    let admin = AdminTask::start(admin_listener, admin);

    let engine = start_engine(&config, machine, &data_dir, &disk).await?;
    let cluster_id = engine.image().cluster_id().ok_or_else(no_cluster)?;
    data_dir.belongs_to(disk.as_ref(), cluster_id)?;
    let cluster = join(&engine, broker, kafka_address, marker.directory_id).await?;
    let groups = GroupCoordinator::start(Arc::clone(&engine));

    let gateway = {
        let mut registry = registry.write().unwrap_or_else(PoisonError::into_inner);
        let registry: &mut Registry = metrics::labelled(&mut registry, cluster_id, marker.node_id);
        metrics::of_engine(registry, &engine, derived::profile(broker, machine), data_dir.path());
        let mut exporter = exporter.write().unwrap_or_else(PoisonError::into_inner);
        metrics::of_groups(registry, &mut exporter, &engine, &groups);
        let settings = derived::gateway(broker, loggers);
        let parts = Parts { engine: Arc::clone(&engine), cluster, groups: Arc::clone(&groups) };
        eddy_gateway::serve(parts, settings, kafka, registry)
    };
    readiness.send_replace(Readiness::Serving);
    tracing::info!(kafka = %kafka_address, admin = %admin_address, seconds = began.elapsed().as_secs_f32(), "ready");
    Ok(Running { engine, groups, gateway, readiness, admin, data_dir })
}

async fn start_engine(
    config: &Config,
    machine: Machine,
    data_dir: &DataDir,
    disk: &Arc<dyn Disk>,
) -> Result<Arc<Engine>, Failure> {
    let dir = data_dir.path();
    let new_cluster = data_dir.marker().cluster_id.map_or_else(data_dir::new_cluster_id, Ok);
    let new_cluster = new_cluster.map_err(|error| no_random(&error))?;
    let settings = derived::engine(config, machine, new_cluster, dir, disk);
    let started = Engine::start(settings, Arc::clone(disk), Arc::new(SystemClock)).await;
    started.map_err(|error| start_error::problem(dir, &error).into())
}

fn no_cluster() -> Failure {
    Problem::new(&codes::METADATA_FAILED, "the metadata names no cluster").into()
}

fn no_random(error: &std::io::Error) -> Failure {
    Problem::new(&codes::INTERNAL, format!("cannot draw a random number: {error}")).into()
}

/// Tells the cluster that this broker is there, and where.
async fn join(
    engine: &Arc<Engine>,
    broker: &BrokerConfig,
    kafka: SocketAddr,
    directory: DirectoryId,
) -> Result<Arc<Cluster>, Failure> {
    let failed = |reason: String| {
        Problem::new(&codes::METADATA_FAILED, format!("cannot register the broker: {reason}"))
    };
    let mut incarnation = [0; 8];
    let random = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut incarnation));
    random.map_err(|error| failed(error.to_string()))?;
    let told = broker.listeners_advertised.as_ref();
    let registration = Registration {
        broker: engine.me(),
        incarnation: u64::from_le_bytes(incarnation),
        endpoints: vec![Endpoint {
            listener: "kafka".to_owned(),
            host: told.map_or(kafka.ip().to_string(), |address| address.host.clone()),
            port: told.map_or(kafka.port(), |address| address.port),
        }],
        rack: broker.broker_rack.clone(),
        directory: directory.0,
    };
    let joined = Cluster::start(ClusterConfig::new(Arc::clone(engine), None, registration)).await;
    joined.map_err(|error| failed(error.to_string()).into())
}

/// Where a listener really listens: the configuration may leave the port to the kernel.
fn local(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    let address = listener.local_addr();
    address.map_err(|error| {
        Problem::new(&codes::INTERNAL, format!("cannot read a listener's address: {error}")).into()
    })
}

impl Running {
    /// Returns when the broker cannot go on, with the reason. A failing disk does not come this way: it ends the process at
    /// once.
    pub(crate) async fn failed(&self) -> Failure {
        let reason = self.engine.quorum().stopped().await;
        Problem::new(&codes::METADATA_FAILED, format!("the metadata group stopped: {reason}")).into()
    }

    /// Stops the broker: what was acknowledged is on disk, and the next start replays nothing.
    pub(crate) async fn stop(self) {
        self.readiness.send_replace(Readiness::Stopping);
        self.groups.stop().await;
        self.engine.stop().await;
        if tokio::time::timeout(STOP_TIMEOUT, self.gateway).await.is_err() {
            tracing::debug!("the kafka listener did not end");
        }
        self.admin.stop().await;
        drop(self.data_dir);
    }
}

impl AdminTask {
    fn start(listener: TcpListener, admin: Admin) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(eddy_admin::serve(listener, admin, async {
            stopped.await.ok();
        }));
        AdminTask { stop, task }
    }

    async fn stop(self) {
        self.stop.send(()).ok();
        if tokio::time::timeout(STOP_TIMEOUT, self.task).await.is_err() {
            tracing::debug!("a client of the admin listener did not finish");
        }
    }
}
