//! What a leader and a follower say to each other over a stream: a version byte, then messages to the end of the frame.
//!
//! Numbers are big-endian. Everything is bounded by the frame, which the stream bounds; nothing is allocated by a number from
//! the wire. A frame that cannot be read ends the stream: its sender is no broker of ours, or a newer one.

mod down;
mod up;

pub(crate) use down::{DownFrame, FromLeader, Position, Refusal};
pub(crate) use up::{Follow, FromFollower, Progress, UpFrame};

use bytes::{Buf, Bytes, TryGetError};

/// Version of the form of both directions.
pub(crate) const VERSION: u8 = 1;

/// Why a frame cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// Another form.
    #[error("replication frame of version {0}, this broker reads {VERSION}")]
    Version(u8),
    /// It ends within a message.
    #[error("replication frame ends within a message")]
    Short,
    /// No such message.
    #[error("unknown replication message {0}")]
    Kind(u8),
    /// A message holds more than it may.
    #[error("replication message holds a value that cannot be")]
    Value,
}

impl From<TryGetError> for FrameError {
    fn from(_: TryGetError) -> FrameError {
        FrameError::Short
    }
}

/// One message of a direction.
pub(crate) trait Message: Sized {
    /// Takes a message from the front of a frame.
    fn take(frame: &mut Bytes) -> Result<Self, FrameError>;
}

/// Checks the version and gives the messages in order. After an error there is nothing more.
pub(crate) fn messages<M: Message>(mut frame: Bytes) -> Result<Messages<M>, FrameError> {
    match frame.try_get_u8()? {
        VERSION => Ok(Messages { frame, message: std::marker::PhantomData }),
        other => Err(FrameError::Version(other)),
    }
}

/// The messages of a frame.
pub(crate) struct Messages<M> {
    frame: Bytes,
    message: std::marker::PhantomData<fn() -> M>,
}

impl<M: Message> Iterator for Messages<M> {
    type Item = Result<M, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.frame.is_empty() {
            return None;
        }
        let taken = M::take(&mut self.frame);
        if taken.is_err() {
            self.frame.clear();
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests;
