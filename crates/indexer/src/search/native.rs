//! The native query: a string, a time range, newest or oldest first.

use serde_json::{Value, json};

use super::answer::seconds;
use super::api::{NativeAnswer, NativeHit, NativeQuery};
use super::error::SearchError;
use super::gather::Outcome;
use crate::query::sort::Place;

/// The same as a search body.
pub(crate) fn body(query: &NativeQuery) -> Result<Value, SearchError> {
    let words = if query.q.trim().is_empty() {
        json!({"match_all": {}})
    } else {
        json!({"query_string": {"query": query.q, "default_operator": "AND"}})
    };
    let mut filter = Vec::new();
    if query.from.is_some() || query.to.is_some() {
        let (from, to) = (query.from.map(|time| time.0), query.to.map(|time| time.0));
        filter.push(json!({"range": {"@timestamp": {"gte": from, "lte": to}}}));
    }
    let order = if query.newest_first { "desc" } else { "asc" };
    let mut body = json!({
        "query": {"bool": {"must": [words], "filter": filter}},
        // Records of one moment stand in the order they were written in.
        "sort": [{"@timestamp": {"order": order}}, {"_offset": {"order": order}}],
        "size": query.limit,
    });
    if let (Some(after), Value::Object(body)) = (&query.after, &mut body) {
        let Some((time, offset, place)) = cursor(after) else {
            return Err(SearchError::BadQuery {
                message: format!("the cursor [{after}] is none; give `next` of the answer before, as it is"),
                line: 1,
                column: 1,
                pointer: String::new(),
            });
        };
        body.insert("search_after".to_owned(), json!([time, offset, place]));
    }
    Ok(body)
}

/// Time and place of a record, from `TIME@PARTITION:OFFSET:TOPIC`.
fn cursor(text: &str) -> Option<(i64, i64, &str)> {
    let (time, place) = text.split_once('@')?;
    Some((time.parse().ok()?, Place::parse(place)?.offset, place))
}

/// What was found.
pub(crate) fn answer(outcome: Outcome, limit: usize) -> NativeAnswer {
    let full = outcome.hits.len() == limit && limit > 0;
    let last = outcome.hits.last().filter(|_| full);
    let next = last.map(|(hit, document)| format!("{}@{}", document.timestamp, hit.place.print()));
    let hit = |(hit, document): (super::message::Hit, super::message::Document)| NativeHit {
        topic: hit.place.topic.to_string(),
        partition: hit.place.partition,
        offset: hit.place.offset,
        timestamp: document.timestamp,
        key: document.key,
        value: document.source,
        headers: document.headers,
        highlight: document.highlight,
    };
    NativeAnswer {
        total: outcome.total,
        next,
        searched_through: outcome.searched_through,
        index_lag_seconds: seconds(outcome.lag),
        timed_out: outcome.timed_out,
        partial: outcome.missing,
        hits: outcome.hits.into_iter().map(hit).collect(),
    }
}
