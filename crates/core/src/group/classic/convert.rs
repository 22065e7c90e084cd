//! What a classic group does when it becomes a consumer group, or was one.

use eddy_types::ErrorCode;

use super::{ClassicGroup, Phase, fail_join, fail_sync};
use crate::group::RebalanceReason;
use crate::group::record::Str;
use crate::group::shard::Context;

impl ClassicGroup {
    /// The group becomes a consumer group: whoever waits is told to join again.
    pub(in crate::group) fn fail_waiting(&mut self, cx: &mut Context<'_>) {
        let ids: Vec<Str> = self.members.iter().map(|member| member.id.clone()).collect();
        for id in ids {
            let join = self.members.take_join(&id);
            let sync = self.members.get_mut(&id).and_then(|member| member.sync.take());
            fail_join(cx, join, ErrorCode::RebalanceInProgress, id);
            fail_sync(cx, sync, ErrorCode::RebalanceInProgress);
        }
    }

    /// The group was a consumer group: its members shall assign anew, if they are not about to.
    pub(in crate::group) fn rebalance(&mut self, cx: &mut Context<'_>, reason: RebalanceReason) {
        if self.phase == Phase::Stable {
            self.prepare_rebalance(cx, reason);
        }
    }
}
