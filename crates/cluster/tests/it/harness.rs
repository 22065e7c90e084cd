//! Brokers of a cluster without their Kafka side, and the few things tests do with them.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use eddy_cluster::{Cluster, ClusterConfig};
use eddy_core::{Acks, ProducerLimits};
use eddy_disk::SimDisk;
use eddy_engine::{Engine, EngineConfig, FlushConfig, HousekeepingConfig, PartitionKey};
use eddy_metadata::Image;
use eddy_metadata::config::StaticConfig;
use eddy_metadata::controller::{
    AlterOperation, ConfigChange, ConfigTarget, NewTopic, Registration, alter_configs, create_topic,
};
use eddy_peer::{PeerAddress, PeerConfig, Peers};
use eddy_quorum::{ClusterQuorum, QuorumConfig, Seed};
use eddy_types::{BrokerId, ClusterId, LeaderEpoch, OffsetRange, SystemClock, TopicId};
use eddy_wal::{Profile, WalConfig};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::records::{append, batch, read_all};

/// Everything that is waited for comes within this, or the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

/// A short one, so that tests need not wait long for a death that only silence tells.
pub(crate) const SESSION: Duration = Duration::from_millis(1500);

static INCARNATIONS: AtomicU64 = AtomicU64::new(1);

/// A process whose disk has lost its power dies quietly: only the thread that noticed ends.
fn die(_: &str, _: &dyn Display) -> ! {
    std::panic::resume_unwind(Box::new("the power is off"))
}

/// With `RUST_LOG` set, a failing test tells what happened.
fn log() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}

/// A machine: what stays when the broker on it dies.
struct Machine {
    id: BrokerId,
    disk: SimDisk,
    address: PeerAddress,
    seeds: Vec<Seed>,
    listener: Option<TcpListener>,
}

/// A broker that runs.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) engine: Arc<Engine>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) peers: Peers,
}

/// A cluster of brokers 1, 2, 3.
pub(crate) struct World {
    machines: Vec<Machine>,
    brokers: Brokers,
}

/// The brokers that run at the moment, for whoever wants something of them.
#[derive(Clone)]
pub(crate) struct Brokers(Arc<Mutex<Vec<Option<Node>>>>);

impl World {
    /// Machines with empty disks, and a broker on each.
    pub(crate) async fn start(brokers: i32) -> World {
        log();
        let mut listeners = Vec::new();
        let mut seeds = Vec::new();
        for id in (1..).map(BrokerId).take(usize::try_from(brokers).unwrap()) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = PeerAddress::from(listener.local_addr().unwrap());
            seeds.push(Seed { broker: id, address });
            listeners.push(listener);
        }
        let machines: Vec<Machine> = listeners
            .into_iter()
            .zip(&seeds)
            .map(|(listener, seed)| Machine {
                id: seed.broker,
                disk: SimDisk::new(),
                address: seed.address.clone(),
                seeds: seeds.clone(),
                listener: Some(listener),
            })
            .collect();
        let nodes = machines.iter().map(|_| None).collect();
        let mut world = World { machines, brokers: Brokers(Arc::new(Mutex::new(nodes))) };
        let all: Vec<BrokerId> = world.machines.iter().map(|machine| machine.id).collect();
        world.restart_all(all).await;
        world
    }

    /// Holds the syncs of a broker's files below a directory for as long as what is given says so.
    pub(crate) fn hold_syncs(&self, id: BrokerId, below: &'static str) -> Arc<AtomicBool> {
        let held = Arc::new(AtomicBool::new(true));
        let hold = Arc::clone(&held);
        self.machines[index(id)].disk.set_sync_hook(Some(Arc::new(move |path| {
            while path.starts_with(below) && hold.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        })));
        held
    }

    /// The process dies: its disk keeps what it was told, its sockets are closed by the system.
    pub(crate) async fn kill(&mut self, id: BrokerId) {
        let node = self.brokers.take(id);
        self.machines[index(id)].disk.kill();
        bury(node).await;
    }

    /// The power goes, and of what was not synced the seed says what is lost.
    pub(crate) async fn crash(&mut self, id: BrokerId, seed: u64) {
        let node = self.brokers.take(id);
        self.machines[index(id)].disk.crash(seed);
        bury(node).await;
    }

    /// The power goes: what was not synced is lost.
    pub(crate) async fn power_cut(&mut self, id: BrokerId) {
        let node = self.brokers.take(id);
        self.machines[index(id)].disk.power_cut();
        bury(node).await;
    }

    /// Starts the broker again on the disk that it left.
    pub(crate) async fn restart(&mut self, id: BrokerId) {
        let node = self.machines[index(id)].boot().await;
        self.brokers.put(id, node);
    }

    /// Starts several brokers again at once: one alone would wait for the others.
    pub(crate) async fn restart_all(&mut self, ids: impl IntoIterator<Item = BrokerId>) {
        let boots: Vec<_> =
            ids.into_iter().map(|id| (id, tokio::spawn(self.machines[index(id)].boot()))).collect();
        for (id, boot) in boots {
            self.brokers.put(id, boot.await.unwrap());
        }
    }

    /// Stops a broker in order.
    pub(crate) async fn shut_down(&mut self, id: BrokerId) {
        let node = self.brokers.take(id);
        node.cluster.shut_down(Instant::now() + DEADLINE).await;
        node.stop().await;
    }

    /// The disk of a machine.
    pub(crate) fn disk(&self, id: BrokerId) -> &SimDisk {
        &self.machines[index(id)].disk
    }

    /// Stops everything; the quick way, since the disks are thrown away.
    pub(crate) async fn stop(mut self) {
        for node in self.running() {
            self.kill(node.engine.me()).await;
        }
    }
}

impl std::ops::Deref for World {
    type Target = Brokers;

    fn deref(&self) -> &Brokers {
        &self.brokers
    }
}

impl Brokers {
    fn put(&self, id: BrokerId, node: Node) {
        self.0.lock()[index(id)] = Some(node);
    }

    fn take(&self, id: BrokerId) -> Node {
        self.0.lock()[index(id)].take().unwrap()
    }

    /// The brokers that run.
    pub(crate) fn running(&self) -> Vec<Node> {
        self.0.lock().iter().flatten().cloned().collect()
    }

    /// A broker that runs.
    pub(crate) fn any(&self) -> Node {
        self.running().swap_remove(0)
    }

    /// The broker with an id, if it runs.
    pub(crate) fn find(&self, id: BrokerId) -> Option<Node> {
        self.0.lock()[index(id)].clone()
    }

    /// The broker with an id.
    pub(crate) fn node(&self, id: BrokerId) -> Node {
        self.find(id).unwrap()
    }

    /// Creates a topic with a replica on every broker, and waits until all know it.
    pub(crate) async fn create(&self, name: &str, id: u8, partitions: i32, min_insync: &str) -> TopicId {
        let topic = TopicId([id; 16]);
        let mut new = NewTopic { partitions, ..NewTopic::with_defaults(topic, name) };
        new.replication_factor = i16::try_from(self.0.lock().len()).unwrap();
        new.configs.push(("min.insync.replicas".to_owned(), Some(min_insync.to_owned())));
        let node = self.any();
        node.engine.quorum().change(|image| create_topic(image, &new)).await.unwrap();
        let version = node.engine.image().version();
        node.cluster.until_applied(version, Instant::now() + DEADLINE).await;
        topic
    }

    /// Sets one key of a topic or of all brokers.
    pub(crate) async fn configure(&self, target: ConfigTarget, key: &str, value: &str) {
        let change = ConfigChange {
            key: key.to_owned(),
            operation: AlterOperation::Set,
            value: Some(value.to_owned()),
        };
        let decide = |image: &Image| {
            alter_configs(image, &target, std::slice::from_ref(&change)).map(|records| (records, ()))
        };
        self.any().engine.quorum().change(decide).await.unwrap();
    }

    /// The leader of a partition as the newest image says, once there is one among the brokers that run.
    pub(crate) async fn leader(&self, key: PartitionKey) -> (BrokerId, LeaderEpoch) {
        let find = || {
            let images = self.running().into_iter().map(|node| node.engine.image());
            let newest = images.max_by_key(|image| image.version())?;
            let state = partition_state(&newest, key)?.clone();
            let leader = state.leader.filter(|leader| self.find(*leader).is_some())?;
            Some((leader, state.leader_epoch))
        };
        until("a partition has a leader that runs", find).await
    }

    /// Waits until the in-sync replicas of a partition are these, by the image of every broker that runs.
    pub(crate) async fn until_isr(&self, key: PartitionKey, members: &[i32]) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let isrs: Vec<Option<Vec<i32>>> = self.running().iter().map(|node| isr(node, key)).collect();
            if isrs.iter().all(|isr| isr.as_deref() == Some(members)) {
                return;
            }
            if Instant::now() >= deadline {
                let states: Vec<String> = self.running().iter().map(|node| state(node, key)).collect();
                panic!("the ISR of {key} is not {members:?}: {}", states.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Appends with acks=all at whoever leads, as often as it takes; the sequence numbers make it happen once.
    pub(crate) async fn produce(
        &self,
        key: PartitionKey,
        producer: i64,
        sequence: i32,
        values: &[Vec<u8>],
    ) -> OffsetRange {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (leader, _) = self.leader(key).await;
            let Some(Node { engine, .. }) = self.find(leader) else { continue };
            let appended = match engine.partition(&engine.image(), key).await {
                Ok(partition) => append(&engine, &partition, Acks::All, batch(producer, sequence, values))
                    .await
                    .map_err(|e| e.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match appended {
                Ok(range) => return range,
                Err(error) => assert!(Instant::now() < deadline, "not appended: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the replicas of all brokers that run hold the same log up to the same high watermark, and gives its
    /// records.
    pub(crate) async fn until_equal(&self, key: PartitionKey) -> Vec<(i64, Bytes)> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let mut logs = Vec::new();
            for node in self.running() {
                let replica = node.engine.replica(&node.engine.image(), key).await.unwrap();
                let offsets = replica.offsets();
                if offsets.high_watermark == offsets.log_end {
                    logs.push(read_all(&replica).await);
                }
            }
            if logs.len() == self.running().len() && logs.windows(2).all(|pair| pair[0] == pair[1]) {
                return logs.pop().unwrap();
            }
            assert!(Instant::now() < deadline, "replicas of {key} differ: {:?}", self.ends(key).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ends(&self, key: PartitionKey) -> Vec<String> {
        let mut ends = Vec::new();
        for node in self.running() {
            let replica = node.engine.replica(&node.engine.image(), key).await.unwrap();
            ends.push(format!("{} {:?} {:?}", node.engine.me(), replica.role(), replica.offsets()));
        }
        ends
    }
}

impl Machine {
    /// Starts a broker.
    fn boot(&mut self) -> impl Future<Output = Node> + Send + use<> {
        let (id, disk, address, seeds) =
            (self.id, self.disk.process(), self.address.clone(), self.seeds.clone());
        let listener = self.listener.take();
        async move {
            let incarnation = INCARNATIONS.fetch_add(1, Ordering::Relaxed);
            let listener = match listener {
                Some(listener) => listener,
                None => TcpListener::bind((address.host.as_str(), address.port)).await.unwrap(),
            };
            let peers = Peers::new(PeerConfig { me: id, incarnation, advertised: address, cluster: None });
            peers.listen(listener);
            let engine = start_engine(id, disk, peers.clone(), seeds).await;
            let registration = Registration {
                broker: id,
                incarnation,
                endpoints: Vec::new(),
                rack: None,
                directory: [u8::try_from(id.0).unwrap(); 16],
            };
            let mut config = ClusterConfig::new(Arc::clone(&engine), Some(peers.clone()), registration);
            config.session_timeout = SESSION;
            config.heartbeat_interval = SESSION / 6;
            let cluster = Cluster::start(config).await.unwrap();
            Node { engine, cluster, peers }
        }
    }
}

impl Node {
    async fn stop(self) {
        self.cluster.stop().await;
        self.engine.stop().await;
        self.peers.shutdown().await;
    }
}

/// What is left of a process whose disk is gone: its sockets close, and its threads end when they notice.
async fn bury(node: Node) {
    node.peers.shutdown().await;
    node.cluster.stop().await;
    let quorum = tokio::time::timeout(Duration::from_secs(5), node.engine.quorum().shutdown());
    assert!(quorum.await.is_ok(), "the metadata group of a dead process ends");
}

async fn start_engine(
    me: BrokerId,
    disk: Arc<dyn eddy_disk::Disk>,
    peers: Peers,
    seeds: Vec<Seed>,
) -> Arc<Engine> {
    let data_dir = PathBuf::from("/data");
    disk.create_dir_all(&data_dir).unwrap();
    disk.sync_dir(std::path::Path::new("/")).unwrap();
    let wal = WalConfig { file_bytes: 1 << 20, total_bytes_max: 8 << 20, ..WalConfig::new(Profile::Low) };
    let config = EngineConfig {
        me,
        quorum: QuorumConfig {
            dir: data_dir.join("metadata"),
            me,
            disk: Arc::clone(&disk),
            static_config: StaticConfig::from_pairs([("node.id", me.0.to_string())]).unwrap(),
            new_cluster_id: ClusterId([7; 16]),
            snapshot_after: 5000,
            cluster: Some(ClusterQuorum { peers, seeds }),
        },
        data_dir,
        wal,
        tail_bytes: 8 << 20,
        request_bytes: 8 << 20,
        producer_limits: ProducerLimits::default(),
        open_files: 64,
        backpressure_max_wait: Duration::from_secs(5),
        flush: FlushConfig { checkpoint_interval: Duration::from_secs(1), ..FlushConfig::default() },
        housekeeping: HousekeepingConfig {
            retention_check_interval: Duration::from_secs(3600),
            disk_reserve_bytes: 0,
        },
        on_fatal: die,
    };
    Engine::start(config, disk, Arc::new(SystemClock)).await.unwrap()
}

fn index(id: BrokerId) -> usize {
    usize::try_from(id.0 - 1).unwrap()
}

/// The in-sync replicas as a broker knows them.
fn isr(node: &Node, key: PartitionKey) -> Option<Vec<i32>> {
    let image = node.engine.image();
    let mut isr: Vec<i32> = partition_state(&image, key)?.isr.iter().map(|id| id.0).collect();
    isr.sort_unstable();
    Some(isr)
}

/// Everything a broker knows of a partition.
fn state(node: &Node, key: PartitionKey) -> String {
    let image = node.engine.image();
    let replica = node.engine.partitions().get_open(key);
    format!(
        "broker {}: image {} {:?}, {:?} {:?} {:?}, {:?}, {:?}",
        node.engine.me(),
        image.version(),
        partition_state(&image, key),
        replica.as_ref().map(|replica| replica.role()),
        replica.as_ref().map(|replica| replica.offsets()),
        replica.as_ref().and_then(|replica| replica.position()),
        node.cluster.stats(),
        node.engine.quorum().status(),
    )
}

/// What an image says of a partition.
pub(crate) fn partition_state(image: &Image, key: PartitionKey) -> Option<&eddy_metadata::Partition> {
    image.topic_by_id(key.topic)?.partitions.get(usize::try_from(key.index).ok()?)
}

/// Waits until `look` sees something.
pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
