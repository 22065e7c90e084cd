//! LeaveGroup: members go, by themselves or by an administrator's word.

use eddy_types::ErrorCode;

use super::ClassicGroup;
use crate::group::RebalanceReason;
use crate::group::reply::LeftMember;
use crate::group::request::LeavingMember;
use crate::group::shard::Context;

impl ClassicGroup {
    /// Members leave: one rebalance for all of them.
    pub(in crate::group) fn leave(
        &mut self,
        cx: &mut Context<'_>,
        leaving: Vec<LeavingMember>,
    ) -> Vec<LeftMember> {
        let mut left = Vec::new();
        let members_before = self.members.len();
        for LeavingMember { member, instance } in leaving {
            let outcome = self.leave_one(cx, &member, instance.as_deref());
            left.push(LeftMember { member, instance, error: outcome.err().unwrap_or(ErrorCode::None) });
        }
        if self.members.len() < members_before {
            self.rebalance_or_complete(cx, RebalanceReason::Leave);
        } else {
            // An id that was given out and will not come back may be what the join phase waits for.
            self.complete_if_all_joined(cx);
        }
        left
    }

    fn leave_one(&mut self, cx: &mut Context<'_>, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        let id = if id.is_empty() {
            // An administrator knows static members by name.
            let named = instance.and_then(|instance| self.members.of_instance(instance));
            named.cloned().ok_or(ErrorCode::UnknownMemberId)?
        } else if self.pending.contains(id) {
            id.into()
        } else {
            self.members.validate(id, instance)?.id.clone()
        };
        self.remove_member(cx, &id, ErrorCode::UnknownMemberId);
        Ok(())
    }
}
