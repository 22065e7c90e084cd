//! What a member knows of the group, and what the leader does.

use std::time::Duration;

use eddy_peer::Service;
use eddy_types::{BrokerId, Clock, Millis, SystemClock};
use serde::{Deserialize, Serialize};

use crate::member::Member;
use crate::message::{self, MembershipAnswer, MembershipCall};
use crate::types::MemberId;

/// How long the leader may take to say what it knows.
const ASK_WITHIN: Duration = Duration::from_secs(1);

/// The metadata group as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumStatus {
    /// The broker that leads, as far as the member knows.
    pub leader: Option<BrokerId>,
    /// Raft term: rises with every election.
    pub term: u64,
    /// End of the log that is committed and applied here.
    pub committed_end: u64,
    /// End of the member's log.
    pub log_end: u64,
    /// Brokers that vote.
    pub voters: Vec<MemberStatus>,
    /// Brokers that only follow.
    pub learners: Vec<MemberStatus>,
}

/// What is known of another member. The leader knows most; the others know only themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its broker.
    pub broker: BrokerId,
    /// End of its log, as far as it is that of the leader.
    pub log_end: Option<u64>,
    /// When it last answered.
    pub last_contact: Option<Millis>,
}

impl Member {
    /// What this member knows of the group at the moment.
    pub(crate) fn status(&self) -> QuorumStatus {
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let log_end = metrics.last_log_index.map_or(0, |last| last + 1);
        let status = |id: MemberId| {
            let broker = membership.get_node(&id)?.broker();
            if id == self.me {
                let last_contact = Some(SystemClock.now());
                return Some(MemberStatus { broker, log_end: Some(log_end), last_contact });
            }
            let progress = metrics.replication.as_ref().and_then(|progress| progress.get(&id).copied());
            let log_end = progress.map(|last| last.map_or(0, |last| last.index + 1));
            let cluster = self.cluster.as_ref();
            let last_contact = cluster.and_then(|cluster| cluster.contacts.last(id));
            Some(MemberStatus { broker, log_end, last_contact })
        };
        QuorumStatus {
            leader: self.leader(),
            term: metrics.current_term,
            committed_end: metrics.last_applied.map_or(0, |applied| applied.index + 1),
            log_end,
            voters: membership.voter_ids().filter_map(status).collect(),
            learners: membership.learner_ids().filter_map(status).collect(),
        }
    }

    /// What the leader knows, or this member when the leader does not answer.
    pub(crate) async fn status_of_leader(&self) -> QuorumStatus {
        self.ask_for_status().await.unwrap_or_else(|| self.status())
    }

    async fn ask_for_status(&self) -> Option<QuorumStatus> {
        let cluster = self.cluster.as_ref()?;
        let leader = self.leader().filter(|leader| *leader != self.broker)?;
        let request = message::encode(&MembershipCall::Status).ok()?;
        let answer = cluster.peers.call(leader, Service::Membership, request, ASK_WITHIN).await.ok()?;
        match message::decode(&answer) {
            Ok(MembershipAnswer::Status(status)) => Some(status),
            _ => None,
        }
    }
}
