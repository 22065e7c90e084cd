//! Gives records to the lanes of their partitions.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use eddy_batch::BatchBuilder;
use eddy_client::PartitionName;
use eddy_types::Millis;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::lane::{self, Load, Options, Outcome};
use super::partitioner::Partitioner;
use super::{Arguments, Row};
use crate::brokers::Brokers;
use crate::error::{CliError, Exit};
use crate::jsonl::Draft;
use crate::moment::now_ms;
use crate::{Topic, select};

/// Batches that wait for their lane besides those under way.
const LANE_LOADS_MAX: usize = 2;
/// Memory of the batches on their way, in KiB.
const MEMORY_KIB: usize = 64 << 10;
/// Bytes in batches that are not full, over all partitions: beyond, all are sent.
const UNSENT_BYTES_MAX: usize = 32 << 20;

/// Gives records to the lanes of their partitions.
pub(super) struct Producer<'a> {
    brokers: Arc<Brokers>,
    arguments: &'a Arguments,
    options: Options,
    topics: HashMap<Arc<str>, Open>,
    lanes: JoinSet<Outcome>,
    outcomes: Vec<Outcome>,
    memory: Arc<Semaphore>,
    /// In batches that are not sent yet.
    pub(super) unsent_bytes: usize,
    /// Taken so far.
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// A topic that is written to.
struct Open {
    topic: Topic,
    partitioner: Partitioner,
    /// By partition; there is one as soon as a record goes there.
    lanes: Vec<Option<Feed>>,
}

struct Feed {
    builder: BatchBuilder,
    loads: mpsc::Sender<Load>,
}

impl<'a> Producer<'a> {
    pub(super) fn new(brokers: Arc<Brokers>, arguments: &'a Arguments, options: Options) -> Producer<'a> {
        Producer {
            brokers,
            arguments,
            options,
            topics: HashMap::new(),
            lanes: JoinSet::new(),
            outcomes: Vec::new(),
            memory: Arc::new(Semaphore::new(MEMORY_KIB)),
            unsent_bytes: 0,
            records: 0,
            bytes: 0,
        }
    }

    pub(super) async fn open(&mut self, name: &str) -> Result<(), CliError> {
        if self.topics.contains_key(name) {
            return Ok(());
        }
        let topic = select::topic(&self.brokers, name).await.map_err(|error| {
            if error.exit() == Exit::NotFound {
                error.fix(format!("eddy topic create {name}"), "create it")
            } else {
                error
            }
        })?;
        let led = std::iter::zip(0.., &topic.partitions).filter(|(_, partition)| partition.leader.0 >= 0);
        let led = led.map(|(index, _)| index).collect();
        let count = topic.partitions.len();
        let partitioner = Partitioner::new(count, led, now_ms() as usize);
        let lanes = std::iter::repeat_with(|| None).take(count).collect();
        self.topics.insert(name.into(), Open { topic, partitioner, lanes });
        Ok(())
    }

    pub(super) async fn add(&mut self, mut draft: Draft) -> Result<(), CliError> {
        let arguments = self.arguments;
        let name = match (&arguments.topic, draft.topic.take()) {
            (Some(topic), _) => topic.as_str().into(),
            (None, Some(topic)) => topic,
            (None, None) => return Err(CliError::usage("a record names no topic, and the command neither")),
        };
        self.open(&name).await?;
        if draft.key.is_none() {
            draft.key = arguments.key.as_ref().map(|key| Bytes::copy_from_slice(key.as_bytes()));
        }
        if arguments.tombstones && draft.value.as_ref().is_some_and(Bytes::is_empty) {
            draft.value = None;
        }
        draft.headers.extend(arguments.header.iter().cloned());
        let Some(open) = self.topics.get_mut(&name) else { return Ok(()) };
        let index = open.choose(arguments, &draft)?;
        let feed = match open.lanes.get_mut(index) {
            Some(Some(feed)) => feed,
            Some(place) => {
                let partition = open.topic.partition(i32::try_from(index).unwrap_or(i32::MAX));
                let feed = start_lane(&mut self.lanes, &self.brokers, partition, self.options, arguments);
                place.insert(feed)
            }
            None => return Ok(()),
        };
        let before = feed.builder.bytes();
        let timestamp = Millis(draft.timestamp.unwrap_or_else(now_ms));
        feed.builder.append_with_headers(
            timestamp,
            draft.key.as_deref(),
            draft.value.as_deref(),
            &draft.headers,
        );
        let added = feed.builder.bytes() - before;
        self.unsent_bytes += added;
        self.records += 1;
        self.bytes += added as u64;
        if feed.builder.bytes() >= arguments.batch_bytes as usize {
            if draft.key.is_none() {
                open.partitioner.turn();
            }
            self.unsent_bytes = self.unsent_bytes.saturating_sub(feed.builder.bytes());
            send(feed, &self.memory, arguments).await?;
        }
        if self.unsent_bytes > UNSENT_BYTES_MAX { self.flush().await } else { Ok(()) }
    }

    /// Sends all batches that have records.
    pub(super) async fn flush(&mut self) -> Result<(), CliError> {
        for open in self.topics.values_mut() {
            for feed in open.lanes.iter_mut().flatten().filter(|feed| !feed.builder.is_empty()) {
                send(feed, &self.memory, self.arguments).await?;
            }
            open.partitioner.turn();
        }
        self.unsent_bytes = 0;
        Ok(())
    }

    /// Waits for a lane that ends while there is more to write: it failed.
    pub(super) async fn ended_early(&mut self) {
        match self.lanes.join_next().await {
            Some(Ok(outcome)) => self.outcomes.push(outcome),
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    /// Waits for all acknowledgements.
    pub(super) async fn finish(mut self) -> (Vec<Row>, Option<CliError>) {
        self.topics.clear();
        while let Some(outcome) = self.lanes.join_next().await {
            self.outcomes.extend(outcome);
        }
        let mut failed = None;
        let mut rows = Vec::new();
        for Outcome { partition, written, error } in self.outcomes {
            failed = failed.or(error);
            rows.extend((written.records > 0).then(|| Row::new(&partition, written)));
        }
        rows.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        (rows, failed)
    }
}

impl Open {
    fn choose(&self, arguments: &Arguments, draft: &Draft) -> Result<usize, CliError> {
        let named = arguments.partition.or(draft.partition.filter(|_| !arguments.repartition));
        match (named, &draft.key) {
            (Some(named), _) => {
                let index = usize::try_from(named).ok().filter(|index| *index < self.topic.partitions.len());
                index.ok_or_else(|| {
                    CliError::not_found(format!("no such partition: {}-{named}", self.topic.name))
                        .fix("--repartition", "choose partitions by key instead")
                })
            }
            (None, Some(key)) => Ok(self.partitioner.of_key(key)),
            (None, None) => Ok(self.partitioner.of_nothing()),
        }
    }
}

fn start_lane(
    lanes: &mut JoinSet<Outcome>,
    brokers: &Arc<Brokers>,
    partition: PartitionName,
    options: Options,
    arguments: &Arguments,
) -> Feed {
    let (sender, loads) = mpsc::channel(LANE_LOADS_MAX);
    lanes.spawn(lane::run(brokers.clone(), partition, options, loads));
    Feed { builder: BatchBuilder::new(arguments.compression.into()), loads: sender }
}

async fn send(feed: &mut Feed, memory: &Arc<Semaphore>, arguments: &Arguments) -> Result<(), CliError> {
    let builder = std::mem::replace(&mut feed.builder, BatchBuilder::new(arguments.compression.into()));
    let kib = (builder.bytes() / 1024 + 1).min(MEMORY_KIB) as u32;
    let stopped = || CliError::new(Exit::Failed, "writing has stopped");
    let room = memory.clone().acquire_many_owned(kib).await.map_err(|_| stopped())?;
    // A lane that failed says why itself.
    feed.loads.send(Load { builder, room }).await.map_err(|_| stopped())
}
