//! JoinGroup: who may become a member, and what a known member's joining again means.

use eddy_types::ErrorCode;

use super::{ClassicGroup, Member, PENDING_MEMBERS_MAX, Phase, fail_join};
use crate::group::RebalanceReason;
use crate::group::effects::{Reply, ReplyToken};
use crate::group::record::{Protocol, Str};
use crate::group::reply::{JoinReply, JoinedGroup, JoinedMember};
use crate::group::request::JoinGroup;
use crate::group::shard::Context;
use crate::group::timers::Timer;

impl ClassicGroup {
    /// A client wants to be a member, or a member joins again.
    pub(in crate::group) fn join(&mut self, cx: &mut Context<'_>, token: ReplyToken, request: JoinGroup) {
        if !self.has_room_for(&request, cx.config.size_max) {
            // A member of a group that has to shrink goes like one that left.
            self.remove_member(cx, &request.member, ErrorCode::GroupMaxSizeReached);
            refuse(cx, token, ErrorCode::GroupMaxSizeReached, "".into());
            return self.complete_if_all_joined(cx);
        }
        if !self.fits(&request.protocol_type, &request.protocols) {
            return refuse(cx, token, ErrorCode::InconsistentGroupProtocol, request.member);
        }
        if !request.member.is_empty() {
            return self.join_known(cx, token, request);
        }
        match &request.instance {
            Some(instance) => match self.members.of_instance(instance).cloned() {
                Some(former) => self.replace_static(cx, token, &former, request),
                None => self.add(cx, token, request),
            },
            None if request.id_required => self.give_id(cx, token, &request),
            None => self.add(cx, token, request),
        }
    }

    /// Whether the group has a place for the member. While members join, those who waited longest keep theirs:
    /// so a group that is larger than groups may be now shrinks to its limit. Unlike in Kafka a static member that comes
    /// back takes its former place in a full group.
    fn has_room_for(&self, request: &JoinGroup, size_max: usize) -> bool {
        let former = request.instance.as_ref().and_then(|instance| self.members.of_instance(instance));
        let id = if request.member.is_empty() { former } else { Some(&request.member) };
        let known = id.and_then(|id| self.members.get(id));
        match self.phase {
            Phase::Empty => true,
            Phase::Preparing(_) => {
                known.is_some_and(|member| member.join.is_some()) || self.members.joining() < size_max
            }
            Phase::Completing | Phase::Stable => known.is_some() || self.members.len() < size_max,
        }
    }

    /// Whether a member of this kind can be one of the group.
    fn fits(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.phase == Phase::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| self.members.all_support(&protocol.name))
    }

    /// The client has to come back with the id that it gets now (KIP-394): an answer that is lost leaves no member behind.
    fn give_id(&mut self, cx: &mut Context<'_>, token: ReplyToken, request: &JoinGroup) {
        if self.pending.len() >= PENDING_MEMBERS_MAX {
            return refuse(cx, token, ErrorCode::GroupMaxSizeReached, "".into());
        }
        let id = request.new_member.clone();
        self.pending.insert(id.clone());
        cx.timers.set(&self.id, Timer::Session(id.clone()), cx.now + request.session_timeout);
        refuse(cx, token, ErrorCode::MemberIdRequired, id);
    }

    fn join_known(&mut self, cx: &mut Context<'_>, token: ReplyToken, request: JoinGroup) {
        if self.pending.contains(&request.member) {
            if request.instance.is_some() {
                // Ids are given to dynamic members only.
                return refuse(cx, token, ErrorCode::UnknownMemberId, request.member);
            }
            return self.add(cx, token, request);
        }
        let same_wishes = match self.members.validate(&request.member, request.instance.as_deref()) {
            Ok(member) => member.protocols == request.protocols,
            Err(error) => return refuse(cx, token, error, request.member),
        };
        let leads = self.leader.as_ref() == Some(&request.member);
        match self.phase {
            Phase::Empty => refuse(cx, token, ErrorCode::UnknownMemberId, request.member),
            // The answer of the first request was lost, or nothing changed for a follower: the generation goes on.
            Phase::Completing if same_wishes => self.tell_generation(cx, token, &request.member, leads),
            Phase::Stable if same_wishes && !leads => self.tell_generation(cx, token, &request.member, false),
            // A leader joins again when it has reasons to assign anew that the coordinator does not see.
            Phase::Stable if leads => self.rejoin(cx, token, request, RebalanceReason::LeaderRejoin),
            Phase::Preparing(_) | Phase::Completing | Phase::Stable => {
                self.rejoin(cx, token, request, RebalanceReason::Join);
            }
        }
    }

    fn tell_generation(&mut self, cx: &mut Context<'_>, token: ReplyToken, member: &Str, leads: bool) {
        self.refresh_session(cx, member);
        let joined = self.joined(member.clone(), leads);
        cx.out.reply(token, Reply::Join(JoinReply::Joined(joined)));
    }

    fn rejoin(
        &mut self,
        cx: &mut Context<'_>,
        token: ReplyToken,
        request: JoinGroup,
        reason: RebalanceReason,
    ) {
        let id = request.member;
        self.members.update(&id, request.protocols, request.session_timeout, request.rebalance_timeout);
        let former = self.members.park_join(&id, token);
        // The client has given up on its former request; whatever reads the answer shall try again.
        fail_join(cx, former, ErrorCode::RebalanceInProgress, id);
        self.rebalance_or_complete(cx, reason);
    }

    fn add(&mut self, cx: &mut Context<'_>, token: ReplyToken, request: JoinGroup) {
        let id = if request.member.is_empty() { request.new_member } else { request.member };
        self.pending.remove(&id);
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type);
        }
        self.extend_initial_delay(cx);
        self.leader.get_or_insert_with(|| id.clone());
        self.members.add(Member {
            id: id.clone(),
            instance: request.instance,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: request.protocols,
            assignment: [].into(),
            is_new: true,
            join: Some(token),
            sync: None,
            order: 0,
        });
        // The member cannot send heartbeats before it has its answer, and its going away is not seen while it waits:
        // its first JoinGroup has a time of its own, lest retries fill the group with the dead.
        cx.timers.set(&self.id, Timer::Session(id), cx.now + cx.config.new_member_join_timeout);
        self.rebalance_or_complete(cx, RebalanceReason::Join);
    }

    /// The answer to a member of the current generation; the members are shown to the one who assigns.
    pub(super) fn joined(&self, member: Str, shows_members: bool) -> JoinedGroup {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = if shows_members { self.members.in_order() } else { Vec::new() };
        JoinedGroup {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_else(|| "".into()),
            member,
            members: members
                .into_iter()
                .map(|member| JoinedMember {
                    member: member.id.clone(),
                    instance: member.instance.clone(),
                    metadata: member.metadata(protocol),
                })
                .collect(),
            skip_assignment: false,
        }
    }
}

fn refuse(cx: &mut Context<'_>, token: ReplyToken, error: ErrorCode, member: Str) {
    fail_join(cx, Some(token), error, member);
}
