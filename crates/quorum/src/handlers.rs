//! Answers to the calls of other brokers.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, Weak};

use bytes::Bytes;
use eddy_peer::{Handler, Peers, Service};
use eddy_types::BrokerId;
use openraft::Snapshot;
use openraft::raft::AppendEntriesResponse;
use tokio::sync::Semaphore;

use crate::election;
use crate::install::{self, Taken};
use crate::member::{ClusterMember, Member};
use crate::message::{self, Envelope, Piece, RaftAnswer, RaftCall};
use crate::types::MemberId;

/// Calls of one service that are answered at a time; more are refused, and their callers come again.
const CALLS_MAX: usize = 256;

/// Answers the calls of one service, as long as the member runs.
struct Answering {
    member: Weak<Member>,
    service: Service,
    places: Semaphore,
}

/// Serves the calls of the other brokers from now on.
pub(crate) fn serve(peers: &Peers, member: &Arc<Member>) {
    for service in [Service::Raft, Service::Metadata, Service::Membership] {
        let member = Arc::downgrade(member);
        peers.serve(service, Arc::new(Answering { member, service, places: Semaphore::new(CALLS_MAX) }));
    }
}

impl Handler for Answering {
    fn call<'a>(
        &'a self,
        from: BrokerId,
        request: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + 'a>> {
        Box::pin(async move {
            let _place = self.places.try_acquire().map_err(|_| "too many calls".to_owned())?;
            let member = self.member.upgrade().ok_or_else(|| "the metadata group stopped".to_owned())?;
            match self.service {
                Service::Raft => member.answer_raft(from, &request).await,
                Service::Metadata => {
                    let call = message::decode(&request).map_err(|error| error.to_string())?;
                    reply(&member.desk.answer(call).await)
                }
                _ => {
                    let call = message::decode(&request).map_err(|error| error.to_string())?;
                    reply(&member.answer_membership(call).await)
                }
            }
        })
    }
}

fn reply<T: serde::Serialize>(answer: &T) -> Result<Bytes, String> {
    message::encode(answer).map_err(|error| error.to_string())
}

impl Member {
    pub(crate) async fn answer_raft(&self, from: BrokerId, request: &Bytes) -> Result<Bytes, String> {
        let (Envelope { to, call, .. }, bytes) =
            message::decode_with(request).map_err(|error| error.to_string())?;
        if to != self.me {
            return reply(&RaftAnswer::NotMe(self.me));
        }
        let Some(cluster) = &self.cluster else { return Err("not a member of a cluster".to_owned()) };
        let answer = match call {
            RaftCall::Append(request) => {
                let vote = request.vote;
                self.note_call(cluster, vote);
                let response = self.raft.append_entries(request).await.map_err(|error| error.to_string())?;
                if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
                    cluster.contacts.leader_called(vote);
                }
                RaftAnswer::Append(response)
            }
            RaftCall::Vote(request) => {
                RaftAnswer::Vote(self.raft.vote(request).await.map_err(|error| error.to_string())?)
            }
            RaftCall::PreVote(question) => {
                let granted = election::would_vote(self, cluster, &question);
                tracing::debug!(broker = %from, granted, "asked for a vote in advance");
                RaftAnswer::PreVote { granted }
            }
            RaftCall::Alive(vote) if self.note_call(cluster, vote) => RaftAnswer::Taken,
            RaftCall::Alive(_) => return Err("another leader".to_owned()),
            RaftCall::Piece(piece) => {
                self.note_call(cluster, piece.vote);
                self.take_piece(cluster, piece, &bytes).await?
            }
        };
        reply(&answer)
    }

    /// A call of the leader counts when it comes, not when the disk has written what it brought.
    fn note_call(&self, cluster: &ClusterMember, vote: openraft::Vote<MemberId>) -> bool {
        let follows = vote.committed && self.raft.metrics().borrow().vote == vote;
        if follows {
            cluster.contacts.leader_called(vote);
        }
        follows
    }

    async fn take_piece(
        &self,
        cluster: &ClusterMember,
        piece: Piece,
        bytes: &[u8],
    ) -> Result<RaftAnswer, String> {
        let taken = {
            let mut receiving = cluster.receiving.lock().unwrap_or_else(PoisonError::into_inner);
            install::take(&mut receiving, &piece, bytes)
        };
        match taken {
            Taken::Part => Ok(RaftAnswer::Taken),
            Taken::Gap => Ok(RaftAnswer::Again),
            Taken::Whole(whole) => {
                tracing::info!(
                    bytes = whole.len(),
                    id = piece.meta.snapshot_id,
                    "installing a metadata snapshot"
                );
                let snapshot = Snapshot { meta: piece.meta, snapshot: Box::new(Arc::new(whole)) };
                let installed = self.raft.install_full_snapshot(piece.vote, snapshot).await;
                installed.map(RaftAnswer::Installed).map_err(|error| error.to_string())
            }
        }
    }
}
