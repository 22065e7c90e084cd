//! Records as hits show them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eddy_batch::Record;
use serde_json::{Map, Value, json};
use tantivy::tokenizer::TextAnalyzer;

use super::message::Document;
use crate::query::body::Request;
use crate::query::dates;
use crate::query::highlight::{Highlight, Marks};
use crate::query::source::glob;

/// How the records of one search are shown.
pub(crate) struct Shown<'a> {
    pub(crate) request: &'a Request,
    pub(crate) marks: Marks,
    pub(crate) highlight: Option<Highlight>,
    /// The value as it is, in place of an object.
    pub(crate) native: bool,
}

impl Shown<'_> {
    pub(crate) fn document(&self, record: &Record, analyzer: &mut TextAnalyzer) -> Document {
        let value = json_or_text(record.value.as_ref());
        // A source is an object, whatever the value is.
        let source = match value {
            Value::Object(_) => value,
            other => json!({"value": other}),
        };
        let highlight = self.highlight.as_ref().and_then(|how| self.marks.highlight(&source, how, analyzer));
        let fields = self.fields(record, &source);
        let source = match source {
            _ if self.request.source.nothing && !self.native => Value::Null,
            Value::Object(mut entries) if self.native && !is_object(record.value.as_ref()) => {
                entries.remove("value").unwrap_or_default()
            }
            source if self.native => source,
            source => self.request.source.apply(source),
        };
        let mut headers = Map::new();
        for header in &record.headers {
            headers.insert(String::from_utf8_lossy(&header.key).into_owned(), text(header.value.as_ref()));
        }
        Document {
            timestamp: record.timestamp.0,
            key: text(record.key.as_ref()),
            headers,
            source,
            highlight,
            fields,
        }
    }

    /// What `fields` and `docvalue_fields` ask for, always in arrays.
    fn fields(&self, record: &Record, source: &Value) -> Map<String, Value> {
        let mut fields = Map::new();
        for (name, format) in &self.request.fields {
            match name.as_str() {
                "@timestamp" => {
                    let shown = match format.as_deref() {
                        Some("epoch_millis") => record.timestamp.0.to_string(),
                        Some("epoch_second") => record.timestamp.0.div_euclid(1000).to_string(),
                        _ => dates::print(record.timestamp),
                    };
                    fields.insert(name.clone(), json!([shown]));
                }
                "_key" => {
                    fields.insert(name.clone(), json!([text(record.key.as_ref())]));
                }
                "_offset" => {
                    fields.insert(name.clone(), json!([record.offset.0]));
                }
                _ => {
                    let pattern = glob(name.strip_suffix(".keyword").unwrap_or(name));
                    leaves(source, "", &mut |path, leaf| {
                        if pattern.matches(path) {
                            let shown =
                                if name.ends_with(".keyword") { name.clone() } else { path.to_owned() };
                            if let Value::Array(items) = fields.entry(shown).or_insert_with(|| json!([])) {
                                items.push(leaf.clone());
                            }
                        }
                    });
                }
            }
        }
        fields
    }
}

fn leaves(value: &Value, path: &str, each: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, &path, each);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(item, path, each)),
        Value::Null => {}
        leaf => each(path, leaf),
    }
}

fn is_object(value: Option<&Bytes>) -> bool {
    value.is_some_and(|value| value.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{'))
        && matches!(json_or_text(value), Value::Object(_))
}

fn json_or_text(value: Option<&Bytes>) -> Value {
    let Some(bytes) = value else { return Value::Null };
    match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(_) => text(Some(bytes)),
    }
}

/// Text, null, or `{"base64": …}`.
fn text(bytes: Option<&Bytes>) -> Value {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => Value::Null,
        Some((_, Ok(text))) => Value::String(text.to_owned()),
        Some((bytes, Err(_))) => json!({"base64": STANDARD.encode(bytes)}),
    }
}
