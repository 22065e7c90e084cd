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
