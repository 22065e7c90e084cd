//! Optional full-text index of topics: fed below the high watermark, it steps aside when the write-ahead log is pressed.
//!
//! A partition's index is a list of *splits*: immutable tantivy indexes of one segment, each of a range of offsets, each in a
//! file. A manifest names them and the offset up to which the partition is indexed, and is replaced in one
//! step: a restart goes on exactly there. Small splits are merged; a split below the log's start is dropped whole.

mod contention;
mod counters;
mod feed;
mod fields;
mod indexer;
mod manifest;
mod mapping;
mod merge_policy;
mod open_splits;
mod pace;
mod partition_index;
mod query;
mod search;
mod split;
mod turn;
mod upkeep;
mod view;

pub use counters::{SECONDS_BOUNDS, Stats, Times};
pub use fields::{EXACT_BYTES_MAX, Fields, WORD_BYTES_MAX, Words, hash_of};
pub use indexer::{Indexer, IndexerConfig};
pub use mapping::Raw;
pub use search::{
    IndexesStatus, Missing, NativeAnswer, NativeHit, NativeQuery, PartitionStatus, Search, SearchCounters,
    SearchError, SearchLimits, SearchStats, SearchedThrough, TopicStatus, Wait,
};
pub use view::{IndexState, IndexStatus, NotIndexed, SearchableSplit, View};
