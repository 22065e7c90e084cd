//! The indexer of a broker: which partitions it indexes, and the threads that do it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use eddy_engine::{Engine, PartitionKey};
use eddy_metadata::{Image, Topic};
use eddy_types::{Offset, TopicId};
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::contention::Contention;
use crate::counters::{Counters, Stats};
use crate::fields::Words;
use crate::mapping::Mapping;
use crate::open_splits::OpenSplits;
use crate::pace::{Backoff, Pace};
use crate::partition_index::{Common, PartitionIndex, remove_dir};
use crate::view::{IndexStatus, NotIndexed, View};
use crate::{turn, upkeep};

/// How an indexer runs.
#[derive(Clone, Debug)]
pub struct IndexerConfig {
    /// Memory that building and merging may take, of all topics together, in bytes (`search.memory`).
    pub memory: usize,
    /// Shortest time between two commits of a partition (`search.commit.interval`).
    pub commit_interval: Duration,
    /// Splits that are kept open for searching.
    pub open_splits: usize,
}

impl Default for IndexerConfig {
    fn default() -> Self {
        IndexerConfig { memory: 64 << 20, commit_interval: Duration::from_millis(750), open_splits: 512 }
    }
}

impl IndexerConfig {
    /// Memory of the split that is being built: writing it takes as much again, and merges the rest.
    pub(crate) fn build_memory(&self) -> usize {
        self.memory / 4
    }
}

type Tracked = BTreeMap<PartitionKey, Arc<PartitionIndex>>;

/// What the threads share.
pub(crate) struct Shared {
    config: IndexerConfig,
    engine: Arc<Engine>,
    runtime: Handle,
    common: Arc<Common>,
    tracked: RwLock<Arc<Tracked>>,
    /// The engine stops, or nothing is indexed.
    stopping: Arc<AtomicBool>,
    backoff: Arc<Backoff>,
    work: Bell,
    upkeep: Bell,
}

/// Wakes one thread.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Bell {
    fn wait(&self, at_most: Duration) {
        let mut rung = self.rung.lock();
        if !*rung && !at_most.is_zero() {
            self.ring.wait_for(&mut rung, at_most);
        }
        *rung = false;
    }

    fn ring(&self) {
        *self.rung.lock() = true;
        self.ring.notify_all();
    }
}

impl Shared {
    pub(crate) fn config(&self) -> &IndexerConfig {
        &self.config
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn tracked(&self) -> Arc<Tracked> {
        Arc::clone(&self.tracked.read())
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Runs something on the broker's threads, whose priority is not low, and waits for it; `None` if it did not end.
    pub(crate) fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.runtime.block_on(self.runtime.spawn(task)).ok()
    }

    /// Waits until somebody is in a hurry, or for a time.
    pub(crate) fn wait_for_work(&self, at_most: Duration) {
        self.work.wait(at_most);
    }

    /// Waits until a split was written, or for a time.
    pub(crate) fn wait_for_upkeep(&self, at_most: Duration) {
        self.upkeep.wait(at_most);
    }

    /// A split was written.
    pub(crate) fn committed(&self) {
        self.upkeep.ring();
    }
}

/// Indexes the topics of a broker that ask for it.
pub struct Indexer {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    keeper: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Indexer {
    /// Starts. There is no thread until the first topic is indexed. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(config: IndexerConfig, engine: Arc<Engine>) -> Arc<Indexer> {
        let common = Common { open: OpenSplits::new(config.open_splits), counters: Counters::default() };
        let shared = Arc::new(Shared {
            config,
            engine,
            runtime: Handle::current(),
            common: Arc::new(common),
            tracked: RwLock::default(),
            stopping: Arc::default(),
            backoff: Arc::default(),
            work: Bell::default(),
            upkeep: Bell::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let keeper = tokio::spawn(keep(Arc::clone(&shared), stopped));
        Arc::new(Indexer { shared, stop, keeper: Mutex::new(Some(keeper)) })
    }

    /// Stops: what was committed stays, the rest is indexed after the next start. Call it before the engine stops.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let keeper = self.keeper.lock().take();
        if let Some(keeper) = keeper {
            // A panic was reported by its hook.
            let _ = keeper.await;
        }
    }

    /// The engine whose topics are indexed.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    fn index(&self, topic: TopicId, partition: i32) -> Result<Arc<PartitionIndex>, NotIndexed> {
        let key = PartitionKey { topic, index: partition };
        if let Some(index) = self.shared.tracked.read().get(&key) {
            return Ok(Arc::clone(index));
        }
        let image = self.shared.engine.image();
        let Some(topic) = image.topic_by_id(topic) else { return Err(NotIndexed::NotHere) };
        if !topic.config.search_enable {
            return Err(NotIndexed::NotEnabled);
        }
        let is_here = wanted(&self.shared.engine, topic).any(|key| key.index == partition);
        Err(if is_here { NotIndexed::Rebuilding } else { NotIndexed::NotHere })
    }

    /// What can be searched of a partition now. Opens files when they are not open: call it where that may block.
    ///
    /// # Errors
    /// It is not indexed, not here, or not yet.
    pub fn view(&self, topic: TopicId, partition: i32) -> Result<View, NotIndexed> {
        self.index(topic, partition)?.view(self.shared.engine.now())
    }

    /// Waits until everything below `offset` is indexed, at most until `deadline`; gives the first offset that is not. The
    /// partition gets its turn at once.
    pub async fn wait_through(
        &self,
        topic: TopicId,
        partition: i32,
        offset: Offset,
        deadline: Instant,
    ) -> Offset {
        let index = loop {
            match self.index(topic, partition) {
                Ok(index) => break index,
                Err(NotIndexed::Rebuilding) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(_) => return Offset::ZERO,
            }
        };
        let mut progress = index.progress();
        loop {
            let through = *progress.borrow_and_update();
            if through >= offset || index.is_closed() {
                return through;
            }
            index.hurry();
            self.shared.work.ring();
            if tokio::time::timeout_at(deadline, progress.changed()).await.is_err() {
                return *progress.borrow();
            }
        }
    }

    /// How the index of a partition stands; `None` if it is not indexed here.
    #[must_use]
    pub fn status(&self, topic: TopicId, partition: i32) -> Option<IndexStatus> {
        let index = self.index(topic, partition).ok()?;
        Some(index.status(self.shared.engine.now(), self.shared.is_pressed()))
    }

    /// How all indexes of this broker stand: topic and partition of each.
    #[must_use]
    pub fn statuses(&self) -> Vec<(Arc<str>, i32, IndexStatus)> {
        let (now, is_pressed) = (self.shared.engine.now(), self.shared.is_pressed());
        let status = |index: &Arc<PartitionIndex>| {
            let partition = &index.partition;
            (Arc::clone(partition.topic()), partition.key().index, index.status(now, is_pressed))
        };
        self.shared.tracked().values().map(status).collect()
    }

    /// What was done since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        Stats {
            backoff: shared.backoff.spent(),
            open_splits: shared.common.open.len(),
            partitions: shared.tracked().len(),
            ..shared.common.counters.stats()
        }
    }
}

impl Shared {
    fn is_pressed(&self) -> bool {
        *self.engine.pressure().borrow() != eddy_wal::Pressure::Normal || self.is_disk_full()
    }

    /// The disk has less room than the log wants for itself.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.engine.disk_space().protect.load(Ordering::Relaxed)
    }

    fn root(&self) -> PathBuf {
        self.engine.data_dir().join("index")
    }
}

/// Partitions of a topic that this broker indexes.
fn wanted<'a>(engine: &Engine, topic: &'a Topic) -> impl Iterator<Item = PartitionKey> + use<'a> {
    let me = engine.me();
    let all = topic.config.search_replicas == eddy_metadata::config::SearchReplicas::All;
    let is_wanted = move |partition: &eddy_metadata::Partition| {
        partition.leader == Some(me) || (all && partition.replicas.contains(&me))
    };
    let enabled = topic.config.search_enable.then_some(topic);
    enabled.into_iter().flat_map(move |topic| {
        (0..)
            .zip(&topic.partitions)
            .filter(move |(_, partition)| is_wanted(partition))
            .map(move |(index, _)| PartitionKey { topic: topic.id, index })
    })
}

fn mapping(topic: &Topic) -> Mapping {
    Mapping {
        fields: topic.config.search_fields.clone(),
        words: Words::from_name(&topic.config.search_tokenizer),
        store_values: topic.config.search_store_values,
    }
}

/// Follows the metadata: opens the indexes that are wanted, closes those that are not, and keeps threads for them.
async fn keep(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut versions = shared.engine.image_version();
    let mut threads = Threads::default();
    remove_leftovers(&shared).await;
    loop {
        versions.borrow_and_update();
        let image = shared.engine.image();
        let all_open = follow(&shared, &image).await;
        threads.adjust(&shared).await;
        let retry = if all_open { Duration::from_secs(3600) } else { Duration::from_secs(1) };
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            changed = versions.changed() => if changed.is_err() { break },
            () = tokio::time::sleep(retry) => {}
        }
    }
    threads.stop(&shared).await;
}

/// Removes indexes that nobody wants any more: of topics that were deleted or are no longer indexed, and of partitions that
/// moved away, while the broker was down. An index is derived from the log: that a topic is missing from the metadata is no
/// proof that it was deleted, but to remove its index wrongly costs only the time to make it anew.
async fn remove_leftovers(shared: &Arc<Shared>) {
    let (root, engine) = (shared.root(), Arc::clone(&shared.engine));
    let look = move || {
        let (image, me) = (engine.image(), engine.me());
        let is_wanted = |name: &str| {
            let (topic, index) = name.rsplit_once('-')?;
            let topic = image.topic_by_id(topic.parse().ok()?)?;
            let partition = topic.partitions.get(index.parse::<usize>().ok()?)?;
            Some(topic.config.search_enable && partition.replicas.contains(&me))
        };
        for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if is_wanted(&name.to_string_lossy()) != Some(true) {
                tracing::info!(index = %name.to_string_lossy(), "removing a search index that is no longer wanted");
                if let Err(error) = remove_dir(&entry.path()) {
                    tracing::warn!(path = %entry.path().display(), %error, "cannot remove a search index");
                }
            }
        }
    };
    // A panic was reported by its hook.
    let _ = tokio::task::spawn_blocking(look).await;
}

/// Brings the tracked indexes in line with the metadata; false if something is to be tried again.
async fn follow(shared: &Arc<Shared>, image: &Arc<Image>) -> bool {
    let mut next = Tracked::clone(&shared.tracked());
    let mut wanted_keys = BTreeMap::new();
    for topic in image.topics() {
        wanted_keys.extend(wanted(&shared.engine, topic).map(|key| (key, topic)));
    }
    let mut closed = Vec::new();
    next.retain(|key, index| {
        let is_wanted = wanted_keys.get(key).is_some_and(|topic| mapping(topic) == index.mapping);
        if !is_wanted || index.is_closed() {
            closed.push(Arc::clone(index));
        }
        is_wanted && !index.is_closed()
    });
    *shared.tracked.write() = Arc::new(next.clone());
    for index in closed {
        close(shared, image, &index).await;
    }
    let mut all_open = true;
    for (key, topic) in wanted_keys {
        if next.contains_key(&key) {
            continue;
        }
        match open(shared, image, key, mapping(topic)).await {
            Some(index) => {
                next.insert(key, Arc::new(index));
                *shared.tracked.write() = Arc::new(next.clone());
            }
            None => all_open = false,
        }
    }
    all_open
}

async fn open(
    shared: &Arc<Shared>,
    image: &Arc<Image>,
    key: PartitionKey,
    mapping: Mapping,
) -> Option<PartitionIndex> {
    let partition = shared.engine.partitions().get(image, key).await.ok()?;
    let dir = shared.root().join(key.to_string());
    let common = Arc::clone(&shared.common);
    let opened =
        tokio::task::spawn_blocking(move || PartitionIndex::open(dir, partition, mapping, common)).await;
    match opened.ok()? {
        Ok(index) => Some(index),
        Err(error) => {
            tracing::warn!(partition = %key, %error, "cannot open a search index; tried again soon");
            None
        }
    }
}

/// Closes an index. Its files stay if only the leadership has moved: the way back is short then.
async fn close(shared: &Arc<Shared>, image: &Arc<Image>, index: &Arc<PartitionIndex>) {
    let key = index.partition.key();
    let is_kept = image.topic_by_id(key.topic).is_some_and(|topic| topic.config.search_enable)
        && !image.is_removed_replica(shared.engine.me(), key.topic, key.index);
    let index = Arc::clone(index);
    let closed = tokio::task::spawn_blocking(move || {
        index.close();
        if is_kept { Ok(()) } else { remove_dir(index.dir()) }
    });
    if let Ok(Err(error)) = closed.await {
        tracing::warn!(partition = %key, %error, "cannot remove a search index");
    }
}

/// The threads of the indexer: none while nothing is indexed.
#[derive(Default)]
struct Threads {
    running: Vec<JoinHandle<()>>,
}

impl Threads {
    async fn adjust(&mut self, shared: &Arc<Shared>) {
        let is_needed = !shared.tracked().is_empty();
        if is_needed && self.running.is_empty() {
            self.start("index-build", shared, |shared, pace| turn::run(shared, pace));
            self.start("index-merge", shared, upkeep::run);
        } else if !is_needed && !self.running.is_empty() {
            self.stop(shared).await;
        }
    }

    fn start(&mut self, name: &str, shared: &Arc<Shared>, run: fn(&Arc<Shared>, &Arc<Pace>)) {
        let shared = Arc::clone(shared);
        let pace = Pace::new(
            shared.engine.pressure(),
            Arc::clone(&shared.stopping),
            Arc::clone(&shared.backoff),
            Contention::of_this_thread(),
        );
        let thread = std::thread::Builder::new().name(name.to_owned());
        match thread.spawn(move || run(&shared, &Arc::new(pace))) {
            Ok(thread) => self.running.push(thread),
            Err(error) => tracing::error!(%error, "cannot start a thread for search indexes"),
        }
    }

    async fn stop(&mut self, shared: &Arc<Shared>) {
        shared.stopping.store(true, Ordering::Relaxed);
        shared.work.ring();
        shared.upkeep.ring();
        let running = std::mem::take(&mut self.running);
        let join = || running.into_iter().for_each(|thread| drop(thread.join()));
        let _ = tokio::task::spawn_blocking(join).await;
        shared.stopping.store(false, Ordering::Relaxed);
    }
}
