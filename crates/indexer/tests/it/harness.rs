//! An engine and its indexer in a directory of their own, and the few things tests do with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use eddy_batch::{BatchBuilder, BatchHeader, Compression};
use eddy_core::{Acks, ProducerLimits};
use eddy_disk::RealDisk;
use eddy_engine::{
    AckGroup, Engine, EngineConfig, FlushConfig, HousekeepingConfig, NewBatch, Partition, PartitionKey,
};
use eddy_indexer::{IndexStatus, Indexer, IndexerConfig, View};
use eddy_metadata::config::StaticConfig;
use eddy_metadata::controller::{
    AlterOperation, ConfigChange, ConfigTarget, NewTopic, Registration, alter_configs, create_topic,
    register_broker,
};
use eddy_quorum::QuorumConfig;
use eddy_types::{BrokerId, ClusterId, Millis, Offset, SystemClock, TopicId};
use eddy_wal::{Profile, WalConfig};
use tantivy::collector::DocSetCollector;
use tantivy::query::{AllQuery, Query, TermQuery};
use tantivy::schema::IndexRecordOption;
use tokio::time::Instant;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Broker {
    pub(crate) dir: PathBuf,
    pub(crate) engine: Arc<Engine>,
    pub(crate) indexer: Arc<Indexer>,
}

pub(crate) fn config() -> IndexerConfig {
    IndexerConfig { commit_interval: Duration::from_millis(20), ..IndexerConfig::default() }
}

impl Broker {
    pub(crate) async fn start(dir: &Path) -> Broker {
        Broker::start_with(dir, config()).await
    }

    pub(crate) async fn start_with(dir: &Path, config: IndexerConfig) -> Broker {
        let engine = start_engine(dir).await;
        let indexer = Indexer::start(config, Arc::clone(&engine));
        Broker { dir: dir.to_owned(), engine, indexer }
    }

    pub(crate) async fn stop(self) {
        self.indexer.stop().await;
        self.engine.stop().await;
    }

    pub(crate) async fn create(&self, name: &str, id: u8, configs: &[(&str, &str)]) -> TopicId {
        let id = TopicId([id; 16]);
        self.create_as(name, id, configs).await;
        id
    }

    pub(crate) async fn create_as(&self, name: &str, id: TopicId, configs: &[(&str, &str)]) {
        let mut new = NewTopic { partitions: 1, ..NewTopic::with_defaults(id, name) };
        for (key, value) in [("search.enable", "true")].iter().chain(configs) {
            new.configs.push(((*key).to_owned(), Some((*value).to_owned())));
        }
        self.engine.quorum().change(|image| create_topic(image, &new)).await.unwrap();
    }

    pub(crate) async fn configure(&self, topic: &str, key: &str, value: &str) {
        let change = ConfigChange {
            key: key.to_owned(),
            operation: AlterOperation::Set,
            value: Some(value.to_owned()),
        };
        let target = ConfigTarget::Topic(topic.to_owned());
        let decide = |image: &eddy_metadata::Image| {
            alter_configs(image, &target, std::slice::from_ref(&change)).map(|records| (records, ()))
        };
        self.engine.quorum().change(decide).await.unwrap();
    }

    pub(crate) async fn partition(&self, topic: TopicId) -> Arc<Partition> {
        self.engine.partition(&self.engine.image(), PartitionKey { topic, index: 0 }).await.unwrap()
    }

    /// Appends records with acks=all, as one batch.
    pub(crate) async fn append(&self, topic: TopicId, records: &[(Option<String>, Option<String>)]) {
        let mut builder = BatchBuilder::new(Compression::None);
        for (key, value) in records {
            let (key, value) = (key.as_ref().map(String::as_bytes), value.as_ref().map(String::as_bytes));
            builder.append(self.engine.now(), key, value);
        }
        self.append_batch(topic, &builder).await;
    }

    pub(crate) async fn append_batch(&self, topic: TopicId, builder: &BatchBuilder) {
        let bytes = builder.build().unwrap();
        let batch =
            NewBatch { facts: BatchHeader::parse(&bytes).unwrap().facts(), charge: bytes.len(), bytes };
        let partition = self.partition(topic).await;
        let (group, deadline) = (AckGroup::new(1), Instant::now() + DEADLINE);
        let room = self.engine.admit(1, batch.bytes.len(), deadline).await.unwrap();
        let token = group.token(0);
        partition.append(Acks::All, batch, Some(room), Some(token)).unwrap();
        group.wait(deadline).await.remove(0).unwrap().unwrap();
    }

    /// Appends `count` values of JSON, `number` counting on from `from`.
    pub(crate) async fn fill(&self, topic: TopicId, numbers: std::ops::Range<i64>) {
        let numbers: Vec<i64> = numbers.collect();
        for numbers in numbers.chunks(50) {
            let records: Vec<_> = numbers
                .iter()
                .map(|number| {
                    let value =
                        format!(r#"{{"number":{number},"word":"w{}","text":"some words"}}"#, number % 7);
                    (Some(format!("key {}", number % 5)), Some(value))
                })
                .collect();
            self.append(topic, &records).await;
        }
    }

    /// Waits until everything is indexed.
    pub(crate) async fn settled(&self, topic: TopicId) -> View {
        let end = self.partition(topic).await.offsets().high_watermark;
        let through = self.indexer.wait_through(topic, 0, end, Instant::now() + DEADLINE).await;
        assert!(through >= end, "{through} of {end}: {:?}", self.indexer.status(topic, 0));
        self.indexer.view(topic, 0).unwrap()
    }

    pub(crate) fn status(&self, topic: TopicId) -> IndexStatus {
        self.indexer.status(topic, 0).unwrap()
    }

    pub(crate) fn index_dir(&self, topic: TopicId) -> PathBuf {
        self.dir.join("index").join(format!("{topic}-0"))
    }
}

/// How often each offset at or above the log's start is found.
pub(crate) fn found(view: &View, query: &dyn Query) -> BTreeMap<i64, usize> {
    let mut found = BTreeMap::new();
    for split in &view.splits {
        for doc in split.searcher.search(query, &DocSetCollector).unwrap() {
            let reader = split.searcher.segment_reader(doc.segment_ord);
            let offset = reader.fast_fields().i64("_offset").unwrap().first(doc.doc_id).unwrap();
            assert!((split.offsets.start.0..split.offsets.end.0).contains(&offset));
            if offset >= view.log_start.0 {
                *found.entry(offset).or_default() += 1;
            }
        }
    }
    found
}

/// Fails unless exactly these offsets are found, each once.
pub(crate) fn assert_exactly(view: &View, offsets: impl IntoIterator<Item = i64>) {
    let expected: BTreeMap<i64, usize> = offsets.into_iter().map(|offset| (offset, 1)).collect();
    assert_eq!(found(view, &AllQuery), expected);
}

pub(crate) fn word(path: &str, word: &str) -> TermQuery {
    let (_, fields) = eddy_indexer::Fields::schema();
    let mut term = tantivy::Term::from_field_json_path(fields.value, path, true);
    term.append_type_and_str(word);
    TermQuery::new(term, IndexRecordOption::Basic)
}

pub(crate) async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to)
        } else {
            let _bytes = std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

async fn start_engine(data_dir: &Path) -> Arc<Engine> {
    let me = BrokerId(1);
    let disk: Arc<dyn eddy_disk::Disk> = RealDisk::shared();
    let config = EngineConfig {
        me,
        quorum: QuorumConfig {
            dir: data_dir.join("metadata"),
            me,
            disk: Arc::clone(&disk),
            static_config: StaticConfig::from_pairs([("log.cleaner.backoff.ms", "50")]).unwrap(),
            new_cluster_id: ClusterId([7; 16]),
            snapshot_after: 5000,
            cluster: None,
        },
        data_dir: data_dir.to_owned(),
        wal: WalConfig { file_bytes: 4 << 20, total_bytes_max: 64 << 20, ..WalConfig::new(Profile::Low) },
        tail_bytes: 16 << 20,
        request_bytes: 16 << 20,
        producer_limits: ProducerLimits::default(),
        open_files: 64,
        backpressure_max_wait: Duration::from_secs(5),
        flush: FlushConfig {
            age: Duration::from_millis(50),
            checkpoint_interval: Duration::from_millis(100),
            ..FlushConfig::default()
        },
        housekeeping: HousekeepingConfig {
            retention_check_interval: Duration::from_millis(100),
            disk_reserve_bytes: 0,
        },
        on_fatal: eddy_engine::abort,
    };
    let engine = Engine::start(config, disk, Arc::new(SystemClock)).await.unwrap();
    let registration =
        Registration { broker: me, incarnation: 1, endpoints: Vec::new(), rack: None, directory: [0; 16] };
    let decide =
        |image: &eddy_metadata::Image| register_broker(image, &registration).map(|records| (records, ()));
    engine.quorum().change(decide).await.unwrap();
    engine
}

pub(crate) fn offset(at: i64) -> Offset {
    Offset(at)
}

pub(crate) fn old(days: i64) -> Millis {
    Millis(SystemClock::now_millis() - days * 24 * 3_600_000)
}

trait Now {
    fn now_millis() -> i64;
}

impl Now for SystemClock {
    fn now_millis() -> i64 {
        eddy_types::Clock::now(&SystemClock).0
    }
}
