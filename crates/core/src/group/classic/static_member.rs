//! A static member that comes back without its id: it takes its former place (KIP-345, R-3.52).

use eddy_types::ErrorCode;

use super::{ClassicGroup, Phase, fail_join, fail_sync};
use crate::group::RebalanceReason;
use crate::group::effects::{Reply, ReplyToken};
use crate::group::record::Str;
use crate::group::reply::JoinReply;
use crate::group::request::JoinGroup;
use crate::group::shard::Context;
use crate::group::timers::Timer;

impl ClassicGroup {
    /// The client of a static member has started again. Its new id takes the place of the former one, whose owner, if
    /// it still lives, is fenced.
    pub(super) fn replace_static(
        &mut self,
        cx: &mut Context<'_>,
        token: ReplyToken,
        former: &Str,
        request: JoinGroup,
    ) {
        let former_leader = self.leader.clone();
        let id = request.new_member.clone();
        let can_skip_assignment = request.can_skip_assignment;
        self.rename(cx, former, request);
        self.refresh_session(cx, &id);

        match self.phase {
            Phase::Stable if self.members.elect_protocol() == self.protocol => {
                // Nothing that the assignment rests on has changed: the generation goes on under the new id.
                self.subscribed = self.read_subscriptions();
                self.record(cx);
                let leads = self.leader.as_ref() == Some(&id);
                let mut joined = self.joined(id, leads && can_skip_assignment);
                if can_skip_assignment {
                    joined.skip_assignment = leads;
                } else if let Some(former_leader) = former_leader {
                    // A client that cannot skip would assign anew if it learnt that it leads.
                    joined.leader = former_leader;
                }
                cx.out.reply(token, Reply::Join(JoinReply::Joined(joined)));
            }
            Phase::Empty => fail_join(cx, Some(token), ErrorCode::UnknownMemberId, "".into()),
            Phase::Preparing(_) | Phase::Completing | Phase::Stable => {
                // While assignments are awaited the leader may already hold the former id: it has to ask again.
                self.members.park_join(&id, token);
                self.rebalance_or_complete(cx, RebalanceReason::StaticReplaced);
            }
        }
    }

    fn rename(&mut self, cx: &mut Context<'_>, former: &Str, request: JoinGroup) {
        let Some(mut member) = self.members.remove(former) else { return };
        cx.timers.cancel(&self.id, Timer::Session(former.clone()));
        fail_join(cx, member.join.take(), ErrorCode::FencedInstanceId, former.clone());
        fail_sync(cx, member.sync.take(), ErrorCode::FencedInstanceId);

        let id = request.new_member;
        if self.leader.as_ref() == Some(former) {
            self.leader = Some(id.clone());
        }
        if self.unsynced.remove(former) {
            self.unsynced.insert(id.clone());
        }
        member.id = id;
        member.client_id = request.client_id;
        member.client_host = request.client_host;
        member.session_timeout = request.session_timeout;
        member.rebalance_timeout = request.rebalance_timeout;
        member.protocols = request.protocols;
        member.is_new = false;
        self.members.add(member);
    }
}
