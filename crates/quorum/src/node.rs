//! The group as the rest of the broker sees it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use eddy_metadata::{Image, Record};
use eddy_types::BrokerId;
use tokio::sync::{oneshot, watch};

use crate::election::LEASE;
use crate::error::{ChangeError, ProposeError, QuorumError};
use crate::member::Member;
use crate::message::DeskAnswer;
use crate::status::QuorumStatus;
use crate::{Applied, QuorumConfig, join, start};

/// This broker's part in the metadata group.
pub struct Quorum {
    pub(crate) member: Arc<Member>,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Quorum {
    /// Starts this broker's member. Returns when the image is up to date and `applied` has had it.
    ///
    /// An empty directory of a lone node founds a group of one and a cluster with it. With others configured, the member
    /// finds or founds its cluster with them, and this waits for them as long as it takes, saying every few seconds for
    /// whom; to drop the future ends the wait. A directory with a member in it is that member again.
    pub async fn start(config: QuorumConfig, applied: Arc<dyn Applied>) -> Result<Quorum, QuorumError> {
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("eddy-quorum".to_owned())
            .spawn(move || start::run(config, applied, ready, stopped))
            .map_err(QuorumError::Thread)?;
        let member = started.await.map_err(|_| QuorumError::Stopped("its thread ended".to_owned()))??;
        let running = Mutex::new(Some(Running { stop, thread }));
        Ok(Quorum { member, running })
    }

    /// The newest image. Everything this broker was told is committed is in it.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.member.machine.image()
    }

    /// Commits records, all or none, after whatever was committed before. Returns when they are durable in the group and
    /// applied here.
    pub async fn propose(&self, records: Vec<Record>) -> Result<(), ProposeError> {
        let decide = |_: &Image| Ok::<_, std::convert::Infallible>((records.clone(), ()));
        match self.change(decide).await {
            Ok(()) => Ok(()),
            Err(ChangeError::Propose(error)) => Err(error),
            Err(ChangeError::Refused(never)) => match never {},
        }
    }

    /// Decides and commits, on any broker: the records are committed only if nothing was since the image that `decide`
    /// saw; otherwise it decides again. So it may be called several times, and only its last answer counts. No records
    /// commit nothing; such an answer, and a refusal, is given only of the newest image.
    ///
    /// Returns when the records are durable in the group and applied here, on a member of a cluster at most
    /// [`CHANGE_TIMEOUT`](crate::CHANGE_TIMEOUT) later. Records are never applied twice, whatever becomes of the leader.
    pub async fn change<T, E: std::error::Error>(
        &self,
        decide: impl FnMut(&Image) -> Result<(Vec<Record>, T), E>,
    ) -> Result<T, ChangeError<E>> {
        self.member.change(decide).await
    }

    /// Whether this broker leads the group, has applied all that was committed, and hears a majority.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leader() == Some(self.member.broker)
    }

    /// Whether this broker leads the group at this moment: a majority says so, asked after the call.
    pub async fn confirm_leader(&self) -> bool {
        self.is_leader() && matches!(self.member.desk.version().await, DeskAnswer::Version(_))
    }

    /// Time for which, when this broker leads, no other one can have been confirmed as the leader ([`Quorum::confirm_leader`]).
    ///
    /// Of those who elected this one, at least one would have had to confirm the other. Votes are given only after the leader
    /// was silent for a while, except by a candidate to itself; and this one knows when it last heard a leader.
    #[must_use]
    pub fn sole_leader_for(&self) -> Duration {
        let Some(cluster) = &self.member.cluster else { return Duration::ZERO };
        // In a run of this process before the present one it may have heard a leader until its end.
        let called = cluster.contacts.any_leader_call().unwrap_or(cluster.started);
        called.elapsed().min(LEASE)
    }

    /// The broker that leads the group, as far as this one knows.
    #[must_use]
    pub fn leader(&self) -> Option<BrokerId> {
        self.member.leader()
    }

    /// Follows [`Quorum::leader`].
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Option<BrokerId>> {
        self.member.leadership.subscribe()
    }

    /// Makes a broker a member of the group no longer, on any broker but that one. It must have stopped, or must stop; when
    /// it starts again, it joins again.
    ///
    /// # Errors
    /// It was not done, or it is not known whether it was: try again.
    pub async fn remove_member(&self, broker: BrokerId) -> Result<(), ProposeError> {
        join::remove(&self.member, broker).await
    }

    /// What this member knows of the group at the moment.
    #[must_use]
    pub fn status(&self) -> QuorumStatus {
        self.member.status()
    }

    /// What the leader knows of the group, asked after the call; what this member knows when the leader does not answer.
    pub async fn status_of_leader(&self) -> QuorumStatus {
        self.member.status_of_leader().await
    }

    /// Returns, with the reason, when the group has stopped on this broker, by a failure or by [`Quorum::shutdown`]. After a
    /// failure the broker must stop too: its metadata stands still.
    pub async fn stopped(&self) -> String {
        let mut metrics = self.member.raft.metrics();
        loop {
            if let Err(fatal) = &metrics.borrow_and_update().running_state {
                return fatal.to_string();
            }
            if metrics.changed().await.is_err() {
                return "its thread ended".to_owned();
            }
        }
    }

    /// Stops the member; its files are closed when this returns. Does nothing the second time.
    pub async fn shutdown(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { stop, thread }) = running {
            // It may have stopped by itself, and then nobody hears this.
            let _ = stop.send(());
            if let Ok(Err(_)) | Err(_) = tokio::task::spawn_blocking(move || thread.join()).await {
                tracing::error!("thread of the metadata group panicked");
            }
        }
    }
}
