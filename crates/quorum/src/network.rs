//! How members reach each other: openraft's calls over the connections between brokers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use eddy_peer::{CallError, ConnectError, Peers, Service};
use eddy_types::BrokerId;
use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetwork, RaftNetworkFactory, Snapshot, Vote};

use crate::contacts::Contacts;
use crate::message::{self, Envelope, MessageError, Piece, PreVote, RaftAnswer, RaftCall};
use crate::types::{MemberId, TypeConfig, Voter};

/// Pause after a member could not be reached. Its connection has its own, longer one.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a snapshot that go in one message.
const PIECE_BYTES: usize = 1 << 20;
/// Time for one piece to be answered; the last one until the snapshot is on the other disk.
const PIECE_TIMEOUT: Duration = Duration::from_secs(5);
const INSTALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Makes connections to members.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) me: MemberId,
    /// None for a lone node, which reaches nobody.
    pub(crate) peers: Option<Peers>,
    pub(crate) contacts: Arc<Contacts>,
}

/// A connection to a member.
#[derive(Clone)]
pub(crate) struct Connection {
    network: Network,
    member: MemberId,
    broker: BrokerId,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("no connections to other brokers")]
    Alone,
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("broker {0} answered something else")]
    Answer(BrokerId),
    #[error("member {meant} is gone, broker {broker} is member {now}")]
    OtherMember { broker: BrokerId, meant: MemberId, now: MemberId },
}

impl SendError {
    /// Whether to pause before the next try.
    fn is_lasting(&self) -> bool {
        match self {
            SendError::Alone | SendError::OtherMember { .. } => true,
            SendError::Call(error) => {
                !matches!(error, CallError::Timeout | CallError::Lost)
                    && !matches!(error, CallError::Connect(ConnectError::Timeout))
            }
            SendError::Message(_) | SendError::Answer(_) => false,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, member: MemberId, node: &Voter) -> Connection {
        self.to(member, node)
    }
}

impl Network {
    pub(crate) fn to(&self, member: MemberId, node: &Voter) -> Connection {
        Connection { network: self.clone(), member, broker: node.broker() }
    }
}

impl Connection {
    async fn call(&self, call: RaftCall, bytes: &[u8], timeout: Duration) -> Result<RaftAnswer, SendError> {
        let peers = self.network.peers.as_ref().ok_or(SendError::Alone)?;
        let message = Envelope { from: self.network.me, to: self.member, call };
        let request = message::encode_with(&message, bytes)?;
        let answer = peers.call(self.broker, Service::Raft, request, timeout).await?;
        match message::decode(&answer)? {
            RaftAnswer::NotMe(now) => {
                Err(SendError::OtherMember { broker: self.broker, meant: self.member, now })
            }
            answer => {
                self.network.contacts.heard_from(self.member);
                Ok(answer)
            }
        }
    }

    fn other(&self) -> SendError {
        SendError::Answer(self.broker)
    }

    /// Whether the member would vote for this one.
    pub(crate) async fn pre_vote(&self, question: PreVote, timeout: Duration) -> Result<bool, SendError> {
        match self.call(RaftCall::PreVote(question), &[], timeout).await? {
            RaftAnswer::PreVote { granted } => Ok(granted),
            _ => Err(self.other()),
        }
    }

    /// Tells the member that the leader is there.
    pub(crate) async fn alive(&self, vote: Vote<MemberId>, timeout: Duration) -> Result<(), SendError> {
        self.call(RaftCall::Alive(vote), &[], timeout).await.map(drop)
    }

    async fn send_snapshot(
        &self,
        vote: Vote<MemberId>,
        snapshot: &Snapshot<TypeConfig>,
    ) -> Result<SnapshotResponse<MemberId>, SendError> {
        let bytes: &[u8] = &snapshot.snapshot;
        let mut offset = 0;
        loop {
            let end = bytes.len().min(offset + PIECE_BYTES);
            let last = end == bytes.len();
            let piece = Piece { vote, meta: snapshot.meta.clone(), offset: offset as u64, last };
            let timeout = if last { INSTALL_TIMEOUT } else { PIECE_TIMEOUT };
            let data = bytes.get(offset..end).unwrap_or_default();
            match self.call(RaftCall::Piece(piece), data, timeout).await? {
                RaftAnswer::Taken => offset = end,
                RaftAnswer::Installed(response) => return Ok(response),
                _ => return Err(self.other()),
            }
        }
    }
}

type RpcResult<T> = Result<T, RPCError<MemberId, Voter, RaftError<MemberId>>>;

fn failed(error: &SendError) -> RPCError<MemberId, Voter, RaftError<MemberId>> {
    if error.is_lasting() {
        RPCError::Unreachable(Unreachable::new(error))
    } else {
        RPCError::Network(NetworkError::new(error))
    }
}

impl RaftNetwork<TypeConfig> for Connection {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<MemberId>> {
        self.network.contacts.calling(self.member);
        match self.call(RaftCall::Append(request), &[], option.hard_ttl()).await {
            Ok(RaftAnswer::Append(response)) => Ok(response),
            Ok(_) => Err(failed(&self.other())),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<MemberId>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<MemberId>> {
        match self.call(RaftCall::Vote(request), &[], option.hard_ttl()).await {
            Ok(RaftAnswer::Vote(response)) => Ok(response),
            Ok(_) => Err(failed(&self.other())),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<MemberId>,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<MemberId>, StreamingError<TypeConfig, Fatal<MemberId>>> {
        tokio::select! {
            sent = self.send_snapshot(vote, &snapshot) => {
                sent.map_err(|error| StreamingError::Unreachable(Unreachable::new(&error)))
            }
            closed = cancel => Err(closed.into()),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(UNREACHABLE_PAUSE))
    }
}
