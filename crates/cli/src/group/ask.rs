//! Asking brokers about groups.

use std::collections::BTreeSet;

use eddy_client::accepted;
use eddy_client::messages::{ApiKey, ListGroupsRequest, ListGroupsResponse};
use eddy_types::BrokerId;

use super::members::members;
use super::model::{Group, Kind, Listed, Member, Place, Progress, lag};
use super::offsets::{Committed, committed};
use crate::brokers::{Brokers, To};
use crate::error::{CliError, Exit};
use crate::positions::{Wanted, first_times, positions};

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
