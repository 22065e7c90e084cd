//! The engine with one partition: what a request costs between its records and its answer.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_batch::{Compression, validate};
use eddy_core::{Acks, ProducerLimits};
use eddy_disk::RealDisk;
use eddy_engine::{
    AckGroup, Engine, EngineConfig, FlushConfig, HousekeepingConfig, NewBatch, Partition, PartitionKey,
    ReadRequest,
};
use eddy_metadata::Image;
use eddy_metadata::config::StaticConfig;
use eddy_metadata::controller::{NewTopic, Registration, create_topic, register_broker};
use eddy_quorum::QuorumConfig;
use eddy_types::{BrokerId, ClusterId, LeaderEpoch, Offset, SystemClock, TopicId};
use eddy_wal::{Profile, WalConfig};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::codec::rules;
use crate::{Operation, batch};

const TOPIC: TopicId = TopicId([7; 16]);
const PATIENCE: Duration = Duration::from_secs(30);
const FETCH_BYTES: usize = 64 << 10;

struct Bench {
    runtime: Runtime,
    engine: Arc<Engine>,
    partition: Arc<Partition>,
    /// Goes when all else is gone.
    _dir: TempDir,
}

impl Bench {
    fn start() -> Bench {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (engine, partition) = runtime.block_on(start(&dir));
        Bench { runtime, engine, partition, _dir: dir }
    }

    /// As a produce request with acks=all does it.
    fn produce(&self, records: Bytes) {
        let charge = records.len();
        let accepted = validate(records, &rules()).expect("a good batch");
        self.runtime.block_on(async {
            let deadline = Instant::now() + PATIENCE;
            let room = self.engine.admit(1, charge, deadline).await.expect("room");
            let group = AckGroup::new(1);
            let new = NewBatch { facts: accepted.facts, bytes: accepted.bytes, charge };
            self.partition.append(Acks::All, new, Some(room), Some(group.token(0))).expect("it leads");
            let answers = group.wait(deadline).await;
            black_box(answers).pop().flatten().expect("an answer").expect("an acknowledgement");
        });
    }
}

async fn start(dir: &TempDir) -> (Arc<Engine>, Arc<Partition>) {
    let (me, disk) = (BrokerId(1), RealDisk::shared());
    let wal = WalConfig::new(Profile::Low);
    let config = EngineConfig {
        me,
        quorum: QuorumConfig {
            dir: dir.path().join("metadata"),
            me,
            disk: Arc::clone(&disk),
            static_config: StaticConfig::default(),
            new_cluster_id: ClusterId([7; 16]),
            snapshot_after: 5000,
            cluster: None,
        },
        data_dir: dir.path().to_owned(),
        tail_bytes: wal.limits.queue_bytes_max,
        wal,
        request_bytes: 64 << 20,
        producer_limits: ProducerLimits::default(),
        open_files: 64,
        backpressure_max_wait: PATIENCE,
        flush: FlushConfig::default(),
        housekeeping: HousekeepingConfig {
            retention_check_interval: Duration::from_secs(3600),
            disk_reserve_bytes: 0,
        },
        on_fatal: eddy_engine::abort,
    };
    let engine =
        Engine::start(config, disk, Arc::new(SystemClock)).await.expect("an engine in an empty directory");
    let registration =
        Registration { broker: me, incarnation: 1, endpoints: Vec::new(), rack: None, directory: [0; 16] };
    let register = |image: &Image| register_broker(image, &registration).map(|records| (records, ()));
    engine.quorum().change(register).await.expect("a registration");
    let topic = NewTopic { partitions: 1, ..NewTopic::with_defaults(TOPIC, "measured") };
    engine.quorum().change(|image| create_topic(image, &topic)).await.expect("a topic");
    let key = PartitionKey { topic: TOPIC, index: 0 };
    let partition = engine.partition(&engine.image(), key).await.expect("its partition");
    (engine, partition)
}

pub(crate) fn produce(records: usize) -> Operation {
    let bench = Bench::start();
    let bytes = batch(records, Compression::None);
    // Each request's records are its own, as those read from a socket are.
    Box::new(move || bench.produce(Bytes::copy_from_slice(&bytes)))
}

pub(crate) fn fetch() -> Operation {
    let bench = Bench::start();
    for _ in 0..8 {
        bench.produce(batch(64, Compression::None));
    }
    let request = ReadRequest {
        offset: Offset(0),
        leader_epoch: LeaderEpoch::NONE,
        last_fetched_epoch: LeaderEpoch::NONE,
        max_bytes: FETCH_BYTES,
        at_least_one: true,
        committed_only: false,
    };
    Box::new(move || {
        let read = bench.runtime.block_on(bench.partition.read(request)).expect("records");
        assert!(!black_box(read).slices.is_empty());
    })
}
