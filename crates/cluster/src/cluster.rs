//! The parts together: start, stop, and what the rest of the broker asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eddy_engine::Engine;
use eddy_metadata::controller::Registration;
use eddy_peer::{Peers, Service, StreamHandler};
use eddy_types::BrokerId;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::departures::Departures;
use crate::liveness::{Controller, Heartbeats, LivenessService, until_applied};
use crate::registration::{RegistrationFailed, register};
use crate::replication::{Fetchers, Sessions, Side, Throttle};
use crate::stats::ClusterStats;
use crate::{isr, shutdown};

/// How a broker takes part in a cluster.
pub struct ClusterConfig {
    /// The broker.
    pub engine: Arc<Engine>,
    /// Its connections to the others, the same that its metadata group has; `None` on a lone node.
    pub peers: Option<Peers>,
    /// What the cluster is told of it.
    pub registration: Registration,
    /// `broker.session.timeout.ms`: time without a heartbeat after which it is taken for dead.
    pub session_timeout: Duration,
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// How long the registration at the start may take. It has to outlast the session of a process that had the same id.
    pub register_within: Duration,
}

impl ClusterConfig {
    /// The usual times.
    #[must_use]
    pub fn new(engine: Arc<Engine>, peers: Option<Peers>, registration: Registration) -> ClusterConfig {
        ClusterConfig {
            engine,
            peers,
            registration,
            session_timeout: Duration::from_secs(3),
            heartbeat_interval: Duration::from_millis(500),
            register_within: Duration::from_secs(20),
        }
    }
}

/// This broker's part in the cluster while it runs.
pub struct Cluster {
    engine: Arc<Engine>,
    /// Nothing on a lone node.
    member: Option<Member>,
}

struct Member {
    peers: Peers,
    departures: Arc<Departures>,
    heartbeats: Arc<Heartbeats>,
    isr_proposals: isr::Outstanding,
    sessions: Arc<Sessions>,
    fetchers: Arc<Fetchers>,
    tasks: Mutex<JoinSet<()>>,
}

impl Cluster {
    /// Registers the broker, and takes part from then on; returns when it may lead. A lone node is registered when this returns, and that is all.
    ///
    /// The lease of the engine is taken away at once and comes back with the first heartbeat that is answered.
    ///
    /// # Errors
    /// The broker could not be registered in time: another one has its id, or there is no controller.
    pub async fn start(config: ClusterConfig) -> Result<Arc<Cluster>, RegistrationFailed> {
        let ClusterConfig { engine, registration, session_timeout, heartbeat_interval, .. } = config;
        let register_until = Instant::now() + config.register_within;
        let Some(peers) = config.peers else {
            register(&engine, &registration, register_until).await?;
            return Ok(Arc::new(Cluster { engine, member: None }));
        };
        engine.lease().extend(Duration::ZERO);
        let controller = Arc::new(Controller::new(Arc::clone(&engine), peers.clone(), session_timeout));
        let service = LivenessService::new(Arc::clone(&engine), Arc::clone(&controller));
        peers.serve(Service::Liveness, Arc::new(service));
        let mut tasks = JoinSet::new();
        let departures = Departures::new(Arc::clone(&engine), peers.clone());
        tasks.spawn(Arc::clone(&departures).run());
        // Before the registration: whoever had this id and is dead has to be fenced by somebody.
        tasks.spawn(controller.run());
        register(&engine, &registration, register_until).await?;
        let heartbeats = Arc::new(Heartbeats::new(
            Arc::clone(&engine),
            peers.clone(),
            registration,
            heartbeat_interval,
            session_timeout,
        ));
        tasks.spawn(Arc::clone(&heartbeats).run());
        let isr_proposals = Arc::new(AtomicUsize::new(0));
        tasks.spawn(isr::run(Arc::clone(&engine), Arc::clone(&isr_proposals)));
        let sending = Throttle::new(Arc::clone(&engine), Side::Leader);
        tasks.spawn(Arc::clone(&sending).follow_config());
        let sessions = Sessions::new(Arc::clone(&engine), sending, session_timeout);
        peers.serve_streams(Arc::clone(&sessions) as Arc<dyn StreamHandler>);
        let taking = Throttle::new(Arc::clone(&engine), Side::Follower);
        tasks.spawn(Arc::clone(&taking).follow_config());
        let fetchers = Fetchers::new(Arc::clone(&engine), peers.clone(), taking, session_timeout);
        tasks.spawn(Arc::clone(&fetchers).run());
        heartbeats.until_first(register_until).await;
        let member = Member {
            peers,
            departures,
            heartbeats,
            isr_proposals,
            sessions,
            fetchers,
            tasks: Mutex::new(tasks),
        };
        Ok(Arc::new(Cluster { engine, member: Some(member) }))
    }

    /// Returns when every broker that is not fenced has applied a version of the metadata, or at the deadline.
    pub async fn until_applied(&self, version: u64, deadline: Instant) {
        match &self.member {
            Some(member) => {
                until_applied(&self.engine, &member.peers, version, deadline).await;
            }
            None => {
                let mut applied = self.engine.image_version();
                let reached = applied.wait_for(|applied| *applied >= version);
                // At the deadline the caller goes on with what there is.
                let _ = tokio::time::timeout_at(deadline, reached).await;
            }
        }
    }

    /// Returns when the metadata has taken note of every broker whose process is provably gone, and at the latest after a second: what
    /// clients are told of leaders waits for this. At once as a rule, and always on a lone node.
    pub async fn until_departures_noted(&self) {
        if let Some(member) = &self.member {
            member.departures.until_noted().await;
        }
    }

    /// Whether a fenced broker left so lately that clients are better off to find it among the brokers still.
    #[must_use]
    pub fn is_still_listed(&self, broker: BrokerId) -> bool {
        self.member.as_ref().is_some_and(|member| member.departures.is_listed(broker))
    }

    /// Returns when this broker was taken out of the cluster; never on a lone node. It has lost its lease then and serves nothing
    /// that it led: all that is left is to stop.
    pub async fn until_removed(&self) {
        match &self.member {
            Some(member) => member.heartbeats.until_removed().await,
            None => std::future::pending().await,
        }
    }

    /// Leaves in order: others lead what this broker led and know it, then it counts as fenced. Nothing on a lone node. Call
    /// [`Cluster::stop`] afterwards.
    pub async fn shut_down(&self, deadline: Instant) {
        if let Some(member) = &self.member {
            shutdown::leave(&self.engine, &member.peers, &member.heartbeats, deadline).await;
        }
    }

    /// Ends everything that runs. The metadata group, the connections and the engine go on.
    pub async fn stop(&self) {
        if let Some(member) = &self.member {
            member.sessions.stop();
            let mut tasks = std::mem::take(&mut *member.tasks.lock());
            tasks.shutdown().await;
        }
    }

    /// A look for metrics.
    #[must_use]
    pub fn stats(&self) -> ClusterStats {
        match &self.member {
            Some(member) => ClusterStats {
                heartbeat_age: member.heartbeats.age(),
                isr_proposals: member.isr_proposals.load(Ordering::Relaxed),
                fetchers: member.fetchers.stats(),
                sessions: member.sessions.stats(),
                lags: self.engine.partitions().follower_lags(),
            },
            None => ClusterStats::default(),
        }
    }
}
