//! What a member says to its coordinator.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use eddy_client::messages::consumer_protocol_assignment::TopicPartition;
use eddy_client::messages::join_group_request::JoinGroupRequestProtocol;
use eddy_client::messages::leave_group_request::MemberIdentity;
use eddy_client::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use eddy_client::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use eddy_client::messages::sync_group_request::SyncGroupRequestAssignment;
use eddy_client::messages::{
    ApiKey, ConsumerProtocolAssignment, ConsumerProtocolSubscription, GroupId, HeartbeatRequest,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest, OffsetFetchRequest,
    OffsetFetchResponse, SyncGroupRequest,
};
use eddy_client::protocol::{Decodable, Encodable, StrBytes};
use eddy_client::{CallError, accepted};
use eddy_types::ErrorCode;

use super::assignor::assign;
use crate::Topic;
use crate::brokers::{Brokers, To, topic_name};
use crate::error::{CliError, Exit};
use crate::positions::Place;

const PROTOCOL_TYPE: &str = "consumer";
const PROTOCOL: &str = "range";
const SESSION_TIMEOUT_MS: i32 = 30_000;
/// Joins in a row that the group calls off, at most.
const JOINS_MAX: usize = 50;
/// Offsets are committed by name, so that old brokers understand.
const COMMIT_BY_NAME_MAX: i16 = 9;
const FETCH_BY_NAME_MAX: i16 = 9;
/// From this version on offsets are asked for many groups at once (KIP-709), and a member leaves by a list.
const FETCH_GROUPS_FROM: i16 = 8;
const LEAVE_LIST_FROM: i16 = 3;

/// One member of a group.
pub(super) struct Membership<'a> {
    brokers: &'a Brokers,
    group: StrBytes,
    member: StrBytes,
    generation: i32,
    /// How long the others may take to join again.
    rebalance_timeout: Duration,
}

impl<'a> Membership<'a> {
    pub(super) fn new(brokers: &'a Brokers, group: &str, timeout: Duration) -> Membership<'a> {
        Membership {
            brokers,
            group: StrBytes::from_string(group.to_owned()),
            member: StrBytes::default(),
            generation: -1,
            // The join waits for the others; its answer must come before the request is given up.
            rebalance_timeout: timeout * 2 / 3,
        }
    }

    /// Begins again as somebody new.
    pub(super) fn forget(&mut self) {
        self.member = StrBytes::default();
        self.generation = -1;
    }

    fn id(&self) -> GroupId {
        GroupId(self.group.clone())
    }

    fn coordinator(&self) -> To<'_> {
        To::Group(&self.group)
    }

    /// Joins and gets partitions.
    pub(super) async fn join(&mut self, topics: &[Topic]) -> Result<Vec<Place>, CliError> {
        for _ in 0..JOINS_MAX {
            let joined = self.ask_to_join(topics).await?;
            match ErrorCode::from_code(joined.error_code) {
                Some(ErrorCode::None) => {}
                // The coordinator wants to see the id that it gave before it counts the member in (KIP-394).
                Some(ErrorCode::MemberIdRequired) => {
                    self.member = joined.member_id;
                    continue;
                }
                Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => {
                    self.forget();
                    continue;
                }
                _ => {
                    return Err(CliError::refused(
                        format!("cannot join group {}", self.group),
                        joined.error_code,
                        None,
                    ));
                }
            }
            self.member = joined.member_id.clone();
            self.generation = joined.generation_id;
            let assignments = if joined.leader == self.member {
                self.assignments(&joined, topics).await?
            } else {
                Vec::new()
            };
            match self.sync(assignments).await? {
                Ok(given) => return Ok(given),
                Err(ErrorCode::RebalanceInProgress) => {}
                Err(_) => self.forget(),
            }
        }
        Err(CliError::new(
            Exit::Failed,
            format!("cannot join group {}: it does not come to rest", self.group),
        ))
    }

    async fn ask_to_join(&self, topics: &[Topic]) -> Result<JoinGroupResponse, CliError> {
        let subscription = ConsumerProtocolSubscription::default()
            .with_topics(topics.iter().map(|topic| topic.name.clone().into()).collect())
            .with_user_data(None);
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str(PROTOCOL))
            .with_metadata(encoded(&subscription, 0)?);
        let request = JoinGroupRequest::default()
            .with_group_id(self.id())
            .with_session_timeout_ms(SESSION_TIMEOUT_MS)
            .with_rebalance_timeout_ms(i32::try_from(self.rebalance_timeout.as_millis()).unwrap_or(i32::MAX))
            .with_member_id(self.member.clone())
            .with_protocol_type(StrBytes::from_static_str(PROTOCOL_TYPE))
            .with_protocols(vec![protocol]);
        self.brokers
            .call(self.coordinator(), &request, |answer| {
                passing(ApiKey::JoinGroup, answer.error_code, &self.group)?;
                Ok(answer)
            })
            .await
    }

    /// The leader's part: who gets what.
    async fn assignments(
        &self,
        joined: &JoinGroupResponse,
        topics: &[Topic],
    ) -> Result<Vec<SyncGroupRequestAssignment>, CliError> {
        let mut subscriptions = BTreeMap::new();
        for member in &joined.members {
            let subscription: ConsumerProtocolSubscription = decoded(member.metadata.clone())?;
            let names = subscription.topics.iter().map(|topic| topic.to_string()).collect::<Vec<_>>();
            subscriptions.insert(member.member_id.to_string(), names);
        }
        let mut counts: BTreeMap<String, i32> = topics.iter().map(counted).collect();
        let others: Vec<&str> = subscriptions
            .values()
            .flatten()
            .map(String::as_str)
            .filter(|name| !counts.contains_key(*name))
            .collect();
        if !others.is_empty() {
            let cluster = self.brokers.cluster(Some(&others)).await?;
            let found: Vec<_> = cluster.topics.iter().filter(|topic| topic.error == 0).map(counted).collect();
            counts.extend(found);
        }
        let assigned = assign(&subscriptions, &counts);
        assigned
            .into_iter()
            .map(|(member, places)| {
                Ok(SyncGroupRequestAssignment::default()
                    .with_member_id(StrBytes::from_string(member))
                    .with_assignment(encoded(&assignment(&places), 0)?))
            })
            .collect()
    }

    async fn sync(
        &self,
        assignments: Vec<SyncGroupRequestAssignment>,
    ) -> Result<Result<Vec<Place>, ErrorCode>, CliError> {
        let request = SyncGroupRequest::default()
            .with_group_id(self.id())
            .with_generation_id(self.generation)
            .with_member_id(self.member.clone())
            .with_protocol_type(Some(StrBytes::from_static_str(PROTOCOL_TYPE)))
            .with_protocol_name(Some(StrBytes::from_static_str(PROTOCOL)))
            .with_assignments(assignments);
        let answer = self
            .brokers
            .call(self.coordinator(), &request, |answer| {
                passing(ApiKey::SyncGroup, answer.error_code, &self.group)?;
                Ok(answer)
            })
            .await?;
        match ErrorCode::from_code(answer.error_code) {
            // A member that nothing is left for may get no bytes at all.
            Some(ErrorCode::None) if answer.assignment.is_empty() => Ok(Ok(Vec::new())),
            Some(ErrorCode::None) => Ok(Ok(places(&decoded(answer.assignment)?))),
            Some(
                code @ (ErrorCode::RebalanceInProgress
                | ErrorCode::UnknownMemberId
                | ErrorCode::IllegalGeneration),
            ) => Ok(Err(code)),
            _ => Err(CliError::refused(format!("cannot join group {}", self.group), answer.error_code, None)),
        }
    }

    /// What the group says to a sign of life: none, rebalance, or that it has given up on the member.
    pub(super) async fn heartbeat(&self) -> Result<ErrorCode, CliError> {
        let request = HeartbeatRequest::default()
            .with_group_id(self.id())
            .with_generation_id(self.generation)
            .with_member_id(self.member.clone());
        let code = self
            .brokers
            .call(self.coordinator(), &request, |answer| {
                passing(ApiKey::Heartbeat, answer.error_code, &self.group)?;
                Ok(answer.error_code)
            })
            .await?;
        match ErrorCode::from_code(code) {
            Some(
                code @ (ErrorCode::None
                | ErrorCode::RebalanceInProgress
                | ErrorCode::UnknownMemberId
                | ErrorCode::IllegalGeneration),
            ) => Ok(code),
            _ => Err(CliError::refused(format!("group {}", self.group), code, None)),
        }
    }

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

    /// Leaves, so that the others need not wait for the session to run out.
    pub(super) async fn leave(&self) -> Result<(), CliError> {
        let outcome = self
            .brokers
            .retry(self.coordinator(), async |connection| {
                let served = connection.versions().served(ApiKey::LeaveGroup as i16);
                let mut request = LeaveGroupRequest::default().with_group_id(self.id());
                if served.is_some_and(|served| served.max >= LEAVE_LIST_FROM) {
                    request.members = vec![MemberIdentity::default().with_member_id(self.member.clone())];
                } else {
                    request.member_id = self.member.clone();
                }
                let answer = connection.send(&request).await?;
                accepted(ApiKey::LeaveGroup, answer.error_code, &*self.group, None)
            })
            .await;
        match outcome {
            // Gone already is as good.
            Err(error) if error.code() == Some(ErrorCode::UnknownMemberId) => Ok(()),
            outcome => outcome,
        }
    }
}

/// An error for codes that pass, so that the call is made again; others are for the caller.
fn passing(api: ApiKey, code: i16, group: &str) -> Result<(), CallError> {
    if ErrorCode::from_code(code).is_some_and(ErrorCode::is_retriable) {
        accepted(api, code, group, None)?;
    }
    Ok(())
}

fn counted(topic: &Topic) -> (String, i32) {
    (topic.name.clone(), i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX))
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

fn assignment(places: &[Place]) -> ConsumerProtocolAssignment {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for place in places {
        topics.entry(&place.topic).or_default().push(place.partition);
    }
    let topic = |(name, partitions)| {
        TopicPartition::default().with_topic(topic_name(name)).with_partitions(partitions)
    };
    ConsumerProtocolAssignment::default()
        .with_assigned_partitions(topics.into_iter().map(topic).collect())
        .with_user_data(None)
}

fn places(assignment: &ConsumerProtocolAssignment) -> Vec<Place> {
    let mut places = Vec::new();
    for topic in &assignment.assigned_partitions {
        let place = |partition: &i32| Place { topic: topic.topic.to_string(), partition: *partition };
        places.extend(topic.partitions.iter().map(place));
    }
    places
}

/// What consumers tell each other begins with its own version.
fn encoded<M: Encodable>(message: &M, version: i16) -> Result<Bytes, CliError> {
    let mut bytes = BytesMut::new();
    bytes.put_i16(version);
    let written = message.encode(&mut bytes, version);
    written.map_err(|error| CliError::new(Exit::Failed, format!("cannot write for the group: {error}")))?;
    Ok(bytes.freeze())
}

fn decoded<M: Decodable + eddy_client::protocol::Message>(mut bytes: Bytes) -> Result<M, CliError> {
    let failed =
        |reason: String| CliError::new(Exit::Failed, format!("cannot read what the group says: {reason}"));
    if bytes.remaining() < 2 {
        return Err(failed("it is empty".to_owned()));
    }
    // Later versions only add fields at the end.
    let version = bytes.get_i16().clamp(M::VERSIONS.min, M::VERSIONS.max);
    M::decode(&mut bytes, version).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_back_as_they_were_written() {
        let given: Vec<Place> = [("a", 0), ("a", 3), ("b", 1)]
            .map(|(topic, partition)| Place { topic: topic.to_owned(), partition })
            .into();
        let bytes = encoded(&assignment(&given), 0).unwrap();
        assert_eq!(places(&decoded(bytes).unwrap()), given);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for bytes in [&b""[..], b"\0", b"\0\0\0\0\0\x09"] {
            assert!(
                decoded::<ConsumerProtocolAssignment>(Bytes::copy_from_slice(bytes)).is_err(),
                "{bytes:?}"
            );
        }
    }

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
