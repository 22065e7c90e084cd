//! What a member says to its coordinator.

use std::collections::BTreeMap;
use std::time::Duration;

use eddy_client::messages::join_group_request::JoinGroupRequestProtocol;
use eddy_client::messages::leave_group_request::MemberIdentity;
use eddy_client::messages::sync_group_request::SyncGroupRequestAssignment;
use eddy_client::messages::{
    ApiKey, ConsumerProtocolSubscription, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, SyncGroupRequest,
};
use eddy_client::protocol::StrBytes;
use eddy_client::{CallError, accepted};
use eddy_types::ErrorCode;

use super::assignor::assign;
use super::words::{assignment, decoded, encoded, places};
use crate::Topic;
use crate::brokers::{Brokers, To};
use crate::error::{CliError, Exit};
use crate::positions::Place;

const PROTOCOL_TYPE: &str = "consumer";
const PROTOCOL: &str = "range";
const SESSION_TIMEOUT_MS: i32 = 30_000;
/// Joins in a row that the group calls off, at most.
const JOINS_MAX: usize = 50;
/// From this version on a member leaves by a list.
const LEAVE_LIST_FROM: i16 = 3;

/// One member of a group.
pub(super) struct Membership<'a> {
    pub(super) brokers: &'a Brokers,
    pub(super) group: StrBytes,
    pub(super) member: StrBytes,
    pub(super) generation: i32,
    /// How long the others may take to join again.
    rebalance_timeout: Duration,
}

impl<'a> Membership<'a> {
    pub(super) fn new(brokers: &'a Brokers, group: &str) -> Membership<'a> {
        Membership {
            brokers,
            group: StrBytes::from_string(group.to_owned()),
            member: StrBytes::default(),
            generation: -1,
            // The join waits for the others; its answer must come before the request is given up.
            rebalance_timeout: brokers.timeout() * 2 / 3,
        }
    }

    /// Begins again as somebody new.
    pub(super) fn forget(&mut self) {
        self.member = StrBytes::default();
        self.generation = -1;
    }

    pub(super) fn id(&self) -> GroupId {
        GroupId(self.group.clone())
    }

    pub(super) fn coordinator(&self) -> To<'_> {
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
