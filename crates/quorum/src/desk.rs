//! Where the leader takes proposals, its own and those of other brokers: one at a time.
//!
//! The turn only keeps proposals from being in vain. What makes a proposal apply once and to the image it was decided on is
//! its base version, which every member checks when it applies it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::error::{ClientWriteError, RaftError};
use openraft::{RaftMetrics, ServerState};
use tokio::sync::OwnedMutexGuard;

use crate::machine::Machine;
use crate::message::{DeskAnswer, DeskCall};
use crate::types::{MemberId, Outcome, Proposal, Raft, Voter};

/// Time a turn is kept for another broker that asked for it: a round trip, its decision, and a busy machine.
const TURN_KEPT: Duration = Duration::from_millis(500);
/// Time that another broker waits for the turn: less than it waits for the answer, or the turn would be kept for nobody.
const TURN_WITHIN: Duration = Duration::from_millis(1500);
/// Time the leader waits for a majority before it frees the turn. The proposal may still be committed later; it then meets
/// the image it was decided on, or is stale.
const COMMIT_WITHIN: Duration = Duration::from_secs(4);

/// The right to commit next.
pub(crate) type Turn = OwnedMutexGuard<()>;

/// Takes proposals while this member leads.
#[derive(Clone)]
pub(crate) struct Desk {
    raft: Raft,
    machine: Machine,
    runtime: tokio::runtime::Handle,
    turn: Arc<tokio::sync::Mutex<()>>,
    kept: Arc<Mutex<Kept>>,
}

/// The turn that another broker holds.
#[derive(Default)]
struct Kept {
    number: u64,
    turn: Option<Turn>,
}

/// Whether the member leads and has applied all that its predecessors committed.
pub(crate) fn leads(metrics: &RaftMetrics<MemberId, Voter>) -> bool {
    let applied = metrics.last_applied.is_some_and(|applied| applied.leader_id == metrics.vote.leader_id);
    metrics.state == ServerState::Leader && metrics.current_leader == Some(metrics.id) && applied
}

impl Desk {
    pub(crate) fn new(raft: Raft, machine: Machine, runtime: tokio::runtime::Handle) -> Desk {
        Desk { raft, machine, runtime, turn: Arc::default(), kept: Arc::default() }
    }

    /// Waits until nobody else commits.
    pub(crate) async fn enter(&self) -> Turn {
        self.turn.clone().lock_owned().await
    }

    async fn enter_in_time(&self) -> Result<Turn, DeskAnswer> {
        let entered = tokio::time::timeout(TURN_WITHIN, self.enter()).await;
        entered.map_err(|_| DeskAnswer::Unknown("others commit all the time".to_owned()))
    }

    /// Commits a proposal and ends the turn.
    pub(crate) async fn commit(&self, proposal: Proposal, turn: Turn) -> DeskAnswer {
        let raft = self.raft.clone();
        // A task of the group, so that a caller that goes away cannot end the turn before the change is made or refused.
        let task = self.runtime.spawn(async move {
            let answer = match proposal.base {
                // A lone node's own disk is all there is to wait for.
                None => write(&raft, proposal).await,
                Some(_) => match tokio::time::timeout(COMMIT_WITHIN, write(&raft, proposal)).await {
                    Ok(answer) => answer,
                    Err(_) => DeskAnswer::Unknown("no majority in time".to_owned()),
                },
            };
            drop(turn);
            answer
        });
        task.await.unwrap_or_else(|error| DeskAnswer::Unknown(error.to_string()))
    }

    /// Answers another broker.
    pub(crate) async fn answer(&self, call: DeskCall) -> DeskAnswer {
        if !leads(&self.raft.metrics().borrow()) {
            return DeskAnswer::NotLeader;
        }
        match call {
            DeskCall::Commit { proposal, turn } => {
                let turn = match turn.and_then(|number| self.take_kept(number)) {
                    Some(turn) => turn,
                    None => match self.enter_in_time().await {
                        Ok(turn) => turn,
                        Err(busy) => return busy,
                    },
                };
                let version = self.machine.image().version();
                if proposal.base != Some(version) {
                    return DeskAnswer::Committed(Outcome::Stale { version });
                }
                self.commit(proposal, turn).await
            }
            DeskCall::Turn => {
                let turn = match self.enter_in_time().await {
                    Ok(turn) => turn,
                    Err(busy) => return busy,
                };
                let version = self.machine.image().version();
                DeskAnswer::Turn { version, turn: self.keep(turn) }
            }
            DeskCall::Back { turn } => {
                drop(self.take_kept(turn));
                DeskAnswer::Version(self.machine.image().version())
            }
            DeskCall::Version => self.version().await,
        }
    }

    /// The version of an image that has everything committed before the call.
    pub(crate) async fn version(&self) -> DeskAnswer {
        use openraft::error::CheckIsLeaderError as Check;
        match self.raft.ensure_linearizable().await {
            Ok(_) => DeskAnswer::Version(self.machine.image().version()),
            Err(RaftError::APIError(Check::ForwardToLeader(_))) => DeskAnswer::NotLeader,
            Err(error) => DeskAnswer::Unknown(error.to_string()),
        }
    }

    /// Keeps the turn for another broker; returns its number.
    fn keep(&self, turn: Turn) -> u64 {
        let number = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.number += 1;
            kept.turn = Some(turn);
            kept.number
        };
        let desk = self.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(TURN_KEPT).await;
            drop(desk.take_kept(number));
        });
        number
    }

    fn take_kept(&self, number: u64) -> Option<Turn> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.number == number { kept.turn.take() } else { None }
    }
}

async fn write(raft: &Raft, proposal: Proposal) -> DeskAnswer {
    match raft.client_write(proposal).await {
        Ok(response) => DeskAnswer::Committed(response.data),
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => DeskAnswer::NotLeader,
        Err(error) => DeskAnswer::Unknown(error.to_string()),
    }
}
