//! Who is in a group, and in what state it is.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use eddy_client::messages::describe_groups_response::DescribedGroup;
use eddy_client::messages::{
    ApiKey, ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, DescribeGroupsRequest, GroupId,
    consumer_group_describe_response,
};
use eddy_client::protocol::{Decodable, Message, StrBytes};
use eddy_client::{CallError, accepted};
use eddy_types::ErrorCode;

use super::ask::list;
use super::model::{Coordinator, Group, Kind, Member};
use crate::brokers::{Brokers, To};
use crate::error::{CliError, Exit};

/// From this version on a group that is not there is an error, not a dead group (KIP-1043).
const NOT_FOUND_FROM: i16 = 6;

/// A group with its members, without partitions. Consumer groups (KIP-848) and classic ones are asked for in different ways, and
/// nothing but the answer tells which one it is.
pub(super) async fn members(brokers: &Brokers, name: &str) -> Result<Group, CliError> {
    let (id, address) = brokers.group_coordinator(name).await?;
    let coordinator = Coordinator { id: id.0, address: address.to_string() };
    let modern = brokers.retry(To::Group(name), async |connection| {
        if connection.versions().served(ApiKey::ConsumerGroupDescribe as i16).is_none() {
            return Ok(None);
        }
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group_id(name)]);
        let group = connection.send(&request).await?.groups.into_iter().next();
        let group = group.ok_or_else(|| missing(ApiKey::ConsumerGroupDescribe, name))?;
        match ErrorCode::from_code(group.error_code) {
            Some(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion) => Ok(None),
            _ => {
                let words = group.error_message.as_deref();
                accepted(ApiKey::ConsumerGroupDescribe, group.error_code, name, words)?;
                Ok(Some(group))
            }
        }
    });
    if let Some(group) = modern.await? {
        return Ok(of_consumer_group(group, coordinator));
    }
    let classic = brokers.retry(To::Group(name), async |connection| {
        let request = DescribeGroupsRequest::default().with_groups(vec![group_id(name)]);
        let pending = connection.start(&request).await?;
        let tells = pending.version() >= NOT_FOUND_FROM;
        let group = pending.answer().await?.groups.into_iter().next();
        let group = group.ok_or_else(|| missing(ApiKey::DescribeGroups, name))?;
        if group.error_code == ErrorCode::GroupIdNotFound as i16 {
            return Ok(None);
        }
        accepted(ApiKey::DescribeGroups, group.error_code, name, group.error_message.as_deref())?;
        // Older versions call a group dead that they do not know, also one that only has offsets.
        Ok(Some(group).filter(|group| tells || &*group.group_state != "Dead"))
    });
    match classic.await? {
        Some(group) => Ok(of_classic_group(group, coordinator)),
        None => Err(not_described(brokers, name).await),
    }
}

/// A group that is of another kind than those that are described, or is not there.
async fn not_described(brokers: &Brokers, name: &str) -> CliError {
    let listed = list(brokers).await.map_or_else(|_| Vec::new(), |groups| groups.listed);
    match listed.iter().find(|group| group.group == name).map(|group| group.kind) {
        Some(kind @ (Kind::Share | Kind::Streams | Kind::Other)) => {
            let what =
                format!("{name} is a {} group; only classic and consumer groups are shown", kind.name());
            CliError::new(Exit::Failed, what)
        }
        _ => not_found(name),
    }
}

pub(super) fn not_found(name: &str) -> CliError {
    CliError::not_found(format!("no such group: {name}")).fix("eddy group ls", "list the groups")
}

fn missing(api: ApiKey, name: &str) -> CallError {
    CallError::Missing { api: api as i16, about: name.to_owned() }
}

pub(super) fn group_id(name: &str) -> GroupId {
    GroupId(StrBytes::from_string(name.to_owned()))
}

fn of_classic_group(group: DescribedGroup, coordinator: Coordinator) -> Group {
    let reads_topics = &*group.protocol_type == "consumer";
    let members = group.members.into_iter().map(|member| Member {
        member: member.member_id.to_string(),
        instance: member.group_instance_id.map(|id| id.to_string()),
        client: member.client_id.to_string(),
        host: host(&member.client_host),
        epoch: None,
        assigned: if reads_topics { assigned(member.member_assignment) } else { BTreeMap::new() },
        target: None,
    });
    Group {
        group: group.group_id.to_string(),
        kind: Kind::Classic,
        state: group.group_state.to_string(),
        assignor: group.protocol_data.to_string(),
        epoch: None,
        coordinator,
        members: in_order(members.collect()),
        partitions: Vec::new(),
    }
}

fn of_consumer_group(
    group: consumer_group_describe_response::DescribedGroup,
    coordinator: Coordinator,
) -> Group {
    let named = |assignment: consumer_group_describe_response::Assignment| -> BTreeMap<String, Vec<i32>> {
        let topics = assignment.topic_partitions.into_iter();
        topics.map(|topic| (topic.topic_name.to_string(), sorted(topic.partitions))).collect()
    };
    let members = group.members.into_iter().map(|member| {
        let (assigned, target) = (named(member.assignment), named(member.target_assignment));
        Member {
            member: member.member_id.to_string(),
            instance: member.instance_id.map(|id| id.to_string()),
            client: member.client_id.to_string(),
            host: host(&member.client_host),
            epoch: Some(member.member_epoch),
            target: (target != assigned).then_some(target),
            assigned,
        }
    });
    Group {
        group: group.group_id.to_string(),
        kind: Kind::Consumer,
        state: group.group_state.to_string(),
        assignor: group.assignor_name.to_string(),
        epoch: Some(group.group_epoch),
        coordinator,
        members: in_order(members.collect()),
        partitions: Vec::new(),
    }
}

/// Brokers send the address as Java prints it.
fn host(text: &str) -> String {
    text.trim_start_matches('/').to_owned()
}

fn in_order(mut members: Vec<Member>) -> Vec<Member> {
    members.sort_unstable_by(|a, b| a.short_name().cmp(b.short_name()).then_with(|| a.member.cmp(&b.member)));
    members
}

/// The partitions in a classic member's assignment; none when it is empty or not of the consumer protocol: its bytes are the members'
/// own affair.
fn assigned(mut bytes: Bytes) -> BTreeMap<String, Vec<i32>> {
    if bytes.remaining() < 2 {
        return BTreeMap::new();
    }
    let newest = ConsumerProtocolAssignment::VERSIONS.max;
    let version = bytes.get_i16().clamp(0, newest);
    let Ok(assignment) = ConsumerProtocolAssignment::decode(&mut bytes, version) else {
        return BTreeMap::new();
    };
    let topics = assignment.assigned_partitions.into_iter();
    topics.map(|topic| (topic.topic.to_string(), sorted(topic.partitions))).collect()
}

fn sorted(mut partitions: Vec<i32>) -> Vec<i32> {
    partitions.sort_unstable();
    partitions
}
