//! Fetch, key 1, versions 4–18.
//!
//! v5 log start offset · v7 sessions (KIP-227) · v9 leader epoch (KIP-320) · v10 zstd (KIP-110) · v11 rack (KIP-392) · v12 flexible, last
//! fetched epoch (KIP-595) · v13 topic ids (KIP-516) · v15 replica state (KIP-903) · v16 leader hints (KIP-951) · v17 directory id (KIP-853) ·
//! v18 high watermark (KIP-1166)
//!
//! The session yields a plan; each partition of it is read below its high watermark; when too little is there the request is parked
//! with every partition of the plan until one moves or `max_wait_ms` is over.

mod long_poll;
mod nearest;
mod read;

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use eddy_core::{
    FetchContext, FetchPartition as Planned, PartitionKey as PlannedKey, ReadResult, SessionRequest, TopicKey,
};
use eddy_types::{ErrorCode, LeaderEpoch, Offset, TopicId};
use eddy_wire::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse, NodeEndpoint,
};
use eddy_wire::{ApiKey, Decode, Reader, Str};
use tokio::time::Instant;

use self::long_poll::Wants;
use self::read::Read;
use super::Api;
use crate::brokers::LeaderHints;
use crate::call::Call;
use crate::dispatch::{DispatchError, encode};
use crate::error::KafkaCode;
use crate::pipeline::Answer;
use crate::quota::{FetchQuota, FetchVerdict, Meter, Pause};

pub(crate) const API: Api = Api::new(ApiKey::Fetch, 4, 18);

/// Topics are named by id from this version on.
const IDS_FROM: i16 = 13;
/// A follower names itself in a tagged field from this version on.
const REPLICA_STATE_FROM: i16 = 15;
/// A park is never longer, whatever the client asks: its connection would be taken for dead.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// The replica id with which a tool compares replicas (kafka-replica-verification).
const COMPARING: i32 = -2;
/// Session id and epoch of a request without a session; what versions before 7 mean.
const FINAL_EPOCH: i32 = -1;

pub(crate) fn handle(call: Call, mut reader: Reader) -> Result<Answer, DispatchError> {
    let request = FetchRequest::decode(&mut reader, call.version)?;
    drop(reader);
    Ok(Answer::Later(Box::pin(async move {
        let response = respond(&call, request).await;
        encode(call.api, call.version, call.correlation_id, &response).ok()
    })))
}

async fn respond(call: &Call, request: FetchRequest) -> FetchResponse {
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(WAIT_MAX);
    let replica =
        if call.version < REPLICA_STATE_FROM { request.replica_id } else { request.replica_state.replica_id };
    let quota = FetchQuota::of(call);
    let bytes_max = quota.as_ref().map_or(usize::MAX, FetchQuota::answer_bytes_max);
    let bytes_max = bytes_max.min(call.ctx.settings.fetch_bytes_max);
    let wants = Wants {
        max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(bytes_max),
        // More than may be sent at once would be waited for in vain.
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0).min(bytes_max),
        committed_only: match request.isolation_level {
            0 => false,
            1 => true,
            _ => return refuse(call, &request, ErrorCode::InvalidRequest),
        },
        as_follower: replica >= 0,
        to_compare: replica == COMPARING,
        rack: nearest::rack(call, &call.image(), &request),
        deadline: Instant::now() + wait,
    };
    let now = call.ctx.engine.clock().steady();
    let begun = call.ctx.sessions.lock().begin(now, session_request(call.version, request));
    let context = match begun {
        Ok(context) => context,
        Err(error) => {
            return FetchResponse { error_code: call.code(error.kafka_code()), ..FetchResponse::default() };
        }
    };
    let mut meter = Meter::start(call, &call.image());
    let reads = meter.time(long_poll::read_until_enough(call, &context, &wants)).await;
    let bytes = reads.iter().map(|read| read.bytes).sum();
    let verdict = quota.as_ref().map_or(FetchVerdict::Send(Pause::NONE), |quota| quota.record(bytes));
    match (verdict, meter.pause()) {
        (FetchVerdict::Send(pause), Pause::NONE) => {
            let throttle_time_ms = call.ctx.quotas.enforce(call, pause);
            FetchResponse { throttle_time_ms, ..finish(call, &context, reads) }
        }
        (FetchVerdict::Send(pause), over_time) => {
            if let Some(quota) = quota {
                quota.unrecord(bytes);
            }
            withhold(call, &context, pause.max(over_time))
        }
        (FetchVerdict::Withhold(pause), over_time) => withhold(call, &context, pause.max(over_time)),
    }
}

/// The answer to a client over its quota: no records, and the time to wait for them.
fn withhold(call: &Call, context: &FetchContext, pause: Pause) -> FetchResponse {
    FetchResponse {
        throttle_time_ms: call.ctx.quotas.enforce(call, pause),
        session_id: context.session_of_empty_answer(),
        ..FetchResponse::default()
    }
}

/// The answer to a request that makes no sense. Versions with topic ids have the code at the top alone, as in Kafka.
fn refuse(call: &Call, request: &FetchRequest, code: ErrorCode) -> FetchResponse {
    let mut response = FetchResponse { error_code: call.code(code), ..FetchResponse::default() };
    if call.version < IDS_FROM {
        let refused = |partition: &FetchPartition| {
            Read::failed(call, &planned(TopicKey::Id(TopicId::ZERO), partition), code).data
        };
        let topics = request.topics.iter().map(|topic| FetchableTopicResponse {
            topic: Str::from(topic.topic.as_str()),
            partitions: topic.partitions.iter().map(refused).collect(),
            ..FetchableTopicResponse::default()
        });
        response.responses = topics.collect();
    }
    response
}

fn session_request(version: i16, request: FetchRequest) -> SessionRequest {
    let uses_topic_ids = version >= IDS_FROM;
    let topic_key = |name: &Str, id: TopicId| {
        if uses_topic_ids { TopicKey::Id(id) } else { TopicKey::Name(Arc::from(name.as_str())) }
    };
    let partitions = request.topics.iter().flat_map(|topic| {
        let key = topic_key(&topic.topic, topic.topic_id);
        topic.partitions.iter().map(move |partition| planned(key.clone(), partition))
    });
    let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| {
        let key = topic_key(&topic.topic, topic.topic_id);
        topic.partitions.iter().map(move |&partition| PlannedKey { topic: key.clone(), partition })
    });
    SessionRequest {
        session_id: request.session_id,
        session_epoch: if version < 7 { FINAL_EPOCH } else { request.session_epoch },
        uses_topic_ids,
        from_follower: false,
        partitions: last_of_each(partitions),
        forgotten: forgotten.collect(),
    }
}

/// A partition named twice is read once, at its first place and as it was named last: so Kafka reads its map.
fn last_of_each(asked: impl Iterator<Item = Planned>) -> Vec<Planned> {
    let mut partitions: Vec<Planned> = Vec::new();
    let mut places = AHashMap::new();
    for partition in asked {
        match places.entry(partition.key.clone()) {
            Entry::Vacant(place) => {
                place.insert(partitions.len());
                partitions.push(partition);
            }
            Entry::Occupied(place) => {
                if let Some(known) = partitions.get_mut(*place.get()) {
                    *known = partition;
                }
            }
        }
    }
    partitions
}

fn planned(topic: TopicKey, partition: &FetchPartition) -> Planned {
    Planned {
        key: PlannedKey { topic, partition: partition.partition },
        fetch_offset: Offset(partition.fetch_offset),
        max_bytes: partition.partition_max_bytes,
        leader_epoch: LeaderEpoch(partition.current_leader_epoch),
        last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
        log_start: Offset(partition.log_start_offset),
    }
}

fn finish(call: &Call, context: &FetchContext, reads: Vec<Read>) -> FetchResponse {
    let results: Vec<ReadResult> = reads.iter().map(Read::result).collect();
    let finished = {
        let mut sessions = call.ctx.sessions.lock();
        let finished =
            sessions.finish(call.ctx.engine.clock().steady(), context, &results, fresh_session_id());
        call.ctx.metrics.fetch_sessions.set(i64::try_from(sessions.len()).unwrap_or(i64::MAX));
        finished
    };
    let answer = match finished {
        Ok(answer) => answer,
        Err(error) => {
            return FetchResponse { error_code: call.code(error.kafka_code()), ..FetchResponse::default() };
        }
    };
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    let mut last_topic: Option<&TopicKey> = None;
    let mut bytes = 0;
    let shown =
        context.plan.iter().zip(reads).zip(answer.shown).filter_map(|(read, shown)| shown.then_some(read));
    let (unknown, read): (Vec<_>, Vec<_>) = shown.partition(|(_, read)| read.unknown);
    let mut hints = LeaderHints::new(call);
    // As Kafka: what was read first, what does not exist last.
    for (planned, mut read) in read.into_iter().chain(unknown) {
        bytes += read.bytes;
        read.hint(call, &mut hints, &planned.key);
        if last_topic != Some(&planned.key.topic) {
            last_topic = Some(&planned.key.topic);
            responses.push(named(&planned.key.topic));
        }
        if let Some(topic) = responses.last_mut() {
            topic.partitions.push(read.data);
        }
    }
    call.ctx.metrics.fetched_bytes.inc_by(bytes as u64);
    let node_endpoints = hints.addresses().into_iter().map(|address| NodeEndpoint {
        node_id: address.broker.0,
        host: address.host.into(),
        port: i32::from(address.port),
        rack: address.rack.map(Str::from),
    });
    FetchResponse {
        session_id: answer.session_id,
        responses,
        node_endpoints: node_endpoints.collect(),
        ..FetchResponse::default()
    }
}

fn named(topic: &TopicKey) -> FetchableTopicResponse {
    match topic {
        TopicKey::Id(id) => FetchableTopicResponse { topic_id: *id, ..FetchableTopicResponse::default() },
        TopicKey::Name(name) => {
            FetchableTopicResponse { topic: Str::from(&**name), ..FetchableTopicResponse::default() }
        }
    }
}

/// Where the search for a free session id starts; without random numbers it starts at 1, which only makes ids guessable.
fn fresh_session_id() -> u32 {
    getrandom::u32().unwrap_or(1)
}
