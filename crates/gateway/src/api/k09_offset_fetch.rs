//! OffsetFetch, key 9, versions 1–10.
//!
//! v2 null means all, and a code for the whole · v3 throttle time · v5 leader epoch (KIP-320) · v6 flexible · v7 require stable (KIP-447) · v8
//! many groups (KIP-709) · v9 member epochs (KIP-848) · v10 topic ids (KIP-848)
//!
//! Offsets of open transactions do not exist here, so every offset is stable.

use std::future::Future;

use eddy_coordinator::{Asked as Waiting, Unavailable};
use eddy_core::group::{FetchOffsets, FetchReply, FetchTopic, FetchedPartition, FetchedTopic};
use eddy_metadata::Image;
use eddy_types::{ErrorCode, LeaderEpoch, Offset, TopicId};
use eddy_wire::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::groups::{self, optional, text, topic_id, wire};

pub(crate) const API: Api = Api::new(ApiKey::OffsetFetch, 1, 10);

/// An error is a code for the whole from this version on, and one for each partition before.
const ONE_CODE_FROM: i16 = 2;
/// Several groups may be asked for from this version on.
const GROUPS_FROM: i16 = 8;
/// Topics are named by id from this version on.
const IDS_FROM: i16 = 10;

/// A group on its way into the answer.
struct Asked {
    group: Str,
    /// Topics by id that nobody has; they keep their place in the order of the request.
    unknown: Vec<(usize, OffsetFetchRequestTopics)>,
    answer: Result<Waiting<FetchReply>, Unavailable>,
}

pub(crate) async fn begin(
    call: Call,
    request: OffsetFetchRequest,
) -> impl Future<Output = OffsetFetchResponse> + Send + 'static {
    let version = call.version;
    let groups = if version >= GROUPS_FROM { copied(request.groups) } else { vec![only_group(request)] };
    let mut asked = Vec::with_capacity(groups.len());
    for group in &groups {
        asked.push(ask(&call, group).await);
    }
    async move {
        let mut answered = Vec::with_capacity(asked.len());
        for (asked, request) in asked.into_iter().zip(&groups) {
            answered.push(respond(&call, asked, request).await);
        }
        if version >= GROUPS_FROM {
            return OffsetFetchResponse { groups: answered, ..OffsetFetchResponse::default() };
        }
        let only = answered.pop().unwrap_or_default();
        let topics = only.topics.into_iter().map(by_name).collect();
        OffsetFetchResponse { topics, error_code: only.error_code, ..OffsetFetchResponse::default() }
    }
}

/// The groups without the frame that they came in.
fn copied(groups: Vec<OffsetFetchRequestGroup>) -> Vec<OffsetFetchRequestGroup> {
    let copy = |text: &Str| Str::from(text.as_str());
    let group = |group: OffsetFetchRequestGroup| OffsetFetchRequestGroup {
        group_id: copy(&group.group_id),
        member_id: group.member_id.as_ref().map(copy),
        topics: group.topics.map(|topics| {
            let topic = |topic: OffsetFetchRequestTopics| OffsetFetchRequestTopics {
                name: copy(&topic.name),
                ..topic
            };
            topics.into_iter().map(topic).collect()
        }),
        ..group
    };
    groups.into_iter().map(group).collect()
}

/// What versions before the many groups ask for, in the later form.
fn only_group(request: OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.map(|topics| {
        let topic =
            |topic: eddy_wire::messages::offset_fetch::OffsetFetchRequestTopic| OffsetFetchRequestTopics {
                name: topic.name.as_str().into(),
                partition_indexes: topic.partition_indexes,
                ..OffsetFetchRequestTopics::default()
            };
        topics.into_iter().map(topic).collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id.as_str().into(), topics, ..Default::default() }
}

async fn ask(call: &Call, group: &OffsetFetchRequestGroup) -> Asked {
    let image = call.image();
    let mut unknown = Vec::new();
    let topics = group.topics.as_ref().map(|topics| {
        let mut known = Vec::with_capacity(topics.len());
        for (place, topic) in topics.iter().enumerate() {
            match named(call, &image, topic) {
                Some(topic) => known.push(topic),
                None => unknown.push((place, topic.clone())),
            }
        }
        known
    });
    let request = FetchOffsets {
        group: text(&group.group_id),
        member: optional(group.member_id.as_ref()),
        member_epoch: group.member_epoch,
        topics,
    };
    Asked { group: group.group_id.clone(), unknown, answer: call.ctx.groups.fetch_offsets(request).await }
}

/// A topic as the machine knows it: by name. `None` for an id that nobody has.
fn named(call: &Call, image: &Image, asked: &OffsetFetchRequestTopics) -> Option<FetchTopic> {
    let partitions = asked.partition_indexes.clone();
    if call.version >= IDS_FROM {
        let topic = image.topic_by_id(asked.topic_id)?;
        return Some(FetchTopic { name: topic.name.clone(), id: topic.id, partitions });
    }
    Some(FetchTopic { name: text(&asked.name), id: topic_id(call, &asked.name), partitions })
}

async fn respond(call: &Call, asked: Asked, request: &OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let Asked { group, unknown, answer } = asked;
    let group = OffsetFetchResponseGroup { group_id: group, ..OffsetFetchResponseGroup::default() };
    let code = match groups::answer(answer).await {
        Ok(FetchReply::Topics(topics)) => {
            let image = call.image();
            let mut topics: Vec<_> =
                topics.into_iter().filter_map(|topic| found(call, &image, request, topic)).collect();
            for (place, topic) in unknown {
                let code = call.code(ErrorCode::UnknownTopicId);
                topics.insert(place.min(topics.len()), nothing(&topic, code));
            }
            return OffsetFetchResponseGroup { topics, ..group };
        }
        Ok(FetchReply::Failed(code)) | Err(code) => call.code(code),
    };
    if call.version >= ONE_CODE_FROM {
        return OffsetFetchResponseGroup { error_code: code, ..group };
    }
    let topics = request.topics.iter().flatten().map(|topic| nothing(topic, code)).collect();
    OffsetFetchResponseGroup { topics, ..group }
}

/// A topic of the answer; `None` for one that has no id any more, where only an id could name it.
fn found(
    call: &Call,
    image: &Image,
    request: &OffsetFetchRequestGroup,
    topic: FetchedTopic,
) -> Option<OffsetFetchResponseTopics> {
    let by_id = call.version >= IDS_FROM;
    let topic_id = match by_id {
        true if request.topics.is_some() => topic.id,
        true => image.topic(&topic.name)?.id,
        false => TopicId::ZERO,
    };
    Some(OffsetFetchResponseTopics {
        name: if by_id { Str::default() } else { wire(&topic.name) },
        topic_id,
        partitions: topic.partitions.iter().map(offset).collect(),
    })
}

fn offset(partition: &FetchedPartition) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: partition.index,
        committed_offset: partition.offset.0,
        committed_leader_epoch: partition.leader_epoch.0,
        metadata: Some(wire(&partition.metadata)),
        error_code: ErrorCode::None.code(),
    }
}

/// A topic of which nothing is told but a code.
fn nothing(topic: &OffsetFetchRequestTopics, code: i16) -> OffsetFetchResponseTopics {
    let partitions = topic.partition_indexes.iter().map(|index| OffsetFetchResponsePartitions {
        partition_index: *index,
        committed_offset: Offset::NONE.0,
        committed_leader_epoch: LeaderEpoch::NONE.0,
        metadata: Some(Str::default()),
        error_code: code,
    });
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
    }
}

/// A topic in the form of versions before the many groups.
fn by_name(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|partition| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    });
    OffsetFetchResponseTopic { name: topic.name, partitions: partitions.collect() }
}
