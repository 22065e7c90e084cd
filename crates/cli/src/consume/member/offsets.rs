//! Offsets of a group: asked and committed.

use std::collections::BTreeMap;

use eddy_client::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use eddy_client::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use eddy_client::messages::{ApiKey, GroupId, OffsetCommitRequest, OffsetFetchRequest, OffsetFetchResponse};
use eddy_client::protocol::StrBytes;
use eddy_client::{CallError, accepted};

use super::membership::Membership;
use crate::brokers::topic_name;
use crate::error::CliError;
use crate::positions::Place;

/// Offsets are asked and committed by name, so that old brokers understand.
const COMMIT_BY_NAME_MAX: i16 = 9;
const FETCH_BY_NAME_MAX: i16 = 9;
/// From this version on offsets are asked for many groups at once (KIP-709).
const FETCH_GROUPS_FROM: i16 = 8;

impl Membership<'_> {
    /// Offsets that the group has committed; places without one are left out.
    pub(super) async fn committed(&self, places: &[Place]) -> Result<BTreeMap<Place, i64>, CliError> {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for place in places {
            topics.entry(&place.topic).or_default().push(place.partition);
        }
        self.brokers
            .retry(self.coordinator(), async |connection| {
                let served = connection.versions().served(ApiKey::OffsetFetch as i16);
                let in_groups = served.is_some_and(|served| served.max >= FETCH_GROUPS_FROM);
                let request = offset_fetch(self.id(), &topics, in_groups);
                let answer = connection.start_up_to(FETCH_BY_NAME_MAX, &request).await?.answer().await?;
                read_offsets(answer, &self.group)
            })
            .await
    }

    /// Commits the offsets that come next. A group that is being given out again takes them as well.
    pub(super) async fn commit(&self, positions: &BTreeMap<Place, i64>) -> Result<(), CliError> {
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (place, offset) in positions {
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(place.partition)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(StrBytes::default()));
            topics.entry(&place.topic).or_default().push(partition);
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
        });
        let request = OffsetCommitRequest::default()
            .with_group_id(self.id())
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(self.member.clone())
            .with_topics(topics.collect());
        self.brokers
            .retry(self.coordinator(), async |connection| {
                let answer = connection.start_up_to(COMMIT_BY_NAME_MAX, &request).await?.answer().await?;
                for topic in &answer.topics {
                    for partition in &topic.partitions {
                        let about = format!("{} of group {}", &*topic.name.0, self.group);
                        accepted(ApiKey::OffsetCommit, partition.error_code, about, None)?;
                    }
                }
                Ok(())
            })
            .await
    }
}

fn offset_fetch(group: GroupId, topics: &BTreeMap<&str, Vec<i32>>, in_groups: bool) -> OffsetFetchRequest {
    if in_groups {
        let topic = |(name, partitions): (&&str, &Vec<i32>)| {
            OffsetFetchRequestTopics::default()
                .with_name(topic_name(name))
                .with_partition_indexes(partitions.clone())
        };
        let asked = OffsetFetchRequestGroup::default()
            .with_group_id(group)
            .with_member_epoch(-1)
            .with_topics(Some(topics.iter().map(topic).collect()));
        return OffsetFetchRequest::default().with_groups(vec![asked]);
    }
    let topic = |(name, partitions): (&&str, &Vec<i32>)| {
        OffsetFetchRequestTopic::default()
            .with_name(topic_name(name))
            .with_partition_indexes(partitions.clone())
    };
    OffsetFetchRequest::default().with_group_id(group).with_topics(Some(topics.iter().map(topic).collect()))
}

fn read_offsets(answer: OffsetFetchResponse, group: &str) -> Result<BTreeMap<Place, i64>, CallError> {
    accepted(ApiKey::OffsetFetch, answer.error_code, group, None)?;
    let mut offsets = BTreeMap::new();
    let mut add = |topic: &str, partition: i32, offset: i64, code: i16| {
        accepted(ApiKey::OffsetFetch, code, format!("{topic}-{partition} of group {group}"), None)?;
        if offset >= 0 {
            offsets.insert(Place { topic: topic.to_owned(), partition }, offset);
        }
        Ok::<(), CallError>(())
    };
    for topic in &answer.topics {
        for one in &topic.partitions {
            add(&topic.name, one.partition_index, one.committed_offset, one.error_code)?;
        }
    }
    for answer in &answer.groups {
        accepted(ApiKey::OffsetFetch, answer.error_code, group, None)?;
        for topic in &answer.topics {
            for one in &topic.partitions {
                add(&topic.name, one.partition_index, one.committed_offset, one.error_code)?;
            }
        }
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_come_in_both_forms_of_the_answer() {
        use eddy_client::messages::offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
        };
        let partition = |index, offset| {
            OffsetFetchResponsePartitions::default().with_partition_index(index).with_committed_offset(offset)
        };
        let topic = OffsetFetchResponseTopics::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition(0, 7), partition(1, -1)]);
        let group = OffsetFetchResponseGroup::default().with_topics(vec![topic]);
        let read = read_offsets(OffsetFetchResponse::default().with_groups(vec![group]), "g").unwrap();
        assert_eq!(read, BTreeMap::from([(Place { topic: "t".to_owned(), partition: 0 }, 7)]));
    }
}
