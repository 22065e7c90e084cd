//! The order in which a broker starts and stops.
//!
//! Start: directory lock and marker, listeners, admin, connections to other brokers, metadata group and engine, registration,
//! coordinator, indexer, gateway. What can be refused is refused before anything is written. Stop: leaderships and clients first,
//! then the log, the admin listener last, so that a stop can be watched.

pub(crate) mod network;
mod running;
#[cfg(feature = "search")]
mod search;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use eddy_admin::{Admin, Readiness};
use eddy_cluster::Cluster;
use eddy_coordinator::GroupCoordinator;
use eddy_disk::{Disk, RealDisk};
use eddy_engine::Engine;
use eddy_gateway::{Loggers, Parts};
#[cfg(feature = "search")]
use eddy_indexer::{Indexer, Search, SearchLimits};
use eddy_metadata::Endpoint;
use eddy_metadata::config::BrokerConfig;
use eddy_metadata::controller::Registration;
use eddy_peer::Peers;
use eddy_types::{BrokerId, SystemClock};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::codes;
use crate::config::Config;
use crate::data_dir::{self, DataDir, Marker};
use crate::derived::{self, Machine};
use crate::failure::{Failure, Problem};
use crate::listeners;
use crate::metrics;
use crate::start_error;
use running::AdminTask;

pub(crate) use running::Running;

/// How long the other brokers may take to hear of this one before it serves all the same: one of them may have died a moment
/// ago.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);

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
    let listeners = Listeners::bind(broker).await?;
    let (kafka_address, admin_address) = (local(&listeners.kafka)?, local(&listeners.admin)?);
    data_dir.claim(disk.as_ref())?;

    let registry = Arc::new(RwLock::new(metrics::of_process(machine.open_files)));
    let (readiness, watched) = watch::channel(Readiness::Starting("recovering the log".into()));
    let readiness = Arc::new(readiness);
    let exporter = Arc::new(RwLock::new(Registry::default()));
    let registries = (Arc::clone(&registry), Arc::clone(&exporter));
    #[cfg(feature = "search")]
    let searches = eddy_admin::search::SearchSlot::empty();
    let admin = Admin {
        registry: registries.0,
        exporter: registries.1,
        readiness: watched,
        #[cfg(feature = "search")]
        search: searches.clone(),
    };
    let admin = AdminTask::start(listeners.admin, admin);

    let incarnation = network::incarnation().map_err(|error| no_random(&error))?;
    let start_peers = |listener| network::start(broker, &marker, incarnation, listener);
    let peers = listeners.cluster.map(start_peers).transpose()?;
    let engine = meet(&config, machine, &data_dir, &disk, peers.as_ref(), &readiness).await?;
    let cluster_id = engine.image().cluster_id().ok_or_else(no_cluster)?;
    if let Err(problem) = data_dir.belongs_to(disk.as_ref(), cluster_id) {
        engine.stop().await;
        return Err(problem.into());
    }
    if let Some(peers) = &peers {
        peers.set_cluster(cluster_id);
    }
    readiness.send_replace(Readiness::Starting("registering".into()));
    let registration = registration(broker, &marker, incarnation, kafka_address);
    let settings = derived::cluster(broker, &engine, peers.clone(), registration);
    let cluster = match Cluster::start(settings).await {
        Ok(cluster) => cluster,
        Err(error) => {
            engine.stop().await;
            return Err(start_error::not_registered(&error, marker.node_id).into());
        }
    };
    // A client that is told of this broker may ask another one about it at once.
    cluster.until_applied(engine.image().version(), tokio::time::Instant::now() + KNOWN_WITHIN).await;
    let groups = GroupCoordinator::start(Arc::clone(&engine));
    #[cfg(feature = "search")]
    let indexer = Indexer::start(derived::indexer(broker), Arc::clone(&engine));
    #[cfg(feature = "search")]
    let search = Search::start(Arc::clone(&indexer), peers.clone(), SearchLimits::default());

    let gateway = {
        let mut registry = registry.write().unwrap_or_else(PoisonError::into_inner);
        let registry: &mut Registry = metrics::labelled(&mut registry, cluster_id, marker.node_id);
        metrics::of_engine(registry, &engine, derived::profile(broker, machine), data_dir.path());
        metrics::of_cluster(registry, &engine, &cluster, peers.as_ref());
        #[cfg(feature = "search")]
        metrics::of_indexer(registry, &indexer, &search);
        let mut exporter = exporter.write().unwrap_or_else(PoisonError::into_inner);
        metrics::of_groups(registry, &mut exporter, &engine, &groups);
        let settings = derived::gateway(broker, loggers);
        let (engine, cluster, groups) = (Arc::clone(&engine), Arc::clone(&cluster), Arc::clone(&groups));
        eddy_gateway::serve(Parts { engine, cluster, groups }, settings, listeners.kafka, registry)
    };
    #[cfg(feature = "search")]
    searches.fill(Arc::new(search::Searches(search)));
    readiness.send_replace(Readiness::Serving);
    tracing::info!(
        kafka = %kafka_address,
        admin = %admin_address,
        cluster = %cluster_id,
        seconds = began.elapsed().as_secs_f32(),
        "ready"
    );
    Ok(Running {
        engine,
        peers,
        cluster,
        groups,
        #[cfg(feature = "search")]
        indexer,
        #[cfg(feature = "search")]
        searches,
        gateway,
        readiness,
        admin,
        data_dir,
    })
}

/// Everything the broker listens on, bound before anything is written.
struct Listeners {
    kafka: TcpListener,
    admin: TcpListener,
    /// `None` for a lone node.
    cluster: Option<TcpListener>,
}

impl Listeners {
    async fn bind(broker: &BrokerConfig) -> Result<Listeners, Problem> {
        let kafka = listeners::bind("kafka", &broker.listeners_kafka).await?;
        let admin = listeners::bind("admin", &broker.listeners_admin).await?;
        let cluster = match &broker.cluster_listen {
            Some(address) => Some(listeners::bind("cluster", address).await?),
            None => None,
        };
        Ok(Listeners { kafka, admin, cluster })
    }
}

/// Starts the metadata group and the engine. In a cluster that takes until the others are met: meanwhile it is said who is
/// missing, and what cannot end well is refused.
async fn meet(
    config: &Config,
    machine: Machine,
    data_dir: &DataDir,
    disk: &Arc<dyn Disk>,
    peers: Option<&Peers>,
    readiness: &Arc<watch::Sender<Readiness>>,
) -> Result<Arc<Engine>, Failure> {
    let (dir, cluster) = (data_dir.path(), data_dir.marker().cluster_id);
    let new_cluster = cluster.map_or_else(data_dir::new_cluster_id, Ok);
    let new_cluster = new_cluster.map_err(|error| no_random(&error))?;
    let settings = derived::engine(config, machine, new_cluster, dir, disk, peers);
    let starting = async {
        let started = Engine::start(settings, Arc::clone(disk), Arc::new(SystemClock)).await;
        started.map_err(|error| start_error::problem(dir, &error).into())
    };
    let Some(peers) = peers else { return starting.await };
    tokio::select! {
        biased;
        started = starting => started,
        failure = network::watch_seeds(&config.broker, peers, cluster, readiness) => Err(failure),
    }
}

/// What the cluster is told of this broker.
fn registration(broker: &BrokerConfig, marker: &Marker, incarnation: u64, kafka: SocketAddr) -> Registration {
    let told = broker.listeners_advertised.as_ref();
    Registration {
        broker: marker.node_id,
        incarnation,
        endpoints: vec![Endpoint {
            listener: "kafka".to_owned(),
            host: told.map_or(kafka.ip().to_string(), |address| address.host.clone()),
            port: told.map_or(kafka.port(), |address| address.port),
        }],
        rack: broker.broker_rack.clone(),
        directory: marker.directory_id.0,
    }
}

fn no_cluster() -> Failure {
    Problem::new(&codes::METADATA_FAILED, "the metadata names no cluster").into()
}

fn no_random(error: &std::io::Error) -> Failure {
    Problem::new(&codes::INTERNAL, format!("cannot draw a random number: {error}")).into()
}

/// Where a listener really listens: the configuration may leave the port to the kernel.
fn local(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    let address = listener.local_addr();
    address.map_err(|error| {
        Problem::new(&codes::INTERNAL, format!("cannot read a listener's address: {error}")).into()
    })
}
