//! What a query means, by looking at each record.

use eddy_batch::Record;
use serde_json::Value;

/// The words of a text.
fn words(text: &str) -> Vec<String> {
    let cut = text.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
    cut.map(str::to_lowercase).collect()
}

fn value(record: &Record) -> Value {
    record.value.as_ref().and_then(|value| serde_json::from_slice(value).ok()).unwrap_or(Value::Null)
}

/// The leaves at a path.
fn leaves(value: &Value, path: &[&str], into: &mut Vec<Value>) {
    match (value, path) {
        (Value::Array(items), _) => items.iter().for_each(|item| leaves(item, path, into)),
        (Value::Object(entries), [first, rest @ ..]) => {
            if let Some(value) = entries.get(*first) {
                leaves(value, rest, into);
            }
        }
        (Value::Object(_) | Value::Null, _) => {}
        (leaf, []) => into.push(leaf.clone()),
        (_, _) => {}
    }
}

pub(super) fn at(record: &Record, path: &str) -> Vec<Value> {
    let mut found = Vec::new();
    leaves(&value(record), &path.split('.').collect::<Vec<_>>(), &mut found);
    found
}

fn all_leaves(value: &Value, into: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| all_leaves(item, into)),
        Value::Object(entries) => entries.values().for_each(|value| all_leaves(value, into)),
        Value::Null => {}
        leaf => into.push(leaf.clone()),
    }
}

fn has_word(leaves: &[Value], word: &str) -> bool {
    leaves.iter().any(|leaf| leaf.as_str().is_some_and(|text| words(text).iter().any(|token| token == word)))
}

fn has_phrase(leaves: &[Value], phrase: &[String]) -> bool {
    let within = |leaf: &Value| {
        leaf.as_str().is_some_and(|text| words(text).windows(phrase.len()).any(|run| run == phrase))
    };
    !phrase.is_empty() && leaves.iter().any(within)
}

fn has_typed(leaves: &[Value], wanted: &Value) -> bool {
    let parsed = wanted.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let wanted = parsed.as_ref().unwrap_or(wanted);
    leaves.iter().any(|leaf| match (leaf, wanted) {
        (Value::Number(one), Value::Number(two)) => one.as_f64() == two.as_f64(),
        (Value::Bool(one), Value::Bool(two)) => one == two,
        _ => false,
    })
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn only(value: &Value) -> (&str, &Value) {
    let (key, value) = value.as_object().unwrap().iter().next().unwrap();
    (key, value)
}

/// Whether a record matches.
pub(super) fn matches(record: &Record, query: &Value) -> bool {
    let (kind, body) = only(query);
    match kind {
        "match_all" => true,
        "match_none" => false,
        "term" => {
            let (field, wanted) = only(body);
            term(record, field, wanted)
        }
        "terms" => {
            let (field, wanted) = only(body);
            wanted.as_array().unwrap().iter().any(|wanted| term(record, field, wanted))
        }
        "match" => {
            let (field, body) = only(body);
            let found = at(record, field);
            let wanted = words(body["query"].as_str().unwrap());
            let there = wanted.iter().filter(|word| has_word(&found, word)).count();
            let needed = if body["operator"] == "and" { wanted.len() } else { 1 };
            (!wanted.is_empty() && there >= needed) || has_typed(&found, &body["query"])
        }
        "match_phrase" => {
            let (field, wanted) = only(body);
            let found = at(record, field);
            has_phrase(&found, &words(wanted.as_str().unwrap())) || has_typed(&found, wanted)
        }
        "query_string" => {
            let mut found = Vec::new();
            all_leaves(&value(record), &mut found);
            let text = body["query"].as_str().unwrap();
            let number = serde_json::from_str::<serde_json::Number>(text).map(Value::Number);
            has_phrase(&found, &words(text)) || number.is_ok_and(|number| has_typed(&found, &number))
        }
        "exists" => {
            let path = body["field"].as_str().unwrap();
            let mut found = Vec::new();
            // Objects exist if anything in them does.
            if let Some(inner) = value(record).pointer(&format!("/{}", path.replace('.', "/"))) {
                all_leaves(inner, &mut found);
            }
            !found.is_empty() || !at(record, path).is_empty()
        }
        "prefix" => {
            let (field, wanted) = only(body);
            let wanted = wanted.as_str().unwrap();
            match field.strip_suffix(".keyword") {
                Some(path) => at(record, path)
                    .iter()
                    .any(|leaf| leaf.as_str().is_some_and(|text| text.starts_with(wanted))),
                None => at(record, field).iter().any(|leaf| {
                    leaf.as_str().is_some_and(|text| words(text).iter().any(|word| word.starts_with(wanted)))
                }),
            }
        }
        "range" => {
            let (field, body) = only(body);
            let bound = |name: &str| body.get(name).and_then(Value::as_f64);
            let found: Vec<f64> = match field {
                "_offset" => vec![record.offset.0 as f64],
                "@timestamp" => vec![record.timestamp.0 as f64],
                path => at(record, path).iter().filter_map(Value::as_f64).collect(),
            };
            found.iter().any(|value| {
                bound("gte").is_none_or(|from| *value >= from)
                    && bound("gt").is_none_or(|from| *value > from)
                    && bound("lte").is_none_or(|to| *value <= to)
                    && bound("lt").is_none_or(|to| *value < to)
            })
        }
        "bool" => bool_matches(record, body),
        other => panic!("no meaning of {other}"),
    }
}

fn bool_matches(record: &Record, body: &Value) -> bool {
    let clauses = |name: &str| body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let (must, filter, should) = (clauses("must"), clauses("filter"), clauses("should"));
    let not = clauses("must_not");
    if [&must, &filter, &should, &not].iter().all(|clauses| clauses.is_empty()) {
        // Whatever the least is.
        return true;
    }
    let default = usize::from(must.is_empty() && filter.is_empty() && !should.is_empty());
    let least = body
        .get("minimum_should_match")
        .and_then(Value::as_u64)
        .map_or(default, |least| usize::try_from(least).unwrap());
    must.iter().chain(&filter).all(|query| matches(record, query))
        && !not.iter().any(|query| matches(record, query))
        && should.iter().filter(|query| matches(record, query)).count() >= least
}

fn term(record: &Record, field: &str, wanted: &Value) -> bool {
    match field {
        "_key" => record.key.as_deref() == Some(text_of(wanted).as_bytes()),
        "_headers.trace" => record.headers[0].value.as_deref() == Some(text_of(wanted).as_bytes()),
        _ => match field.strip_suffix(".keyword") {
            Some(path) => at(record, path).iter().any(|leaf| leaf.as_str() == Some(&text_of(wanted))),
            None => {
                let found = at(record, field);
                has_word(&found, &text_of(wanted)) || has_typed(&found, wanted)
            }
        },
    }
}
