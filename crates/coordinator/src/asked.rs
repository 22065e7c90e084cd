//! A request that its group's machine has seen.

use eddy_core::group::Reply;
use tokio::sync::oneshot;

use crate::error::Unavailable;

/// The answer that a machine gives, or will give when others have come: JoinGroup and SyncGroup park. Dropping it drops the
/// answer, never what the request changed.
#[derive(Debug)]
pub struct Asked<R> {
    answer: oneshot::Receiver<Reply>,
    read: fn(Reply) -> Option<R>,
}

impl<R> Asked<R> {
    pub(crate) fn new(answer: oneshot::Receiver<Reply>, read: fn(Reply) -> Option<R>) -> Asked<R> {
        Asked { answer, read }
    }

    /// Waits until the answer is there and all that it tells of is on disk.
    ///
    /// # Errors
    /// [`Unavailable::Lost`]: the shard went away meanwhile.
    pub async fn answer(self) -> Result<R, Unavailable> {
        let reply = self.answer.await.map_err(|_| Unavailable::Lost)?;
        // The machine answers each request in its own kind.
        (self.read)(reply).ok_or(Unavailable::Lost)
    }
}
