//! What openraft is bound to.

use std::sync::Arc;

use eddy_metadata::{ApplyError, DecodeError, Record};
use eddy_peer::PeerAddress;
use eddy_types::BrokerId;
use openraft::{LogId, StorageError, StoredMembership};
use serde::{Deserialize, Serialize};
use serde_json::Value;

openraft::declare_raft_types!(
    /// Types of the metadata group.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Outcome,
        NodeId = u64,
        Node = Voter,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Arc<Vec<u8>>,
);

/// Number of a member, drawn at random for a data directory: not the broker's id, because a broker that comes back with an
/// empty disk has forgotten its votes and must come back as another member.
pub(crate) type MemberId = u64;
pub(crate) type Raft = openraft::Raft<TypeConfig>;
pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type EntryId = LogId<MemberId>;
pub(crate) type Membership = StoredMembership<MemberId, Voter>;
pub(crate) type StorageResult<T> = Result<T, StorageError<MemberId>>;

/// Member of a lone node.
pub(crate) const FOUNDER: MemberId = 1;

/// A member of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Voter {
    /// `node.id` of the broker.
    pub(crate) broker: i32,
    /// Where its peers reach it; none for a lone node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<Address>,
}

impl Voter {
    pub(crate) fn new(broker: BrokerId, address: Address) -> Voter {
        Voter { broker: broker.0, address: Some(address) }
    }

    pub(crate) fn broker(&self) -> BrokerId {
        BrokerId(self.broker)
    }
}

/// Stored form of a [`PeerAddress`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl From<PeerAddress> for Address {
    fn from(address: PeerAddress) -> Address {
        Address { host: address.host, port: address.port }
    }
}

impl From<Address> for PeerAddress {
    fn from(address: Address) -> PeerAddress {
        PeerAddress::new(address.host, address.port)
    }
}

/// Names a proposal, so that whoever made it finds it in the log whatever became of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ProposalId {
    pub(crate) member: MemberId,
    pub(crate) number: u64,
}

/// Records that are applied together or not at all, in their stored form: a member can keep and pass on what it cannot
/// read, and stops only when it has to apply it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    records: Vec<Value>,
    /// Version of the image that it was decided on. It applies to that image alone, so however often it reaches the log, it
    /// is applied once. A lone node needs none: nothing comes between its decision and its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<ProposalId>,
}

impl Proposal {
    pub(crate) fn new(records: &[Record]) -> Proposal {
        Proposal { records: records.iter().map(Record::to_value).collect(), base: None, id: None }
    }

    pub(crate) fn based_on(self, version: u64, id: ProposalId) -> Proposal {
        Proposal { base: Some(version), id: Some(id), ..self }
    }

    pub(crate) fn records(&self) -> Result<Vec<Record>, DecodeError> {
        self.records.iter().map(Record::from_value).collect()
    }
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Applied,
    Rejected(ApplyError),
    /// It was decided on another image than the one it met, of this version. Nothing is applied.
    Stale {
        version: u64,
    },
}
