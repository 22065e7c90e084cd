//! What openraft is bound to.

use std::sync::Arc;

use eddy_metadata::{ApplyError, DecodeError, Record};
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

/// Number of a member, given once and never again: not the broker's id, because a broker that comes back with an empty
/// disk must come back as another member.
pub(crate) type MemberId = u64;
pub(crate) type Raft = openraft::Raft<TypeConfig>;
pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type EntryId = LogId<MemberId>;
pub(crate) type Membership = StoredMembership<MemberId, Voter>;
pub(crate) type StorageResult<T> = Result<T, StorageError<MemberId>>;

/// Member of the broker that founds a cluster. Later members take the index of a log entry, which is never below 2.
pub(crate) const FOUNDER: MemberId = 1;

/// A member of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Voter {
    /// `node.id` of the broker.
    pub(crate) broker: i32,
}

impl Voter {
    pub(crate) fn broker(&self) -> BrokerId {
        BrokerId(self.broker)
    }
}

/// Records that are applied together or not at all, in their stored form: a member can keep and pass on what it cannot
/// read, and stops only when it has to apply it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    records: Vec<Value>,
}

impl Proposal {
    pub(crate) fn new(records: &[Record]) -> Proposal {
        Proposal { records: records.iter().map(Record::to_value).collect() }
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
}
