//! How a stream ends.

use std::io;

use super::wire::FrameError;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ending {
    /// The other side closed it.
    #[error("closed by the other side")]
    Closed,
    /// The network.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came is no frame of ours.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Nothing is followed any more.
    #[error("nothing is followed any more")]
    Idle,
}
