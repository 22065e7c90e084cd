//! A broker whose topics are in memory and whose splits are on disk.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eddy_batch::{BatchBuilder, Compression, Header, Record};
use eddy_types::{BrokerId, LeaderEpoch, Millis, Offset, TopicId};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fields::Fields;
use crate::mapping::{KnownPaths, Mapping, Paths};
use crate::search::node::{Later, Node, Target};
use crate::search::serve::Serving;
use crate::search::{Search, SearchLimits, Wait};
use crate::split::{Pacing, SplitBuilder, open};
use crate::{IndexStatus, NotIndexed, SearchableSplit, View};

/// 2024-03-01T12:00:00Z
pub(super) const NOW: i64 = 1_709_294_400_000;

struct NoPace;

impl Pacing for NoPace {
    fn moved(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }
}

/// A partition: its records, and where splits end.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) records: Vec<Record>,
    pub(super) cuts: Vec<usize>,
    pub(super) start: i64,
    /// Records beyond are not indexed; all are when it is none.
    pub(super) through: Option<i64>,
    pub(super) leader: i32,
}

/// Records with JSON values, a second apart.
pub(super) fn log(values: &[Value]) -> Log {
    let record = |(offset, value): (i64, &Value)| record(offset, Some(&format!("k{offset}")), value);
    Log { records: (0..).zip(values).map(record).collect(), leader: 1, ..Log::default() }
}

pub(super) fn record(offset: i64, key: Option<&str>, value: &Value) -> Record {
    let value = match value {
        Value::Null => None,
        Value::String(text) => Some(Bytes::from(text.clone())),
        value => Some(Bytes::from(value.to_string())),
    };
    Record {
        offset: Offset(offset),
        timestamp: Millis(NOW - 3_600_000 + offset * 1000),
        key: key.map(|key| Bytes::from(key.to_owned())),
        value,
        headers: vec![Header {
            key: Bytes::from("trace"),
            value: Some(Bytes::from(format!("t-{}", offset % 3))),
        }],
    }
}

pub(super) struct Fake {
    me: BrokerId,
    _dir: TempDir,
    topics: BTreeMap<String, Vec<Log>>,
    views: HashMap<(TopicId, i32), View>,
    pub(super) not_indexed: Vec<String>,
    pub(super) others: Mutex<HashMap<BrokerId, Search>>,
    /// What `wait_through` reaches.
    pub(super) waits: Mutex<HashMap<i32, i64>>,
}

fn id_of(name: &str) -> TopicId {
    let mut id = [7; 16];
    for (to, from) in id.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    TopicId(id)
}

fn build(
    dir: &std::path::Path,
    number: u64,
    records: &[Record],
    end: i64,
    paths: &mut Paths,
) -> Arc<SearchableSplit> {
    let (schema, fields) = Fields::schema();
    let mut builder = SplitBuilder::new(schema, 1 << 20).unwrap();
    for record in records {
        let (mapped, _) = Mapping::default().map(fields, paths, record);
        builder.add(mapped).unwrap();
    }
    let start = records.first().map_or(end, |record| record.offset.0);
    let range = (Offset(start), Offset(end));
    let meta = builder.finish(dir, number, range, LeaderEpoch(1), &NoPace).unwrap();
    Arc::new(open(dir, &meta, true).unwrap())
}

impl Fake {
    pub(super) fn new(me: i32, topics: impl IntoIterator<Item = (&'static str, Vec<Log>)>) -> Fake {
        let dir = TempDir::new().unwrap();
        let topics: BTreeMap<String, Vec<Log>> =
            topics.into_iter().map(|(name, logs)| (name.to_owned(), logs)).collect();
        let (mut views, mut number) = (HashMap::new(), 0);
        for (name, logs) in &topics {
            for (partition, log) in (0..).zip(logs) {
                let mut paths = Paths::default();
                let indexed = log
                    .records
                    .iter()
                    .take_while(|record| log.through.is_none_or(|end| record.offset.0 < end));
                let indexed: Vec<Record> = indexed.cloned().collect();
                let mut splits = Vec::new();
                let mut begin = 0;
                for end in log.cuts.iter().copied().filter(|cut| *cut < indexed.len()).chain([indexed.len()])
                {
                    if end > begin {
                        number += 1;
                        let last = indexed[end - 1].offset.0 + 1;
                        splits.push(build(dir.path(), number, &indexed[begin..end], last, &mut paths));
                        begin = end;
                    }
                }
                let all = paths.beyond(&KnownPaths::default()).unwrap_or_default().all;
                let end = log.records.last().map_or(0, |record| record.offset.0 + 1);
                let view = View {
                    topic: name.as_str().into(),
                    topic_id: id_of(name),
                    partition,
                    paths: all,
                    splits,
                    log_start: Offset(log.start),
                    searched_through: Offset(log.through.unwrap_or(end)),
                    high_watermark: Offset(end),
                    lag: Millis(if log.through.is_some() { 1500 } else { 0 }),
                };
                views.insert((id_of(name), partition), view);
            }
        }
        Fake {
            me: BrokerId(me),
            _dir: dir,
            topics,
            views,
            not_indexed: Vec::new(),
            others: Mutex::default(),
            waits: Mutex::default(),
        }
    }

    pub(super) fn search(self) -> Search {
        Search::over(Arc::new(self), SearchLimits::default())
    }
}

impl Node for Fake {
    fn me(&self) -> BrokerId {
        self.me
    }

    fn now(&self) -> Millis {
        Millis(NOW)
    }

    fn topics(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<Target> {
        let target = |(name, logs): (&String, &Vec<Log>)| Target {
            topic: name.as_str().into(),
            id: id_of(name),
            indexed: !self.not_indexed.contains(name),
            leaders: logs.iter().map(|log| (log.leader > 0).then_some(BrokerId(log.leader))).collect(),
        };
        self.topics.iter().filter(|(name, _)| wanted(name)).map(target).collect()
    }

    fn view(&self, topic: TopicId, partition: i32) -> Result<View, NotIndexed> {
        self.views.get(&(topic, partition)).cloned().ok_or(NotIndexed::NotHere)
    }

    fn high_watermark(&self, topic: TopicId, partition: i32) -> Option<Offset> {
        self.views.get(&(topic, partition)).map(|view| view.high_watermark)
    }

    fn wait_through(
        &self,
        topic: TopicId,
        partition: i32,
        offset: Offset,
        _deadline: Instant,
    ) -> Later<'_, Offset> {
        let set = self.waits.lock().get(&partition).map(|reached| Offset(*reached));
        let reached = set.unwrap_or_else(|| self.views[&(topic, partition)].searched_through);
        Box::pin(async move { reached.min(offset) })
    }

    fn status(&self, topic: TopicId, partition: i32) -> Option<IndexStatus> {
        let view = self.views.get(&(topic, partition))?;
        Some(IndexStatus {
            searched_through: view.searched_through,
            high_watermark: view.high_watermark,
            lag_records: 0,
            lag: view.lag,
            bytes: 1000,
            records: view.splits.iter().map(|split| split.searcher.num_docs()).sum(),
            splits: view.splits.len(),
            state: crate::IndexState::Following,
        })
    }

    fn read(
        &self,
        topic: TopicId,
        partition: i32,
        offset: Offset,
        _bytes: usize,
    ) -> Later<'_, Result<Vec<Bytes>, String>> {
        let name = &self.views[&(topic, partition)].topic;
        let log = &self.topics[&**name][usize::try_from(partition).unwrap()];
        // Batches of four records.
        let mut slices = Vec::new();
        for batch in log.records.chunks(4) {
            if batch.last().is_some_and(|last| last.offset >= offset) && slices.len() < 2 {
                let mut builder = BatchBuilder::new(Compression::Lz4).base_offset(batch[0].offset);
                batch.iter().for_each(|record| builder.append_record(record));
                slices.push(builder.build().unwrap());
            }
        }
        Box::pin(async move { Ok(slices) })
    }

    fn ask(&self, broker: BrokerId, request: Bytes, _within: Duration) -> Later<'_, Result<Bytes, String>> {
        let other = self.others.lock().get(&broker).cloned();
        Box::pin(async move {
            let other = other.ok_or("the connection broke before the answer")?;
            let serving = Serving(Arc::downgrade(&other.inner));
            eddy_peer::Handler::call(&serving, BrokerId(1), request).await
        })
    }
}

/// Partitions and offsets of the hits, in their order.
pub(super) fn places(answer: &Value) -> Vec<String> {
    let hits = answer["hits"]["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()).collect()
}

/// The offsets that match a query in one partition, ascending.
pub(super) async fn offsets(search: &Search, query: Value) -> Vec<i64> {
    let body = json!({"query": query, "sort": ["_offset"], "size": 10_000, "track_total_hits": true});
    let answer =
        search.search("t", body, Wait::default()).await.unwrap_or_else(|error| panic!("{error}: {query}"));
    let found: Vec<i64> =
        places(&answer).iter().map(|id| id.split_once(':').unwrap().1.parse().unwrap()).collect();
    assert_eq!(answer["hits"]["total"]["value"], json!(found.len()), "{query}");
    found
}
