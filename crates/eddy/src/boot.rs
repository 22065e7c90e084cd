//! The order in which a broker starts and stops.
//!
//! Start: directory lock and marker, listeners, admin, engine, gateway. Everything that can be refused is refused before
//! anything is written. Stop is the reverse: clients first, then the log, the admin listener last, so that a stop can be
//! watched.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use eddy_admin::{Admin, Readiness};
use eddy_disk::RealDisk;
use eddy_types::BrokerId;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::codes;
use crate::config::Config;
use crate::data_dir::{DataDir, Expected};
use crate::failure::{Failure, Problem};
use crate::listeners;
use crate::process_metrics;

/// How long HTTP requests in flight may take once everything else has stopped.
const ADMIN_STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// What a broker knows of the process it runs in.
pub(crate) struct Broker {
    /// When the process began.
    pub(crate) began: Instant,
    /// Limit of open files, `None` when there is none.
    pub(crate) open_files: Option<u64>,
}

/// A broker that serves.
pub(crate) struct Running {
    readiness: watch::Sender<Readiness>,
    admin: AdminTask,
    data_dir: DataDir,
    kafka: TcpListener,
}

struct AdminTask {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts a broker; it serves when this returns.
pub(crate) async fn run(config: Config, process: Broker) -> Result<Running, Failure> {
    let disk = RealDisk::shared();
    let broker = &config.broker;
    let expected = Expected { node_id: BrokerId(broker.node_id), cluster_id: None };
    let mut data_dir = DataDir::open(disk.as_ref(), Path::new(&broker.data_dir), expected)?;
    let marker = data_dir.marker();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        node = %marker.node_id,
        cluster = %marker.cluster_id,
        data_dir = %data_dir.path().display(),
        "starting"
    );
    let kafka = listeners::bind("kafka", &broker.listeners_kafka).await?;
    let admin_listener = listeners::bind("admin", &broker.listeners_admin).await?;
    let (kafka_address, admin_address) = (local(&kafka)?, local(&admin_listener)?);
    data_dir.claim(disk.as_ref())?;

    let mut registry = Registry::default();
    process_metrics::register(&mut registry, process.open_files);
    let (readiness, watched) = watch::channel(Readiness::Starting("recovering the log"));
    let admin = AdminTask::start(admin_listener, Admin { registry, readiness: watched });

    readiness.send_replace(Readiness::Serving);
    tracing::info!(kafka = %kafka_address, admin = %admin_address, seconds = process.began.elapsed().as_secs_f32(), "ready");
    Ok(Running { readiness, admin, data_dir, kafka })
}

/// Where a listener really listens: the configuration may leave the port to the kernel.
fn local(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    let address = listener.local_addr();
    address.map_err(|error| {
        Problem::new(&codes::INTERNAL, format!("cannot read a listener's address: {error}")).into()
    })
}

impl Running {
    /// Stops the broker: what was acknowledged is on disk, and the next start replays nothing.
    pub(crate) async fn stop(self) {
        self.readiness.send_replace(Readiness::Stopping);
        drop(self.kafka);
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
        if tokio::time::timeout(ADMIN_STOP_TIMEOUT, self.task).await.is_err() {
            tracing::debug!("a client of the admin listener did not finish");
        }
    }
}
