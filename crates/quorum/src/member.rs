//! What the parts of a member share.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use eddy_peer::{PeerAddress, Peers};
use eddy_types::BrokerId;
use openraft::{RaftMetrics, ServerState};
use tokio::sync::watch;

use crate::contacts::Contacts;
use crate::desk::Desk;
use crate::draft::Draft;
use crate::error::ProposeError;
use crate::install::Receiving;
use crate::machine::Machine;
use crate::message::Introduction;
use crate::network::Network;
use crate::types::{Address, MemberId, Raft, Voter};
use crate::{ClusterQuorum, Seed};

pub(crate) type Metrics = RaftMetrics<MemberId, Voter>;

/// A member of the group.
pub(crate) struct Member {
    pub(crate) raft: Raft,
    pub(crate) machine: Machine,
    pub(crate) desk: Desk,
    pub(crate) me: MemberId,
    pub(crate) broker: BrokerId,
    /// The broker that leads, as far as this one knows.
    pub(crate) leadership: watch::Sender<Option<BrokerId>>,
    /// The changes of this broker that are made together next; locked while a proposal of it is under way.
    pub(crate) drafting: tokio::sync::Mutex<Option<Draft>>,
    /// Where the group's own tasks run.
    pub(crate) runtime: tokio::runtime::Handle,
    /// None for a lone node.
    pub(crate) cluster: Option<ClusterMember>,
}

/// What only a member of a cluster has.
pub(crate) struct ClusterMember {
    pub(crate) peers: Peers,
    /// In order of their ids.
    pub(crate) seeds: Vec<Seed>,
    pub(crate) network: Network,
    pub(crate) contacts: Arc<Contacts>,
    /// Held while the leader changes who is a member.
    pub(crate) membership: tokio::sync::Mutex<()>,
    /// The snapshot that is arriving.
    pub(crate) receiving: Mutex<Option<Receiving>>,
    pub(crate) started: Instant,
}

impl ClusterMember {
    pub(crate) fn new(config: ClusterQuorum, network: Network, contacts: Arc<Contacts>) -> ClusterMember {
        let mut seeds = config.seeds;
        seeds.sort_by_key(|seed| seed.broker);
        seeds.dedup_by_key(|seed| seed.broker);
        ClusterMember {
            peers: config.peers,
            seeds,
            network,
            contacts,
            membership: tokio::sync::Mutex::default(),
            receiving: Mutex::default(),
            started: Instant::now(),
        }
    }

    pub(crate) fn seed_brokers(&self) -> Vec<BrokerId> {
        self.seeds.iter().map(|seed| seed.broker).collect()
    }

    /// Where a member listens: as the group knows it, unless it is a lone node's.
    pub(crate) fn address(&self, voter: &Voter) -> Option<Address> {
        voter.address.clone().or_else(|| self.peers.address(voter.broker()).map(Address::from))
    }

    pub(crate) fn advertised(&self) -> Address {
        PeerAddress::clone(self.peers.advertised()).into()
    }
}

impl Member {
    pub(crate) fn leader(&self) -> Option<BrokerId> {
        *self.leadership.borrow()
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow().clone()
    }

    /// Whether this member has a part of the group's log, and so belongs to a cluster.
    pub(crate) fn belongs(&self) -> bool {
        self.raft.metrics().borrow().last_log_index.is_some()
    }

    pub(crate) fn check_running(&self) -> Result<(), ProposeError> {
        match &self.raft.metrics().borrow().running_state {
            Ok(()) => Ok(()),
            Err(fatal) => Err(ProposeError::Stopped(fatal.to_string())),
        }
    }

    pub(crate) fn introduction(&self, cluster: &ClusterMember) -> Introduction {
        Introduction {
            broker: self.broker,
            member: self.me,
            address: cluster.advertised(),
            cluster: self.machine.image().cluster_id(),
        }
    }
}

/// The broker of the member that leads, by what openraft knows.
pub(crate) fn leading_broker(metrics: &Metrics) -> Option<BrokerId> {
    let leader = metrics.current_leader?;
    metrics.membership_config.membership().get_node(&leader).map(Voter::broker)
}

pub(crate) fn is_voter(metrics: &Metrics, member: MemberId) -> bool {
    metrics.membership_config.voter_ids().any(|voter| voter == member)
}

pub(crate) fn is_leading(metrics: &Metrics) -> bool {
    metrics.state == ServerState::Leader
}
