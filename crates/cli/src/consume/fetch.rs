//! Fetching many partitions: one loop for each leader, and one task that gives every partition to the loop of its leader.
//!
//! A loop asks for the next bytes before it hands over the last, so that the network works while records are printed. What is fetched and
//! not yet printed is bounded by the channel. A loop that meets trouble ends, and its partitions are given out again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_client::messages::fetch_request::{FetchPartition, FetchTopic};
use eddy_client::messages::fetch_response::PartitionData;
use eddy_client::messages::{ApiKey, FetchRequest, FetchResponse};
use eddy_client::{CallError, Connection, accepted, batches_end};
use eddy_types::{BrokerId, ErrorCode, Offset, TopicId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::brokers::{Brokers, To, topic_name};
use crate::error::{CliError, Exit};
use crate::positions::{Place, Wanted, positions};

/// Chunks that wait to be printed.
const CHUNKS_MAX: usize = 8;
const PARTITION_BYTES: i32 = 2 << 20;
const ANSWER_BYTES: i32 = 16 << 20;
/// How long a broker waits for a first byte.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// Before partitions are given out again after trouble.
const PAUSE: Duration = Duration::from_millis(100);
/// From version 13 on a topic goes by its id.
const BY_NAME_MAX: i16 = 12;

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

/// How a loop ended.
struct End {
    /// What it did not finish.
    targets: Vec<Target>,
    trouble: Option<CliError>,
    /// Whether it got an answer before.
    progressed: bool,
    /// Whether trying again may help.
    passes: bool,
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

async fn follow(
    brokers: Arc<Brokers>,
    leader: BrokerId,
    targets: Vec<Target>,
    options: Options,
    sender: Sender,
) -> End {
    let mut one = Loop { brokers: &brokers, options, sender, targets, strays: Vec::new(), progressed: false };
    let outcome = match brokers.connection(To::Broker(leader)).await {
        Ok(connection) => one.run(&connection).await,
        Err(error) => Err(Trouble { passes: error.exit() == Exit::Unreachable, error }),
    };
    let mut targets = one.targets;
    targets.append(&mut one.strays);
    let (trouble, passes) = match outcome {
        Ok(()) => (None, true),
        Err(trouble) => (Some(trouble.error), trouble.passes),
    };
    End { targets, trouble, progressed: one.progressed, passes }
}

struct Trouble {
    error: CliError,
    passes: bool,
}

impl<E: Into<CallError>> From<E> for Trouble {
    fn from(error: E) -> Trouble {
        let error = error.into();
        Trouble { passes: error.is_retriable(), error: error.into() }
    }
}

struct Loop<'a> {
    brokers: &'a Brokers,
    options: Options,
    sender: Sender,
    targets: Vec<Target>,
    /// What this broker does not lead any more.
    strays: Vec<Target>,
    progressed: bool,
}

impl Loop<'_> {
    /// Until all targets are done or have moved away.
    async fn run(&mut self, connection: &Connection) -> Result<(), Trouble> {
        let limit =
            if self.targets.iter().any(|target| target.topic_id.is_zero()) { BY_NAME_MAX } else { i16::MAX };
        let mut pending = connection.start_up_to(limit, &self.request()).await?;
        loop {
            let answer = pending.answer().await?;
            accepted(ApiKey::Fetch, answer.error_code, "all partitions", None)?;
            self.progressed = true;
            let chunks = self.take(answer).await?;
            self.targets.retain(|target| !target.is_done());
            let more = !self.targets.is_empty() && self.strays.is_empty();
            // The next bytes are on their way while these are printed.
            let next = if more { Some(connection.start_up_to(limit, &self.request()).await?) } else { None };
            for chunk in chunks {
                if self.sender.send(Ok(Event::Chunk(chunk))).await.is_err() {
                    self.targets.clear();
                    self.strays.clear();
                    return Ok(());
                }
            }
            match next {
                Some(next) => pending = next,
                None => return Ok(()),
            }
            if self.sender.is_closed() {
                self.targets.clear();
                return Ok(());
            }
        }
    }

    fn request(&mut self) -> FetchRequest {
        // Each partition comes first in turn: an answer may be full before it gets to the last.
        if !self.targets.is_empty() {
            self.targets.rotate_left(1);
        }
        let mut topics: Vec<FetchTopic> = Vec::new();
        for target in &self.targets {
            let partition = FetchPartition::default()
                .with_partition(target.partition)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(target.from)
                .with_log_start_offset(-1)
                .with_partition_max_bytes(PARTITION_BYTES);
            match topics.iter_mut().find(|topic| *topic.topic.0 == *target.topic) {
                Some(topic) => topic.partitions.push(partition),
                None => {
                    let mut topic = FetchTopic::default().with_topic(topic_name(&target.topic));
                    topic.topic_id = target.topic_id.0.to_vec().try_into().unwrap_or_default();
                    topic.partitions = vec![partition];
                    topics.push(topic);
                }
            }
        }
        let wait = WAIT_MAX.min(self.options.patience / 2);
        FetchRequest::default()
            .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(1)
            .with_max_bytes(ANSWER_BYTES)
            .with_isolation_level(i8::from(self.options.committed))
            .with_session_epoch(-1)
            .with_topics(topics)
    }

    async fn take(&mut self, answer: FetchResponse) -> Result<Vec<Chunk>, Trouble> {
        let mut chunks = Vec::new();
        for topic in answer.responses {
            for data in topic.partitions {
                let is_it = |target: &Target| {
                    target.partition == data.partition_index
                        && (*target.topic == **topic.topic || target.topic_id.0 == *topic.topic_id.as_bytes())
                };
                let Some(index) = self.targets.iter().position(is_it) else { continue };
                self.take_one(index, data, &mut chunks).await?;
            }
        }
        Ok(chunks)
    }

    async fn take_one(
        &mut self,
        index: usize,
        data: PartitionData,
        chunks: &mut Vec<Chunk>,
    ) -> Result<(), Trouble> {
        let Some(target) = self.targets.get_mut(index) else { return Ok(()) };
        match ErrorCode::from_code(data.error_code) {
            Some(ErrorCode::None) => {
                chunks.extend(target.advance(data)?);
                return Ok(());
            }
            Some(ErrorCode::OffsetOutOfRange) => {
                let note = move_into_range(self.brokers, target).await;
                let note = note.map_err(|error| Trouble { error, passes: true })?;
                self.sender.send(Ok(Event::Note(note))).await.ok();
                return Ok(());
            }
            _ => {}
        }
        let about = format!("{}-{}", target.topic, target.partition);
        match accepted(ApiKey::Fetch, data.error_code, about, None) {
            Err(error) if error.is_retriable() => {
                let stray = self.targets.swap_remove(index);
                self.strays.push(stray);
                Ok(())
            }
            outcome => Ok(outcome?),
        }
    }
}

/// Retention has deleted what was to be read next, or a crash has cut the end.
async fn move_into_range(brokers: &Brokers, target: &mut Target) -> Result<String, CliError> {
    let place = Place { topic: target.topic.to_string(), partition: target.partition };
    let asked = std::slice::from_ref(&place);
    let start = positions(brokers, asked, Wanted::Earliest).await?.get(&place).copied().flatten();
    let end = positions(brokers, asked, Wanted::Latest).await?.get(&place).copied().flatten();
    let (Some(start), Some(end)) = (start, end) else {
        return Err(CliError::new(Exit::Unreachable, format!("no leader answers for partition {place}")));
    };
    let was = target.from;
    target.from = was.clamp(start, end.max(start));
    Ok(format!("{place}: offset {was} is not there any more, going on at {}", target.from))
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
        }))
    }
}
