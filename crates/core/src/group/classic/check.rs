//! What holds of a classic group after every event, by the ids of `docs/INVARIANTS.md`.

use super::{ClassicGroup, Phase};
use crate::group::record::Str;
use crate::invariant::check;

impl ClassicGroup {
    /// Asserts the invariants of a classic group.
    pub(in crate::group) fn check(&self, has_session: impl Fn(&Str) -> bool) {
        let leader = self.leader.as_deref();
        check!(
            GRP_1,
            leader.is_some() != self.members.is_empty()
                && leader.is_none_or(|id| self.members.get(id).is_some()),
            "group {} in {:?} has leader {leader:?} and {} members",
            self.id,
            self.phase,
            self.members.len()
        );
        if matches!(self.phase, Phase::Completing | Phase::Stable) {
            let protocol = self.protocol.as_deref();
            let supported = protocol.is_some_and(|protocol| self.members.all_support(protocol));
            check!(GRP_2, supported, "group {} in {:?} chose {protocol:?}", self.id, self.phase);
        }
        for member in self.members.iter() {
            let waits = member.join.is_some() || member.sync.is_some();
            check!(GRP_3, waits || has_session(&member.id), "member {} of group {}", member.id, self.id);
            let may_join = matches!(self.phase, Phase::Preparing(_));
            let may_sync = self.phase == Phase::Completing;
            check!(
                GRP_4,
                (may_join || member.join.is_none()) && (may_sync || member.sync.is_none()),
                "member {} waits for {:?} and {:?} while group {} is in {:?}",
                member.id,
                member.join,
                member.sync,
                self.id,
                self.phase
            );
        }
        for id in &self.pending {
            check!(
                GRP_3,
                has_session(id) && self.members.get(id).is_none(),
                "pending {id} of group {}",
                self.id
            );
        }
        let unsynced_known = self.unsynced.iter().all(|id| self.members.get(id).is_some());
        let empty = self.phase == Phase::Empty;
        check!(
            GRP_4,
            unsynced_known && (!empty || self.members.is_empty()),
            "group {} in {:?} waits for the syncs of {:?}",
            self.id,
            self.phase,
            self.unsynced
        );
        check!(GRP_5, self.members.counts_hold(), "group {}: {:?}", self.id, self.members);
    }
}
