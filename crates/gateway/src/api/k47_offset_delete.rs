//! OffsetDelete, key 47, version 0.
//!
//! Partitions of topics that do not exist are refused here; the group's machine sees the rest.

use std::future::Future;

use ahash::AHashMap;
use eddy_core::group::{DeleteOffsets, DeleteOffsetsReply};
use eddy_types::ErrorCode;
use eddy_wire::ApiKey;
use eddy_wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};

use super::Api;
use crate::call::Call;
use crate::groups::{self, Text, text, wire};

pub(crate) const API: Api = Api::new(ApiKey::OffsetDelete, 0, 0);

pub(crate) async fn begin(
    call: Call,
    request: OffsetDeleteRequest,
) -> impl Future<Output = OffsetDeleteResponse> + Send + 'static {
    let image = call.image();
    let indexes =
        |topic: &OffsetDeleteRequestTopic| topic.partitions.iter().map(|one| one.partition_index).collect();
    let topics: Vec<(Text, Vec<i32>)> =
        request.topics.iter().map(|topic| (text(&topic.name), indexes(topic))).collect();
    let known = topics.iter().filter(|(name, _)| image.topic(name).is_some()).cloned().collect();
    let delete = DeleteOffsets { group: text(&request.group_id), topics: known };
    let asked = call.ctx.groups.delete_offsets(delete).await;
    drop(request);
    async move {
        match groups::answer(asked).await {
            Ok(DeleteOffsetsReply::Partitions(deleted)) => respond(&call, &topics, deleted),
            Ok(DeleteOffsetsReply::Failed(code)) | Err(code) => {
                OffsetDeleteResponse { error_code: call.code(code), ..OffsetDeleteResponse::default() }
            }
        }
    }
}

/// The topics in the order of the request, those that were not looked at as unknown.
fn respond(
    call: &Call,
    topics: &[(Text, Vec<i32>)],
    deleted: Vec<(Text, Vec<(i32, ErrorCode)>)>,
) -> OffsetDeleteResponse {
    let codes: AHashMap<(Text, i32), ErrorCode> = deleted
        .into_iter()
        .flat_map(|(name, partitions)| {
            partitions.into_iter().map(move |(index, code)| ((name.clone(), index), code))
        })
        .collect();
    let topic = |(name, indexes): &(Text, Vec<i32>)| OffsetDeleteResponseTopic {
        name: wire(name),
        partitions: indexes
            .iter()
            .map(|&partition_index| {
                let code = codes.get(&(name.clone(), partition_index)).copied();
                let code = code.unwrap_or(ErrorCode::UnknownTopicOrPartition);
                OffsetDeleteResponsePartition { partition_index, error_code: call.code(code) }
            })
            .collect(),
    };
    OffsetDeleteResponse { topics: topics.iter().map(topic).collect(), ..OffsetDeleteResponse::default() }
}
