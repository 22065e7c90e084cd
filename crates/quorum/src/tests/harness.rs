//! Brokers of a cluster in one process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_disk::RealDisk;
use eddy_metadata::Image;
use eddy_metadata::config::StaticConfig;
use eddy_metadata::controller::{CreateTopicError, NewTopic, create_topic, register_broker};
use eddy_peer::{PeerAddress, PeerConfig, Peers};
use eddy_types::{BrokerId, ClusterId, TopicId};
use tokio::net::TcpListener;

use super::{Deaf, Follower};
use crate::{Applied, ChangeError, ClusterQuorum, ProposeError, Quorum, QuorumConfig, SNAPSHOT_AFTER, Seed};

/// Longest wait for anything on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Brokers that may run or not, with a directory and an address each.
pub(super) struct Brokers {
    root: tempfile::TempDir,
    addresses: Vec<PeerAddress>,
    seeds: usize,
    pub(super) snapshot_after: u64,
    /// Whether each broker's images are compared with what it was told, record by record.
    pub(super) compared: bool,
    cluster: u64,
}

/// A broker that runs.
pub(super) struct Running {
    pub(super) quorum: Arc<Quorum>,
    pub(super) peers: Peers,
}

impl Brokers {
    /// Brokers 1 to `count`, of which the first `seeds` are seeds.
    pub(super) async fn new(count: usize, seeds: usize) -> Brokers {
        let mut addresses = Vec::new();
        let mut listeners = Vec::new();
        for _ in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(PeerAddress::from(listener.local_addr().unwrap()));
            listeners.push(listener);
        }
        Brokers {
            root: tempfile::tempdir().unwrap(),
            addresses,
            seeds,
            snapshot_after: SNAPSHOT_AFTER,
            compared: true,
            cluster: random(),
        }
    }

    fn dir(&self, broker: usize) -> std::path::PathBuf {
        self.root.path().join(broker.to_string())
    }

    pub(super) fn seeds(&self) -> Vec<Seed> {
        let seed = |(index, address): (usize, &PeerAddress)| Seed {
            broker: id(index + 1),
            address: address.clone(),
        };
        self.addresses.iter().enumerate().take(self.seeds).map(seed).collect()
    }

    async fn peers(&self, broker: usize) -> Peers {
        self.peers_as(broker, broker).await
    }

    /// A broker that listens at the address of another.
    pub(super) async fn peers_as(&self, broker: usize, at: usize) -> Peers {
        let address = &self.addresses[at - 1];
        let peers = Peers::new(PeerConfig {
            me: id(broker),
            incarnation: random(),
            advertised: address.clone(),
            cluster: None,
        });
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address.to_string().parse().unwrap()).unwrap();
        peers.listen(socket.listen(64).unwrap());
        peers
    }

    pub(super) fn config(&self, broker: usize, peers: &Peers) -> QuorumConfig {
        QuorumConfig {
            dir: self.dir(broker),
            me: id(broker),
            disk: RealDisk::shared(),
            static_config: StaticConfig::default(),
            new_cluster_id: ClusterId((u128::from(self.cluster) << 8 | broker as u128).to_be_bytes()),
            snapshot_after: self.snapshot_after,
            cluster: Some(ClusterQuorum { peers: peers.clone(), seeds: self.seeds() }),
        }
    }

    pub(super) async fn start(&self, broker: usize) -> Running {
        let peers = self.peers(broker).await;
        let applied: Arc<dyn Applied> =
            if self.compared { Arc::new(Follower::default()) } else { Arc::new(Deaf) };
        let started = Quorum::start(self.config(broker, &peers), applied);
        let quorum = tokio::time::timeout(PATIENCE, started).await.expect("in time").unwrap();
        Running { quorum: Arc::new(quorum), peers }
    }

    /// Starts brokers at once.
    pub(super) async fn start_all(&self, brokers: impl IntoIterator<Item = usize>) -> Vec<Running> {
        let starts: Vec<_> = brokers.into_iter().map(|broker| self.start(broker)).collect();
        join_all(starts).await
    }

    /// Entries that the broker's log no longer has, because a snapshot has them.
    pub(super) fn purged(&self, broker: usize) -> u64 {
        let first = std::fs::read(self.dir(broker).join("snapshot")).unwrap_or_default();
        let line = first.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let head: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
        head["meta"]["last_log_id"]["index"].as_u64().unwrap_or_default()
    }

    pub(super) fn wipe(&self, broker: usize) {
        std::fs::remove_dir_all(self.dir(broker)).unwrap();
    }
}

impl Running {
    pub(super) async fn stop(self) {
        self.peers.shutdown().await;
        self.quorum.shutdown().await;
    }

    pub(super) async fn create(&self, number: u32) -> Result<(), ChangeError<CreateTopicError>> {
        let topic = new_topic(number);
        self.quorum.change(|image| create_topic(image, &topic).map(|(records, _)| (records, ()))).await
    }

    /// Creates topics in one change, whatever happens to leaders meanwhile.
    pub(super) async fn create_many(&self, numbers: std::ops::Range<u32>) {
        let topics: Vec<NewTopic> = numbers.map(new_topic).collect();
        let decide = |image: &Image| -> Result<_, CreateTopicError> {
            let mut records = Vec::new();
            for topic in topics.iter().filter(|topic| image.topic(&topic.name).is_none()) {
                records.extend(create_topic(image, topic)?.0);
            }
            Ok((records, ()))
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.quorum.change(decide).await {
                Ok(()) => return,
                Err(ChangeError::Propose(ProposeError::Timeout | ProposeError::NotLeader { .. })) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < deadline);
        }
    }

    /// Creates a topic whatever happens to leaders meanwhile; one that is there has been created by an earlier try.
    pub(super) async fn create_patiently(&self, number: u32) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.create(number).await {
                Ok(()) | Err(ChangeError::Refused(CreateTopicError::Exists(_))) => return,
                Err(ChangeError::Propose(ProposeError::Timeout | ProposeError::NotLeader { .. })) => {}
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < deadline);
        }
    }
}

pub(super) async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

pub(super) fn id(broker: usize) -> BrokerId {
    BrokerId(i32::try_from(broker).unwrap())
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

pub(super) fn new_topic(number: u32) -> NewTopic {
    let mut bytes = [1; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    NewTopic::with_defaults(TopicId(bytes), format!("topic-{number}"))
}

/// Waits for a condition.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until all have the same image.
pub(super) async fn until_equal(brokers: &[&Running]) {
    until("equal images", || {
        let versions: BTreeSet<u64> = brokers.iter().map(|one| one.quorum.image().version()).collect();
        versions.len() == 1
    })
    .await;
    let first = brokers[0].quorum.image();
    for other in brokers {
        assert_eq!(other.quorum.image().to_snapshot(), first.to_snapshot());
    }
}

/// Brokers that vote; nobody while a change of them is under way.
pub(super) fn voters(one: &Running) -> BTreeSet<BrokerId> {
    let metrics = one.quorum.member.metrics();
    let joint = metrics.membership_config.membership().get_joint_config().len() > 1;
    if joint || !crate::voters::is_committed(&metrics) {
        return BTreeSet::new();
    }
    one.quorum.status().voters.iter().map(|voter| voter.broker).collect()
}

pub(super) fn brokers<const N: usize>(ids: [i32; N]) -> BTreeSet<BrokerId> {
    ids.map(BrokerId).into()
}

/// The one that leads, once they agree.
pub(super) async fn leader_of(running: &[&Running]) -> usize {
    let mut found = None;
    until("a leader", || {
        found = running.iter().position(|one| one.quorum.is_leader());
        let leaders: BTreeSet<_> = running.iter().map(|one| one.quorum.leader()).collect();
        found.is_some() && leaders.len() == 1
    })
    .await;
    found.unwrap()
}

/// Registers a broker, so that topics can be placed.
pub(super) async fn register(one: &Running, broker: i32) {
    let registration = super::registration(BrokerId(broker), 1);
    let decide = |image: &Image| register_broker(image, &registration).map(|records| (records, ()));
    one.quorum.change(decide).await.unwrap();
}

pub(super) fn log() {
    let filter = std::env::var("EDDY_TEST_LOG").is_ok();
    if filter {
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_test_writer().try_init();
    }
}
