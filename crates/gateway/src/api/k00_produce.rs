//! Produce, key 0, versions 3–13.
//!
//! v3 record batches v2 and transactions (KIP-98) · v5 log start offset · v7 zstd (KIP-110) · v8 record errors and a message
//! (KIP-467) · v9 flexible · v10 leader hints (KIP-951) · v11 abortable errors, v12 implicit partition add (KIP-890) · v13 topic ids
//! (KIP-516)
//!
//! Two phases: everything is validated and appended in request order before the next request of the connection starts; the answer
//! comes when the batches are acknowledged.
//!
//! Not served: message sets (v0–2), which Kafka 4 does not serve either; transactions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eddy_batch::{Accepted, Compression, Rejected, validate};
use eddy_core::Acks;
use eddy_engine::{AckGroup, AckResult, AppendError, NewBatch, Partition, PartitionError, PartitionKey};
use eddy_metadata::Image;
use eddy_types::{ErrorCode, Millis, TopicId};
use eddy_wire::messages::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceData, PartitionProduceResponse,
    ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use eddy_wire::{ApiKey, Decode, Reader, Records, Str};
use tokio::time::Instant;

use super::Api;
use crate::call::Call;
use crate::dispatch::{DispatchError, encode};
use crate::error::KafkaCode;
use crate::pipeline::Answer;
use crate::resolve;
use crate::rules::batch_rules;

pub(crate) const API: Api = Api::new(ApiKey::Produce, 3, 13);

/// zstd may be sent from this version on.
const ZSTD_FROM: i16 = 7;
/// Topics are named by id from this version on.
const IDS_FROM: i16 = 13;
/// Batches that are admitted to the write-ahead log at once; a request with more is admitted in parts.
const ADMIT_AT_ONCE: usize = 256;

/// What became of one partition of the request before anything waits.
enum Begun {
    /// Handed to the log: its result is number `ack` of the ack group.
    Appended { partition: Arc<Partition>, log_append_time: Millis, ack: usize },
    /// Refused.
    Failed(Failure),
}

/// A refusal on its way into the answer.
struct Failure {
    code: ErrorCode,
    message: Option<String>,
    records: Vec<BatchIndexAndErrorMessage>,
    leader: LeaderIdAndEpoch,
}

/// A batch that is valid and has a partition.
struct Ready {
    slot: usize,
    partition: Arc<Partition>,
    accepted: Accepted,
}

/// A topic's place in the answer: how it was named, and the indexes of its partitions.
struct TopicPlace {
    name: Str,
    id: TopicId,
    partitions: Vec<i32>,
}

pub(crate) async fn handle(call: Call, mut reader: Reader) -> Result<Answer, DispatchError> {
    let request = ProduceRequest::decode(&mut reader, call.version)?;
    drop(reader);
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let deadline = Instant::now() + timeout;
    let acks = Acks::try_from(request.acks);
    let refuse_all = match (&acks, &request.transactional_id) {
        //
        (Err(_), _) => Some(ErrorCode::InvalidRequiredAcks),
        // No coordinator has given out this transactional id.
        (_, Some(_)) => Some(ErrorCode::InvalidTxnState),
        _ => None,
    };
    let acks = acks.unwrap_or(Acks::Leader);
    let (places, entries) = take_apart(request, call.version >= IDS_FROM);
    let mut begun: Vec<Option<Begun>> = Vec::with_capacity(entries.len());
    let mut ready = Vec::new();
    let image = call.image();
    let now = call.ctx.engine.now();
    let duplicates = duplicate_entries(&entries);
    for (slot, (topic, data)) in entries.into_iter().enumerate() {
        let checked = match refuse_all {
            Some(code) => Err(Failure::of(code)),
            None if duplicates.contains(&slot) => Err(Failure::of(ErrorCode::InvalidRecord)),
            None => check(&call, &image, &places, topic, data, now).await,
        };
        match checked {
            Ok((partition, accepted)) => {
                ready.push(Ready { slot, partition, accepted });
                begun.push(None);
            }
            Err(failure) => begun.push(Some(Begun::Failed(failure))),
        }
    }
    let group = AckGroup::new(ready.len());
    append_all(&call, acks, now, ready, &group, &mut begun, deadline).await;
    let begun: Vec<Begun> = begun.into_iter().flatten().collect();
    if acks == Acks::None && refuse_all.is_none() {
        return match begun.iter().find_map(Begun::failure) {
            // there is no answer to carry the error; closing makes the client look at the metadata again.
            Some(code) => Err(DispatchError::UnacknowledgedProduce(code)),
            None => Ok(Answer::Nothing),
        };
    }
    Ok(Answer::Later(Box::pin(async move {
        let results = group.wait(deadline).await;
        let response = respond(&call, places, begun, results);
        encode(call.api, call.version, call.correlation_id, &response).ok()
    })))
}

/// Flattens the request; nothing of it survives but the names and the record bytes, so that a lone batch owns its frame.
fn take_apart(request: ProduceRequest, by_id: bool) -> (Vec<TopicPlace>, Vec<(usize, PartitionProduceData)>) {
    let mut places = Vec::with_capacity(request.topic_data.len());
    let mut entries = Vec::new();
    for (at, topic) in request.topic_data.into_iter().enumerate() {
        places.push(TopicPlace {
            // A copy: the name would otherwise hold the frame.
            name: if by_id { Str::default() } else { Str::from(topic.name.as_str()) },
            id: topic.topic_id,
            partitions: topic.partition_data.iter().map(|data| data.index).collect(),
        });
        entries.extend(topic.partition_data.into_iter().map(|data| (at, data)));
    }
    (places, entries)
}

/// Slots of partitions that the request names more than once.
fn duplicate_entries(entries: &[(usize, PartitionProduceData)]) -> Vec<usize> {
    if entries.len() < 2 {
        return Vec::new();
    }
    let mut seen = ahash::AHashSet::with_capacity(entries.len());
    let again =
        |(_, (topic, data)): &(usize, &(usize, PartitionProduceData))| !seen.insert((*topic, data.index));
    entries.iter().enumerate().filter(again).map(|(slot, _)| slot).collect()
}

/// Finds the partition and validates the batch (R-3.2, R-3.3, R-3.5… ).
async fn check(
    call: &Call,
    image: &Image,
    places: &[TopicPlace],
    topic: usize,
    data: PartitionProduceData,
    now: Millis,
) -> Result<(Arc<Partition>, Accepted), Failure> {
    let place = places.get(topic).ok_or_else(|| Failure::of(ErrorCode::UnknownTopicOrPartition))?;
    let topic =
        resolve::topic(image, call.version >= IDS_FROM, place.id, &place.name).map_err(Failure::of)?;
    let key = PartitionKey { topic: topic.id, index: data.index };
    let partition = call.ctx.engine.partition(image, key).await?;
    let records = data.records.map(Records::into_bytes).unwrap_or_else(Bytes::new);
    let accepted = validate(records, &batch_rules(&topic.config, now))?;
    if accepted.codec == Compression::Zstd && call.version < ZSTD_FROM {
        return Err(Failure::of(ErrorCode::UnsupportedCompressionType));
    }
    if accepted.facts.transactional {
        return Err(Failure::of(ErrorCode::InvalidTxnState));
    }
    Ok((partition, accepted))
}

/// Appends in request order, waiting for room in the write-ahead log.
async fn append_all(
    call: &Call,
    acks: Acks,
    now: Millis,
    ready: Vec<Ready>,
    group: &Arc<AckGroup>,
    begun: &mut [Option<Begun>],
    deadline: Instant,
) {
    let frame_bytes = call.frame_bytes;
    let lone = ready.len() == 1;
    let mut ready = ready.into_iter().enumerate();
    loop {
        let part: Vec<(usize, Ready)> = ready.by_ref().take(ADMIT_AT_ONCE).collect();
        if part.is_empty() {
            return;
        }
        let bytes = part.iter().map(|(_, one)| one.accepted.bytes.len()).sum();
        let batches = u32::try_from(part.len()).unwrap_or(u32::MAX);
        let mut room = match call.ctx.engine.admit(batches, bytes, deadline).await {
            Ok(room) => room,
            Err(error) => {
                for (ack, one) in part {
                    // Nothing will come for it; a dropped token says so.
                    drop(group.token(ack));
                    set(begun, one.slot, Begun::Failed(error.clone().into()));
                }
                continue;
            }
        };
        for (ack, Ready { slot, partition, accepted }) in part {
            let (records, size) = (accepted.facts.records, accepted.bytes.len());
            let log_append_time = accepted.log_append_time;
            let batch = NewBatch {
                facts: accepted.facts,
                charge: if lone { frame_bytes } else { size },
                bytes: accepted.bytes,
            };
            let token = (acks != Acks::None).then(|| group.token(ack));
            let share = room.take_one(size);
            match partition.append(now, acks, batch, Some(share), token) {
                Ok(()) => {
                    let metrics = call.ctx.metrics;
                    metrics.produced_records.inc_by(u64::from(records.unsigned_abs()));
                    metrics.produced_bytes.inc_by(size as u64);
                    metrics.batch_records.observe(f64::from(records));
                    set(begun, slot, Begun::Appended { partition, log_append_time, ack });
                }
                Err(error) => set(begun, slot, Begun::Failed(error.into())),
            }
        }
    }
}

fn set(begun: &mut [Option<Begun>], slot: usize, value: Begun) {
    if let Some(place) = begun.get_mut(slot) {
        *place = Some(value);
    }
}

fn respond(
    call: &Call,
    places: Vec<TopicPlace>,
    begun: Vec<Begun>,
    mut results: Vec<Option<AckResult>>,
) -> ProduceResponse {
    let mut outcomes = begun.into_iter().map(|begun| match begun {
        Begun::Appended { ack, .. } => {
            let result = results.get_mut(ack).and_then(Option::take);
            (begun, result)
        }
        Begun::Failed(_) => (begun, None),
    });
    let mut responses = Vec::with_capacity(places.len());
    for place in places {
        let mut partition_responses = Vec::with_capacity(place.partitions.len());
        for index in place.partitions {
            let mut response = match outcomes.next() {
                Some((Begun::Failed(failure), _)) => failure.into_response(call),
                Some((Begun::Appended { partition, log_append_time, .. }, Some(Ok(range)))) => {
                    PartitionProduceResponse {
                        base_offset: range.start.0,
                        log_append_time_ms: log_append_time.0,
                        log_start_offset: partition.offsets().log_start.0,
                        ..PartitionProduceResponse::default()
                    }
                }
                Some((Begun::Appended { .. }, Some(Err(error)))) => Failure::from(error).into_response(call),
                Some((Begun::Appended { .. }, None)) | None => Failure::timed_out().into_response(call),
            };
            response.index = index;
            partition_responses.push(response);
        }
        responses.push(TopicProduceResponse { name: place.name, topic_id: place.id, partition_responses });
    }
    ProduceResponse { responses, ..ProduceResponse::default() }
}

impl Begun {
    fn failure(&self) -> Option<ErrorCode> {
        match self {
            Begun::Failed(failure) => Some(failure.code),
            Begun::Appended { .. } => None,
        }
    }
}

impl Failure {
    fn of(code: ErrorCode) -> Failure {
        Failure { code, message: None, records: Vec::new(), leader: LeaderIdAndEpoch::default() }
    }

    /// The batch is in the log, but its acknowledgement did not come in time.
    fn timed_out() -> Failure {
        Failure {
            message: Some(
                "the batch was written, but not acknowledged within the request's timeout".to_owned(),
            ),
            ..Failure::of(ErrorCode::RequestTimedOut)
        }
    }

    /// offsets and times of a failure are -1.
    fn into_response(self, call: &Call) -> PartitionProduceResponse {
        PartitionProduceResponse {
            error_code: call.code(self.code),
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: self.records,
            error_message: self.message.map(Str::from),
            current_leader: self.leader,
            ..PartitionProduceResponse::default()
        }
    }
}

impl From<PartitionError> for Failure {
    fn from(error: PartitionError) -> Failure {
        let mut failure = Failure::of(error.kafka_code());
        match error {
            PartitionError::NotLeader { leader, epoch } => {
                failure.leader = LeaderIdAndEpoch { leader_id: leader.0, leader_epoch: epoch.0 };
            }
            PartitionError::Offline(_) => failure.message = Some(error.to_string()),
            PartitionError::Unknown => {}
        }
        failure
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Failure {
        Failure { message: Some(error.to_string()), ..Failure::of(error.kafka_code()) }
    }
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Failure {
        let records = rejected.records.into_iter().map(|record| BatchIndexAndErrorMessage {
            batch_index: record.index,
            batch_index_error_message: Some(record.message.into()),
        });
        Failure { records: records.collect(), message: Some(rejected.message), ..Failure::of(rejected.code) }
    }
}
