//! What members say to each other: JSON, and the bytes of a snapshot behind it.

use bytes::{BufMut, Bytes, BytesMut};
use eddy_types::{BrokerId, ClusterId};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::snapshot::Meta;
use crate::status::QuorumStatus;
use crate::types::{Address, EntryId, MemberId, Outcome, Proposal, TypeConfig};

/// A message between two members. A broker that came back with an empty disk is not the member it was: what is meant for
/// that one must not reach it.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Envelope {
    pub(crate) from: MemberId,
    pub(crate) to: MemberId,
    pub(crate) call: RaftCall,
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) enum RaftCall {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<MemberId>),
    PreVote(PreVote),
    /// The leader of this vote is there, though its disk or its log keeps it busy.
    Alive(openraft::Vote<MemberId>),
    /// A piece of a snapshot; its bytes follow the message.
    Piece(Piece),
}

/// "Would you vote for me?" Nothing changes by the question.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PreVote {
    pub(crate) last_log: Option<EntryId>,
}

/// Says where the bytes that follow belong.
#[derive(Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) vote: openraft::Vote<MemberId>,
    pub(crate) meta: Meta,
    pub(crate) offset: u64,
    pub(crate) last: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) enum RaftAnswer {
    Append(AppendEntriesResponse<MemberId>),
    Vote(VoteResponse<MemberId>),
    PreVote {
        granted: bool,
    },
    /// The piece was taken, and the next one is expected.
    Taken,
    /// The piece does not continue what was taken: begin again.
    Again,
    Installed(SnapshotResponse<MemberId>),
    /// The member that was meant is not here, this one is.
    NotMe(MemberId),
}

/// Asked of the leader.
#[derive(Serialize, Deserialize)]
pub(crate) enum DeskCall {
    /// Commits a proposal. `turn` is that of [`DeskAnswer::Turn`], if one was asked for.
    Commit { proposal: Proposal, turn: Option<u64> },
    /// Asks that nobody else commits for a moment.
    Turn,
    /// Gives the turn back unused.
    Back { turn: u64 },
    /// Asks for the version of the newest image.
    Version,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum DeskAnswer {
    Committed(Outcome),
    Turn {
        version: u64,
        turn: u64,
    },
    Version(u64),
    /// It does not lead, or does not know yet what its predecessor has committed.
    NotLeader,
    /// It could not tell in time.
    Unknown(String),
}

/// Asked of any member, or of a broker that is none yet.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum MembershipCall {
    Ask(Introduction),
    Join(Introduction),
    Remove {
        broker: BrokerId,
    },
    /// Asks the leader what it knows of the members.
    Status,
}

/// Who asks.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Introduction {
    pub(crate) broker: BrokerId,
    pub(crate) member: MemberId,
    pub(crate) address: Address,
    pub(crate) cluster: Option<ClusterId>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum MembershipAnswer {
    Known(Known),
    Joined,
    NotLeader(Option<(BrokerId, Address)>),
    /// Another member of the same broker id runs there.
    BrokerRuns(Address),
    OtherCluster(ClusterId),
    Removed,
    Status(QuorumStatus),
    /// Not now: try again.
    Later(String),
}

/// What a broker knows of its cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) broker: BrokerId,
    pub(crate) member: MemberId,
    pub(crate) address: Address,
    /// Whether it belongs to a cluster already.
    pub(crate) belongs: bool,
    pub(crate) leader: Option<(BrokerId, Address)>,
    /// Brokers of its seeds, in order: they must be the same everywhere.
    pub(crate) seeds: Vec<BrokerId>,
}

/// A message that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("message is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("message ends within its head")]
    Short,
}

pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Bytes, MessageError> {
    Ok(serde_json::to_vec(message)?.into())
}

pub(crate) fn decode<T: DeserializeOwned>(message: &[u8]) -> Result<T, MessageError> {
    Ok(serde_json::from_slice(message)?)
}

/// A message with bytes behind it: length of the message, the message, the bytes.
pub(crate) fn encode_with(message: &Envelope, bytes: &[u8]) -> Result<Bytes, MessageError> {
    let head = serde_json::to_vec(message)?;
    let length = u32::try_from(head.len()).map_err(|_| MessageError::Short)?;
    let mut out = BytesMut::with_capacity(4 + head.len() + bytes.len());
    out.put_u32(length);
    out.put_slice(&head);
    out.put_slice(bytes);
    Ok(out.freeze())
}

pub(crate) fn decode_with(message: &Bytes) -> Result<(Envelope, Bytes), MessageError> {
    let (length, rest) = message.split_first_chunk::<4>().ok_or(MessageError::Short)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| MessageError::Short)?;
    let head = rest.get(..length).ok_or(MessageError::Short)?;
    Ok((decode(head)?, message.slice(4 + length..)))
}
