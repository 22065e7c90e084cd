//! Classic groups: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
//!
//! A group goes round: *Empty* → a member joins → *Preparing*, until every member has joined or the time is over → a new
//! generation: *Completing*, until the leader has sent the assignments → *Stable* → something changes → *Preparing*. Only
//! the start of a stable generation and becoming empty are recorded, so a group that is loaded anew is one or the other.

mod check;
mod convert;
mod describe;
mod heartbeat;
mod join;
mod leave;
mod member;
mod members;
mod rebalance;
mod static_member;
mod subscription;
mod sync;

use std::collections::BTreeSet;

use eddy_types::{ErrorCode, Millis};

pub(in crate::group) use member::Member;
pub(in crate::group) use members::Members;
pub(in crate::group) use subscription::CONSUMER_PROTOCOL_TYPE;

use super::effects::{Note, Reply, ReplyToken};
use super::record::{ClassicGroupValue, GroupRecord, Str};
use super::reply::{JoinReply, SyncReply};
use super::shard::Context;
use super::timers::Timer;

/// Most ids of one group that were given out and have not come back (KIP-394). Kafka has no limit; a client that asks for
/// ids in a loop would fill the memory.
const PENDING_MEMBERS_MAX: usize = 10_000;

/// A classic group, or a simple one that only stores offsets.
#[derive(Debug)]
pub(in crate::group) struct ClassicGroup {
    pub(in crate::group) id: Str,
    pub(in crate::group) phase: Phase,
    /// When the phase began; `None` in a simple group and in one loaded from a record that does not say.
    pub(in crate::group) phase_since: Option<Millis>,
    /// What the members are, or were; `None` in a group that never had any.
    pub(in crate::group) protocol_type: Option<Str>,
    /// The chosen protocol of the generation.
    pub(in crate::group) protocol: Option<Str>,
    pub(in crate::group) generation: i32,
    pub(in crate::group) leader: Option<Str>,
    pub(in crate::group) members: Members,
    /// Ids that were given out and have not come back.
    pending: BTreeSet<Str>,
    /// Members that have not asked for their assignment in this generation.
    unsynced: BTreeSet<Str>,
    /// What the members subscribe to in this generation; `None` when it cannot be told.
    subscribed: Option<BTreeSet<Str>>,
}

/// Where a classic group is in its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::group) enum Phase {
    /// No members.
    Empty,
    /// Members are joining. From *Empty* the first one waits for others instead of joining at once.
    Preparing(Option<InitialDelay>),
    /// The leader's assignments are awaited.
    Completing,
    /// Every member has its assignment or may ask for it.
    Stable,
}

/// How the first member waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::group) struct InitialDelay {
    /// When the wait is over whoever still comes: the rebalance timeout after it began.
    latest_end: Millis,
}

impl ClassicGroup {
    /// A group without members.
    pub(in crate::group) fn new(id: Str) -> ClassicGroup {
        ClassicGroup {
            id,
            phase: Phase::Empty,
            phase_since: None,
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: Members::default(),
            pending: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            subscribed: None,
        }
    }

    /// The group that a record tells of.
    pub(in crate::group) fn from_value(id: Str, value: ClassicGroupValue) -> ClassicGroup {
        let mut group = ClassicGroup::new(id);
        for member in value.members {
            // A record never names a static member twice; of one that did, the later counts.
            let duplicate =
                member.instance.as_ref().and_then(|name| group.members.of_instance(name)).cloned();
            if let Some(duplicate) = duplicate {
                group.members.remove(&duplicate);
            }
            group.members.remove(&member.member);
            group.members.add(Member::from_value(member, value.protocol.as_ref()));
        }
        group.phase = if group.members.is_empty() { Phase::Empty } else { Phase::Stable };
        group.phase_since = value.state_timestamp;
        group.protocol_type = Some(value.protocol_type).filter(|name| !name.is_empty());
        group.protocol = value.protocol;
        group.generation = value.generation;
        let known_leader = value.leader.filter(|leader| group.members.get(leader).is_some());
        group.leader = known_leader.or_else(|| group.members.first(|_| true).cloned());
        group.subscribed = group.read_subscriptions();
        group
    }

    /// The group as its record keeps it.
    pub(in crate::group) fn value(&self) -> ClassicGroupValue {
        let members = self.members.in_order();
        ClassicGroupValue {
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| "".into()),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_timestamp: self.phase_since,
            members: members.into_iter().map(|member| member.value(self.protocol.as_deref())).collect(),
        }
    }

    /// Records the group as it is now.
    pub(super) fn record(&self, cx: &mut Context<'_>) {
        cx.out.records.push(GroupRecord::ClassicGroup { group: self.id.clone(), value: Some(self.value()) });
    }

    /// Sessions begin anew; a group that is larger than groups may be now has to shrink.
    pub(in crate::group) fn loaded(&mut self, cx: &mut Context<'_>) {
        let ids: Vec<Str> = self.members.iter().map(|member| member.id.clone()).collect();
        for id in &ids {
            self.refresh_session(cx, id);
        }
        if self.members.len() > cx.config.size_max {
            self.prepare_rebalance(cx, super::RebalanceReason::OverCapacity);
        }
    }

    /// A deadline has come.
    pub(in crate::group) fn timeout(&mut self, cx: &mut Context<'_>, timer: &Timer) {
        match timer {
            Timer::Join => self.join_phase_is_over(cx),
            Timer::Sync => self.sync_phase_is_over(cx),
            Timer::Session(member) => self.session_is_over(cx, member),
            // Those of the consumer group that this group was.
            _ => {}
        }
    }

    /// Whether it is there only because offsets were committed without membership: nothing is recorded of it.
    pub(in crate::group) fn is_simple(&self) -> bool {
        self.protocol_type.is_none() && self.phase_since.is_none() && self.generation == 0
    }

    /// Whether members are, or last were, consumers.
    pub(in crate::group) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// Whether a member reads the topic, or may: consumers whose subscription cannot be read are taken to read all.
    pub(in crate::group) fn is_subscribed(&self, topic: &str) -> bool {
        self.subscribed.as_ref().map_or(self.is_of_consumers(), |topics| topics.contains(topic))
    }

    fn read_subscriptions(&self) -> Option<BTreeSet<Str>> {
        match &self.protocol {
            _ if !self.is_of_consumers() => None,
            _ if self.members.is_empty() => Some(BTreeSet::new()),
            Some(protocol) => subscription::subscribed_topics(&self.members, protocol),
            None => None,
        }
    }

    /// Whether a commit of this member and generation counts.
    pub(in crate::group) fn validate_commit(
        &self,
        member: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        if generation < 0 && member.is_empty() && instance.is_none() {
            // A client without membership may not write over what members commit.
            return Err(ErrorCode::UnknownMemberId);
        }
        self.members.validate(member, instance)?;
        if generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.phase == Phase::Completing {
            // The member has joined the generation but has no assignment of it: it speaks for the former one.
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// The member is alive: it has a whole session again.
    pub(in crate::group) fn refresh_session(&self, cx: &mut Context<'_>, member: &str) {
        if let Some(member) = self.members.get(member) {
            let deadline = cx.now + member.session_timeout;
            cx.timers.set(&self.id, Timer::Session(member.id.clone()), deadline);
        }
    }

    /// Changes the phase.
    fn enter(&mut self, now: Millis, phase: Phase) {
        self.phase = phase;
        self.phase_since = Some(now);
    }

    /// Takes a member out and fails what it waits for with `error`. The rebalance is the caller's.
    fn remove_member(&mut self, cx: &mut Context<'_>, id: &str, error: ErrorCode) {
        self.pending.remove(id);
        self.unsynced.remove(id);
        cx.timers.cancel(&self.id, Timer::Session(id.into()));
        let Some(member) = self.members.remove(id) else { return };
        fail_join(cx, member.join, error, "".into());
        fail_sync(cx, member.sync, error);
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.first(|_| true).cloned();
        }
    }

    fn note_expired(&self, cx: &mut Context<'_>, member: &Str, reason: super::ExpiryReason) {
        cx.out.notes.push(Note::MemberExpired { group: self.id.clone(), member: member.clone(), reason });
    }
}

/// Answers a JoinGroup, if there is one, that there will be no generation for it.
fn fail_join(cx: &mut Context<'_>, token: Option<ReplyToken>, error: ErrorCode, member: Str) {
    if let Some(token) = token {
        cx.out.reply(token, Reply::Join(JoinReply::Failed { error, member }));
    }
}

/// Answers a SyncGroup, if there is one, that there will be no assignment for it.
fn fail_sync(cx: &mut Context<'_>, token: Option<ReplyToken>, error: ErrorCode) {
    if let Some(token) = token {
        cx.out.reply(token, Reply::Sync(SyncReply::failed(error)));
    }
}
