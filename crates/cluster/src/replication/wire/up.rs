//! From the follower to the leader.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use eddy_engine::PartitionKey;
use eddy_types::{LeaderEpoch, Offset, TopicId};

use super::{FrameError, Message, VERSION};

const FOLLOW: u8 = 1;
const UNFOLLOW: u8 = 2;
const PROGRESS: u8 = 3;
const PING: u8 = 4;
const LIMIT: u8 = 5;
const ALLOW: u8 = 6;

/// Asks for everything of a partition behind a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Follow {
    /// Number of the partition on this stream.
    pub(crate) slot: u32,
    /// Number of this request: what the leader sends bears it, so that what was in flight before can be told apart.
    pub(crate) generation: u32,
    /// The partition.
    pub(crate) key: PartitionKey,
    /// Epoch of the leader that is meant.
    pub(crate) leader_epoch: LeaderEpoch,
    /// Epoch of the last batch in the follower's log.
    pub(crate) last_epoch: LeaderEpoch,
    /// Epoch of the follower's registration (KIP-903).
    pub(crate) broker_epoch: i64,
    /// Where the follower's log begins and ends.
    pub(crate) log_start: Offset,
    /// End of its log: what it wants next.
    pub(crate) log_end: Offset,
    /// End of what is on its disk.
    pub(crate) durable_end: Offset,
}

/// How far the follower is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The partition on this stream.
    pub(crate) slot: u32,
    /// The request it belongs to.
    pub(crate) generation: u32,
    /// First offset of its log.
    pub(crate) log_start: Offset,
    /// End of its log.
    pub(crate) log_end: Offset,
    /// End of what is on its disk.
    pub(crate) durable_end: Offset,
}

/// A message of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FromFollower {
    /// Follow a partition; takes the place of what was asked before for the same slot.
    Follow(Follow),
    /// No longer follow it.
    Unfollow {
        /// The partition on this stream.
        slot: u32,
        /// The request that ends.
        generation: u32,
    },
    /// How far a partition is.
    Progress(Progress),
    /// Whether what a partition lacks counts against what was allowed. It does not when nothing was said.
    Limit {
        /// The partition on this stream.
        slot: u32,
        /// The request that is limited.
        generation: u32,
        /// Whether it counts.
        limited: bool,
    },
    /// So many bytes more of all limited partitions together.
    Allow {
        /// How many.
        bytes: u32,
    },
    /// Nothing but that the follower is there.
    Ping,
}

impl Message for FromFollower {
    fn take(frame: &mut Bytes) -> Result<FromFollower, FrameError> {
        match frame.try_get_u8()? {
            FOLLOW => Ok(FromFollower::Follow(take_follow(frame)?)),
            UNFOLLOW => {
                Ok(FromFollower::Unfollow { slot: frame.try_get_u32()?, generation: frame.try_get_u32()? })
            }
            PROGRESS => Ok(FromFollower::Progress(Progress {
                slot: frame.try_get_u32()?,
                generation: frame.try_get_u32()?,
                log_start: Offset(frame.try_get_i64()?),
                log_end: Offset(frame.try_get_i64()?),
                durable_end: Offset(frame.try_get_i64()?),
            })),
            LIMIT => Ok(FromFollower::Limit {
                slot: frame.try_get_u32()?,
                generation: frame.try_get_u32()?,
                limited: frame.try_get_u8()? != 0,
            }),
            ALLOW => Ok(FromFollower::Allow { bytes: frame.try_get_u32()? }),
            PING => Ok(FromFollower::Ping),
            other => Err(FrameError::Kind(other)),
        }
    }
}

fn take_follow(frame: &mut Bytes) -> Result<Follow, FrameError> {
    let (slot, generation) = (frame.try_get_u32()?, frame.try_get_u32()?);
    let mut topic = [0; 16];
    frame.try_copy_to_slice(&mut topic)?;
    Ok(Follow {
        slot,
        generation,
        key: PartitionKey { topic: TopicId(topic), index: frame.try_get_i32()? },
        leader_epoch: LeaderEpoch(frame.try_get_i32()?),
        last_epoch: LeaderEpoch(frame.try_get_i32()?),
        broker_epoch: frame.try_get_i64()?,
        log_start: Offset(frame.try_get_i64()?),
        log_end: Offset(frame.try_get_i64()?),
        durable_end: Offset(frame.try_get_i64()?),
    })
}

/// A frame that is being made.
#[derive(Debug, Default)]
pub(crate) struct UpFrame {
    bytes: BytesMut,
}

impl UpFrame {
    /// Adds a message.
    pub(crate) fn put(&mut self, message: &FromFollower) {
        let out = &mut self.bytes;
        if out.is_empty() {
            out.put_u8(VERSION);
        }
        match message {
            FromFollower::Follow(follow) => {
                out.put_u8(FOLLOW);
                out.put_u32(follow.slot);
                out.put_u32(follow.generation);
                out.put_slice(&follow.key.topic.0);
                out.put_i32(follow.key.index);
                out.put_i32(follow.leader_epoch.0);
                out.put_i32(follow.last_epoch.0);
                out.put_i64(follow.broker_epoch);
                out.put_i64(follow.log_start.0);
                out.put_i64(follow.log_end.0);
                out.put_i64(follow.durable_end.0);
            }
            FromFollower::Unfollow { slot, generation } => {
                out.put_u8(UNFOLLOW);
                out.put_u32(*slot);
                out.put_u32(*generation);
            }
            FromFollower::Progress(progress) => {
                out.put_u8(PROGRESS);
                out.put_u32(progress.slot);
                out.put_u32(progress.generation);
                out.put_i64(progress.log_start.0);
                out.put_i64(progress.log_end.0);
                out.put_i64(progress.durable_end.0);
            }
            FromFollower::Limit { slot, generation, limited } => {
                out.put_u8(LIMIT);
                out.put_u32(*slot);
                out.put_u32(*generation);
                out.put_u8(u8::from(*limited));
            }
            FromFollower::Allow { bytes } => {
                out.put_u8(ALLOW);
                out.put_u32(*bytes);
            }
            FromFollower::Ping => out.put_u8(PING),
        }
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The frame; the next one is empty.
    pub(crate) fn take(&mut self) -> Bytes {
        self.bytes.split().freeze()
    }
}
