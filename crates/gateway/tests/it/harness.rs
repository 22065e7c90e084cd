//! A broker on a directory of its own, and a client.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use eddy_cluster::{Cluster, ClusterConfig};
use eddy_coordinator::GroupCoordinator;
use eddy_core::ProducerLimits;
use eddy_disk::RealDisk;
use eddy_engine::{Engine, EngineConfig, FlushConfig, HousekeepingConfig};
use eddy_gateway::{LogLevel, Loggers, Parts, ROOT, Settings};
use eddy_metadata::Endpoint;
use eddy_metadata::config::StaticConfig;
use eddy_metadata::controller::Registration;
use eddy_peer::Peers;
use eddy_quorum::{ClusterQuorum, QuorumConfig, SNAPSHOT_AFTER};
use eddy_types::{BrokerId, ClusterId, SystemClock};
use eddy_wal::{Profile, WalConfig};
use eddy_wire::{ApiKey, Decode, Encode, Reader, Writer};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    CreateTopicsRequest, ProduceRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// What no answer may take longer than.
const PATIENCE: Duration = Duration::from_secs(20);

/// A broker in this process.
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Arc<Engine>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) groups: Arc<GroupCoordinator>,
    pub(crate) gateway: JoinHandle<()>,
    peers: Option<Peers>,
    registry: Registry,
    dir: TempDir,
}

/// Where a broker stands.
pub(crate) struct Place {
    pub(crate) me: BrokerId,
    pub(crate) dir: TempDir,
    pub(crate) rack: Option<&'static str>,
    /// The cluster that it is in.
    pub(crate) others: Option<ClusterQuorum>,
}

/// Time after which a broker that is not heard is taken for dead. Long: a busy machine is not to kill one, and one that ends is
/// noticed at once.
const SESSION: Duration = Duration::from_secs(10);

/// The loggers of a process that has three.
#[derive(Debug)]
pub(crate) struct TestLoggers(Mutex<BTreeMap<String, LogLevel>>);

impl Default for TestLoggers {
    fn default() -> TestLoggers {
        let names = [ROOT, "eddy_engine", "eddy_gateway"];
        TestLoggers(Mutex::new(names.map(|name| (name.to_owned(), LogLevel::Info)).into()))
    }
}

impl Loggers for TestLoggers {
    fn levels(&self) -> Vec<(String, LogLevel)> {
        self.0.lock().unwrap().iter().map(|(name, level)| (name.clone(), *level)).collect()
    }

    fn set(&self, changes: &[(String, Option<LogLevel>)]) -> Result<(), String> {
        let mut levels = self.0.lock().unwrap();
        for (name, level) in changes {
            let level = level.unwrap_or(levels[ROOT]);
            levels.insert(name.clone(), level);
        }
        Ok(())
    }
}

/// The gateway's settings as `eddy` has them by default.
pub(crate) fn settings() -> Settings {
    Settings {
        advertised: None,
        frame_bytes_max: 100 << 20,
        idle_max: Duration::from_secs(600),
        stall_max: Duration::from_secs(30),
        fetch_bytes_max: 55 << 20,
        fetch_sessions_max: 1000,
        loggers: Arc::new(TestLoggers::default()),
    }
}

/// A test that is over leaves its broker without a directory for a moment; the tests that still run must not end with it.
fn end_thread(what: &str, error: &dyn std::fmt::Display) -> ! {
    panic!("{what}: {error}")
}

impl Broker {
    pub(crate) async fn start() -> Broker {
        Broker::with(settings(), &[]).await
    }

    /// A broker with other settings and with static configuration.
    pub(crate) async fn with(settings: Settings, config: &[(&str, &str)]) -> Broker {
        Broker::on(tempfile::tempdir().unwrap(), settings, config).await
    }

    /// The broker anew, on what it left behind.
    pub(crate) async fn restart(self, config: &[(&str, &str)]) -> Broker {
        self.groups.stop().await;
        self.engine.stop().await;
        self.gateway.await.unwrap();
        Broker::on(self.dir, settings(), config).await
    }

    async fn on(dir: TempDir, settings: Settings, config: &[(&str, &str)]) -> Broker {
        Broker::among(Place { me: BrokerId(1), dir, rack: None, others: None }, settings, config).await
    }

    /// A broker where it stands.
    pub(crate) async fn among(place: Place, settings: Settings, config: &[(&str, &str)]) -> Broker {
        let Place { me, dir, rack, others } = place;
        let disk = RealDisk::shared();
        let fixed = StaticConfig::from_pairs(config.iter().copied()).unwrap();
        let mut wal = WalConfig::new(Profile::Low);
        wal.file_bytes = 4 << 20;
        wal.total_bytes_max = 32 << 20;
        let engine = EngineConfig {
            data_dir: dir.path().to_owned(),
            me,
            quorum: QuorumConfig {
                dir: dir.path().join("metadata"),
                me,
                disk: Arc::clone(&disk),
                static_config: fixed,
                new_cluster_id: ClusterId([7; 16]),
                snapshot_after: SNAPSHOT_AFTER,
                cluster: others.clone(),
            },
            tail_bytes: wal.limits.queue_bytes_max,
            wal,
            request_bytes: 64 << 20,
            on_fatal: end_thread,
            producer_limits: ProducerLimits::default(),
            open_files: 64,
            backpressure_max_wait: Duration::from_secs(5),
            flush: FlushConfig::default(),
            housekeeping: HousekeepingConfig {
                retention_check_interval: Duration::from_secs(300),
                disk_reserve_bytes: 0,
            },
        };
        let engine = Engine::start(engine, disk, Arc::new(SystemClock)).await.unwrap();
        let listener = eddy_gateway::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let peers = others.map(|others| others.peers);
        let endpoint = Endpoint { listener: "kafka".into(), host: "127.0.0.1".into(), port: address.port() };
        let registration = Registration {
            broker: me,
            incarnation: peers.as_ref().map_or(1, Peers::incarnation),
            // A lone one is reached where it is reached.
            endpoints: peers.iter().map(|_| endpoint.clone()).collect(),
            rack: rack.map(str::to_owned),
            directory: [u8::try_from(me.0).unwrap(); 16],
        };
        let mut config = ClusterConfig::new(Arc::clone(&engine), peers.clone(), registration);
        config.session_timeout = SESSION;
        config.heartbeat_interval = Duration::from_millis(200);
        let cluster = Cluster::start(config).await.unwrap();
        let mut registry = Registry::default();
        let groups = GroupCoordinator::start(Arc::clone(&engine));
        let (served, joined) = (Arc::clone(&engine), Arc::clone(&cluster));
        let parts = Parts { engine: served, cluster: joined, groups: Arc::clone(&groups) };
        let gateway = eddy_gateway::serve(parts, settings, listener, &mut registry);
        Broker { address, engine, cluster, groups, gateway, peers, registry, dir }
    }

    /// Ends without a word to the others, as a process that is killed does.
    pub(crate) async fn kill(self) {
        let Broker { engine, cluster, groups, gateway, peers, .. } = self;
        if let Some(peers) = peers {
            peers.shutdown().await;
        }
        cluster.stop().await;
        groups.stop().await;
        engine.stop().await;
        gateway.await.unwrap();
    }

    pub(crate) async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), correlation: 0 }
    }

    /// One request over a connection of its own.
    pub(crate) async fn call<Q: Request>(&self, version: i16, request: Q) -> Q::Response {
        self.connect().await.call(version, &request).await
    }

    /// Makes a topic.
    pub(crate) async fn topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let configs = configs.iter().map(|(key, value)| {
            CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
        });
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(5000);
        let response = self.call(7, request).await;
        assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0]);
    }

    /// Id of a topic.
    pub(crate) async fn topic_id(&self, name: &str) -> eddy_types::TopicId {
        self.engine.image().topic(name).unwrap().id
    }

    /// Appends a batch with acks=all; gives its answer.
    pub(crate) async fn produce(
        &self,
        topic: &str,
        partition: i32,
        records: Bytes,
    ) -> PartitionProduceResponse {
        let request = produce_request(topic, &[(partition, Some(records))]);
        let mut response = self.call(9, request).await;
        response.responses.remove(0).partition_responses.remove(0)
    }

    /// Value of a metric whose line begins with `start`, 0 when there is none.
    pub(crate) fn metric(&self, start: &str) -> f64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find(|line| line.starts_with(start));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Waits until `condition` holds.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Broker) -> bool) {
        for _ in 0..400 {
            if condition(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not in time: {what}");
    }
}

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    correlation: i32,
}

impl Client {
    pub(crate) async fn call<Q: Request>(&mut self, version: i16, request: &Q) -> Q::Response {
        let sent = self.send(version, request).await;
        let (correlation, response) = self.receive::<Q>(version).await;
        assert_eq!(correlation, sent, "answers come in order");
        response
    }

    /// The same with this broker's own codec, for what the other one lacks.
    pub(crate) async fn call_own<Q: Encode, A: Decode>(
        &mut self,
        key: ApiKey,
        version: i16,
        request: &Q,
    ) -> A {
        let mut frame = Writer::new();
        frame.put_i16(key.code());
        frame.put_i16(version);
        frame.put_i32(77);
        frame.put_null_string(false);
        if key.request_header_version(version) >= 2 {
            frame.put_no_tagged_fields();
        }
        request.encode(&mut frame, version).unwrap();
        self.send_frame(&frame.finish().concat()).await;
        let mut reader = Reader::new(self.receive_frame().await.expect("the connection was closed"));
        assert_eq!(reader.i32("correlation").unwrap(), 77);
        if key.response_header_version(version) >= 1 {
            reader.skip_tagged_fields("header").unwrap();
        }
        A::decode(&mut reader, version).unwrap()
    }

    /// Sends a request and does not wait; gives its correlation id.
    pub(crate) async fn send<Q: Request>(&mut self, version: i16, request: &Q) -> i32 {
        self.send_as("test", version, request).await
    }

    pub(crate) async fn send_as<Q: Request>(&mut self, client_id: &str, version: i16, request: &Q) -> i32 {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(Q::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(text(client_id)));
        let mut body = BytesMut::new();
        header.encode(&mut body, Q::header_version(version)).unwrap();
        request.encode(&mut body, version).unwrap();
        self.send_frame(&body).await;
        self.correlation
    }

    /// Sends bytes as a frame.
    pub(crate) async fn send_frame(&mut self, body: &[u8]) {
        let mut frame = i32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        self.stream.write_all(&frame).await.unwrap();
    }

    pub(crate) async fn receive<Q: Request>(&mut self, version: i16) -> (i32, Q::Response) {
        let mut frame = self.receive_frame().await.expect("the connection was closed");
        let header = ResponseHeader::decode(&mut frame, Q::Response::header_version(version)).unwrap();
        let response = Q::Response::decode(&mut frame, version).unwrap();
        assert!(frame.is_empty(), "{} bytes after the answer", frame.len());
        (header.correlation_id, response)
    }

    /// The next frame; `None` when the broker has closed the connection.
    pub(crate) async fn receive_frame(&mut self) -> Option<Bytes> {
        let read = async {
            let length = self.stream.read_i32().await.ok()?;
            let mut frame = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(PATIENCE, read).await.expect("no answer in time")
    }

    /// Whether the broker closes the connection without another answer.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.receive_frame().await.is_none()
    }
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A request of entries, partition and records, for one topic by name.
pub(crate) fn produce_request(topic: &str, entries: &[(i32, Option<Bytes>)]) -> ProduceRequest {
    let data = entries.iter().map(|(index, records)| {
        PartitionProduceData::default().with_index(*index).with_records(records.clone())
    });
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(data.collect());
    ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![topic])
}
