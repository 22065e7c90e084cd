//! Members of a consumer group that speak the classic protocol, so that clients can change over one by one.
//!
//! Such a member joins, asks for its assignment and sends heartbeats as in a classic group, but nothing waits: each
//! JoinGroup is a step of its own reconciliation, and REBALANCE_IN_PROGRESS tells it to take the next one.

use std::collections::BTreeSet;

use eddy_types::{ErrorCode, Millis, TopicId};

use super::admission::Admission;
use super::member::{Member, MemberState};
use super::partitions::Partitions;
use super::protocol::{Assignment, Subscription};
use super::request::ConsumerGroupError;
use super::{ConsumerGroup, FIRST_EPOCH};
use crate::group::classic::CONSUMER_PROTOCOL_TYPE;
use crate::group::config::{ConsumerGroupConfig, MigrationPolicy};
use crate::group::record::{Blob, ConsumerClassicMember, ConsumerMemberValue, Str};
use crate::group::reply::{JoinedGroup, SyncReply};
use crate::group::request::{Heartbeat, JoinGroup, LeavingMember, SyncGroup};
use crate::group::shard::Context;
use crate::group::timers::Timer;
use crate::group::topics::ClusterTopics;

/// A JoinGroup that can be served.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) id: Str,
    pub(super) admission: Admission,
    subscription: Subscription,
}

/// Partitions of topics by name, as far as the topics exist.
pub(super) fn by_id(named: &[(Str, Vec<i32>)], topics: &ClusterTopics) -> Partitions {
    let known = named.iter().filter_map(|(name, partitions)| Some((topics.get(name)?.id, partitions)));
    known.flat_map(|(id, partitions)| partitions.iter().map(move |&partition| (id, partition))).collect()
}

/// Partitions as a classic member reads them. Topics that are gone have no name, and no partitions to read.
pub(super) fn to_bytes(partitions: &Partitions, subscription: &[u8], topics: &ClusterTopics) -> Blob {
    let named = |(&id, partitions): (&TopicId, &BTreeSet<i32>)| {
        Some((topics.name(id)?.clone(), partitions.iter().copied().collect()))
    };
    let partitions = partitions.topics().filter_map(named).collect();
    Assignment { partitions, has_user_data: false }.to_bytes(Subscription::version_of(subscription))
}

impl ConsumerGroup {
    /// Whether a classic member may join, and how. Changes nothing.
    pub(super) fn admit_classic(
        &self,
        config: &ConsumerGroupConfig,
        request: &JoinGroup,
    ) -> Result<Joining, ErrorCode> {
        if config.migration_policy == MigrationPolicy::Disabled {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let owner = request.instance.as_ref().and_then(|instance| self.instances.get(instance));
        let is_new = !self.members.contains_key(&request.member) && owner.is_none();
        if is_new && self.members.len() >= config.size_max {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        if !self.supports(request) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let is_named = !request.member.is_empty();
        let admission = match (&request.instance, owner) {
            (None, _) if !is_named && request.id_required => return Err(ErrorCode::MemberIdRequired),
            (None, _) => Admission::AsItself,
            (Some(_), Some(owner)) if !is_named => Admission::InPlaceOf(owner.clone()),
            (Some(_), Some(owner)) if *owner != request.member => return Err(ErrorCode::FencedInstanceId),
            (Some(_), None) if is_named => return Err(ErrorCode::UnknownMemberId),
            (Some(_), _) => Admission::AsItself,
        };
        let metadata = request.protocols.first().map_or(&[][..], |protocol| &protocol.metadata);
        let subscription = Subscription::parse(metadata).map_err(|_| ErrorCode::InconsistentGroupProtocol)?;
        let id = if is_named { request.member.clone() } else { request.new_member.clone() };
        Ok(Joining { id, admission, subscription })
    }

    /// Whether every classic member knows a protocol of the newcomer, for the day that all members are classic.
    fn supports(&self, request: &JoinGroup) -> bool {
        let classic = || self.members.values().filter_map(|member| member.wishes.classic.as_ref());
        let knows =
            |name: &Str| classic().all(|member| member.protocols.iter().any(|known| known.name == *name));
        *request.protocol_type == *CONSUMER_PROTOCOL_TYPE
            && request.protocols.iter().any(|protocol| knows(&protocol.name))
    }

    /// Serves a JoinGroup that was admitted.
    pub(super) fn join_classic(
        &mut self,
        context: &mut Context<'_>,
        request: &JoinGroup,
        joining: &Joining,
    ) -> JoinedGroup {
        let (id, subscription) = (&joining.id, &joining.subscription);
        let mut changed = false;
        if let Admission::InPlaceOf(former) = &joining.admission {
            changed = self.replace_static(context, former, id);
        }
        let before = self.members.get(id).map(|member| member.wishes.clone());
        let wishes = classic_wishes(request, subscription, before.as_ref());
        let resubscribed = self.take_wishes(context, id, before, wishes.clone());
        if changed || resubscribed || self.epoch < FIRST_EPOCH {
            self.next_epoch(context);
        }
        self.update_target(context);
        let owned = by_id(&subscription.owned, context.topics);
        self.reconcile(context, id, resubscribed, Some(&owned));

        context.timers.cancel(&self.id, Timer::ConsumerRebalance(id.clone()));
        context.timers.cancel(&self.id, Timer::ConsumerJoin(id.clone()));
        let now = context.now;
        context.timers.set(&self.id, Timer::ConsumerSession(id.clone()), now + request.session_timeout);
        context.timers.set(&self.id, Timer::ConsumerSync(id.clone()), now + request.rebalance_timeout);
        self.joined(id, &wishes)
    }

    fn joined(&self, id: &Str, wishes: &ConsumerMemberValue) -> JoinedGroup {
        let protocol = wishes.classic.as_ref().and_then(|classic| classic.protocols.first());
        JoinedGroup {
            generation: self.members.get(id).map_or(0, |member| member.epoch),
            protocol_type: Some(CONSUMER_PROTOCOL_TYPE.into()),
            protocol: protocol.map(|protocol| protocol.name.clone()),
            // No member leads: the broker assigns.
            leader: "".into(),
            member: id.clone(),
            members: Vec::new(),
            skip_assignment: false,
        }
    }

    /// A classic member and what it said, if the request may speak for it.
    fn classic_member(
        &self,
        id: &Str,
        instance: Option<&Str>,
    ) -> Result<(&Member, &ConsumerClassicMember), ErrorCode> {
        let member = self.named(id, instance).map_err(|error| error.code())?;
        let classic = member.wishes.classic.as_ref().ok_or(ErrorCode::UnknownMemberId)?;
        Ok((member, classic))
    }

    /// SyncGroup: the member's own assignment, whatever a leader might send.
    pub(super) fn sync_classic(
        &self,
        context: &mut Context<'_>,
        request: &SyncGroup,
    ) -> Result<SyncReply, ErrorCode> {
        let (member, classic) = self.classic_member(&request.member, request.instance.as_ref())?;
        if request.generation != member.epoch {
            return Err(ErrorCode::IllegalGeneration);
        }
        let protocol = classic.protocols.first();
        let fits =
            |said: &Option<Str>, known: Option<&str>| said.as_deref().is_none_or(|said| known == Some(said));
        if !fits(&request.protocol_type, Some(CONSUMER_PROTOCOL_TYPE))
            || !fits(&request.protocol, protocol.map(|protocol| &*protocol.name))
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if self.target_epoch > member.epoch && member.state != MemberState::UnrevokedPartitions {
            self.await_join(context, &request.member, member.wishes.rebalance_timeout);
            return Err(ErrorCode::RebalanceInProgress);
        }
        context.timers.cancel(&self.id, Timer::ConsumerSync(request.member.clone()));
        let session = Timer::ConsumerSession(request.member.clone());
        context.timers.set(&self.id, session, context.now + classic.session_timeout);
        let metadata = protocol.map_or(&[][..], |protocol| &protocol.metadata);
        Ok(SyncReply {
            error: ErrorCode::None,
            protocol_type: request.protocol_type.clone(),
            protocol: request.protocol.clone(),
            assignment: to_bytes(&member.assigned.partitions(), metadata, context.topics),
        })
    }

    /// Heartbeat: REBALANCE_IN_PROGRESS when joining again would take the member a step further.
    pub(super) fn heartbeat_classic(
        &self,
        context: &mut Context<'_>,
        request: &Heartbeat,
    ) -> Result<(), ErrorCode> {
        let (member, classic) = self.classic_member(&request.member, request.instance.as_ref())?;
        if request.generation != member.epoch {
            return Err(ErrorCode::IllegalGeneration);
        }
        let session = Timer::ConsumerSession(request.member.clone());
        context.timers.set(&self.id, session, context.now + classic.session_timeout);
        let has_a_step = member.epoch < self.target_epoch
            || member.state == MemberState::UnrevokedPartitions
            || member.state == MemberState::UnreleasedPartitions
                && !self.waits_for_others(&request.member, member);
        if has_a_step {
            self.await_join(context, &request.member, member.wishes.rebalance_timeout);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// The member is told to join again: from the first time on it has its rebalance timeout for that.
    fn await_join(&self, context: &mut Context<'_>, id: &Str, rebalance_timeout: Millis) {
        let timer = Timer::ConsumerJoin(id.clone());
        if context.timers.deadline(&self.id, timer.clone()).is_none() {
            context.timers.set(&self.id, timer, context.now + rebalance_timeout);
        }
    }

    /// Whether something that is for the member is still another one's.
    fn waits_for_others(&self, id: &Str, member: &Member) -> bool {
        let Some(target) = self.targets.get(id) else { return false };
        let mut missing =
            target.iter().filter(|&(topic, partition)| !member.assigned.contains(topic, partition));
        missing.any(|(topic, partition)| self.owner(topic, partition).is_some_and(|owner| owner != id))
    }

    /// The member that LeaveGroup names: by its id, its static name, or both.
    pub(super) fn leaver(&self, leaving: &LeavingMember) -> Result<Str, ConsumerGroupError> {
        let LeavingMember { member, instance } = leaving;
        match instance {
            Some(instance) if member.is_empty() => {
                let owner = self.instances.get(instance);
                owner.cloned().ok_or_else(|| ConsumerGroupError::UnknownMember { member: instance.clone() })
            }
            instance => self.named(member, instance.as_ref()).map(|_| member.clone()),
        }
    }
}

fn classic_wishes(
    request: &JoinGroup,
    subscription: &Subscription,
    before: Option<&ConsumerMemberValue>,
) -> ConsumerMemberValue {
    let mut topic_names = subscription.topics.clone();
    topic_names.sort();
    topic_names.dedup();
    let rack = subscription.rack.clone().or_else(|| before.and_then(|before| before.rack.clone()));
    ConsumerMemberValue {
        instance: request.instance.clone().or_else(|| before.and_then(|before| before.instance.clone())),
        rack,
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        topic_names,
        topic_regex: None,
        rebalance_timeout: request.rebalance_timeout,
        assignor: before.and_then(|before| before.assignor.clone()),
        classic: Some(ConsumerClassicMember {
            session_timeout: request.session_timeout,
            protocols: request.protocols.clone(),
        }),
    }
}
