//! What can be searched of one partition.

use std::sync::Arc;

use eddy_types::{Millis, Offset, OffsetRange, TopicId};
use tantivy::Searcher;

/// The index of one partition at one moment.
#[derive(Clone)]
pub struct View {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic's id: with partition and offset, a record's identity.
    pub topic_id: TopicId,
    /// The partition's number.
    pub partition: i32,
    /// Paths of the JSON values that are indexed, in order: a query without a field searches the words of each. At most 1,000.
    pub paths: Arc<[Arc<str>]>,
    /// In the order of their offsets, which do not overlap.
    pub splits: Vec<Arc<SearchableSplit>>,
    /// The log's start: what the splits have below it is gone.
    pub log_start: Offset,
    /// The first offset that is not indexed yet.
    pub searched_through: Offset,
    /// The log's high watermark.
    pub high_watermark: Offset,
    /// Age of the oldest record that is not indexed yet; zero if all are.
    pub lag: Millis,
}

/// One split, opened.
pub struct SearchableSplit {
    /// Searches it; the segment's documents are in offset order.
    pub searcher: Searcher,
    /// The offsets it covers; those of removed records among them.
    pub offsets: OffsetRange,
    /// Least and greatest timestamp of its records.
    pub timestamps: (Millis, Millis),
}

/// Why there is nothing to search of a partition on this broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotIndexed {
    /// The topic is not indexed (`search.enable`).
    #[error("the topic is not indexed")]
    NotEnabled,
    /// Another broker indexes the partition, or none does.
    #[error("the partition is not indexed on this broker")]
    NotHere,
    /// The index is opened or made; what there is of it cannot be searched yet.
    #[error("the index of the partition is being opened")]
    Rebuilding,
    /// The index cannot be read at the moment.
    #[error("the index of the partition cannot be read: {0}")]
    Unreadable(String),
}

/// How an index stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexStatus {
    /// The first offset that is not indexed yet.
    pub searched_through: Offset,
    /// The log's high watermark.
    pub high_watermark: Offset,
    /// Offsets from the one to the other.
    pub lag_records: u64,
    /// Age of the oldest record that is not indexed yet; zero if all are.
    pub lag: Millis,
    /// Size of the index on disk.
    pub bytes: u64,
    /// Records in the index.
    pub records: u64,
    /// Splits it consists of.
    pub splits: usize,
    /// What it does.
    pub state: IndexState,
}

/// What an index does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// It follows the log.
    Following,
    /// It reads what the log had when indexing began.
    BackFilling,
    /// It steps aside: the write-ahead log or the disk is pressed.
    Paused,
    /// It was damaged, or of another version or configuration, and is made anew from the log.
    Rebuilding,
}

impl IndexState {
    /// Its name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            IndexState::Following => "following",
            IndexState::BackFilling => "back-filling",
            IndexState::Paused => "paused",
            IndexState::Rebuilding => "rebuilding",
        }
    }
}
