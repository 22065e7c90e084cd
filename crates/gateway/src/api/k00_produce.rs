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

mod append;
mod check;
mod failure;

use std::sync::Arc;
use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use eddy_core::Acks;
use eddy_engine::{AckGroup, AckResult, Partition};
use eddy_types::{ErrorCode, Millis, TopicId};
use eddy_wire::messages::produce::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceResponse,
};
use eddy_wire::{ApiKey, Decode, Reader, Str};
use tokio::time::Instant;

use self::append::{Appending, Ready};
use self::check::{Checks, writes_in_transaction};
use self::failure::Failure;
use super::Api;
use crate::brokers::{LeaderHints, TopicRef};
use crate::call::Call;
use crate::dispatch::{DispatchError, encode};
use crate::pipeline::Answer;
use crate::quota::{Meter, Pause};

pub(crate) const API: Api = Api::new(ApiKey::Produce, 3, 13);

/// Topics are named by id from this version on.
const IDS_FROM: i16 = 13;
/// The answer can carry a leader from this version on.
const LEADER_FROM: i16 = 10;
/// Least time an acknowledgement is waited for. In Kafka a write to a lone replica is answered at once, whatever timeout the
/// client gives, 0 and below included; here it waits for the disk first.
const ACK_WAIT_MIN: Duration = Duration::from_secs(1);

/// What became of one partition of the request before anything waits.
enum Begun {
    /// Handed to the log: its result is number `ack` of the ack group.
    Appended { partition: Arc<Partition>, log_append_time: Millis, ack: usize },
    /// Refused.
    Failed(Failure),
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
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0)).max(ACK_WAIT_MIN);
    let deadline = Instant::now() + timeout;
    let acks = Acks::try_from(request.acks).ok();
    // without a transactional id nobody may write in a transaction, and then nothing of the request is written.
    let unauthorized =
        request.transactional_id.is_none() && request.topic_data.iter().any(writes_in_transaction);
    let (places, entries) = take_apart(request, call.version >= IDS_FROM);
    let mut begun: Vec<Option<Begun>> = Vec::with_capacity(entries.len());
    let mut ready = Vec::new();
    let image = call.image();
    let now = call.ctx.engine.now();
    let repeated = repeated_entries(&places, &entries);
    let mut meter = Meter::start(&call, &image);
    let checks = Checks { call: &call, image: &image, places: &places, acks, now };
    for (slot, (topic, data)) in entries.into_iter().enumerate() {
        let checked = if unauthorized {
            Err(Failure::of(ErrorCode::TransactionalIdAuthorizationFailed))
        } else if repeated.contains(&slot) {
            Err(Failure::of(ErrorCode::InvalidRecord).because("the request names the partition twice"))
        } else {
            meter.time(checks.check(topic, data)).await
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
    let appending = Appending {
        call: &call,
        acks: acks.unwrap_or(Acks::Leader),
        group: &group,
        deadline,
        in_place: call.alone && !meter.is_running(),
    };
    meter.time(appending.append_all(ready, &mut begun)).await;
    let begun: Vec<Begun> = begun.into_iter().flatten().collect();
    // As in Kafka, what has no answer is not limited in time.
    let over_time = if acks == Some(Acks::None) { Pause::NONE } else { meter.pause() };
    let pause = call.ctx.quotas.produced(&call, &image, call.frame_bytes).max(over_time);
    let throttle_time_ms = call.ctx.quotas.enforce(&call, pause);
    if acks == Some(Acks::None) {
        return match begun.iter().find_map(Begun::failure) {
            // there is no answer to carry the error; closing makes the client look at the metadata again.
            Some(code) => Err(DispatchError::UnacknowledgedProduce(code)),
            None => Ok(Answer::Nothing),
        };
    }
    Ok(Answer::Later(Box::pin(async move {
        let results = group.wait(deadline).await;
        let response = ProduceResponse { throttle_time_ms, ..respond(&call, places, begun, results) };
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

/// Slots of partitions that the request names more than once: nothing of them is written.
fn repeated_entries(places: &[TopicPlace], entries: &[(usize, PartitionProduceData)]) -> AHashSet<usize> {
    let mut repeated = AHashSet::new();
    if entries.len() < 2 {
        return repeated;
    }
    let mut seen = AHashMap::with_capacity(entries.len());
    for (slot, (topic, data)) in entries.iter().enumerate() {
        let Some(place) = places.get(*topic) else { continue };
        if let Some(first) = seen.insert((place.name.as_str(), place.id, data.index), slot) {
            repeated.extend([first, slot]);
        }
    }
    repeated
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
    let mut hints = LeaderHints::new(call);
    let mut responses = Vec::with_capacity(places.len());
    for place in places {
        let mut partition_responses = Vec::with_capacity(place.partitions.len());
        let topic = if place.id.is_zero() { TopicRef::Name(&place.name) } else { TopicRef::Id(place.id) };
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
                Some((Begun::Appended { partition, .. }, None)) => {
                    Failure::timed_out(&partition).into_response(call)
                }
                None => Failure::of(ErrorCode::RequestTimedOut).into_response(call),
            };
            response.index = index;
            let code = ErrorCode::NotLeaderOrFollower;
            if call.version >= LEADER_FROM
                && response.error_code == code.code()
                && let Some((leader, epoch)) = hints.leader(topic, index, code)
            {
                response.current_leader = LeaderIdAndEpoch { leader_id: leader.0, leader_epoch: epoch.0 };
            }
            partition_responses.push(response);
        }
        // As Kafka, which groups its answer by what it has an answer for.
        if !partition_responses.is_empty() {
            responses.push(TopicProduceResponse {
                name: place.name,
                topic_id: place.id,
                partition_responses,
            });
        }
    }
    let node_endpoints = hints.addresses().into_iter().map(|address| NodeEndpoint {
        node_id: address.broker.0,
        host: address.host.into(),
        port: i32::from(address.port),
        rack: address.rack.map(Str::from),
    });
    ProduceResponse { responses, node_endpoints: node_endpoints.collect(), ..ProduceResponse::default() }
}

impl Begun {
    fn failure(&self) -> Option<ErrorCode> {
        match self {
            Begun::Failed(failure) => Some(failure.code),
            Begun::Appended { .. } => None,
        }
    }
}
