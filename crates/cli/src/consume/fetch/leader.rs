//! The loop that fetches from one leader.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eddy_client::messages::fetch_request::{FetchPartition, FetchTopic};
use eddy_client::messages::fetch_response::PartitionData;
use eddy_client::messages::{ApiKey, FetchRequest, FetchResponse};
use eddy_client::{CallError, Connection, Pending, RequestError, accepted};
use eddy_types::{BrokerId, ErrorCode};

use super::{Chunk, Event, Options, Sender, Target};
use crate::brokers::{Brokers, To, topic_name};
use crate::error::{CliError, Exit};
use crate::positions::{Place, Wanted, positions};

const PARTITION_BYTES: i32 = 2 << 20;
const ANSWER_BYTES: i32 = 16 << 20;
/// How long a broker waits for a first byte.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// From version 13 on a topic goes by its id.
const BY_NAME_MAX: i16 = 12;

/// How a loop ended.
pub(super) struct End {
    /// What it did not finish.
    pub(super) targets: Vec<Target>,
    pub(super) trouble: Option<CliError>,
    /// Whether it got an answer before.
    pub(super) progressed: bool,
    /// Whether trying again may help.
    pub(super) passes: bool,
}

/// Fetches until all targets are done or have moved away, or until there is trouble.
pub(super) async fn follow(
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
        let mut answered = timed(connection.start_up_to(limit, &self.request()).await?).await;
        loop {
            let (answer, took) = answered?;
            accepted(ApiKey::Fetch, answer.error_code, "all partitions", None)?;
            self.progressed = true;
            let mut chunks = self.take(answer).await?;
            if let Some(first) = chunks.first_mut() {
                first.took = Some(took);
            }
            self.targets.retain(|target| !target.is_done());
            let more = !self.targets.is_empty() && self.strays.is_empty();
            // The next bytes are on their way while these are printed.
            let next = if more { Some(connection.start_up_to(limit, &self.request()).await?) } else { None };
            let following = async { Some(timed(next?).await) };
            let ((), following) = tokio::join!(self.hand_over(chunks), following);
            if self.sender.is_closed() {
                self.targets.clear();
                self.strays.clear();
                return Ok(());
            }
            match following {
                Some(following) => answered = following,
                None => return Ok(()),
            }
        }
    }

    async fn hand_over(&self, chunks: Vec<Chunk>) {
        for chunk in chunks {
            if self.sender.send(Ok(Event::Chunk(chunk))).await.is_err() {
                return;
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

/// The answer, and how long it took to come, however long it waits to be read.
async fn timed(pending: Pending<FetchRequest>) -> Result<(FetchResponse, Duration), RequestError> {
    let asked = Instant::now();
    let answer = pending.answer().await?;
    Ok((answer, asked.elapsed()))
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
