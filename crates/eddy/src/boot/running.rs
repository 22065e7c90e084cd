//! A broker that serves, until it is stopped.

use std::sync::Arc;
use std::time::Duration;

use eddy_admin::{Admin, Readiness};
use eddy_cluster::Cluster;
use eddy_coordinator::GroupCoordinator;
use eddy_engine::Engine;
#[cfg(feature = "search")]
use eddy_indexer::Indexer;
use eddy_peer::Peers;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::codes;
use crate::data_dir::DataDir;
use crate::failure::{Failure, Problem};

/// How long what still has work at the end of a stop may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the others may take to take over what this broker leads.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(10);

/// Without a leader of the metadata group for this long, there is nobody to hand anything over to: most of the cluster is
/// down. An election takes less, once it is known that there is none.
const NOBODY_LEFT_AFTER: Duration = Duration::from_secs(1);

/// Pause between two looks for a leader.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// A broker that serves.
pub(crate) struct Running {
    pub(super) engine: Arc<Engine>,
    pub(super) peers: Option<Peers>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) groups: Arc<GroupCoordinator>,
    #[cfg(feature = "search")]
    pub(super) indexer: Arc<Indexer>,
    #[cfg(feature = "search")]
    pub(super) searches: eddy_admin::search::SearchSlot,
    pub(super) gateway: JoinHandle<()>,
    pub(super) readiness: Arc<watch::Sender<Readiness>>,
    pub(super) admin: AdminTask,
    pub(super) data_dir: DataDir,
}

pub(super) struct AdminTask {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Returns when the broker cannot go on, with the reason. A failing disk does not come this way: it ends the process at
    /// once.
    pub(crate) async fn failed(&self) -> Failure {
        tokio::select! {
            reason = self.engine.quorum().stopped() => {
                Problem::new(&codes::METADATA_FAILED, format!("the metadata group stopped: {reason}")).into()
            }
            () = self.cluster.until_removed() => {
                let words = format!("broker {} was taken out of the cluster", self.engine.me());
                Problem::new(&codes::TAKEN_OUT, words).into()
            }
        }
    }

    /// Stops the broker: others lead what it led, what was acknowledged is on disk, and the next start replays nothing.
    pub(crate) async fn stop(self) {
        self.readiness.send_replace(Readiness::Stopping);
        if self.peers.is_some() {
            tokio::select! {
                () = self.cluster.shut_down(Instant::now() + HAND_OVER_WITHIN) => {}
                () = self.nobody_left() => {
                    tracing::warn!("the metadata group has no leader; nothing is handed over");
                }
            }
        }
        self.cluster.stop().await;
        self.groups.stop().await;
        #[cfg(feature = "search")]
        {
            self.searches.clear();
            self.indexer.stop().await;
        }
        self.engine.stop().await;
        if timeout(STOP_TIMEOUT, self.gateway).await.is_err() {
            tracing::debug!("the kafka listener did not end");
        }
        if let Some(peers) = self.peers
            && timeout(STOP_TIMEOUT, peers.shutdown()).await.is_err()
        {
            tracing::debug!("connections to other brokers did not end");
        }
        self.admin.stop().await;
        drop(self.data_dir);
    }

    /// Returns when the metadata group has been without a leader for a while.
    async fn nobody_left(&self) {
        let mut since = Instant::now();
        while since.elapsed() < NOBODY_LEFT_AFTER {
            sleep(LOOK_PAUSE).await;
            if self.engine.quorum().leader().is_some() {
                since = Instant::now();
            }
        }
    }
}

impl AdminTask {
    pub(super) fn start(listener: TcpListener, admin: Admin) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(eddy_admin::serve(listener, admin, async {
            stopped.await.ok();
        }));
        AdminTask { stop, task }
    }

    async fn stop(self) {
        self.stop.send(()).ok();
        if timeout(STOP_TIMEOUT, self.task).await.is_err() {
            tracing::debug!("a client of the admin listener did not finish");
        }
    }
}
