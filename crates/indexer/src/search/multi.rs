//! `_msearch`: several searches in one body.

use serde_json::Value;

use super::error::SearchError;

/// Searches in one body.
const SEARCHES_MAX: usize = 100;

/// One of them.
pub(crate) struct One {
    pub(crate) targets: String,
    pub(crate) body: Value,
}

/// Takes the lines apart.
pub(crate) fn parse(lines: &[u8], default_targets: Option<&str>) -> Result<Vec<One>, SearchError> {
    let wrong = |message: String, line: usize, column: usize| SearchError::BadQuery {
        message,
        line,
        column: column.max(1),
        pointer: String::new(),
    };
    let text = std::str::from_utf8(lines).map_err(|_| wrong("the body is not UTF-8".to_owned(), 1, 1))?;
    let mut searches = Vec::new();
    let mut header: Option<(usize, Option<String>)> = None;
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() && header.is_none() {
            continue;
        }
        let text = if text.trim().is_empty() { "{}" } else { text };
        let value: Value = serde_json::from_str(text)
            .map_err(|error| wrong(format!("this line is no JSON: {error}"), line, error.column()))?;
        match header.take() {
            None => header = Some((line, targets(&value).map_err(|message| wrong(message, line, 1))?)),
            Some((of, targets)) => {
                let targets = targets.or_else(|| default_targets.map(str::to_owned));
                let targets = targets.ok_or_else(|| wrong("the header names no index".to_owned(), of, 1))?;
                searches.push(One { targets, body: value });
            }
        }
        if searches.len() > SEARCHES_MAX {
            return Err(SearchError::TooExpensive {
                message: format!("at most {SEARCHES_MAX} searches fit one _msearch"),
            });
        }
    }
    match header {
        Some((line, _)) => Err(wrong("the header has no body after it".to_owned(), line, 1)),
        None if searches.is_empty() => Err(wrong("the body has no searches".to_owned(), 1, 1)),
        None => Ok(searches),
    }
}

/// What a header says about targets.
fn targets(header: &Value) -> Result<Option<String>, String> {
    let Value::Object(entries) = header else { return Err("a header must be an object".to_owned()) };
    let mut targets = None;
    for (key, value) in entries {
        match (key.as_str(), value) {
            ("index" | "indices", Value::String(name)) => targets = Some(name.clone()),
            ("index" | "indices", Value::Array(names)) => {
                let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
                targets = Some(names.ok_or("index must be a string or an array of strings")?.join(","));
            }
            // They choose between shards and copies, of which there is one.
            (
                "ignore_unavailable"
                | "allow_no_indices"
                | "expand_wildcards"
                | "preference"
                | "search_type"
                | "max_concurrent_shard_requests"
                | "routing"
                | "request_cache"
                | "ccs_minimize_roundtrips",
                _,
            ) => {}
            (key, _) => return Err(format!("unknown key in a header [{key}]; served is index")),
        }
    }
    Ok(targets)
}
