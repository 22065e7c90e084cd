//! A request that its group's machine has seen.

use eddy_core::group::Reply;

use crate::error::Unavailable;
use crate::replies::Receiver;

/// The answer that a machine gives, or will give when others have come: JoinGroup and SyncGroup park. Dropping it drops the
/// answer, never what the request changed.
#[derive(Debug)]
pub struct Asked<R> {
    answer: Receiver,
    read: fn(Reply) -> Option<R>,
}

impl<R> Asked<R> {
    pub(crate) fn new(answer: Receiver, read: fn(Reply) -> Option<R>) -> Asked<R> {
        Asked { answer, read }
    }

    /// Waits until the answer is there and all that it tells of is on the disks of the replicas in sync.
    ///
    /// # Errors
    /// The shard went away meanwhile, or the replicas do not answer: whether the request was carried out is not known.
    pub async fn answer(self) -> Result<R, Unavailable> {
        let reply = self.answer.await.unwrap_or(Err(Unavailable::Lost))?;
        // The machine answers each request in its own kind.
        (self.read)(reply).ok_or(Unavailable::Lost)
    }
}
