//! What brokers and clients say to each other.

use eddy_core::{Acks, IsrProposal};
use eddy_metadata::Record;
use eddy_metadata::controller::NewTopic;
use eddy_types::{BrokerId, LeaderEpoch, Millis, Offset, TopicId};

use crate::log::Batch;

/// From a follower to a leader, on a stream.
#[derive(Clone, Debug)]
pub(crate) enum Up {
    /// I follow this partition from here on; what you sent for it before does not count any more.
    Follow {
        partition: usize,
        leader_epoch: LeaderEpoch,
        /// Epoch of the follower's registration.
        broker_epoch: i64,
        generation: u32,
        last_epoch: LeaderEpoch,
        log_start: Offset,
        log_end: Offset,
        durable_end: Offset,
    },
    /// So much of it have I, and so much of that on disk.
    Progress { partition: usize, generation: u32, log_start: Offset, log_end: Offset, durable_end: Offset },
}

/// From a leader to a follower, on a stream.
#[derive(Clone, Debug)]
pub(crate) enum Down {
    Data { partition: usize, generation: u32, high_watermark: Offset, log_start: Offset, batches: Vec<Batch> },
    Diverging { partition: usize, generation: u32, epoch: LeaderEpoch, end: Offset },
    OutOfRange { partition: usize, generation: u32, log_start: Offset, log_end: Offset },
    Refused { partition: usize, generation: u32 },
}

/// A call, or the answer to one; it may be lost.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Heartbeat {
        incarnation: u64,
        sent: Millis,
    },
    /// The controller takes the broker for alive.
    Alive {
        incarnation: u64,
        /// As in the heartbeat that this answers.
        sent: Millis,
    },
    Propose {
        token: u64,
        incarnation: u64,
        version: u64,
        records: Vec<Record>,
        /// Whether somebody asked for an election that may lose records.
        unclean: bool,
    },
    /// Committed up to this entry, or refused because the log is at this entry.
    Proposed {
        token: u64,
        incarnation: u64,
        result: Result<usize, usize>,
    },
    Produce {
        client: usize,
        request: u64,
        partition: usize,
        acks: Acks,
        batch: Batch,
    },
    Fetch {
        client: usize,
        request: u64,
        partition: usize,
        offset: Offset,
    },
    Delete {
        partition: usize,
        before: Offset,
    },
}

/// From a broker to a client.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Produced { request: u64, result: Result<Written, ProduceError> },
    Fetched { request: u64, result: Fetched },
}

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) partition: usize,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) base: Offset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProduceError {
    NotLeader,
    /// Nothing was written.
    NotEnoughReplicas,
    OutOfOrder,
}

#[derive(Clone, Debug)]
pub(crate) enum Fetched {
    Records { high_watermark: Offset, epoch: LeaderEpoch, batches: Vec<Batch> },
    BelowStart(Offset),
    NotLeader,
}

/// Something that a broker wants committed; decided anew whenever the image has moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Register,
    Fence {
        broker: usize,
        broker_epoch: i64,
    },
    BeginShutdown,
    Upkeep,
    PreferredLeaders,
    Isr {
        partition: usize,
        proposal: IsrProposal,
    },
    /// Other replicas of a partition of the topic; `None` goes back to those there were.
    Reassign {
        index: usize,
        target: Option<Vec<BrokerId>>,
    },
    /// The topic, unless it has been created since.
    CreateTopic {
        incarnation: usize,
        topic: NewTopic,
    },
    DeleteTopic,
    /// A broker is emptied, if so many others are not.
    Drain {
        broker: usize,
        others: usize,
    },
    Undrain {
        broker: usize,
    },
    /// A broker is emptied, and removed once it is empty.
    Decommission {
        broker: usize,
        others: usize,
    },
    /// Somebody wants a leader of a partition of the topic, even if records are lost.
    ElectUnclean {
        index: usize,
    },
    /// What the broker had of these topics is gone from its disk.
    Reclaim {
        topics: Vec<TopicId>,
    },
}
