//! Opening what a follower asks for, a few logs at a time.

use std::sync::Arc;
use std::time::Duration;

use eddy_engine::{Engine, Partition, PartitionError, PartitionKey};
use eddy_types::LeaderEpoch;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::OPENING_MAX;
use super::wire::Refusal;

/// How long the metadata of this broker may be behind that of a follower, before it is told to ask again.
const BEHIND_MAX: Duration = Duration::from_secs(5);

/// How often roles are looked at while the metadata does not move.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Opens partitions that this broker leads, for all sessions.
#[derive(Clone)]
pub(super) struct Opener {
    engine: Arc<Engine>,
    turns: Arc<Semaphore>,
}

impl Opener {
    pub(super) fn new(engine: Arc<Engine>) -> Opener {
        Opener { engine, turns: Arc::new(Semaphore::new(OPENING_MAX)) }
    }

    /// The partition, as soon as this broker leads it in `epoch`: a follower may know of the leadership before the leader
    /// does. Ends early when `still_asked` says no.
    pub(super) async fn led(
        &self,
        key: PartitionKey,
        epoch: LeaderEpoch,
        still_asked: impl Fn() -> bool,
    ) -> Result<Arc<Partition>, Refusal> {
        let deadline = Instant::now() + BEHIND_MAX;
        let mut images = self.engine.image_version();
        loop {
            images.borrow_and_update();
            match self.look(key, epoch).await {
                Look::Leads(partition) => return Ok(partition),
                Look::Refused(refusal) => return Err(refusal),
                Look::Behind if Instant::now() >= deadline || !still_asked() => {
                    return Err(Refusal::UnknownEpoch);
                }
                // The role may follow the image a moment later.
                Look::Behind => drop(tokio::time::timeout(LOOK_AGAIN, images.changed()).await),
            }
        }
    }

    async fn look(&self, key: PartitionKey, epoch: LeaderEpoch) -> Look {
        // Nobody closes the semaphore.
        let _turn = self.turns.acquire().await;
        let image = self.engine.image();
        match self.engine.partition(&image, key).await {
            Ok(partition) => match partition.leader_epoch() {
                ours if ours == epoch && partition.is_leading() => Look::Leads(partition),
                ours if ours > epoch => Look::Refused(Refusal::FencedEpoch),
                _ => Look::Behind,
            },
            Err(PartitionError::NotLeader { epoch: ours, .. }) if ours > epoch => {
                Look::Refused(Refusal::NotLeader)
            }
            Err(PartitionError::NotLeader { .. } | PartitionError::Unknown) => Look::Behind,
            Err(PartitionError::Offline(_)) => Look::Refused(Refusal::Offline),
        }
    }
}

enum Look {
    Leads(Arc<Partition>),
    /// The metadata of this broker is not there yet.
    Behind,
    Refused(Refusal),
}
