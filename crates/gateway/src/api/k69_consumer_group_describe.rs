//! ConsumerGroupDescribe, key 69, versions 0–1 (KIP-848).
//!
//! v1 member type (KIP-1099)

use std::future::Future;

use eddy_core::group::{DescribedConsumerGroup, DescribedConsumerMember, Partitions};
use eddy_metadata::Image;
use eddy_types::ErrorCode;
use eddy_wire::messages::consumer_group_describe::{
    Assignment, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedGroup, Member,
    TopicPartitions,
};
use eddy_wire::{ApiKey, Str};

use super::Api;
use crate::call::Call;
use crate::groups::{Describing, operations, wire};

pub(crate) const API: Api = Api::new(ApiKey::ConsumerGroupDescribe, 0, 1);

/// The protocol that a member speaks is told from this version on.
const TYPE_FROM: i16 = 1;
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;
const NOT_TOLD: i8 = -1;

pub(crate) async fn begin(
    call: Call,
    request: ConsumerGroupDescribeRequest,
) -> impl Future<Output = ConsumerGroupDescribeResponse> + Send + 'static {
    let operations = operations(request.include_authorized_operations);
    let mut asked = Describing::with_capacity(request.group_ids.len());
    for group in &request.group_ids {
        asked.add(group, call.ctx.groups.describe_consumer_group(group).await);
    }
    drop(request);
    async move {
        let mut groups = Vec::new();
        for (group_id, described) in asked.answers().await {
            let group = match described {
                Ok(described) => shown(&call, &described),
                Err(code) => not_shown(&call, &group_id, code),
            };
            groups.push(DescribedGroup { group_id, authorized_operations: operations, ..group });
        }
        ConsumerGroupDescribeResponse { groups, ..ConsumerGroupDescribeResponse::default() }
    }
}

fn shown(call: &Call, group: &DescribedConsumerGroup) -> DescribedGroup {
    let image = call.image();
    DescribedGroup {
        group_state: Str::from_static(group.state.name()),
        group_epoch: group.epoch,
        assignment_epoch: group.assignment_epoch,
        assignor_name: wire(&group.assignor),
        members: group.members.iter().map(|one| member(call, &image, one)).collect(),
        ..DescribedGroup::default()
    }
}

fn member(call: &Call, image: &Image, member: &DescribedConsumerMember) -> Member {
    let member_type = if member.is_classic { CLASSIC } else { CONSUMER };
    Member {
        member_id: wire(&member.member),
        instance_id: member.instance.as_ref().map(wire),
        rack_id: member.rack.as_ref().map(wire),
        member_epoch: member.epoch,
        client_id: wire(&member.client_id),
        client_host: wire(&member.client_host),
        subscribed_topic_names: member.topic_names.iter().map(wire).collect(),
        subscribed_topic_regex: member.topic_regex.as_ref().map(wire),
        assignment: assignment(image, &member.assignment),
        target_assignment: assignment(image, &member.target),
        member_type: if call.version >= TYPE_FROM { member_type } else { NOT_TOLD },
    }
}

/// The partitions of topics that exist; a topic that was deleted has no name to show.
fn assignment(image: &Image, partitions: &Partitions) -> Assignment {
    let topics = partitions.topics().filter_map(|(topic_id, partitions)| {
        let topic = image.topic_by_id(*topic_id)?;
        Some(TopicPartitions {
            topic_id: *topic_id,
            topic_name: wire(&topic.name),
            partitions: partitions.iter().copied().collect(),
        })
    });
    Assignment { topic_partitions: topics.collect() }
}

fn not_shown(call: &Call, group: &str, code: ErrorCode) -> DescribedGroup {
    let not_found = code == ErrorCode::GroupIdNotFound;
    DescribedGroup {
        error_code: call.code(code),
        error_message: not_found.then(|| format!("Group {group} not found.").into()),
        ..DescribedGroup::default()
    }
}
