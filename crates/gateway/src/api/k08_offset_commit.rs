//! OffsetCommit, key 8, versions 2–10.
//!
//! v3 throttle time · v5 no retention of its own (KIP-211) · v6 leader epoch (KIP-320) · v7 static members (KIP-345) · v8 flexible · v9
//! member epochs (KIP-848) · v10 topic ids (KIP-848)
//!
//! Partitions that do not exist are refused here, one by one; the group's machine sees the rest.

use std::future::Future;

use eddy_core::group::{CommitOffsets, CommitPartition, CommitReply, CommitTopic};
use eddy_metadata::{Image, Topic};
use eddy_types::{ErrorCode, LeaderEpoch, Millis, Offset};
use eddy_wire::ApiKey;
use eddy_wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use super::Api;
use crate::call::Call;
use crate::groups::{self, optional, text};

pub(crate) const API: Api = Api::new(ApiKey::OffsetCommit, 2, 10);

/// Topics are named by id from this version on.
const IDS_FROM: i16 = 10;

/// A topic of the answer. Codes of partitions that the machine is asked about are filled in later.
struct Asked {
    topic: OffsetCommitResponseTopic,
    /// Places in `topic` of the partitions that the machine sees, in the same order.
    places: Vec<usize>,
}

pub(crate) async fn begin(
    call: Call,
    request: OffsetCommitRequest,
) -> impl Future<Output = OffsetCommitResponse> + Send + 'static {
    let image = call.image();
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut answer = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let (asked, commit) = take_apart(&call, &image, topic);
        answer.push(asked);
        topics.extend(commit);
    }
    let asked = match topics.is_empty() {
        // Nothing is left to commit, so the group is not looked at, as in Kafka.
        true => None,
        false => Some(call.ctx.groups.commit_offsets(commit(&request, &call, topics)).await),
    };
    drop(request);
    async move {
        if let Some(asked) = asked {
            match groups::answer(asked).await {
                Ok(CommitReply::Partitions(topics)) => {
                    let codes = topics.into_iter().flat_map(|(_, partitions)| partitions);
                    fill_in(&call, &mut answer, codes.map(|(_, code)| code));
                }
                Ok(CommitReply::Failed(code)) | Err(code) => {
                    fill_in(&call, &mut answer, std::iter::repeat(code));
                }
            }
        }
        let topics = answer.into_iter().map(|asked| asked.topic).collect();
        OffsetCommitResponse { topics, ..OffsetCommitResponse::default() }
    }
}

fn commit(request: &OffsetCommitRequest, call: &Call, topics: Vec<CommitTopic>) -> CommitOffsets {
    CommitOffsets {
        group: text(&request.group_id),
        member: text(&request.member_id),
        instance: optional(request.group_instance_id.as_ref()),
        generation: request.generation_id_or_member_epoch,
        knows_epochs: call.version >= 9,
        retention: (request.retention_time_ms >= 0).then_some(Millis(request.retention_time_ms)),
        topics,
    }
}

/// The topic's place in the answer, with the codes that are known, and what is left to commit.
fn take_apart(call: &Call, image: &Image, asked: &OffsetCommitRequestTopic) -> (Asked, Option<CommitTopic>) {
    let (topic, unknown) = match call.version >= IDS_FROM {
        true => (image.topic_by_id(asked.topic_id), ErrorCode::UnknownTopicId),
        false => (image.topic(&asked.name), ErrorCode::UnknownTopicOrPartition),
    };
    let mut places = Vec::new();
    let mut codes = Vec::with_capacity(asked.partitions.len());
    let mut commit = Vec::new();
    for (place, partition) in asked.partitions.iter().enumerate() {
        let code = match topic {
            None => unknown,
            Some(topic) if !has_partition(topic, partition.partition_index) => {
                ErrorCode::UnknownTopicOrPartition
            }
            Some(_) => {
                places.push(place);
                commit.push(offset(partition));
                ErrorCode::None
            }
        };
        codes.push(OffsetCommitResponsePartition {
            partition_index: partition.partition_index,
            error_code: call.code(code),
        });
    }
    let response = OffsetCommitResponseTopic {
        // A copy: the name would otherwise hold the frame.
        name: asked.name.as_str().into(),
        topic_id: asked.topic_id,
        partitions: codes,
    };
    let commit = topic.filter(|_| !commit.is_empty()).map(|topic| CommitTopic {
        name: topic.name.clone(),
        id: topic.id,
        partitions: commit,
    });
    (Asked { topic: response, places }, commit)
}

fn has_partition(topic: &Topic, index: i32) -> bool {
    usize::try_from(index).is_ok_and(|index| index < topic.partitions.len())
}

fn offset(partition: &OffsetCommitRequestPartition) -> CommitPartition {
    CommitPartition {
        index: partition.partition_index,
        offset: Offset(partition.committed_offset),
        leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
        metadata: partition.committed_metadata.as_ref().map(text).unwrap_or_else(|| "".into()),
    }
}

/// Gives the partitions that the machine saw its codes, in order.
fn fill_in(call: &Call, answer: &mut [Asked], codes: impl IntoIterator<Item = ErrorCode>) {
    let places = answer.iter_mut().flat_map(|Asked { topic, places }| {
        let mut wanted = places.iter().peekable();
        topic.partitions.iter_mut().enumerate().filter_map(move |(place, partition)| {
            wanted.next_if(|wanted| **wanted == place).map(|_| partition)
        })
    });
    for (partition, code) in places.zip(codes) {
        partition.error_code = call.code(code);
    }
}
