//! Answers in the form of Elasticsearch.

use serde_json::{Map, Value, json};

use super::error::SearchError;
use super::gather::Outcome;
use super::message::{Document, Hit};
use super::millis;
use crate::query::body::Track;
use crate::query::dates;
use crate::query::sort::By;
use eddy_types::Millis;

impl Outcome {
    /// The answer to `_search`.
    pub(crate) fn elastic(self) -> Value {
        let mut answer = self.head();
        let mut hits = Map::new();
        if self.request.track != Track::Not {
            // What is not all of it is a lower bound.
            let enough = self.request.counted_up_to().filter(|enough| self.total > *enough);
            let partial = self.timed_out || !self.missing.is_empty();
            let relation = if partial || enough.is_some() { "gte" } else { "eq" };
            hits.insert(
                "total".to_owned(),
                json!({"value": enough.unwrap_or(self.total), "relation": relation}),
            );
        }
        let best = self
            .hits
            .iter()
            .filter_map(|(hit, _)| hit.score)
            .fold(None, |best: Option<f32>, score| Some(best.map_or(score, |best| best.max(score))));
        hits.insert("max_score".to_owned(), json!(best));
        let keys = &self.request.sort;
        let shown: Vec<Value> = self
            .hits
            .into_iter()
            .map(|(hit, document)| {
                let values = keys.explicit.then(|| {
                    let own = keys.keys.iter().zip(&hit.values).filter(|(key, _)| key.by != By::Place);
                    own.map(|(_, value)| value.json()).chain([json!(hit.place.print())]).collect::<Vec<_>>()
                });
                show(hit, document, values, self.request.source.nothing)
            })
            .collect();
        hits.insert("hits".to_owned(), Value::Array(shown));
        answer.insert("hits".to_owned(), Value::Object(hits));
        if let Some(aggregations) = self.aggregations {
            answer.insert("aggregations".to_owned(), aggregations);
        }
        Value::Object(answer)
    }

    /// The answer to `_count`.
    pub(crate) fn count(self) -> Value {
        let mut answer = self.head();
        answer.insert("count".to_owned(), json!(self.total));
        Value::Object(answer)
    }

    fn head(&self) -> Map<String, Value> {
        let failure = |missing: &super::Missing| {
            json!({
                "shard": missing.partition,
                "index": missing.topic,
                "node": missing.node.map(|node| node.to_string()),
                "reason": {"type": "no_shard_available_action_exception", "reason": missing.reason},
            })
        };
        let failed = self.missing.len().min(self.shards);
        let mut shards = json!({
            "total": self.shards,
            "successful": self.shards - failed,
            "skipped": 0,
            "failed": failed,
        });
        if let (Value::Object(shards), false) = (&mut shards, self.missing.is_empty()) {
            shards.insert("failures".to_owned(), self.missing.iter().map(failure).collect());
        }
        let mut head = Map::new();
        head.insert("took".to_owned(), json!(millis(self.took)));
        head.insert("timed_out".to_owned(), json!(self.timed_out));
        head.insert("_shards".to_owned(), shards);
        head.insert("searched_through".to_owned(), json!(self.searched_through));
        head.insert("index_lag_seconds".to_owned(), json!(seconds(self.lag)));
        if !self.warnings.is_empty() {
            head.insert("warnings".to_owned(), json!(self.warnings));
        }
        if !self.missing.is_empty() {
            head.insert("partial".to_owned(), json!(self.missing));
        }
        head
    }
}

pub(crate) fn seconds(time: Millis) -> f64 {
    time.0.max(0) as f64 / 1000.0
}

fn show(hit: Hit, document: Document, values: Option<Vec<Value>>, no_source: bool) -> Value {
    let Document { timestamp, key, headers, source, highlight, mut fields } = document;
    fields.entry("@timestamp").or_insert_with(|| json!([dates::print(Millis(timestamp))]));
    if !key.is_null() {
        fields.insert("_key".to_owned(), json!([key]));
    }
    fields.insert("_partition".to_owned(), json!([hit.place.partition]));
    fields.insert("_offset".to_owned(), json!([hit.place.offset]));
    for (name, value) in headers {
        fields.insert(format!("_headers.{name}"), json!([value]));
    }
    let mut shown = Map::new();
    shown.insert("_index".to_owned(), json!(hit.place.topic));
    shown.insert("_id".to_owned(), json!(format!("{}:{}", hit.place.partition, hit.place.offset)));
    shown.insert("_score".to_owned(), json!(hit.score));
    if !no_source {
        shown.insert("_source".to_owned(), source);
    }
    shown.insert("fields".to_owned(), Value::Object(fields));
    if let Some(highlight) = highlight {
        shown.insert("highlight".to_owned(), highlight);
    }
    if let Some(values) = values {
        shown.insert("sort".to_owned(), Value::Array(values));
    }
    Value::Object(shown)
}

/// The body of a search that only counts.
pub(crate) fn count_body(body: Value) -> Result<Value, SearchError> {
    let mut counting = json!({"size": 0, "track_total_hits": true});
    let wrong =
        |message: String, pointer: String| SearchError::BadQuery { message, line: 1, column: 1, pointer };
    match body {
        Value::Null => {}
        Value::Object(entries) => {
            for (key, value) in entries {
                if key != "query" {
                    let message = format!("unknown key in the body [{key}]; _count takes a query");
                    return Err(wrong(message, format!("/{key}")));
                }
                if let Value::Object(counting) = &mut counting {
                    counting.insert(key, value);
                }
            }
        }
        _ => return Err(wrong("the body must be an object".to_owned(), String::new())),
    }
    Ok(counting)
}

impl SearchError {
    /// The body of an answer in Elasticsearch's form.
    #[must_use]
    pub fn elastic(&self) -> Value {
        let mut error = json!({"type": self.kind(), "reason": self.to_string(), "code": self.code()});
        if let Value::Object(error) = &mut error {
            match self {
                SearchError::BadQuery { line, column, .. } => {
                    error.insert("line".to_owned(), json!(line));
                    error.insert("col".to_owned(), json!(column));
                }
                SearchError::NotCaughtUp { searched_through, .. } => {
                    error.insert("searched_through".to_owned(), json!(searched_through));
                }
                _ => {}
            }
            let cause = Value::Object(error.clone());
            error.insert("root_cause".to_owned(), json!([cause]));
        }
        json!({"error": error, "status": self.status()})
    }
}
