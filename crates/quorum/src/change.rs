//! A change of the metadata, from any broker: decided on this broker's image, committed by the leader if it has the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use eddy_metadata::{ApplyError, Image, Record};
use eddy_peer::Service;
use eddy_types::BrokerId;
use tokio::sync::watch;

use crate::desk::Turn;
use crate::draft::Draft;
use crate::error::{ChangeError, ProposeError};
use crate::machine::Expected;
use crate::member::Member;
use crate::message::{self, DeskAnswer, DeskCall};
use crate::types::{Outcome, Proposal};

/// Time within which a change is made, or answered with [`ProposeError::Timeout`].
pub const CHANGE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for one question to the leader.
const ASK_WITHIN: Duration = Duration::from_secs(2);
/// Pause before the leader is asked again.
const ASK_PAUSE: Duration = Duration::from_millis(50);

/// What became of a proposal.
#[derive(Clone)]
pub(crate) enum Fate {
    Applied,
    Rejected(ApplyError),
    /// It is not made and never will be: the image has moved on.
    Stale,
}

/// Leave to decide: the leader's turn, when this broker has it.
pub(crate) enum Leave {
    Mine(Turn),
    /// At the leader, under this number; none when it is tried without.
    Theirs(Option<u64>),
}

impl Member {
    /// Decides and commits; on a member of a cluster within [`CHANGE_TIMEOUT`].
    pub(crate) async fn change<T, E: std::error::Error>(
        self: &Arc<Self>,
        mut decide: impl FnMut(&Image) -> Result<(Vec<Record>, T), E>,
    ) -> Result<T, ChangeError<E>> {
        if self.cluster.is_none() {
            return self.change_alone(decide).await;
        }
        let sent = AtomicBool::new(false);
        let change = self.change_in_cluster(&mut decide, &sent);
        match tokio::time::timeout(CHANGE_TIMEOUT, change).await {
            Ok(result) => result,
            Err(_) if sent.load(Ordering::Relaxed) => Err(ChangeError::Propose(ProposeError::Timeout)),
            Err(_) => Err(ChangeError::Propose(ProposeError::NotLeader { leader: self.leader() })),
        }
    }

    async fn change_alone<T, E: std::error::Error>(
        &self,
        mut decide: impl FnMut(&Image) -> Result<(Vec<Record>, T), E>,
    ) -> Result<T, ChangeError<E>> {
        let turn = self.desk.enter().await;
        match self.desk.version().await {
            DeskAnswer::Version(_) => {}
            other => return Err(ChangeError::Propose(self.refusal(other))),
        }
        let (records, answer) = decide(&self.machine.image()).map_err(ChangeError::Refused)?;
        if records.is_empty() {
            return Ok(answer);
        }
        match self.desk.commit(Proposal::new(&records), turn).await {
            DeskAnswer::Committed(Outcome::Applied) => Ok(answer),
            DeskAnswer::Committed(Outcome::Rejected(error)) => {
                Err(ChangeError::Propose(ProposeError::Rejected(error)))
            }
            other => Err(ChangeError::Propose(self.refusal(other))),
        }
    }

    fn refusal(&self, answer: DeskAnswer) -> ProposeError {
        match answer {
            DeskAnswer::Unknown(reason) => ProposeError::Stopped(reason),
            _ => ProposeError::NotLeader { leader: self.leader() },
        }
    }

    async fn change_in_cluster<T, E: std::error::Error>(
        self: &Arc<Self>,
        decide: &mut impl FnMut(&Image) -> Result<(Vec<Record>, T), E>,
        sent: &AtomicBool,
    ) -> Result<T, ChangeError<E>> {
        let mut contended = false;
        loop {
            self.check_running().map_err(ChangeError::Propose)?;
            let (decided, mut fate) = match self.take_part(decide, contended).await {
                Some(part) => part,
                None => continue,
            };
            // What was only read may be asked for again.
            sent.store(matches!(decided, Ok(Ok(_))), Ordering::Relaxed);
            let fate = wait_for(&mut fate, Option::is_some).await.flatten();
            match (fate, decided) {
                (Some(Fate::Applied), Ok(answer)) => return answer.map_err(ChangeError::Refused),
                (Some(Fate::Applied), Err(error)) | (Some(Fate::Rejected(error)), _) => {
                    return Err(ChangeError::Propose(ProposeError::Rejected(error)));
                }
                (Some(Fate::Stale), _) => contended = true,
                (None, _) => return Err(ChangeError::Propose(ProposeError::Timeout)),
            }
        }
    }

    /// Decides as part of the draft that is open, or opens one, which is then sent as soon as nobody waits to take part.
    /// None when it has to be tried again.
    async fn take_part<T, E>(
        self: &Arc<Self>,
        decide: &mut impl FnMut(&Image) -> Result<(Vec<Record>, T), E>,
        contended: bool,
    ) -> Option<(Result<Result<T, E>, ApplyError>, watch::Receiver<Option<Fate>>)> {
        let mut open = self.drafting.lock().await;
        if open.is_none() {
            let Some(leave) = self.leave(contended).await else {
                tokio::time::sleep(ASK_PAUSE).await;
                return None;
            };
            *open = Some(Draft::new(self.machine.image(), leave));
            let member = self.clone();
            // A task of the group: whoever goes away does not take the others' changes along. It stands at the door behind
            // all who wait there now, and keeps it shut until it knows what became of the draft.
            self.runtime.spawn(async move {
                let mut open = member.drafting.lock().await;
                if let Some(draft) = open.take() {
                    let _ = tokio::time::timeout(CHANGE_TIMEOUT, draft.send(&member)).await;
                }
            });
        }
        let draft = open.as_mut()?;
        let decided = match decide(draft.image().ok()?) {
            Ok((records, answer)) if records.is_empty() => Ok(Ok(answer)),
            Ok((records, answer)) => draft.add(records).map(|()| Ok(answer)),
            Err(error) => Ok(Err(error)),
        };
        Some((decided, draft.fate()))
    }

    /// Waits for a leader, and for the turn: at once when this broker leads, and when it was in vain without. What is decided
    /// now is decided on the image that the leader has.
    async fn leave(&self, contended: bool) -> Option<Leave> {
        let leader = wait_for(&mut self.leadership.subscribe(), |leader| leader.is_some()).await?;
        if leader == Some(self.broker) {
            return Some(Leave::Mine(self.desk.enter().await));
        }
        if !contended {
            return Some(Leave::Theirs(None));
        }
        let DeskAnswer::Turn { version, turn } = self.ask(leader?, &DeskCall::Turn).await? else {
            return None;
        };
        self.until_version(version).await?;
        Some(Leave::Theirs(Some(turn)))
    }

    /// Whether everything committed before now is in the image of this version. If not, waits until it is in this broker's.
    pub(crate) async fn is_newest(&self, version: u64) -> bool {
        let answer = match self.leader() {
            Some(leader) if leader == self.broker => Some(self.desk.version().await),
            Some(leader) => self.ask(leader, &DeskCall::Version).await,
            None => None,
        };
        let Some(DeskAnswer::Version(newest)) = answer else {
            tokio::time::sleep(ASK_PAUSE).await;
            return false;
        };
        // Waiting is all that can be done: an image that does not come is decided on again.
        let _ = tokio::time::timeout(ASK_WITHIN, self.until_version(newest)).await;
        newest == version
    }

    /// Gives back a turn that was not used.
    pub(crate) async fn give_back(&self, leave: Leave) {
        if let Leave::Theirs(Some(turn)) = leave
            && let Some(leader) = self.leader()
        {
            self.ask(leader, &DeskCall::Back { turn }).await;
        }
    }

    /// Sends a proposal until it is known what became of it. The same one as often as need be: only one can be applied.
    pub(crate) async fn settle(&self, proposal: Proposal, mut expected: Expected, leave: Leave) -> Fate {
        let base = proposal.base.unwrap_or_default();
        let mut leave = Some(leave);
        loop {
            let attempt = self.submit(&proposal, leave.take());
            let answer = tokio::select! {
                // What this member's own log says goes before what others say.
                biased;
                outcome = &mut expected.outcome => return Fate::of(outcome.ok()),
                answer = attempt => answer,
            };
            match answer {
                Some(DeskAnswer::Committed(Outcome::Applied)) => {
                    return match (&mut expected.outcome).await {
                        Ok(outcome) => Fate::of(Some(outcome)),
                        // A snapshot has brought it.
                        Err(_) => Fate::Applied,
                    };
                }
                Some(DeskAnswer::Committed(Outcome::Rejected(error))) => return Fate::Rejected(error),
                // A version that is behind is that of a leader who does not know yet that it is none.
                Some(DeskAnswer::Committed(Outcome::Stale { version })) if version > base => {
                    if self.until_version(version).await.is_some() {
                        return Fate::of(expected.outcome.try_recv().ok());
                    }
                }
                _ => tokio::time::sleep(ASK_PAUSE).await,
            }
            if *self.machine.versions().borrow() > base {
                // Whether it was this proposal that moved the image is known by now.
                return Fate::of(expected.outcome.try_recv().ok());
            }
        }
    }

    async fn submit(&self, proposal: &Proposal, leave: Option<Leave>) -> Option<DeskAnswer> {
        let turn = match leave {
            Some(Leave::Mine(turn)) => return Some(self.desk.commit(proposal.clone(), turn).await),
            Some(Leave::Theirs(turn)) => turn,
            None => None,
        };
        let leader = wait_for(&mut self.leadership.subscribe(), |leader| leader.is_some()).await??;
        if leader == self.broker {
            let turn = self.desk.enter().await;
            return Some(self.desk.commit(proposal.clone(), turn).await);
        }
        self.ask(leader, &DeskCall::Commit { proposal: proposal.clone(), turn }).await
    }

    /// Asks the leader; no answer is none.
    pub(crate) async fn ask(&self, leader: BrokerId, call: &DeskCall) -> Option<DeskAnswer> {
        let peers = &self.cluster.as_ref()?.peers;
        let request: Bytes = message::encode(call).ok()?;
        match peers.call(leader, Service::Metadata, request, ASK_WITHIN).await {
            Ok(answer) => message::decode(&answer).ok(),
            Err(error) => {
                tracing::debug!(%leader, %error, "the leader of the metadata group did not answer");
                None
            }
        }
    }

    /// Waits until this broker's image has a version; none when the group has stopped.
    pub(crate) async fn until_version(&self, version: u64) -> Option<u64> {
        wait_for(&mut self.machine.versions(), |newest| *newest >= version).await
    }
}

impl Fate {
    /// By what this member's log says of a proposal; nothing when the image has moved on without it.
    fn of(outcome: Option<Outcome>) -> Fate {
        match outcome {
            Some(Outcome::Applied) => Fate::Applied,
            Some(Outcome::Rejected(error)) => Fate::Rejected(error),
            Some(Outcome::Stale { .. }) | None => Fate::Stale,
        }
    }
}

/// Waits for a value; none when nobody will send one any more.
pub(crate) async fn wait_for<T: Clone>(
    values: &mut watch::Receiver<T>,
    wanted: impl FnMut(&T) -> bool,
) -> Option<T> {
    values.wait_for(wanted).await.ok().map(|value| value.clone())
}
