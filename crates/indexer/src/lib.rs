//! Optional full-text index of topics: fed below the high watermark, it steps aside when the write-ahead log is pressed.
//!
//! A partition's index is a list of *splits*: immutable tantivy indexes of one segment, each of a range of offsets, in a
//! directory of its own. A manifest names them and the offset up to which the partition is indexed, and is replaced in one
//! step: a restart goes on exactly there. Small splits are merged; a split below the log's start is dropped whole.

mod fields;
mod query;
mod search;
mod view;

pub use fields::Fields;
pub use search::{
    Missing, NativeAnswer, NativeHit, NativeQuery, Search, SearchError, SearchLimits, SearchedThrough, Wait,
};
pub use view::{SearchableSplit, View};
