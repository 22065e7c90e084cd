//! Fetch, key 1, versions 4–18.
//!
//! v5 log start offset · v7 sessions (KIP-227) · v9 leader epoch (KIP-320) · v10 zstd (KIP-110) · v11 rack (KIP-392) · v12 flexible, last
//! fetched epoch (KIP-595) · v13 topic ids (KIP-516) · v15 replica state (KIP-903) · v16 leader hints (KIP-951) · v17 directory id (KIP-853) ·
//! v18 high watermark (KIP-1166)
//!
//! The session yields a plan; each partition of it is read below its high watermark; when too little is there the request is parked
//! with every partition of the plan until one moves or `max_wait_ms` is over.

use std::sync::Arc;
use std::time::Duration;

use eddy_core::{
    FetchContext, FetchPartition as Planned, PartitionKey as PlannedKey, ReadResult, SessionRequest, TopicKey,
};
use eddy_engine::{FetchWaiter, Partition, PartitionError, PartitionKey, PartitionRead, ReadRequest};
use eddy_metadata::Image;
use eddy_types::{ErrorCode, LeaderEpoch, Offset, TopicId};
use eddy_wire::messages::fetch::{
    EpochEndOffset, FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch,
    PartitionData,
};
use eddy_wire::{ApiKey, Decode, Reader, Records, Str};
use tokio::time::Instant;

use super::Api;
use crate::call::Call;
use crate::dispatch::{DispatchError, encode};
use crate::error::KafkaCode;
use crate::pipeline::Answer;
use crate::resolve;

pub(crate) const API: Api = Api::new(ApiKey::Fetch, 4, 18);

/// Topics are named by id from this version on.
const IDS_FROM: i16 = 13;
/// A park is never longer, whatever the client asks: its connection would be taken for dead.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Session id and epoch of a request without a session; what versions before 7 mean.
const FINAL_EPOCH: i32 = -1;

/// What a request asks for beyond its partitions.
struct Wants {
    max_bytes: usize,
    min_bytes: usize,
    committed_only: bool,
    deadline: Instant,
}

/// One partition of the answer.
struct Read {
    data: PartitionData,
    bytes: usize,
}

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
    let wants = Wants {
        max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(call.ctx.settings.fetch_bytes_max),
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
        committed_only: request.isolation_level == 1,
        deadline: Instant::now() + wait,
    };
    let now = call.ctx.engine.now();
    let begun = call.ctx.sessions.lock().begin(now, session_request(call.version, request));
    let context = match begun {
        Ok(context) => context,
        Err(error) => {
            return FetchResponse { error_code: call.code(error.kafka_code()), ..FetchResponse::default() };
        }
    };
    let reads = read_until_enough(call, &context, &wants).await;
    finish(call, &context, reads)
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
        partitions: partitions.collect(),
        forgotten: forgotten.collect(),
    }
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

/// Reads the plan; parks and reads again until lets it answer.
async fn read_until_enough(call: &Call, context: &FetchContext, wants: &Wants) -> Vec<Read> {
    let waiter = FetchWaiter::new();
    let mut registered = false;
    loop {
        let (reads, partitions) = read_all(call, context, wants).await;
        let bytes: usize = reads.iter().map(|read| read.bytes).sum();
        let answers_at_once = reads.iter().any(Read::answers_at_once);
        if reads.is_empty() || bytes >= wants.min_bytes || answers_at_once || Instant::now() >= wants.deadline
        {
            return reads;
        }
        for partition in &partitions {
            partition.watch(&waiter);
        }
        if !std::mem::replace(&mut registered, true) {
            // What moved between the read and the registration would wake nobody: look once more before waiting.
            continue;
        }
        if tokio::time::timeout_at(wants.deadline, waiter.moved()).await.is_err() {
            let (reads, _) = read_all(call, context, wants).await;
            return reads;
        }
    }
}

async fn read_all(call: &Call, context: &FetchContext, wants: &Wants) -> (Vec<Read>, Vec<Arc<Partition>>) {
    let image = call.image();
    let mut reads = Vec::with_capacity(context.plan.len());
    let mut partitions = Vec::with_capacity(context.plan.len());
    let mut left = wants.max_bytes;
    let mut nothing_yet = true;
    for planned in &context.plan {
        let read = match find(call, &image, planned).await {
            Ok(partition) => {
                let read = read_one(call, &partition, planned, left, nothing_yet, wants).await;
                partitions.push(partition);
                read
            }
            Err(failed) => *failed,
        };
        left = left.saturating_sub(read.bytes);
        nothing_yet &= read.bytes == 0;
        reads.push(read);
    }
    (reads, partitions)
}

async fn find(call: &Call, image: &Image, planned: &Planned) -> Result<Arc<Partition>, Box<Read>> {
    let (by_id, id, name) = match &planned.key.topic {
        TopicKey::Id(id) => (true, *id, ""),
        TopicKey::Name(name) => (false, TopicId::ZERO, &**name),
    };
    let failed = |code| Box::new(Read::failed(call, planned, code));
    let topic = resolve::topic(image, by_id, id, name).map_err(failed)?;
    let key = PartitionKey { topic: topic.id, index: planned.key.partition };
    call.ctx.engine.partition(image, key).await.map_err(|error| {
        let mut read = failed(error.kafka_code());
        if let PartitionError::NotLeader { leader, epoch } = error {
            //
            read.data.current_leader = LeaderIdAndEpoch { leader_id: leader.0, leader_epoch: epoch.0 };
        }
        read
    })
}

async fn read_one(
    call: &Call,
    partition: &Arc<Partition>,
    planned: &Planned,
    left: usize,
    nothing_yet: bool,
    wants: &Wants,
) -> Read {
    let request = ReadRequest {
        offset: planned.fetch_offset,
        leader_epoch: planned.leader_epoch,
        last_fetched_epoch: planned.last_fetched_epoch,
        max_bytes: usize::try_from(planned.max_bytes).unwrap_or(0).min(left),
        // the first batch of the first partition that has one goes out whatever its size.
        at_least_one: nothing_yet,
        committed_only: wants.committed_only,
    };
    match partition.read(request).await {
        Ok(read) => Read::found(planned, read, wants.committed_only),
        Err(error) => {
            let mut read = Read::failed(call, planned, error.kafka_code());
            if matches!(error, eddy_engine::ReadError::Epoch(_)) {
                let leader_id = call.ctx.engine.me().0;
                read.data.current_leader =
                    LeaderIdAndEpoch { leader_id, leader_epoch: partition.leader_epoch().0 };
            }
            read
        }
    }
}

impl Read {
    fn found(planned: &Planned, read: PartitionRead, committed_only: bool) -> Read {
        let records: Records = read.slices.into_iter().collect();
        let bytes = records.len();
        let mut data = PartitionData {
            partition_index: planned.key.partition,
            high_watermark: read.offsets.high_watermark.0,
            last_stable_offset: read.offsets.last_stable.0,
            log_start_offset: read.offsets.log_start.0,
            // null for readers of everything, a list for readers of what is committed.
            aborted_transactions: committed_only.then(Vec::new),
            // never null.
            records: Some(records),
            ..PartitionData::default()
        };
        if let Some(diverging) = read.diverging {
            data.diverging_epoch =
                EpochEndOffset { epoch: diverging.epoch.0, end_offset: diverging.end_offset.0 };
        }
        Read { data, bytes }
    }

    /// every offset of a failed partition is -1.
    fn failed(call: &Call, planned: &Planned, code: ErrorCode) -> Read {
        let data = PartitionData {
            partition_index: planned.key.partition,
            error_code: call.code(code),
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            records: Some(Records::default()),
            ..PartitionData::default()
        };
        Read { data, bytes: 0 }
    }

    fn diverges(&self) -> bool {
        self.data.diverging_epoch.end_offset >= 0
    }

    fn answers_at_once(&self) -> bool {
        self.data.error_code != ErrorCode::None.code() || self.diverges()
    }

    fn result(&self) -> ReadResult {
        ReadResult {
            has_records: self.bytes > 0,
            high_watermark: Offset(self.data.high_watermark),
            log_start: Offset(self.data.log_start_offset),
            must_show: self.diverges(),
            failed: self.data.error_code != ErrorCode::None.code(),
        }
    }
}

fn finish(call: &Call, context: &FetchContext, reads: Vec<Read>) -> FetchResponse {
    let results: Vec<ReadResult> = reads.iter().map(Read::result).collect();
    let finished = {
        let mut sessions = call.ctx.sessions.lock();
        let finished = sessions.finish(call.ctx.engine.now(), context, &results, fresh_session_id());
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
    for ((planned, read), shown) in context.plan.iter().zip(reads).zip(answer.shown) {
        if !shown {
            continue;
        }
        bytes += read.bytes;
        if last_topic != Some(&planned.key.topic) {
            last_topic = Some(&planned.key.topic);
            responses.push(match &planned.key.topic {
                TopicKey::Id(id) => {
                    FetchableTopicResponse { topic_id: *id, ..FetchableTopicResponse::default() }
                }
                TopicKey::Name(name) => {
                    FetchableTopicResponse { topic: Str::from(&**name), ..FetchableTopicResponse::default() }
                }
            });
        }
        if let Some(topic) = responses.last_mut() {
            topic.partitions.push(read.data);
        }
    }
    call.ctx.metrics.fetched_bytes.inc_by(bytes as u64);
    FetchResponse { session_id: answer.session_id, responses, ..FetchResponse::default() }
}

/// Where the search for a free session id starts; without random numbers it starts at 1, which only makes ids guessable.
fn fresh_session_id() -> u32 {
    getrandom::u32().unwrap_or(1)
}
