//! A member of the group: start, change, stop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use eddy_metadata::{Image, Local, Record};
use eddy_types::BrokerId;
use openraft::error::{ClientWriteError, RaftError};
use openraft::{Config, SnapshotPolicy};
use tokio::sync::oneshot;

use crate::error::{ChangeError, ProposeError, QuorumError};
use crate::log_store::{Identity, LogStore};
use crate::machine::Machine;
use crate::network::NoNetwork;
use crate::types::{FOUNDER, MemberId, Outcome, Proposal, Raft, Voter};
use crate::{Applied, QuorumConfig};

/// Time a member without voters beside it may take to become leader: two fsyncs, with room for a very slow disk.
const LEAD_WITHIN: Duration = Duration::from_secs(30);
/// Heartbeats and elections, in milliseconds. Slow enough for a machine whose every core is busy.
const HEARTBEAT_MS: u64 = 250;
const ELECTION_MS: std::ops::Range<u64> = 1500..3000;
/// Files of the group, in its directory.
const LOG_FILE: &str = "log.redb";
const SNAPSHOT_FILE: &str = "snapshot";
/// Entries kept behind a snapshot, so that a member that was away for a moment needs no snapshot.
const ENTRIES_KEPT: u64 = 1000;

/// The metadata group as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumStatus {
    /// The broker that leads, as far as the member knows.
    pub leader: Option<BrokerId>,
    /// Raft term: rises with every election.
    pub term: u64,
    /// End of the log that is committed and applied here.
    pub committed_end: u64,
    /// End of the member's log.
    pub log_end: u64,
    /// Brokers that vote.
    pub voters: Vec<BrokerId>,
}

/// This broker's part in the metadata group.
pub struct Quorum {
    raft: Raft,
    machine: Machine,
    me: MemberId,
    runtime: tokio::runtime::Handle,
    /// Held while a change is decided and committed.
    turn: Arc<tokio::sync::Mutex<()>>,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

struct Parts {
    raft: Raft,
    machine: Machine,
    me: MemberId,
    runtime: tokio::runtime::Handle,
}

impl Quorum {
    /// Starts this broker's member. An empty directory founds a group of one and a cluster with it; otherwise the state is
    /// that of before. Returns when the image is up to date and `applied` has had it.
    pub async fn start(config: QuorumConfig, applied: Arc<dyn Applied>) -> Result<Quorum, QuorumError> {
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("eddy-quorum".to_owned())
            .spawn(move || run(config, applied, ready, stopped))
            .map_err(QuorumError::Thread)?;
        let parts = started.await.map_err(|_| QuorumError::Stopped("its thread ended".to_owned()))??;
        let Parts { raft, machine, me, runtime } = parts;
        let running = Mutex::new(Some(Running { stop, thread }));
        Ok(Quorum { raft, machine, me, runtime, turn: Arc::default(), running })
    }

    /// The newest image. Everything this broker was told is committed is in it.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.machine.image()
    }

    /// Commits records, all or none. Returns when they are durable in the group and applied here.
    pub async fn propose(&self, records: Vec<Record>) -> Result<(), ProposeError> {
        let turn = self.turn.clone().lock_owned().await;
        self.commit(records, turn).await
    }

    /// Decides and commits with nothing in between: `decide` sees the newest image, and no other change is made before its
    /// records are. No records commit nothing.
    pub async fn change<T, E: std::error::Error>(
        &self,
        decide: impl FnOnce(&Image) -> Result<(Vec<Record>, T), E>,
    ) -> Result<T, ChangeError<E>> {
        let turn = self.turn.clone().lock_owned().await;
        self.catch_up().await.map_err(ChangeError::Propose)?;
        let (records, answer) = decide(&self.image()).map_err(ChangeError::Refused)?;
        if !records.is_empty() {
            self.commit(records, turn).await.map_err(ChangeError::Propose)?;
        }
        Ok(answer)
    }

    /// Whether this broker leads the group.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.raft.metrics().borrow().current_leader == Some(self.me)
    }

    /// The broker that leads the group, as far as this one knows.
    #[must_use]
    pub fn leader(&self) -> Option<BrokerId> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let leader = metrics.current_leader?;
        metrics.membership_config.membership().get_node(&leader).map(Voter::broker)
    }

    /// What this member knows of the group at the moment.
    #[must_use]
    pub fn status(&self) -> QuorumStatus {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let broker = |member: &MemberId| membership.get_node(member).map(Voter::broker);
        QuorumStatus {
            leader: metrics.current_leader.as_ref().and_then(broker),
            term: metrics.current_term,
            committed_end: metrics.last_applied.map_or(0, |applied| applied.index + 1),
            log_end: metrics.last_log_index.map_or(0, |last| last + 1),
            voters: membership.voter_ids().filter_map(|voter| broker(&voter)).collect(),
        }
    }

    /// Returns, with the reason, when the group has stopped on this broker, by a failure or by [`Quorum::shutdown`]. After a
    /// failure the broker must stop too: its metadata stands still.
    pub async fn stopped(&self) -> String {
        let mut metrics = self.raft.metrics();
        loop {
            if let Err(fatal) = &metrics.borrow_and_update().running_state {
                return fatal.to_string();
            }
            if metrics.changed().await.is_err() {
                return "its thread ended".to_owned();
            }
        }
    }

    /// Stops the member; its files are closed when this returns. Does nothing the second time.
    pub async fn shutdown(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { stop, thread }) = running {
            // It may have stopped by itself, and then nobody hears this.
            let _ = stop.send(());
            if let Ok(Err(_)) | Err(_) = tokio::task::spawn_blocking(move || thread.join()).await {
                tracing::error!("thread of the metadata group panicked");
            }
        }
    }

    /// Waits until everything committed before is applied here; an error unless this broker leads.
    async fn catch_up(&self) -> Result<(), ProposeError> {
        use openraft::error::CheckIsLeaderError as Check;
        match self.raft.ensure_linearizable().await {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(Check::ForwardToLeader(forward))) => {
                Err(ProposeError::NotLeader { leader: forward.leader_node.as_ref().map(Voter::broker) })
            }
            Err(RaftError::APIError(Check::QuorumNotEnough(_))) => {
                Err(ProposeError::NotLeader { leader: None })
            }
            Err(RaftError::Fatal(fatal)) => Err(ProposeError::Stopped(fatal.to_string())),
        }
    }

    async fn commit(
        &self,
        records: Vec<Record>,
        turn: tokio::sync::OwnedMutexGuard<()>,
    ) -> Result<(), ProposeError> {
        let raft = self.raft.clone();
        // A task of the group, so that a caller that goes away cannot end the turn before the change is made or refused.
        let task = self.runtime.spawn(async move {
            let result = write(&raft, &records).await;
            drop(turn);
            result
        });
        task.await.unwrap_or_else(|error| Err(ProposeError::Stopped(error.to_string())))
    }
}

async fn write(raft: &Raft, records: &[Record]) -> Result<(), ProposeError> {
    match raft.client_write(Proposal::new(records)).await {
        Ok(response) => match response.data {
            Outcome::Applied => Ok(()),
            Outcome::Rejected(error) => Err(ProposeError::Rejected(error)),
        },
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
            Err(ProposeError::NotLeader { leader: forward.leader_node.as_ref().map(Voter::broker) })
        }
        Err(error) => Err(ProposeError::Stopped(error.to_string())),
    }
}

/// The thread of the group: starts the member, tells the result, and runs until it is to stop.
fn run(
    config: QuorumConfig,
    applied: Arc<dyn Applied>,
    ready: oneshot::Sender<Result<Parts, QuorumError>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(QuorumError::Thread(error)))),
    };
    let (log_thread, raft) = match runtime.block_on(start(config, applied, runtime.handle().clone())) {
        Ok((parts, log_thread)) => {
            let raft = parts.raft.clone();
            if ready.send(Ok(parts)).is_err() {
                // Whoever started it is gone: stop again.
                drop(stopped);
                return runtime.block_on(stop(raft));
            }
            (log_thread, raft)
        }
        Err(error) => return drop(ready.send(Err(error))),
    };
    // Dropping the handle without a word means stop, too.
    drop(runtime.block_on(stopped));
    runtime.block_on(stop(raft));
    // With the runtime go the last handles on the log, and then its thread.
    drop(runtime);
    if log_thread.join().is_err() {
        tracing::error!("thread of the metadata log panicked");
    }
}

async fn stop(raft: Raft) {
    if let Err(error) = raft.shutdown().await {
        tracing::error!(%error, "metadata group did not stop in order");
    }
}

async fn start(
    config: QuorumConfig,
    applied: Arc<dyn Applied>,
    runtime: tokio::runtime::Handle,
) -> Result<(Parts, JoinHandle<()>), QuorumError> {
    let directory = |source| QuorumError::Directory { dir: config.dir.clone(), source };
    config.disk.create_dir_all(&config.dir).map_err(directory)?;
    if let Some(parent) = config.dir.parent() {
        config.disk.sync_dir(parent).map_err(directory)?;
    }
    let local = Arc::new(Local { broker: config.me, config: config.static_config.clone() });
    let machine = Machine::open(config.disk.clone(), config.dir.join(SNAPSHOT_FILE), local, applied)?;
    // A new log beside a snapshot would be a member that votes again where the lost one has voted.
    let founder =
        (machine.image().version() == 0).then_some(Identity { member: FOUNDER, broker: config.me.0 });
    let (log, log_thread) = LogStore::open(&*config.disk, &config.dir.join(LOG_FILE), founder)?;
    let me = identify(&config, &log)?;
    let stopped = |reason: String| QuorumError::Stopped(reason);
    let settings = raft_settings(config.snapshot_after).map_err(|error| stopped(error.to_string()))?;
    let raft = Raft::new(me, Arc::new(settings), NoNetwork, log, machine.clone())
        .await
        .map_err(|error| stopped(error.to_string()))?;
    lead(&raft, me, config.me).await.map_err(stopped)?;
    if machine.image().cluster_id().is_none() {
        write(&raft, &[Record::ClusterCreated { cluster_id: config.new_cluster_id }]).await?;
    }
    machine.follow();
    Ok((Parts { raft, machine, me, runtime }, log_thread))
}

/// This member's number, when the directory is this broker's.
fn identify(config: &QuorumConfig, log: &LogStore) -> Result<MemberId, QuorumError> {
    let failed = |reason: String| QuorumError::Log { path: config.dir.join(LOG_FILE), reason };
    let identity = log.identity().map_err(failed)?;
    if identity.broker != config.me.0 {
        let owner = BrokerId(identity.broker);
        return Err(QuorumError::OtherBroker { dir: config.dir.clone(), owner, me: config.me });
    }
    Ok(identity.member)
}

fn raft_settings(snapshot_after: u64) -> Result<Config, openraft::ConfigError> {
    Config {
        cluster_name: "eddy".to_owned(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MS.start,
        election_timeout_max: ELECTION_MS.end,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(snapshot_after),
        max_in_snapshot_log_to_keep: ENTRIES_KEPT.min(snapshot_after),
        ..Config::default()
    }
    .validate()
}

/// Makes the only voter leader at once, without the wait for an election timeout, and waits until all of its log is
/// applied.
async fn lead(raft: &Raft, me: MemberId, broker: BrokerId) -> Result<(), String> {
    if !raft.is_initialized().await.map_err(|error| error.to_string())? {
        let voters = BTreeMap::from([(me, Voter { broker: broker.0 })]);
        raft.initialize(voters).await.map_err(|error| error.to_string())?;
    }
    let leads = raft.with_raft_state(|state| state.server_state.is_leader()).await;
    if !leads.map_err(|error| error.to_string())? {
        raft.trigger().elect().await.map_err(|error| error.to_string())?;
    }
    let leads = |metrics: &openraft::RaftMetrics<MemberId, Voter>| metrics.current_leader == Some(me);
    let waited = raft.wait(Some(LEAD_WITHIN)).metrics(leads, "lead").await;
    waited.map_err(|error| error.to_string())?;
    raft.ensure_linearizable().await.map_err(|error| error.to_string())?;
    Ok(())
}
