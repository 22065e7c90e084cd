//! An engine on a simulated disk, and the few things tests do with it.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_batch::{BatchBuilder, BatchHeader, Compression, DecompressLimit, batches};
use eddy_core::{Acks, ProducerLimits};
use eddy_disk::Disk;
use eddy_engine::{
    AckGroup, AppendError, Engine, EngineConfig, FlushConfig, HousekeepingConfig, NewBatch, Partition,
    PartitionKey, ReadRequest, StartError,
};
use eddy_metadata::config::StaticConfig;
use eddy_metadata::controller::{NewTopic, Registration, create_topic, register_broker};
use eddy_quorum::QuorumConfig;
use eddy_types::{
    BrokerId, Clock, ClusterId, LeaderEpoch, Millis, Offset, OffsetRange, ProducerEpoch, ProducerId,
    SystemClock, TopicId,
};
use eddy_wal::{Profile, WalConfig};
use tokio::time::Instant;

pub(crate) const ME: BrokerId = BrokerId(1);
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A process whose disk has lost its power dies quietly: only the thread that noticed ends.
fn die(_: &str, _: &dyn Display) -> ! {
    std::panic::resume_unwind(Box::new("the power is off"))
}

pub(crate) async fn start(disk: Arc<dyn Disk>, checkpoint_interval: Duration) -> Arc<Engine> {
    let engine = start_broker(ME, disk, checkpoint_interval, Arc::new(SystemClock)).await;
    let registration =
        Registration { broker: ME, incarnation: 1, endpoints: Vec::new(), rack: None, directory: [0; 16] };
    let decide =
        |image: &eddy_metadata::Image| register_broker(image, &registration).map(|records| (records, ()));
    engine.quorum().change(decide).await.unwrap();
    engine
}

/// An engine that has not registered.
pub(crate) async fn start_broker(
    me: BrokerId,
    disk: Arc<dyn Disk>,
    checkpoint_interval: Duration,
    clock: Arc<dyn Clock>,
) -> Arc<Engine> {
    try_start(me, disk, checkpoint_interval, clock).await.unwrap()
}

pub(crate) fn wal_config() -> WalConfig {
    WalConfig { file_bytes: 256 << 10, total_bytes_max: 1 << 20, ..WalConfig::new(Profile::Low) }
}

pub(crate) async fn try_start(
    me: BrokerId,
    disk: Arc<dyn Disk>,
    checkpoint_interval: Duration,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Engine>, StartError> {
    let data_dir = PathBuf::from("/data");
    disk.create_dir_all(&data_dir).unwrap();
    disk.sync_dir(std::path::Path::new("/")).unwrap();
    let wal = wal_config();
    let config = EngineConfig {
        me,
        quorum: QuorumConfig {
            dir: data_dir.join("metadata"),
            me,
            disk: Arc::clone(&disk),
            static_config: StaticConfig::from_pairs([
                ("log.cleaner.backoff.ms", "50"),
                ("replica.lag.time.max.ms", "1000"),
            ])
            .unwrap(),
            new_cluster_id: ClusterId([7; 16]),
            snapshot_after: 5000,
            cluster: None,
        },
        data_dir,
        wal,
        tail_bytes: 1 << 20,
        request_bytes: 1 << 20,
        producer_limits: ProducerLimits::default(),
        open_files: 16,
        backpressure_max_wait: Duration::from_secs(5),
        flush: FlushConfig {
            bytes: 2048,
            age: Duration::from_millis(50),
            checkpoint_interval,
            ..FlushConfig::default()
        },
        housekeeping: HousekeepingConfig {
            retention_check_interval: Duration::from_secs(3600),
            disk_reserve_bytes: 0,
        },
        on_fatal: die,
    };
    Engine::start(config, disk, clock).await
}

pub(crate) async fn create(engine: &Engine, name: &str, id: u8, partitions: i32) -> TopicId {
    let new = NewTopic { partitions, ..NewTopic::with_defaults(TopicId([id; 16]), name) };
    engine.quorum().change(|image| create_topic(image, &new)).await.unwrap();
    TopicId([id; 16])
}

pub(crate) async fn partition(engine: &Engine, topic: TopicId, index: i32) -> Arc<Partition> {
    let image = engine.image();
    let found = engine.partition(&image, PartitionKey { topic, index }).await;
    found
        .unwrap_or_else(|error| panic!("{error}: image {:?} {:?}", image.version(), image.topic_by_id(topic)))
}

/// A batch of records, one value each, of an idempotent producer.
pub(crate) fn batch(producer: i64, first_sequence: i32, values: &[Vec<u8>]) -> NewBatch {
    let mut builder =
        BatchBuilder::new(Compression::None).producer(ProducerId(producer), ProducerEpoch(0), first_sequence);
    for value in values {
        builder.append(Millis(1_700_000_000_000), None, Some(value));
    }
    let bytes = builder.build().unwrap();
    NewBatch { facts: BatchHeader::parse(&bytes).unwrap().facts(), charge: bytes.len(), bytes }
}

/// Appends with acks=all and waits for the acknowledgement.
pub(crate) async fn append(
    engine: &Engine,
    partition: &Arc<Partition>,
    batch: NewBatch,
) -> Result<OffsetRange, AppendError> {
    let group = AckGroup::new(1);
    let deadline = Instant::now() + DEADLINE;
    let room = engine.admit(1, batch.bytes.len(), deadline).await?;
    partition.append(Acks::All, batch, Some(room), Some(group.token(0)))?;
    group.wait(deadline).await.remove(0).unwrap_or(Err(AppendError::PartitionGone))
}

/// A few batches from an offset on, whoever leads.
pub(crate) fn from(offset: Offset) -> ReadRequest {
    ReadRequest {
        offset,
        leader_epoch: LeaderEpoch::NONE,
        last_fetched_epoch: LeaderEpoch::NONE,
        max_bytes: 4096,
        at_least_one: true,
        committed_only: false,
    }
}

/// The batches below the high watermark as they are stored.
pub(crate) async fn read_bytes(partition: &Arc<Partition>) -> Vec<u8> {
    let mut at = partition.offsets().log_start;
    let mut bytes = Vec::new();
    loop {
        let read = partition.read(from(at)).await.unwrap();
        let Some(last) = read.slices.iter().cloned().flat_map(batches).last() else { return bytes };
        at = last.unwrap().header.last_offset().next();
        read.slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
    }
}

/// Every record below the high watermark, as (offset, value); offsets must be dense from the log start.
pub(crate) async fn read_all(partition: &Arc<Partition>) -> Vec<(i64, Bytes)> {
    let mut at = partition.offsets().log_start;
    let mut records = Vec::new();
    loop {
        let read = partition.read(from(at)).await.unwrap();
        if read.slices.is_empty() {
            assert_eq!(at, read.offsets.high_watermark, "the log ends where its high watermark is");
            return records;
        }
        for found in read.slices.into_iter().flat_map(batches) {
            let found = found.unwrap();
            found.verify_crc().unwrap();
            let starts_within_a_batch = records.is_empty() && found.header.base_offset < at;
            assert!(found.header.base_offset == at || starts_within_a_batch, "offsets are dense");
            for record in found.records(&DecompressLimit::default()).unwrap() {
                let record = record.unwrap();
                if record.offset >= at {
                    records.push((record.offset.0, record.value.unwrap()));
                }
            }
            at = Offset(found.header.last_offset().0 + 1);
        }
    }
}
