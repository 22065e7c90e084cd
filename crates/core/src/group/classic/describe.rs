//! A classic group as others see it.

use super::{ClassicGroup, Phase};
use crate::group::reply::{DescribedGroup, DescribedMember, ListedGroup};
use crate::group::state::{GroupState, GroupType};

impl ClassicGroup {
    /// Its state by Kafka's name.
    pub(in crate::group) fn state(&self) -> GroupState {
        match self.phase {
            Phase::Empty => GroupState::Empty,
            Phase::Preparing(_) => GroupState::PreparingRebalance,
            Phase::Completing => GroupState::CompletingRebalance,
            Phase::Stable => GroupState::Stable,
        }
    }

    /// The group as DescribeGroups shows it: members' bytes only when they belong together.
    pub(in crate::group) fn describe(&self) -> DescribedGroup {
        let stable = self.phase == Phase::Stable;
        let protocol = self.protocol.clone().filter(|_| stable).unwrap_or_else(|| "".into());
        let members = self.members.in_order().into_iter().map(|member| {
            let shown = member.value(self.protocol.as_deref().filter(|_| stable));
            DescribedMember {
                member: shown.member,
                instance: shown.instance,
                client_id: shown.client_id,
                client_host: shown.client_host,
                metadata: shown.subscription,
                assignment: if stable { shown.assignment } else { [].into() },
            }
        });
        let members = members.collect();
        let protocol_type = self.protocol_type.clone().unwrap_or_else(|| "".into());
        DescribedGroup { state: self.state(), protocol_type, protocol, members }
    }

    /// The group as ListGroups shows it.
    pub(in crate::group) fn list(&self) -> ListedGroup {
        ListedGroup {
            group: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| "".into()),
            state: self.state(),
            group_type: GroupType::Classic,
        }
    }
}
