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

use tokio::task::JoinHandle;

use crate::contacts::Contacts;
use crate::message::{self, Envelope, MessageError, Piece, PreVote, RaftAnswer, RaftCall};
use crate::types::{EntryId, MemberId, TypeConfig, Voter};

/// Pause after a member could not be reached. Its connection has its own, longer one.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(100);
/// Time for entries to be on the other disk, however large they are and however slow it is.
const ENTRIES_TIMEOUT: Duration = Duration::from_secs(10);
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

/// How a member is called.
#[derive(Clone)]
pub(crate) struct Line {
    network: Network,
    member: MemberId,
    broker: BrokerId,
}

/// A connection as openraft uses it.
pub(crate) struct Connection {
    line: Line,
    sent: Option<Sent>,
}

/// Entries that are on their way. openraft gives a call little time and then makes it again; a large entry or a slow disk
/// takes longer, and sending everything again would only add to it. So the second call waits for the answer of the first.
struct Sent {
    vote: Vote<MemberId>,
    after: Option<EntryId>,
    last: EntryId,
    answer: JoinHandle<Result<RaftAnswer, SendError>>,
}

impl Sent {
    /// Whether it is what this request would send, or the beginning of it.
    fn begins(&self, request: &AppendEntriesRequest<TypeConfig>) -> bool {
        self.vote == request.vote
            && self.after == request.prev_log_id
            && request.entries.iter().any(|entry| entry.log_id == self.last)
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.answer.abort();
    }
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
        Connection { line: self.to(member, node), sent: None }
    }
}

impl Network {
    pub(crate) fn to(&self, member: MemberId, node: &Voter) -> Line {
        Line { network: self.clone(), member, broker: node.broker() }
    }
}

impl Line {
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

impl Connection {
    /// Sends entries, or waits for the answer to those that were sent before.
    async fn send_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        last: EntryId,
    ) -> Result<AppendEntriesResponse<MemberId>, SendError> {
        let whole = last;
        if !self.sent.as_ref().is_some_and(|sent| sent.begins(&request)) {
            let (vote, after) = (request.vote, request.prev_log_id);
            let line = self.line.clone();
            let answer =
                tokio::spawn(async move { line.call(RaftCall::Append(request), &[], ENTRIES_TIMEOUT).await });
            self.sent = Some(Sent { vote, after, last, answer });
        }
        let Some(sent) = &mut self.sent else { return Err(self.line.other()) };
        let (answer, last) = ((&mut sent.answer).await, sent.last);
        self.sent = None;
        match answer.map_err(|_| self.line.other())?? {
            RaftAnswer::Append(AppendEntriesResponse::Success) if last != whole => {
                Ok(AppendEntriesResponse::PartialSuccess(Some(last)))
            }
            RaftAnswer::Append(response) => Ok(response),
            _ => Err(self.line.other()),
        }
    }
}

impl RaftNetwork<TypeConfig> for Connection {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<MemberId>> {
        self.line.network.contacts.calling(self.line.member);
        if let Some(last) = request.entries.last() {
            let last = last.log_id;
            return self.send_entries(request, last).await.map_err(|error| failed(&error));
        }
        match self.line.call(RaftCall::Append(request), &[], option.hard_ttl()).await {
            Ok(RaftAnswer::Append(response)) => Ok(response),
            Ok(_) => Err(failed(&self.line.other())),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<MemberId>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<MemberId>> {
        match self.line.call(RaftCall::Vote(request), &[], option.hard_ttl()).await {
            Ok(RaftAnswer::Vote(response)) => Ok(response),
            Ok(_) => Err(failed(&self.line.other())),
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
            sent = self.line.send_snapshot(vote, &snapshot) => {
                sent.map_err(|error| StreamingError::Unreachable(Unreachable::new(&error)))
            }
            closed = cancel => Err(closed.into()),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(UNREACHABLE_PAUSE))
    }
}
