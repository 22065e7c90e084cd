//! The metadata group: openraft bound to our disk, committing metadata records.
//!
//! [`Quorum`] is all that the rest of the broker sees: the newest [`Image`], and [`Quorum::change`], which decides and
//! commits with nothing in between. openraft, redb and the forms on disk stay inside.
//!
//! The group has threads of its own (`eddy-quorum`) with a runtime of their own, so that load on the broker's runtime delays
//! neither ticks nor heartbeats, and a second one (`eddy-quorum-log`) that writes the log, since redb blocks.
//!
//! A lone node is a group of one. The members of a cluster find each other by their seeds ([`join`]), elect their leader with
//! a question in advance ([`election`]), and take any broker's changes ([`change`]): each is decided on the image of the
//! broker that makes it, and committed by the leader ([`desk`]) only if nothing was committed since.

#![expect(clippy::result_large_err, reason = "openraft's storage traits return their error by value")]

mod backend;
mod change;
mod contacts;
mod control;
mod desk;
mod draft;
mod election;
mod error;
mod handlers;
mod install;
mod join;
mod log_store;
mod machine;
mod member;
mod membership;
mod message;
mod network;
mod node;
mod snapshot;
mod start;
mod status;
#[cfg(test)]
mod tests;
mod types;
mod voters;

use std::path::PathBuf;
use std::sync::Arc;

use eddy_disk::Disk;
use eddy_metadata::config::StaticConfig;
use eddy_metadata::{Image, Record};
use eddy_peer::{PeerAddress, Peers};
use eddy_types::{BrokerId, ClusterId};

pub use change::CHANGE_TIMEOUT;
pub use error::{ChangeError, ProposeError, QuorumError};
pub use node::Quorum;
pub use status::{MemberStatus, QuorumStatus};

/// Log entries after which a snapshot is written and the log before it is trimmed.
pub const SNAPSHOT_AFTER: u64 = 5000;

/// What a member of the group needs to know.
#[derive(Clone)]
pub struct QuorumConfig {
    /// Directory of the group's log and snapshot; made when missing.
    pub dir: PathBuf,
    /// This broker.
    pub me: BrokerId,
    /// Where the directory lies.
    pub disk: Arc<dyn Disk>,
    /// This broker's static configuration: what the image resolves configurations with.
    pub static_config: StaticConfig,
    /// Identity of the cluster that an empty directory founds; random. A directory with a cluster in it keeps its own.
    pub new_cluster_id: ClusterId,
    /// Log entries between two snapshots; [`SNAPSHOT_AFTER`] outside of tests.
    pub snapshot_after: u64,
    /// The cluster that this broker is part of; none for a lone node.
    pub cluster: Option<ClusterQuorum>,
}

/// How a broker finds its cluster.
#[derive(Clone)]
pub struct ClusterQuorum {
    /// Connections to the other brokers. Must listen already: the seeds ask each other.
    pub peers: Peers,
    /// Brokers to ask for the cluster, the same on every broker, this one among them if it is a seed. They found the cluster
    /// when there is none.
    pub seeds: Vec<Seed>,
}

/// A broker that new ones ask for their cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Its id.
    pub broker: BrokerId,
    /// Where it listens for its peers.
    pub address: PeerAddress,
}

/// Who is told what the group has committed.
pub trait Applied: Send + Sync + 'static {
    /// Called in commit order with the records just applied and the image after them. No records means that the image
    /// comes as a whole: once before [`Quorum::start`] returns, and whenever a snapshot replaces what was there.
    ///
    /// Must be short: no IO, no waiting. The group applies nothing else meanwhile.
    fn applied(&self, records: &[Record], image: &Arc<Image>);
}
