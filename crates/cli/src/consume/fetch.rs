//! Fetching many partitions: one loop for each leader, and one task that gives every partition to the loop of its leader.
//!
//! A loop asks for the next bytes before it hands over the last, so that the network works while records are printed. What is fetched and
//! not yet printed is bounded by the channel. A loop that meets trouble ends, and its partitions are given out again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_client::messages::fetch_response::PartitionData;
use eddy_client::{CallError, batches_end};
use eddy_types::{BrokerId, Offset, TopicId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::brokers::Brokers;
use crate::error::{CliError, Exit};

mod leader;

use leader::follow;

/// Chunks that wait to be printed.
const CHUNKS_MAX: usize = 8;
/// Before partitions are given out again after trouble.
const PAUSE: Duration = Duration::from_millis(100);

/// A partition to be read, and how far.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) topic: Arc<str>,
    pub(crate) topic_id: TopicId,
    pub(crate) partition: i32,
    /// The offset that is read next.
    pub(crate) from: i64,
    /// The offset that is not read any more; none for ever.
    pub(crate) until: Option<i64>,
}

/// Whole batches of a partition, the first perhaps begun before `from`.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) from: i64,
    pub(crate) until: Option<i64>,
    pub(crate) batches: Bytes,
    /// Transactions to leave out: producer and first offset, in order.
    pub(crate) aborted: Vec<(i64, i64)>,
    /// From the request to the answer, on the first chunk of an answer.
    pub(crate) took: Option<Duration>,
}

#[derive(Debug)]
pub(crate) enum Event {
    Chunk(Chunk),
    /// Something that the user should know.
    Note(String),
}

pub(crate) type Events = mpsc::Receiver<Result<Event, CliError>>;
type Sender = mpsc::Sender<Result<Event, CliError>>;

/// How to fetch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Leave out what belongs to open or aborted transactions.
    pub(crate) committed: bool,
    /// How long trouble may last before it is an error.
    pub(crate) patience: Duration,
}

/// Fetches until every target is done, or until the receiver is dropped. An error is the last event.
pub(crate) fn start(brokers: Arc<Brokers>, targets: Vec<Target>, options: Options) -> Events {
    let (sender, events) = mpsc::channel(CHUNKS_MAX);
    tokio::spawn(async move {
        if let Err(error) = supervise(&brokers, targets, options, &sender).await {
            // Nobody listens any more: then nobody needs to know.
            sender.send(Err(error)).await.ok();
        }
    });
    events
}

async fn supervise(
    brokers: &Arc<Brokers>,
    mut homeless: Vec<Target>,
    options: Options,
    sender: &Sender,
) -> Result<(), CliError> {
    homeless.retain(|target| !target.is_done());
    let mut loops = JoinSet::new();
    let mut failing_since: Option<Instant> = None;
    loop {
        let mut trouble = None;
        if !homeless.is_empty() {
            match by_leader(brokers, &homeless).await {
                Ok(groups) => {
                    homeless.retain(|target| !groups.values().flatten().any(|placed| placed.is_same(target)));
                    for (leader, targets) in groups {
                        loops.spawn(follow(brokers.clone(), leader, targets, options, sender.clone()));
                    }
                }
                Err(error) => trouble = Some(error),
            }
        }
        if homeless.is_empty() {
            let Some(ended) = loops.join_next().await else { return Ok(()) };
            let ended = ended.map_err(|error| CliError::new(Exit::Failed, error.to_string()))?;
            if ended.progressed {
                failing_since = None;
            }
            if !ended.passes
                && let Some(error) = ended.trouble
            {
                return Err(error);
            }
            homeless = ended.targets;
            trouble = ended.trouble;
        } else if trouble.is_none() {
            let one = homeless.first().map(|target| format!("{}-{}", target.topic, target.partition));
            trouble =
                Some(CliError::new(Exit::Unreachable, format!("no leader for {}", one.unwrap_or_default())));
        }
        if let Some(error) = trouble {
            let since = *failing_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= options.patience {
                return Err(error);
            }
            brokers.say(|| format!("again in {PAUSE:?}: {}", error.message()));
            tokio::time::sleep(PAUSE).await;
        }
        if sender.is_closed() {
            return Ok(());
        }
    }
}

/// Targets by who leads them now; those without a leader are left out.
async fn by_leader(
    brokers: &Brokers,
    targets: &[Target],
) -> Result<BTreeMap<BrokerId, Vec<Target>>, CliError> {
    let mut names: Vec<&str> = targets.iter().map(|target| &*target.topic).collect();
    names.sort_unstable();
    names.dedup();
    let cluster = brokers.cluster(Some(&names)).await?;
    let mut groups: BTreeMap<BrokerId, Vec<Target>> = BTreeMap::new();
    for target in targets {
        let topic = cluster.topic(&target.topic)?;
        let partition = topic.partitions.iter().find(|partition| partition.index == target.partition);
        if let Some(partition) = partition.filter(|partition| partition.leader != BrokerId::NONE) {
            // A topic that was deleted and created again has another id.
            let target = Target { topic_id: topic.id, ..target.clone() };
            groups.entry(partition.leader).or_default().push(target);
        }
    }
    Ok(groups)
}

impl Chunk {
    /// The offset after its last one.
    pub(crate) fn end(&self) -> i64 {
        let end = batches_end(Offset(self.from), self.batches.clone()).0;
        self.until.map_or(end, |until| end.min(until))
    }
}

impl Target {
    fn is_same(&self, other: &Target) -> bool {
        self.partition == other.partition && self.topic == other.topic
    }

    pub(crate) fn is_done(&self) -> bool {
        self.until.is_some_and(|until| self.from >= until)
    }

    /// Goes on to the end of what was fetched.
    fn advance(&mut self, data: PartitionData) -> Result<Option<Chunk>, CallError> {
        let batches = data.records.unwrap_or_default();
        if batches.is_empty() {
            return Ok(None);
        }
        let from = self.from;
        self.from = batches_end(Offset(from), batches.clone()).0;
        if self.from == from {
            let about = format!("{}-{}", self.topic, self.partition);
            return Err(CallError::Batch { about, reason: format!("nothing whole at offset {from}") });
        }
        let aborted = data.aborted_transactions.unwrap_or_default();
        Ok(Some(Chunk {
            topic: self.topic.clone(),
            partition: self.partition,
            from,
            until: self.until,
            batches,
            aborted: aborted.iter().map(|one| (one.producer_id.0, one.first_offset)).collect(),
            took: None,
        }))
    }
}
