//! What groups committed: read, set, removed.

use std::collections::BTreeMap;

use eddy_client::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use eddy_client::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use eddy_client::messages::offset_fetch_request::OffsetFetchRequestGroup;
use eddy_client::messages::{
    ApiKey, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, OffsetFetchResponse,
};
use eddy_client::protocol::StrBytes;
use eddy_client::{CallError, accepted};

use super::members::group_id;
use super::model::Place;
use super::plan::Step;
use crate::brokers::{Brokers, To, topic_name};
use crate::error::CliError;

/// Offsets by partition; partitions without a commit are not there.
pub(super) type Committed = BTreeMap<Place, i64>;

/// From this version on one request asks about many groups (KIP-709).
const GROUPS_FROM: i16 = 8;
/// A commit of nobody: it is accepted while the group has no members.
const NO_GENERATION: i32 = -1;

/// All that a group committed. A group that does not exist has committed nothing.
pub(super) async fn committed(brokers: &Brokers, group: &str) -> Result<Committed, CliError> {
    let ask = async |connection: &eddy_client::Connection| {
        let served = connection.versions().served(ApiKey::OffsetFetch as i16);
        let request = if served.is_some_and(|served| served.max >= GROUPS_FROM) {
            let mut one = OffsetFetchRequestGroup::default().with_group_id(group_id(group)).with_topics(None);
            one.member_epoch = -1;
            OffsetFetchRequest::default().with_groups(vec![one])
        } else {
            OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(None)
        };
        read(group, connection.send(&request).await?)
    };
    brokers.retry(To::Group(group), ask).await
}

fn read(group: &str, answer: OffsetFetchResponse) -> Result<Committed, CallError> {
    accepted(ApiKey::OffsetFetch, answer.error_code, group, None)?;
    let mut committed = Committed::new();
    let mut keep = |topic: &str, partition: i32, code: i16, offset: i64| {
        let place = Place { topic: topic.to_owned(), partition };
        accepted(ApiKey::OffsetFetch, code, &place, None)?;
        if offset >= 0 {
            committed.insert(place, offset);
        }
        Ok::<(), CallError>(())
    };
    for topic in &answer.topics {
        for one in &topic.partitions {
            keep(&topic.name, one.partition_index, one.error_code, one.committed_offset)?;
        }
    }
    for answered in &answer.groups {
        accepted(ApiKey::OffsetFetch, answered.error_code, group, None)?;
        for topic in &answered.topics {
            for one in &topic.partitions {
                keep(&topic.name, one.partition_index, one.error_code, one.committed_offset)?;
            }
        }
    }
    Ok(committed)
}

/// Does the steps: commits where there is a new offset, removes the commit where there is none.
pub(super) async fn apply(brokers: &Brokers, group: &str, steps: &[Step]) -> Result<(), CliError> {
    let mut commits: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    let mut removals: Vec<Place> = Vec::new();
    for step in steps.iter().filter(|step| step.is_change()) {
        let Some(new) = step.new else {
            removals.push(step.place.clone());
            continue;
        };
        let mut partition = OffsetCommitRequestPartition::default()
            .with_partition_index(step.place.partition)
            .with_committed_offset(new)
            .with_committed_metadata(Some(StrBytes::default()));
        partition.committed_leader_epoch = -1;
        commits.entry(&step.place.topic).or_default().push(partition);
    }
    if !commits.is_empty() {
        let topics = commits.into_iter().map(|(topic, partitions)| {
            OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
        });
        let mut request = OffsetCommitRequest::default()
            .with_group_id(group_id(group))
            .with_generation_id_or_member_epoch(NO_GENERATION)
            .with_topics(topics.collect());
        request.retention_time_ms = -1;
        brokers
            .call(To::Group(group), &request, |answer| {
                for topic in &answer.topics {
                    for one in &topic.partitions {
                        let place = Place { topic: topic.name.to_string(), partition: one.partition_index };
                        accepted(ApiKey::OffsetCommit, one.error_code, &place, None)?;
                    }
                }
                Ok(())
            })
            .await?;
    }
    if removals.is_empty() { Ok(()) } else { remove(brokers, group, &removals).await }
}

/// Removes commits.
pub(super) async fn remove(brokers: &Brokers, group: &str, places: &[Place]) -> Result<(), CliError> {
    let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
    for place in places {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(place.partition);
        topics.entry(&place.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        OffsetDeleteRequestTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
    });
    let request = OffsetDeleteRequest::default().with_group_id(group_id(group)).with_topics(topics.collect());
    let read = |answer: eddy_client::messages::OffsetDeleteResponse| {
        accepted(ApiKey::OffsetDelete, answer.error_code, group, None)?;
        for topic in &answer.topics {
            for one in &topic.partitions {
                let place = Place { topic: topic.name.to_string(), partition: one.partition_index };
                accepted(ApiKey::OffsetDelete, one.error_code, &place, None)?;
            }
        }
        Ok(())
    };
    brokers.call(To::Group(group), &request, read).await
}
