//! How members reach each other. With one member there is nobody to reach.

use std::future::Future;

use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetwork, RaftNetworkFactory, Snapshot, Vote};

use crate::types::{MemberId, TypeConfig, Voter};

/// Makes connections that reach nobody.
pub(crate) struct NoNetwork;

/// A connection to a member that cannot be reached.
pub(crate) struct NoConnection {
    broker: i32,
}

#[derive(Debug, thiserror::Error)]
#[error("no connection to broker {0}")]
struct NotConnected(i32);

impl NoConnection {
    fn unreachable(&self) -> Unreachable {
        Unreachable::new(&NotConnected(self.broker))
    }
}

impl RaftNetworkFactory<TypeConfig> for NoNetwork {
    type Network = NoConnection;

    async fn new_client(&mut self, _: MemberId, node: &Voter) -> NoConnection {
        NoConnection { broker: node.broker }
    }
}

type RpcResult<T> = Result<T, RPCError<MemberId, Voter, RaftError<MemberId>>>;

impl RaftNetwork<TypeConfig> for NoConnection {
    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<MemberId>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn vote(&mut self, _: VoteRequest<MemberId>, _: RPCOption) -> RpcResult<VoteResponse<MemberId>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _: Vote<MemberId>,
        _: Snapshot<TypeConfig>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<MemberId>, StreamingError<TypeConfig, Fatal<MemberId>>> {
        Err(StreamingError::Unreachable(self.unreachable()))
    }
}
