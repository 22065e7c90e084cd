//! What is asked and answered.

use std::time::Duration;

use eddy_types::{Millis, Offset};
use serde::Serialize;
use serde_json::Value;

use super::error::SearchedThrough;

/// What one search may take. Every field has a default that suits a broker with two cores.
#[derive(Clone, Debug)]
pub struct SearchLimits {
    /// Longest time a search may take, whatever it asks for.
    pub timeout_max: Duration,
    /// Time it may take if it does not say.
    pub timeout_default: Duration,
    /// Searches that run at once; each takes one blocking thread.
    pub running_max: usize,
    /// Searches that may wait for a place.
    pub waiting_max: usize,
    /// Bytes that the aggregations of one search may hold.
    pub aggregation_bytes_max: u64,
    /// Buckets in one answer.
    pub buckets_max: u32,
    /// Bytes of records in one answer.
    pub answer_bytes_max: usize,
}

impl Default for SearchLimits {
    fn default() -> SearchLimits {
        SearchLimits {
            timeout_max: Duration::from_secs(60),
            timeout_default: Duration::from_secs(10),
            running_max: 2,
            waiting_max: 64,
            aggregation_bytes_max: 32 << 20,
            buckets_max: 65_536,
            answer_bytes_max: 16 << 20,
        }
    }
}

/// What the index must have before the search begins.
#[derive(Clone, Debug, Default)]
pub struct Wait {
    /// Offsets, by partition, whose records must be found: those this client has just written.
    pub min_offset: Vec<(i32, Offset)>,
    /// Everything below the high watermarks of now (`refresh=wait_for`).
    pub for_all: bool,
    /// How long to wait and search; zero is the default of the limits.
    pub timeout: Duration,
}

/// A query in the native language.
#[derive(Clone, Debug, Default)]
pub struct NativeQuery {
    /// Words, "phrases", `field:word`, `field:[a TO b]`, AND OR NOT; empty matches everything.
    pub q: String,
    /// Names, globs, lists with commas.
    pub topics: String,
    /// Least timestamp.
    pub from: Option<Millis>,
    /// Greatest timestamp.
    pub to: Option<Millis>,
    /// [`NativeAnswer::next`] of the page before.
    pub after: Option<String>,
    /// Hits wanted, at most 10,000.
    pub limit: usize,
    /// Newest first, else oldest first.
    pub newest_first: bool,
    /// What to wait for; its timeout is the search's.
    pub wait: Wait,
}

/// The answer to a [`NativeQuery`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct NativeAnswer {
    /// By time, then topic, partition and offset.
    pub hits: Vec<NativeHit>,
    /// How many records match in all.
    pub total: u64,
    /// Asks for the next page; none when this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// First offsets that are not indexed yet.
    pub searched_through: SearchedThrough,
    /// Age of the oldest record that is not indexed yet.
    pub index_lag_seconds: f64,
    /// Whether the deadline cut the search short.
    pub timed_out: bool,
    /// What is missing from the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partial: Vec<Missing>,
}

/// One record that matches.
#[derive(Clone, Debug, Serialize)]
pub struct NativeHit {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds.
    pub timestamp: i64,
    /// Its key: text, null, or `{"base64": …}`.
    pub key: Value,
    /// Its value: JSON if it is, else text, null, or `{"base64": …}`.
    pub value: Value,
    /// Its headers: text, null, or `{"base64": …}`.
    pub headers: serde_json::Map<String, Value>,
    /// Where it matches: field → fragments in which `\u{1}` and `\u{2}` stand around the words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub highlight: Option<Value>,
}

/// A partition that is missing from an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Missing {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The broker that leads it, if any does.
    pub node: Option<i32>,
    /// Why it is missing.
    pub reason: String,
}
