//! The leader's side of joining and leaving, and what any broker says of the cluster to one that looks for it.

use std::time::{Duration, Instant};

use eddy_types::BrokerId;
use openraft::ChangeMembers;

use crate::desk;
use crate::join::{ASK_WITHIN, REMOVE_WITHIN, call_at};
use crate::member::{ClusterMember, Member};
use crate::message::{Introduction, Known, MembershipAnswer, MembershipCall};
use crate::types::{Address, MemberId, Voter};
use crate::voters;

impl Member {
    /// Answers the questions of brokers that look for their cluster.
    pub(crate) async fn answer_membership(&self, call: MembershipCall) -> MembershipAnswer {
        let Some(cluster) = &self.cluster else {
            return MembershipAnswer::Later("not a member of a cluster".to_owned());
        };
        if let MembershipCall::Ask(from) | MembershipCall::Join(from) = &call
            && let (Some(theirs), Some(ours)) = (from.cluster, self.machine.image().cluster_id())
            && theirs != ours
        {
            return MembershipAnswer::OtherCluster(ours);
        }
        match call {
            MembershipCall::Ask(_) => MembershipAnswer::Known(self.known(cluster)),
            MembershipCall::Join(from) => self.take_in(cluster, from).await,
            MembershipCall::Remove { broker } => self.let_go(cluster, broker).await,
            MembershipCall::Status if desk::leads(&self.metrics()) => MembershipAnswer::Status(self.status()),
            MembershipCall::Status => MembershipAnswer::NotLeader(self.known(cluster).leader),
        }
    }

    fn known(&self, cluster: &ClusterMember) -> Known {
        let leader = self.leader().and_then(|leader| {
            let own = (leader == self.broker).then(|| cluster.advertised());
            Some((leader, own.or_else(|| cluster.peers.address(leader).map(Address::from))?))
        });
        Known {
            broker: self.broker,
            member: self.me,
            address: cluster.advertised(),
            belongs: self.belongs(),
            leader,
            seeds: cluster.seed_brokers(),
        }
    }

    /// Takes a broker into the group, as a learner; nothing changes when it is there already.
    async fn take_in(&self, cluster: &ClusterMember, from: Introduction) -> MembershipAnswer {
        let Ok(_one) = tokio::time::timeout(ASK_WITHIN, cluster.membership.lock()).await else {
            return MembershipAnswer::Later("another broker is joining".to_owned());
        };
        let metrics = self.metrics();
        if !desk::leads(&metrics) {
            return MembershipAnswer::NotLeader(self.known(cluster).leader);
        }
        let membership = metrics.membership_config.membership();
        let voter = Voter::new(from.broker, from.address.clone());
        match membership.get_node(&from.member) {
            Some(known) if *known == voter => return MembershipAnswer::Joined,
            Some(_) => {
                tracing::info!(broker = %from.broker, address = ?from.address, "a broker has another address");
                let changed =
                    voters::change(self, ChangeMembers::SetNodes([(from.member, voter)].into())).await;
                return answer(changed);
            }
            None => {}
        }
        for (id, other) in membership.nodes().filter(|(_, other)| other.broker() == from.broker) {
            if let Some(at) = cluster.address(other)
                && runs(self, cluster, *id, &at).await
            {
                tracing::warn!(broker = %from.broker, "refused a broker whose id is that of one that runs");
                return MembershipAnswer::BrokerRuns(at);
            }
            cluster.contacts.is_dead(*id, metrics.current_term);
        }
        tracing::info!(broker = %from.broker, address = ?from.address, "a broker joins the metadata group");
        cluster.peers.set_address(from.broker, from.address.into());
        answer(voters::change(self, ChangeMembers::AddNodes([(from.member, voter)].into())).await)
    }

    /// Makes a broker a member no longer. It should not run any more, or it never hears of it.
    async fn let_go(&self, cluster: &ClusterMember, broker: BrokerId) -> MembershipAnswer {
        let deadline = Instant::now() + REMOVE_WITHIN;
        let _one = cluster.membership.lock().await;
        while Instant::now() < deadline {
            let metrics = self.metrics();
            if !desk::leads(&metrics) {
                return MembershipAnswer::NotLeader(self.known(cluster).leader);
            }
            let membership = metrics.membership_config.membership();
            if voters::is_committed(&metrics)
                && membership.get_joint_config().len() == 1
                && !membership.nodes().any(|(_, voter)| voter.broker() == broker)
            {
                return MembershipAnswer::Removed;
            }
            voters::tend(self, cluster, Some(broker)).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        MembershipAnswer::Later("the group could not change its members in time".to_owned())
    }
}

/// Whether a member still runs where it listened.
async fn runs(member: &Member, cluster: &ClusterMember, id: MemberId, at: &Address) -> bool {
    let call = MembershipCall::Ask(member.introduction(cluster));
    let asked = call_at(cluster, &at.clone().into(), &call, ASK_WITHIN).await;
    matches!(asked, Ok(Some(MembershipAnswer::Known(known))) if known.member == id)
}

fn answer(changed: Result<(), String>) -> MembershipAnswer {
    match changed {
        Ok(()) => MembershipAnswer::Joined,
        Err(reason) => MembershipAnswer::Later(reason),
    }
}
