//! What a fetch asks of the sessions, and what goes back and forth while it is served.

use std::sync::Arc;

use eddy_types::{LeaderEpoch, Offset, TopicId};

/// A topic as the client names it: by id since Fetch v13, by name before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicKey {
    /// By id.
    Id(TopicId),
    /// By name.
    Name(Arc<str>),
}

/// A partition as the client names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey {
    /// The topic.
    pub topic: TopicKey,
    /// Index of the partition.
    pub partition: i32,
}

/// One partition of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// Which one.
    pub key: PartitionKey,
    /// Offset to read from.
    pub fetch_offset: Offset,
    /// Most bytes to return, but for the first batch.
    pub max_bytes: i32,
    /// Leader epoch that the client knows, [`LeaderEpoch::NONE`] for no check.
    pub leader_epoch: LeaderEpoch,
    /// Epoch of the last record that it has, [`LeaderEpoch::NONE`] for no check.
    pub last_fetched_epoch: LeaderEpoch,
    /// A follower's log start, [`Offset::NONE`] from consumers.
    pub log_start: Offset,
}

/// The session part of a fetch request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    /// `session_id`: 0 for none.
    pub session_id: i32,
    /// `session_epoch`: 0 opens a session, -1 closes it or asks for none, else the expected one.
    pub session_epoch: i32,
    /// Whether the request names topics by id (v13 and up).
    pub uses_topic_ids: bool,
    /// Whether a follower fetches: its session is kept in preference to those of consumers.
    pub from_follower: bool,
    /// The partitions listed, in the client's order.
    pub partitions: Vec<FetchPartition>,
    /// The partitions to take out of the session.
    pub forgotten: Vec<PartitionKey>,
}

/// What became of a partition that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadResult {
    /// Whether the answer has records of it.
    pub has_records: bool,
    /// High watermark in the answer; -1 with an error.
    pub high_watermark: Offset,
    /// Log start in the answer; -1 with an error.
    pub log_start: Offset,
    /// Whether it must be shown whatever the offsets are: a preferred read replica or a diverging epoch.
    pub must_show: bool,
    /// Whether it has an error code.
    pub failed: bool,
}

/// The request has no valid session: the answer has this code, session id 0 and no partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// FETCH_SESSION_ID_NOT_FOUND: never made, closed or evicted.
    #[error("no fetch session {session_id}")]
    NotFound {
        /// Session asked for.
        session_id: i32,
    },
    /// INVALID_FETCH_SESSION_EPOCH: a request was lost, repeated, or overtaken by another on the same session.
    #[error("fetch session {session_id} is at epoch {expected}, request has {sent}")]
    InvalidEpoch {
        /// Session asked for.
        session_id: i32,
        /// Epoch that the session is at.
        expected: i32,
        /// Epoch in the request.
        sent: i32,
    },
    /// FETCH_SESSION_TOPIC_ID_ERROR: a session made with topic ids is used with names, or the other way round.
    #[error("fetch session {session_id} mixes topic ids and names")]
    MixedTopicIds {
        /// Session asked for.
        session_id: i32,
    },
}

/// A fetch under way: what to read, and what the cache needs to know when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchContext {
    /// Partitions to read, in this order: the client's, and in a session those first that have had no records longest
    ///
    pub plan: Vec<FetchPartition>,
    pub(super) kind: ContextKind,
}

impl FetchContext {
    /// Session id of an answer that tells nothing of any partition, because the client is over its quota. What it was told before
    /// stays what it knows, and a session that was to be opened is not.
    #[must_use]
    pub fn session_of_empty_answer(&self) -> i32 {
        match self.kind {
            ContextKind::Sessionless | ContextKind::Full { .. } => 0,
            ContextKind::Incremental { session_id, .. } => session_id,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContextKind {
    /// Everything is answered and nothing kept.
    Sessionless,
    /// Everything is answered, and a session made of it.
    Full { uses_topic_ids: bool, from_follower: bool },
    /// Only what has changed is answered.
    Incremental { session_id: i32, answer_epoch: i32 },
}
