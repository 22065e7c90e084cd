//! Writing to one partition: batches in order, several under way, sent again when that may help.
//!
//! With acknowledgement by all replicas the batches are numbered (KIP-98), so that one sent twice is written once. Without numbers a batch
//! whose answer was lost may be written twice.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_batch::BatchBuilder;
use eddy_client::{
    Acknowledged, Acks, CallError, Connection, PartitionName, ProducerIdentity, SEQUENCED_IN_FLIGHT_MAX,
};
use eddy_types::{ErrorCode, Offset};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use crate::brokers::{Brokers, To};
use crate::error::{CliError, Exit};

/// Before batches are sent again.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A batch to be written.
pub(super) struct Load {
    pub(super) builder: BatchBuilder,
    /// Its share of the memory that all lanes may use.
    pub(super) room: OwnedSemaphorePermit,
}

/// How batches are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) acks: Acks,
    pub(super) identity: Option<ProducerIdentity>,
    /// How long one batch may take, attempts and pauses included.
    pub(super) patience: Duration,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) records: i64,
    pub(super) bytes: u64,
    /// First offset of the first batch and last of the last, where the broker told.
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
}

/// The end of a lane: what was written, also when not all was.
pub(super) struct Outcome {
    pub(super) partition: PartitionName,
    pub(super) written: Written,
    pub(super) error: Option<CliError>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Acknowledged, CallError>> + Send>>;

struct Numbered {
    bytes: Bytes,
    records: i32,
    deadline: Instant,
    _room: OwnedSemaphorePermit,
}

struct Lane {
    brokers: Arc<Brokers>,
    partition: PartitionName,
    options: Options,
    next_sequence: i32,
    /// Sent and not acknowledged, in order.
    unacknowledged: VecDeque<Numbered>,
    /// Their answers.
    answers: VecDeque<Answer>,
    /// To the leader, until something fails: batches under way arrive in order only over one connection.
    connection: Option<Arc<Connection>>,
    written: Written,
}

/// Writes what comes until the sender is dropped.
pub(super) async fn run(
    brokers: Arc<Brokers>,
    partition: PartitionName,
    options: Options,
    mut loads: mpsc::Receiver<Load>,
) -> Outcome {
    let mut lane = Lane {
        brokers,
        partition,
        options,
        next_sequence: 0,
        unacknowledged: VecDeque::new(),
        answers: VecDeque::new(),
        connection: None,
        written: Written::default(),
    };
    let error = lane.write_all(&mut loads).await.err();
    Outcome { partition: lane.partition, written: lane.written, error }
}

impl Lane {
    async fn write_all(&mut self, loads: &mut mpsc::Receiver<Load>) -> Result<(), CliError> {
        loop {
            let has_room = self.answers.len() < SEQUENCED_IN_FLIGHT_MAX;
            tokio::select! {
                answer = async { Some(self.answers.front_mut()?.await) }, if !self.answers.is_empty() => {
                    self.answers.pop_front();
                    if let Some(answer) = answer {
                        self.settle(answer).await?;
                    }
                }
                load = loads.recv(), if has_room => match load {
                    Some(load) => self.add(load).await?,
                    None => break,
                }
            }
        }
        while let Some(answer) = self.answers.pop_front() {
            self.settle(answer.await).await?;
        }
        Ok(())
    }

    async fn add(&mut self, load: Load) -> Result<(), CliError> {
        let records = load.builder.len();
        let mut builder = load.builder;
        if let Some(identity) = self.options.identity {
            builder = builder.producer(identity.id, identity.epoch, self.next_sequence);
            // After 2^31 - 1 comes 0.
            self.next_sequence = self.next_sequence.wrapping_add(records) & i32::MAX;
        }
        let built = builder.build();
        let bytes =
            built.map_err(|error| CliError::new(Exit::Failed, format!("cannot build a batch: {error}")))?;
        let deadline = Instant::now() + self.options.patience;
        self.unacknowledged.push_back(Numbered { bytes, records, deadline, _room: load.room });
        match self.send(self.unacknowledged.len() - 1).await {
            Ok(()) => Ok(()),
            Err(error) => self.send_again(error).await,
        }
    }

    /// Sends one of the batches without an acknowledgement.
    async fn send(&mut self, index: usize) -> Result<(), CallError> {
        let Some(batch) = self.unacknowledged.get(index) else { return Ok(()) };
        let connection = match &self.connection {
            Some(connection) => Arc::clone(connection),
            None => match self.brokers.connection(To::Leader(&self.partition)).await {
                Ok(connection) => Arc::clone(self.connection.insert(connection)),
                // Kept as a code, so that it is tried again until the deadline.
                Err(error) => return Err(unreachable_leader(&self.partition, &error)),
            },
        };
        let (acks, timeout) = (self.options.acks, self.options.patience);
        let pending = connection.start_produce(&self.partition, acks, timeout, batch.bytes.clone()).await?;
        self.answers.push_back(Box::pin(async move {
            // The connection lives as long as somebody waits for an answer.
            let _connection = connection;
            pending.acknowledged().await
        }));
        Ok(())
    }

    async fn settle(&mut self, answer: Result<Acknowledged, CallError>) -> Result<(), CliError> {
        let base_offset = match answer {
            Ok(acknowledged) => acknowledged.base_offset,
            Err(error) if is_duplicate(&error) => Offset::NONE,
            Err(error) => return self.send_again(error).await,
        };
        self.acknowledge(base_offset);
        Ok(())
    }

    fn acknowledge(&mut self, base: Offset) {
        let Some(batch) = self.unacknowledged.pop_front() else { return };
        self.written.records += i64::from(batch.records);
        self.written.bytes += batch.bytes.len() as u64;
        if base != Offset::NONE {
            self.written.first.get_or_insert(base.0);
            self.written.last = Some(base.0 + i64::from(batch.records) - 1);
        }
    }

    /// The oldest batch was not written. Those behind it are refused too, or come out of order: all are sent again, one after the other,
    /// until the oldest is through.
    async fn send_again(&mut self, mut error: CallError) -> Result<(), CliError> {
        let mut pause = PAUSE_FIRST;
        while let Some(answer) = self.answers.pop_front() {
            answer.await.ok();
        }
        while let Some(oldest) = self.unacknowledged.front() {
            if !error.is_retriable() || Instant::now() + pause >= oldest.deadline {
                return Err(self.refusal(error));
            }
            self.brokers.say(|| format!("{}: again in {pause:?}: {error}", self.partition));
            self.connection = None;
            self.brokers.forget(To::Leader(&self.partition)).await;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            match self.send_in_turn().await {
                Ok(()) => return Ok(()),
                Err(next) => error = next,
            }
        }
        Ok(())
    }

    async fn send_in_turn(&mut self) -> Result<(), CallError> {
        while !self.unacknowledged.is_empty() {
            self.send(0).await?;
            let Some(answer) = self.answers.pop_front() else { return Ok(()) };
            match answer.await {
                Ok(acknowledged) => self.acknowledge(acknowledged.base_offset),
                Err(error) if is_duplicate(&error) => self.acknowledge(Offset::NONE),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn refusal(&self, error: CallError) -> CliError {
        let code = error.code();
        let topic = &self.partition.topic;
        let error = CliError::from(error).during(format!("cannot write to {}", self.partition));
        match code {
            Some(ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge) => {
                error.fix("--batch-bytes 100000", "send smaller batches").fix(
                    format!("eddy topic alter {topic} --set max.message.bytes=N"),
                    "let the topic take larger ones",
                )
            }
            Some(ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend) => {
                error.fix(format!("eddy topic describe {topic}"), "see which replicas are out of sync")
            }
            _ => error,
        }
    }
}

fn is_duplicate(error: &CallError) -> bool {
    error.code() == Some(ErrorCode::DuplicateSequenceNumber)
}

fn unreachable_leader(partition: &PartitionName, error: &CliError) -> CallError {
    CallError::Refused {
        api: eddy_client::messages::ApiKey::Produce as i16,
        code: ErrorCode::LeaderNotAvailable as i16,
        about: partition.to_string(),
        message: error.message().to_owned(),
    }
}
