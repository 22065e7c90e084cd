//! ListOffsets, key 2, versions 1–11.
//!
//! v2 isolation level · v4 leader epoch (KIP-320) · v6 flexible · v7 max timestamp (KIP-734) · v8 earliest local (KIP-405) · v9 latest tiered
//! (KIP-1005) · v10 timeout (KIP-1075) · v11 earliest pending upload (KIP-1023)

use std::sync::Arc;

use ahash::AHashSet;
use eddy_engine::{Partition, PartitionKey};
use eddy_types::{ErrorCode, LeaderEpoch, Millis, Offset};
use eddy_wire::ApiKey;
use eddy_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};

use super::Api;
use crate::call::Call;
use crate::error::KafkaCode;

pub(crate) const API: Api = Api::new(ApiKey::ListOffsets, 1, 11);

/// Timestamps that mean something else, and the first version that may ask for each.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Everything, and what is committed.
const ISOLATION_LEVELS: [i8; 2] = [0, 1];

/// An offset on its way into the answer; all -1 when there is none.
struct Answered {
    offset: Offset,
    timestamp: Millis,
    epoch: LeaderEpoch,
}

impl Answered {
    const NONE: Answered =
        Answered { offset: Offset::NONE, timestamp: Millis::NONE, epoch: LeaderEpoch::NONE };
}

pub(crate) async fn handle(call: Call, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let committed_only = request.isolation_level == 1;
    let mut seen = AHashSet::new();
    let mut named_twice = AHashSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            if !seen.insert((topic.name.as_str(), partition.partition_index)) {
                named_twice.insert((topic.name.as_str(), partition.partition_index));
            }
        }
    }
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            //
            let named_twice = named_twice.contains(&(topic.name.as_str(), asked.partition_index));
            let answer = if named_twice || !ISOLATION_LEVELS.contains(&request.isolation_level) {
                Err(ErrorCode::InvalidRequest)
            } else {
                one(&call, &topic.name, asked, committed_only).await
            };
            partitions.push(respond(&call, asked.partition_index, answer));
        }
        topics.push(ListOffsetsTopicResponse { name: topic.name.clone(), partitions });
    }
    ListOffsetsResponse { topics, ..ListOffsetsResponse::default() }
}

fn respond(
    call: &Call,
    partition_index: i32,
    answer: Result<Answered, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let (code, answered) = match answer {
        Ok(answered) => (ErrorCode::None, answered),
        Err(code) => (code, Answered::NONE),
    };
    ListOffsetsPartitionResponse {
        partition_index,
        error_code: call.code(code),
        timestamp: answered.timestamp.0,
        offset: answered.offset.0,
        // Versions before 4 cannot carry it.
        leader_epoch: if call.version >= 4 { answered.epoch.0 } else { LeaderEpoch::NONE.0 },
    }
}

async fn one(
    call: &Call,
    topic: &str,
    asked: &ListOffsetsPartition,
    committed_only: bool,
) -> Result<Answered, ErrorCode> {
    if asked.timestamp < first_special(call.version) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let image = call.image();
    let topic = image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let key = PartitionKey { topic: topic.id, index: asked.partition_index };
    let partition = call.ctx.engine.partition(&image, key).await.map_err(|error| error.kafka_code())?;
    let offsets = partition
        .checked_offsets(LeaderEpoch(asked.current_leader_epoch))
        .map_err(|error| error.kafka_code())?;
    let end = if committed_only { offsets.last_stable } else { offsets.high_watermark };
    // a leader that does not know yet how far its predecessor had come knows no end, and cannot say that nothing is there.
    let knows_end = partition.epoch_start().is_none_or(|start| start <= offsets.high_watermark);
    let not_yet =
        if call.version >= 5 { ErrorCode::OffsetNotAvailable } else { ErrorCode::LeaderNotAvailable };
    let found = match asked.timestamp {
        LATEST if !knows_end => Err(not_yet),
        LATEST => Ok(Answered { offset: end, timestamp: Millis::NONE, epoch: partition.leader_epoch() }),
        EARLIEST | EARLIEST_LOCAL => Ok(Answered {
            offset: offsets.log_start,
            timestamp: Millis::NONE,
            epoch: partition.epoch_at(offsets.log_start),
        }),
        LATEST_TIERED => Ok(Answered::NONE),
        EARLIEST_PENDING_UPLOAD => Ok(Answered::NONE),
        MAX_TIMESTAMP => look_up(partition, None, end).await,
        timestamp => look_up(partition, Some(Millis(timestamp)), end).await,
    }?;
    let searched = asked.timestamp == MAX_TIMESTAMP || asked.timestamp >= 0;
    if searched && !knows_end && found.offset == Offset::NONE { Err(not_yet) } else { Ok(found) }
}

/// The lowest timestamp that a version may send.
fn first_special(version: i16) -> i64 {
    match version {
        ..=6 => EARLIEST,
        7 => MAX_TIMESTAMP,
        8 => EARLIEST_LOCAL,
        9 | 10 => LATEST_TIERED,
        _ => EARLIEST_PENDING_UPLOAD,
    }
}

/// Searches the log for a time, or for the largest timestamp: that reads files.
async fn look_up(partition: Arc<Partition>, at: Option<Millis>, end: Offset) -> Result<Answered, ErrorCode> {
    let search = move || match at {
        Some(timestamp) => partition.log().offset_for_timestamp(timestamp, end),
        None => partition.log().max_timestamp(end),
    };
    let found = tokio::task::spawn_blocking(search).await.map_err(|_| ErrorCode::KafkaStorageError)?;
    match found {
        Ok(Some(found)) => {
            Ok(Answered { offset: found.offset, timestamp: found.timestamp, epoch: found.leader_epoch })
        }
        Ok(None) => Ok(Answered::NONE),
        Err(error) => {
            tracing::warn!(%error, "cannot look up an offset by time");
            Err(ErrorCode::KafkaStorageError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_timestamps_have_their_first_versions_r_2_70() {
        let may = |version: i16, timestamp: i64| timestamp >= first_special(version);
        assert!(may(1, EARLIEST) && !may(6, MAX_TIMESTAMP) && may(7, MAX_TIMESTAMP));
        assert!(
            !may(7, EARLIEST_LOCAL)
                && may(8, EARLIEST_LOCAL)
                && !may(8, LATEST_TIERED)
                && may(9, LATEST_TIERED)
        );
        assert!(!may(10, EARLIEST_PENDING_UPLOAD) && may(11, EARLIEST_PENDING_UPLOAD) && !may(11, -7));
    }
}
