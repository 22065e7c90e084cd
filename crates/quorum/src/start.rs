//! The start of a member: its disk, its threads, its cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use eddy_metadata::{Local, Record};
use eddy_types::BrokerId;
use openraft::storage::RaftLogStorage;
use openraft::{Config, SnapshotPolicy};
use tokio::sync::{oneshot, watch};

use crate::contacts::Contacts;
use crate::control::{self, Roster};
use crate::desk::Desk;
use crate::election::LEASE;
use crate::error::{ChangeError, QuorumError};
use crate::log_store::{Identity, LogStore};
use crate::machine::Machine;
use crate::member::{ClusterMember, Member};
use crate::network::Network;
use crate::types::{FOUNDER, MemberId, Raft, Voter};
use crate::{Applied, QuorumConfig, handlers, join};

/// Time a member without voters beside it may take to become leader: two fsyncs, with room for a very slow disk.
const LEAD_WITHIN: Duration = Duration::from_secs(30);
/// Heartbeats and elections of a lone node, in milliseconds: it has nobody to call, and elects at its start.
const HEARTBEAT_MS: u64 = 250;
const ELECTION_MS: std::ops::Range<u64> = 1500..3000;
/// Time for another member to write entries, and to write a vote, in milliseconds. What takes longer is sent again.
const APPEND_WITHIN_MS: u64 = 300;
const VOTE_WITHIN_MS: u64 = 450;
/// Threads of a member of a cluster: one that applies, one that writes and calls, one that sends.
const CLUSTER_THREADS: usize = 3;
/// Files of the group, in its directory.
const LOG_FILE: &str = "log.redb";
const SNAPSHOT_FILE: &str = "snapshot";
/// Entries kept behind a snapshot, so that a member that was away for a moment needs no snapshot.
const ENTRIES_KEPT: u64 = 1000;

/// The thread of the group: starts the member, tells the result, and runs until it is to stop.
pub(crate) fn run(
    config: QuorumConfig,
    applied: Arc<dyn Applied>,
    mut ready: oneshot::Sender<Result<Arc<Member>, QuorumError>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match runtime(&config) {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(QuorumError::Thread(error)))),
    };
    let handle = runtime.handle().clone();
    let started = runtime.block_on(async {
        tokio::select! {
            started = start(config, applied, handle) => Some(started),
            // Whoever started it has gone, while it waited for others.
            () = ready.closed() => None,
        }
    });
    let (log_thread, member) = match started {
        Some(Ok((member, log_thread))) => {
            if ready.send(Ok(member.clone())).is_err() {
                // Whoever started it is gone: stop again.
                drop(stopped);
                return runtime.block_on(stop(&member));
            }
            (log_thread, member)
        }
        Some(Err(error)) => return drop(ready.send(Err(error))),
        None => return,
    };
    // Dropping the handle without a word means stop, too.
    drop(runtime.block_on(stopped));
    runtime.block_on(stop(&member));
    // With the runtime go the last handles on the log, and then its thread.
    drop(runtime);
    if log_thread.join().is_err() {
        tracing::error!("thread of the metadata log panicked");
    }
}

/// A lone node's group has one thing to do at a time. In a cluster, applying a large change and sending it must not keep
/// the leader from calling.
fn runtime(config: &QuorumConfig) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match config.cluster {
        None => tokio::runtime::Builder::new_current_thread(),
        Some(_) => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(CLUSTER_THREADS).thread_name("eddy-quorum").enable_time().build()
}

async fn stop(member: &Member) {
    if let Err(error) = member.raft.shutdown().await {
        tracing::error!(%error, "metadata group did not stop in order");
    }
    member.leadership.send_replace(None);
}

async fn start(
    config: QuorumConfig,
    applied: Arc<dyn Applied>,
    runtime: tokio::runtime::Handle,
) -> Result<(Arc<Member>, JoinHandle<()>), QuorumError> {
    let directory = |source| QuorumError::Directory { dir: config.dir.clone(), source };
    config.disk.create_dir_all(&config.dir).map_err(directory)?;
    if let Some(parent) = config.dir.parent() {
        config.disk.sync_dir(parent).map_err(directory)?;
    }
    let local = Arc::new(Local { broker: config.me, config: config.static_config.clone() });
    let snapshot = config.dir.join(SNAPSHOT_FILE);
    let machine = Machine::open(config.disk.clone(), snapshot, local, applied, random()?)?;
    // A new log beside a snapshot would be a member that votes again where the lost one has voted.
    let number = if config.cluster.is_some() { random()? } else { FOUNDER };
    let founder =
        (machine.image().version() == 0).then_some(Identity { member: number, broker: config.me.0 });
    let (mut log, log_thread) = LogStore::open(&*config.disk, &config.dir.join(LOG_FILE), founder)?;
    let me = identify(&config, &log)?;
    if config.cluster.is_some() {
        resign(&mut log, me).await.map_err(|error| QuorumError::Log {
            path: config.dir.join(LOG_FILE),
            reason: error.to_string(),
        })?;
    }
    let stopped = |reason: String| QuorumError::Stopped(reason);
    let settings = raft_settings(&config).map_err(|error| stopped(error.to_string()))?;
    let contacts = Arc::new(Contacts::default());
    let peers = config.cluster.as_ref().map(|cluster| cluster.peers.clone());
    let network = Network { me, peers, contacts: contacts.clone() };
    let raft = Raft::new(me, Arc::new(settings), network.clone(), log, machine.clone())
        .await
        .map_err(|error| stopped(error.to_string()))?;
    // Its metrics tell nothing before it has begun.
    raft.with_raft_state(|_| ()).await.map_err(|error| stopped(error.to_string()))?;
    let member = Arc::new(Member {
        desk: Desk::new(raft.clone(), machine.clone(), runtime.clone()),
        raft,
        machine,
        me,
        broker: config.me,
        leadership: watch::Sender::new(None),
        drafting: tokio::sync::Mutex::default(),
        runtime: runtime.clone(),
        cluster: config.cluster.map(|cluster| ClusterMember::new(cluster, network, contacts)),
    });
    match &member.cluster {
        None => {
            let voters = member.metrics().membership_config.voter_ids().count();
            if voters > 1 {
                return Err(QuorumError::NotAlone { voters });
            }
            found_alone(&member, config.new_cluster_id).await?;
        }
        Some(cluster) => {
            if let Some(id) = member.machine.image().cluster_id() {
                cluster.peers.set_cluster(id);
            }
            Roster::default().follow(cluster, &member, &member.metrics());
            handlers::serve(&cluster.peers, &member);
            runtime.spawn(control::run(member.clone()));
            runtime.spawn(control::lead(member.clone(), config.new_cluster_id));
            if let Err(error) = join::enter(&member).await {
                stop(&member).await;
                return Err(error);
            }
        }
    }
    member.machine.follow();
    Ok((member, log_thread))
}

/// A member that led when it stopped does not go on leading. openraft would let it, and take the first entry of its term for
/// proof that it knows what is committed: until a majority has answered, its image may lack what was promised before, and
/// whoever starts with that image throws away the data of topics that are not in it. An election settles it.
async fn resign(log: &mut LogStore, me: MemberId) -> Result<(), openraft::StorageError<MemberId>> {
    match log.read_vote().await? {
        Some(vote) if vote.committed && vote.leader_id.voted_for() == Some(me) => {
            log.save_vote(&openraft::Vote { committed: false, ..vote }).await
        }
        _ => Ok(()),
    }
}

/// A lone node leads at once, and names its cluster when it is new.
async fn found_alone(member: &Arc<Member>, new_cluster_id: eddy_types::ClusterId) -> Result<(), QuorumError> {
    lead(&member.raft, member.me, member.broker).await.map_err(QuorumError::Stopped)?;
    member.leadership.send_replace(Some(member.broker));
    if member.machine.image().cluster_id().is_none() {
        let named = || {
            Ok::<_, std::convert::Infallible>((
                vec![Record::ClusterCreated { cluster_id: new_cluster_id }],
                (),
            ))
        };
        match member.change(|_| named()).await {
            Ok(()) => {}
            Err(ChangeError::Propose(error)) => return Err(error.into()),
            Err(ChangeError::Refused(never)) => match never {},
        }
    }
    Ok(())
}

fn random() -> Result<u64, QuorumError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| QuorumError::Random(error.to_string()))?;
    // Never the number of a lone node, nor one that JSON's other readers would round.
    Ok((u64::from_le_bytes(bytes) >> 11).max(FOUNDER + 1))
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

fn raft_settings(config: &QuorumConfig) -> Result<Config, openraft::ConfigError> {
    let common = Config {
        cluster_name: "eddy".to_owned(),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_after),
        max_in_snapshot_log_to_keep: ENTRIES_KEPT.min(config.snapshot_after),
        ..Config::default()
    };
    let settings = if config.cluster.is_none() {
        Config {
            heartbeat_interval: HEARTBEAT_MS,
            election_timeout_min: ELECTION_MS.start,
            election_timeout_max: ELECTION_MS.end,
            ..common
        }
    } else {
        // Heartbeats and elections are our own; what is left of these numbers is the time that calls have, and the lease.
        Config {
            enable_heartbeat: false,
            enable_elect: false,
            heartbeat_interval: APPEND_WITHIN_MS,
            election_timeout_min: VOTE_WITHIN_MS,
            election_timeout_max: LEASE.as_millis().try_into().unwrap_or(u64::MAX),
            ..common
        }
    };
    settings.validate()
}

/// Makes the only voter leader at once, without the wait for an election timeout, and waits until all of its log is
/// applied.
async fn lead(raft: &Raft, me: MemberId, broker: BrokerId) -> Result<(), String> {
    if !raft.is_initialized().await.map_err(|error| error.to_string())? {
        let voters = BTreeMap::from([(me, Voter { broker: broker.0, address: None })]);
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
