//! What the broker answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Context;

/// By topic and partition: the first offset that is not searched yet.
pub(super) type Through = BTreeMap<String, BTreeMap<i32, i64>>;

/// Older answers than this are pointed out, in seconds.
const LAG_TOLD: f64 = 5.0;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) hits: Vec<Hit>,
    pub(super) total: u64,
    pub(super) next: Option<String>,
    pub(super) searched_through: Through,
    pub(super) index_lag_seconds: f64,
    pub(super) timed_out: bool,
    pub(super) partial: Vec<Missing>,
}

/// A record that fits.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Hit {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) key: Value,
    pub(super) value: Value,
    pub(super) headers: Map<String, Value>,
    #[serde(skip_serializing)]
    pub(super) highlight: Map<String, Value>,
}

/// What could not be searched.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Missing {
    topic: String,
    partition: i32,
    reason: String,
}

impl Answer {
    /// Says on stderr what the answer lacks.
    pub(super) fn warn(&self, context: &Context) {
        for missing in &self.partial {
            let Missing { topic, partition, reason } = missing;
            context.note(format!("! {topic}-{partition} was not searched: {reason}"));
        }
        if self.timed_out {
            context.note("! the time was over before everything was searched; --timeout gives more");
        }
        if self.index_lag_seconds > LAG_TOLD {
            let behind = crate::moment::span((self.index_lag_seconds * 1000.0) as i64);
            context.note(format!("! the index is {behind} behind; --wait waits for it"));
        }
    }
}

impl Hit {
    /// The words that made it fit, as they stand in the record.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for fragment in self.highlight.values().flat_map(fragments) {
            let mut rest = fragment;
            while let Some((_, marked)) = rest.split_once('\u{1}') {
                let Some((word, after)) = marked.split_once('\u{2}') else { break };
                if !word.is_empty() && !words.iter().any(|known| known == word) {
                    words.push(word.to_owned());
                }
                rest = after;
            }
        }
        // Longer ones first: a word may begin with another.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words
    }
}

fn fragments(value: &Value) -> impl Iterator<Item = &str> {
    value.as_str().into_iter().chain(value.as_array().into_iter().flatten().filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_what_stands_between_the_marks() {
        let highlight = json!({ "message": ["a \u{1}time\u{2} b \u{1}timeout\u{2}"], "text": "\u{1}time\u{2} \u{1}open" });
        let hit = Hit { highlight: highlight.as_object().unwrap().clone(), ..Hit::default() };
        assert_eq!(hit.words(), ["timeout", "time"]);
    }
}
