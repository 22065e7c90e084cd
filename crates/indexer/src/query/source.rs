//! Which parts of a value a hit shows.

use serde_json::{Map, Value};

use super::pattern::{Glob, Pattern};
use super::wrong::{Part, Wrong};

/// `_source` of a body.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceFilter {
    /// No source at all.
    pub(crate) nothing: bool,
    includes: Vec<Pattern>,
    excludes: Vec<Pattern>,
}

impl SourceFilter {
    pub(crate) fn parse(part: &Part<'_>) -> Result<SourceFilter, Wrong> {
        let mut filter = SourceFilter::default();
        match part.value {
            Value::Bool(shown) => filter.nothing = !shown,
            Value::Object(_) => {
                for (key, part) in part.entries("_source")? {
                    match key {
                        "includes" | "include" => filter.includes = patterns(&part)?,
                        "excludes" | "exclude" => filter.excludes = patterns(&part)?,
                        _ => return Err(part.unknown("key of _source", key, "includes and excludes")),
                    }
                }
            }
            _ => filter.includes = patterns(part)?,
        }
        Ok(filter)
    }

    /// What is left of a source.
    pub(crate) fn apply(&self, source: Value) -> Value {
        if self.includes.is_empty() && self.excludes.is_empty() {
            return source;
        }
        match source {
            Value::Object(entries) => Value::Object(self.object(entries, "", self.includes.is_empty())),
            other => other,
        }
    }

    fn object(&self, entries: Map<String, Value>, above: &str, included: bool) -> Map<String, Value> {
        let mut kept = Map::new();
        for (key, value) in entries {
            let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
            if self.excludes.iter().any(|pattern| pattern.matches(&path)) {
                continue;
            }
            let included = included || self.includes.iter().any(|pattern| pattern.matches(&path));
            if let Some(value) = self.value(value, &path, included) {
                kept.insert(key, value);
            }
        }
        kept
    }

    fn value(&self, value: Value, path: &str, included: bool) -> Option<Value> {
        match value {
            Value::Object(entries) => {
                let kept = self.object(entries, path, included);
                (included || !kept.is_empty()).then_some(Value::Object(kept))
            }
            Value::Array(items) => {
                let kept: Vec<Value> =
                    items.into_iter().filter_map(|item| self.value(item, path, included)).collect();
                (included || !kept.is_empty()).then_some(Value::Array(kept))
            }
            value => included.then_some(value),
        }
    }
}

fn patterns(part: &Part<'_>) -> Result<Vec<Pattern>, Wrong> {
    const PATTERNS_MAX: usize = 256;
    let items = part.items_within(PATTERNS_MAX, "_source")?;
    items.iter().map(|item| Ok(glob(item.text("a pattern of _source")?))).collect()
}

/// A pattern in which only `*` is special.
pub(crate) fn glob(text: &str) -> Pattern {
    let parts = text.chars().map(|char| if char == '*' { Glob::Any } else { Glob::Char(char) }).collect();
    Pattern { parts, any_case: false, as_words: false }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_source_is_cut_to_what_is_included_and_not_excluded() {
        let source = json!({"a": {"b": 1, "c": {"d": 2}}, "e": [{"f": 3, "g": 4}, 5], "h": null});
        let table = [
            (json!(true), source.clone()),
            (json!("a.b"), json!({"a": {"b": 1}})),
            (json!(["a.c", "h"]), json!({"a": {"c": {"d": 2}}, "h": null})),
            (json!("*.d"), json!({"a": {"c": {"d": 2}}})),
            (json!({"excludes": ["a.c", "e"]}), json!({"a": {"b": 1}, "h": null})),
            (
                json!({"includes": ["e", "a"], "excludes": "*.g"}),
                json!({"a": {"b": 1, "c": {"d": 2}}, "e": [{"f": 3}, 5]}),
            ),
            (json!("none"), json!({})),
        ];
        for (filter, wanted) in table {
            let parsed = SourceFilter::parse(&Part::root(&filter)).unwrap();
            assert_eq!(parsed.apply(source.clone()), wanted, "{filter}");
        }
    }
}
