//! How long members may be silent, and what falls due.

use eddy_types::Millis;

use super::ConsumerGroup;
use super::member::{Member, MemberState};
use crate::group::effects::{ExpiryReason, Note, RebalanceReason};
use crate::group::record::Str;
use crate::group::shard::Context;
use crate::group::timers::Timer;

impl ConsumerGroup {
    pub(super) fn session_timeout(&self, context: &Context<'_>) -> Millis {
        let set = context.overrides.get(&self.id).and_then(|overrides| overrides.consumer_session_timeout);
        set.unwrap_or(context.config.consumer.session_timeout)
    }

    pub(super) fn heartbeat_interval(&self, context: &Context<'_>) -> Millis {
        let set = context.overrides.get(&self.id).and_then(|overrides| overrides.consumer_heartbeat_interval);
        set.unwrap_or(context.config.consumer.heartbeat_interval)
    }

    /// Gives a member a whole session, as after a start: nobody knows how long it has been silent.
    pub(super) fn start_timers(&self, context: &mut Context<'_>, id: &Str, member: &Member) {
        let classic = member.wishes.classic.as_ref().map(|classic| classic.session_timeout);
        let session = classic.unwrap_or_else(|| self.session_timeout(context));
        context.timers.set(&self.id, Timer::ConsumerSession(id.clone()), context.now + session);
        if member.state == MemberState::UnrevokedPartitions && !member.is_classic() {
            let deadline = context.now + member.wishes.rebalance_timeout;
            context.timers.set(&self.id, Timer::ConsumerRebalance(id.clone()), deadline);
        }
    }

    /// Every record is replayed: sessions begin, and topics that changed meanwhile are looked at.
    pub(in crate::group) fn loaded(&mut self, context: &mut Context<'_>) {
        for (id, member) in &self.members {
            self.start_timers(context, id, member);
        }
        let every_topic = context.topics.iter().map(|(name, _)| name.clone()).collect();
        self.update_regexes(context);
        self.topics_changed(context, &every_topic);
    }

    /// Something is due: tells which member has to go for it, if any. A target assignment is made here.
    pub(super) fn due(&mut self, context: &mut Context<'_>, timer: &Timer) -> Option<(Str, RebalanceReason)> {
        let (id, reason) = match timer {
            Timer::ConsumerAssignment => {
                self.update_target(context);
                return None;
            }
            Timer::ConsumerSession(id) => (id, ExpiryReason::SessionTimeout),
            Timer::ConsumerRebalance(id) | Timer::ConsumerJoin(id) => (id, ExpiryReason::RebalanceTimeout),
            Timer::ConsumerSync(id) => (id, ExpiryReason::SyncTimeout),
            Timer::Join | Timer::Sync | Timer::Session(_) => return None,
        };
        if !self.members.contains_key(id) {
            return None;
        }
        context.out.notes.push(Note::MemberExpired { group: self.id.clone(), member: id.clone(), reason });
        let reason = match reason {
            ExpiryReason::RebalanceTimeout => RebalanceReason::RebalanceTimeout,
            ExpiryReason::SyncTimeout => RebalanceReason::SyncTimeout,
            _ => RebalanceReason::SessionTimeout,
        };
        Some((id.clone(), reason))
    }

    pub(super) fn end_timers(&self, context: &mut Context<'_>, id: &Str) {
        for timer in
            [Timer::ConsumerSession, Timer::ConsumerRebalance, Timer::ConsumerJoin, Timer::ConsumerSync]
        {
            context.timers.cancel(&self.id, timer(id.clone()));
        }
    }
}
