//! Asking brokers about groups.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, Bytes};
use eddy_client::messages::describe_groups_response::DescribedGroup;
use eddy_client::messages::{
    ApiKey, ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, DescribeGroupsRequest, GroupId,
    ListGroupsRequest, ListGroupsResponse, consumer_group_describe_response,
};
use eddy_client::protocol::{Decodable, Message, StrBytes};
use eddy_client::{CallError, accepted};
use eddy_types::{BrokerId, ErrorCode};

use super::model::{Coordinator, Group, Kind, Listed, Member, Place, Progress, lag};
use super::offsets::{Committed, committed};
use crate::brokers::{Brokers, To};
use crate::error::{CliError, Exit};
use crate::positions::{Wanted, first_times, positions};

/// From this version on a group that is not there is an error, not a dead group (KIP-1043).
const NOT_FOUND_FROM: i16 = 6;

/// Groups of a cluster, by name, and why some may be missing.
pub(super) struct Groups {
    pub(super) listed: Vec<Listed>,
    /// What the first broker said that does not tell.
    pub(super) missing: Option<CliError>,
}

/// Every group that brokers tell of. A broker that is down hides its own groups only, until another takes them over.
pub(super) async fn list(brokers: &Brokers) -> Result<Groups, CliError> {
    let cluster = brokers.cluster(Some(&[])).await?;
    let mut groups = Groups { listed: Vec::new(), missing: None };
    for node in &cluster.nodes {
        match list_one(brokers, node.id).await {
            Ok(listed) => groups.listed.extend(listed),
            Err(error) if error.exit() == Exit::Unreachable => {
                groups.missing = groups.missing.or(Some(error))
            }
            Err(error) => return Err(error),
        }
    }
    groups.listed.sort_unstable_by(|a, b| a.group.cmp(&b.group));
    // While a coordinator moves, two brokers may list the group.
    groups.listed.dedup_by(|a, b| a.group == b.group);
    Ok(groups)
}

async fn list_one(brokers: &Brokers, id: BrokerId) -> Result<Vec<Listed>, CliError> {
    // Without another try to connect: what is missing is told.
    brokers.connection(To::Broker(id)).await?;
    let read = |answer: ListGroupsResponse| {
        accepted(ApiKey::ListGroups, answer.error_code, format!("broker {id}"), None)?;
        Ok(answer.groups)
    };
    let groups = brokers.call(To::Broker(id), &ListGroupsRequest::default(), read).await?;
    let listed = groups.into_iter().map(|group| Listed {
        group: group.group_id.to_string(),
        kind: Kind::named(&group.group_type),
        state: group.group_state.to_string(),
        protocol_type: group.protocol_type.to_string(),
        coordinator: id.0,
    });
    Ok(listed.collect())
}

/// A group with its members and how far they are at `now_ms`.
pub(super) async fn describe(brokers: &Brokers, name: &str, now_ms: i64) -> Result<Group, CliError> {
    let mut group = members(brokers, name).await?;
    let committed = committed(brokers, name).await?;
    group.partitions = progress(brokers, &group.members, &committed, &[], now_ms).await?;
    Ok(group)
}

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

/// How far a group is: where it committed, where a member reads, and at `more` places. Asks for the log after the commits, so that
/// what is written in between makes a lag larger, never negative.
pub(super) async fn progress(
    brokers: &Brokers,
    members: &[Member],
    committed: &Committed,
    more: &[Place],
    now_ms: i64,
) -> Result<Vec<Progress>, CliError> {
    let assigned = members.iter().flat_map(|member| {
        let places = |(topic, partitions): (&String, &Vec<i32>)| {
            let place = |partition: &i32| Place { topic: topic.clone(), partition: *partition };
            partitions.iter().map(place).collect::<Vec<_>>()
        };
        member.assigned.iter().flat_map(places).collect::<Vec<_>>()
    });
    let places: BTreeSet<Place> =
        committed.keys().cloned().chain(assigned).chain(more.iter().cloned()).collect();
    let places: Vec<Place> = places.into_iter().collect();
    let start = positions(brokers, &places, Wanted::Earliest).await?;
    let stable = positions(brokers, &places, Wanted::LastStable).await?;
    let end = positions(brokers, &places, Wanted::Latest).await?;
    let mut partitions: Vec<Progress> = places
        .into_iter()
        .map(|place| {
            let at = committed.get(&place).copied();
            let (start, end) = (start.get(&place).copied().flatten(), end.get(&place).copied().flatten());
            let stable = stable.get(&place).copied().flatten();
            let member = members.iter().find(|member| member.has(&place));
            Progress {
                lag: at.zip(start.zip(end)).map(|(at, (start, end))| lag(at, start, end)),
                last_stable: stable.filter(|stable| end.is_some_and(|end| *stable < end)),
                committed: at,
                start,
                end,
                waiting_since_ms: None,
                lag_ms: None,
                member: member.map(|member| member.member.clone()),
                host: member.map(|member| member.host.clone()),
                place,
            }
        })
        .collect();
    let waiting: Vec<(Place, i64)> = partitions
        .iter()
        .filter(|partition| partition.lag.is_some_and(|lag| lag > 0))
        .filter_map(|one| {
            let start = one.start?;
            Some((one.place.clone(), one.committed?.max(start)))
        })
        .collect();
    let times = first_times(brokers, &waiting).await?;
    for partition in &mut partitions {
        partition.waiting_since_ms = times.get(&partition.place).copied();
        partition.lag_ms = match (partition.lag, partition.waiting_since_ms) {
            (Some(0), _) => Some(0),
            (_, Some(since)) => Some((now_ms - since).max(0)),
            _ => None,
        };
    }
    Ok(partitions)
}
