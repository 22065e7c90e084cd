//! Groups of several members in one process, over loopback connections.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_disk::RealDisk;
use eddy_metadata::Image;
use eddy_metadata::config::StaticConfig;
use eddy_metadata::controller::{CreateTopicError, NewTopic, create_topic, register_broker};
use eddy_peer::{PeerAddress, PeerConfig, Peers};
use eddy_types::{BrokerId, ClusterId, TopicId};
use tokio::net::TcpListener;

use super::Follower;
use crate::{
    ChangeError, ClusterQuorum, ProposeError, Quorum, QuorumConfig, QuorumError, SNAPSHOT_AFTER, Seed,
};

/// Longest wait for anything on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Brokers that may run or not, with a directory and an address each.
pub(super) struct Brokers {
    root: tempfile::TempDir,
    addresses: Vec<PeerAddress>,
    seeds: usize,
    pub(super) snapshot_after: u64,
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
        Brokers { root: tempfile::tempdir().unwrap(), addresses, seeds, snapshot_after: SNAPSHOT_AFTER }
    }

    fn dir(&self, broker: usize) -> std::path::PathBuf {
        self.root.path().join(broker.to_string())
    }

    fn seeds(&self) -> Vec<Seed> {
        let seed = |(index, address): (usize, &PeerAddress)| Seed {
            broker: id(index + 1),
            address: address.clone(),
        };
        self.addresses.iter().enumerate().take(self.seeds).map(seed).collect()
    }

    pub(super) async fn peers(&self, broker: usize) -> Peers {
        let address = &self.addresses[broker - 1];
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
            new_cluster_id: ClusterId([u8::try_from(broker).unwrap(); 16]),
            snapshot_after: self.snapshot_after,
            cluster: Some(ClusterQuorum { peers: peers.clone(), seeds: self.seeds() }),
        }
    }

    pub(super) async fn start(&self, broker: usize) -> Running {
        let peers = self.peers(broker).await;
        let started = Quorum::start(self.config(broker, &peers), Arc::new(Follower::default()));
        let quorum = tokio::time::timeout(PATIENCE, started).await.expect("in time").unwrap();
        Running { quorum: Arc::new(quorum), peers }
    }

    /// Starts brokers at once.
    pub(super) async fn start_all(&self, brokers: impl IntoIterator<Item = usize>) -> Vec<Running> {
        let starts: Vec<_> = brokers.into_iter().map(|broker| self.start(broker)).collect();
        join_all(starts).await
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

pub(super) fn voters(one: &Running) -> BTreeSet<BrokerId> {
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

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_found_one_cluster_whatever_the_order_of_their_starts() {
    log();
    for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        let all = Brokers::new(3, 3).await;
        let mut starts = Vec::new();
        for (place, broker) in order.into_iter().enumerate() {
            let all = &all;
            starts.push(async move {
                tokio::time::sleep(Duration::from_millis(250) * u32::try_from(place).unwrap()).await;
                all.start(broker).await
            });
        }
        let running = join_all(starts).await;
        let refs: Vec<&Running> = running.iter().collect();
        until_equal(&refs).await;
        let cluster = running[0].quorum.image().cluster_id();
        assert!(cluster.is_some());
        for one in &running {
            assert_eq!(voters(one), brokers([1, 2, 3]), "{order:?}");
            assert_eq!(one.peers.cluster(), cluster);
        }
        for one in running {
            one.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_all_brokers_at_once_are_made_once_each() {
    log();
    let all = Brokers::new(3, 3).await;
    let running = all.start_all(1..=3).await;
    register(&running[0], 1).await;
    let mut changes = Vec::new();
    let began = Instant::now();
    for number in 0..90u32 {
        let one = &running[number as usize % 3];
        // Every topic is created from two brokers: one of them is told that it exists.
        let other = &running[(number as usize + 1) % 3];
        changes.push(async move {
            let made = join_all(vec![one.create(number), other.create(number)]).await;
            let made: Vec<bool> = made
                .into_iter()
                .map(|made| match made {
                    Ok(()) => true,
                    Err(ChangeError::Refused(CreateTopicError::Exists(_))) => false,
                    Err(error) => panic!("{error}"),
                })
                .collect();
            assert_eq!(made.iter().filter(|made| **made).count(), 1, "topic {number}");
        });
    }
    join_all(changes).await;
    println!("180 concurrent changes in {:?}", began.elapsed());
    let refs: Vec<&Running> = running.iter().collect();
    until_equal(&refs).await;
    assert_eq!(running[0].quorum.image().topic_count(), 90);
    for one in running {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_group_has_a_new_leader_soon_after_the_old_one_is_gone() {
    log();
    let all = Brokers::new(3, 3).await;
    let mut running = all.start_all(1..=3).await;
    register(&running[0], 1).await;
    for round in 0..3u32 {
        let leader = leader_of(&running.iter().collect::<Vec<_>>()).await;
        let gone = running.remove(leader);
        let broker = gone.peers.me();
        let began = Instant::now();
        gone.stop().await;
        let stopped = began.elapsed();
        until("a new leader", || running.iter().any(|one| one.quorum.is_leader())).await;
        let elected = began.elapsed();
        running[0].create_patiently(round).await;
        println!(
            "round {round}: stopped in {stopped:?}, a new leader after {elected:?}, a change after {:?}",
            began.elapsed()
        );
        let back = all.start(usize::try_from(broker.0).unwrap()).await;
        assert_eq!(back.quorum.image().topic_count(), round as usize + 1);
        running.push(back);
        until_equal(&running.iter().collect::<Vec<_>>()).await;
        for one in &running {
            assert_eq!(voters(one), brokers([1, 2, 3]));
        }
    }
    for one in running {
        one.stop().await;
    }
}
