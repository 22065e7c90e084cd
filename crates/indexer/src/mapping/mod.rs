//! What a record becomes in the index. Nothing is ever dropped here: what cannot be taken apart is indexed as the text that it
//! is, and counted.

mod document;
mod json;
mod paths;

use std::borrow::Cow;

use bytes::Bytes;
use eddy_batch::Record;
use tantivy::DateTime;

pub(crate) use self::document::MappedRecord;
use self::document::Text;
use self::json::Out;
pub(crate) use self::paths::{KnownPaths, PATHS_MAX, Paths};
use crate::fields::{Fields, Words};

/// Leaves of a JSON value that are indexed as such.
const FIELDS_MAX: usize = 1000;

/// Bytes of text without a path that are cut into words, from its start.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Longest value that is taken apart as JSON, in bytes.
const JSON_BYTES_MAX: usize = 4 << 20;

/// Longest key, and longest value of a header, that is indexed, in bytes.
const KEY_BYTES_MAX: usize = 8 << 10;

/// Headers of a record that are indexed.
const HEADERS_MAX: usize = 256;

/// Bytes that are looked at to tell text from anything else.
const SNIFF_BYTES: usize = 1024;

/// Why a value, or a part of a record, is indexed otherwise than asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    /// It begins like a JSON object and is none.
    Malformed,
    /// JSON with too many fields.
    Fields,
    /// JSON that is nested too deeply.
    Depth,
    /// Too long: only its beginning is indexed.
    Size,
    /// Not UTF-8, but text: what is not UTF-8 of it separates words.
    NotUtf8,
    /// Not text: only its key and its headers are indexed.
    Binary,
}

impl Raw {
    /// All there are.
    pub const ALL: [Raw; 6] = [Raw::Malformed, Raw::Fields, Raw::Depth, Raw::Size, Raw::NotUtf8, Raw::Binary];

    /// Its label in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Raw::Malformed => "malformed",
            Raw::Fields => "fields",
            Raw::Depth => "depth",
            Raw::Size => "size",
            Raw::NotUtf8 => "not_utf8",
            Raw::Binary => "binary",
        }
    }
}

/// How the records of a topic are indexed (`search.*`). An index that was built with another one is built anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// Paths that are indexed, with what is below them; all when empty.
    pub(crate) fields: Vec<String>,
    pub(crate) words: Words,
    pub(crate) store_values: bool,
}

impl Mapping {
    /// What tells it from others.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{}|{}|{}", self.words.name(), self.store_values, self.fields.join(","))
    }

    /// A record as it is indexed, and why it is not as it was asked for, if so.
    pub(crate) fn map(
        &self,
        fields: Fields,
        paths: &mut Paths,
        record: &Record,
    ) -> (MappedRecord, Option<Raw>) {
        let mut mapped = MappedRecord {
            fields,
            offset: record.offset.0,
            timestamp: DateTime::from_timestamp_millis(clamped(record.timestamp.0)),
            strings: String::new(),
            key: None,
            headers: Vec::new(),
            leaves: Vec::new(),
            texts: Vec::new(),
            source: None,
        };
        let mut raw = self.value(&mut mapped, paths, record.value.as_ref());
        let mut whole = |mapped: &mut MappedRecord, bytes: &Bytes| {
            if bytes.len() > KEY_BYTES_MAX {
                raw = raw.or(Some(Raw::Size));
                return None;
            }
            let text = std::str::from_utf8(bytes).ok()?;
            Some(push(&mut mapped.strings, text))
        };
        mapped.key = record.key.as_ref().and_then(|key| whole(&mut mapped, key));
        for header in record.headers.iter().take(HEADERS_MAX) {
            let Some(value) = &header.value else { continue };
            if let Some(name) = whole(&mut mapped, &header.key)
                && let Some(value) = whole(&mut mapped, value)
            {
                mapped.headers.push((name, value));
            }
        }
        if record.headers.len() > HEADERS_MAX {
            raw = raw.or(Some(Raw::Fields));
        }
        (mapped, raw)
    }

    fn value(&self, mapped: &mut MappedRecord, paths: &mut Paths, value: Option<&Bytes>) -> Option<Raw> {
        let value = value?;
        if self.store_values {
            mapped.source = Some(value.clone());
        }
        if !looks_like_object(value) {
            return text(mapped, value);
        }
        let raw = if value.len() > JSON_BYTES_MAX {
            Raw::Size
        } else {
            let MappedRecord { strings, leaves, texts, .. } = mapped;
            match json::leaves(value, FIELDS_MAX, &self.fields, Out { paths, strings, leaves, texts }) {
                Ok(()) => return (!mapped.texts.is_empty()).then_some(Raw::Fields),
                Err(raw) => raw,
            }
        };
        mapped.leaves.clear();
        mapped.texts.clear();
        mapped.strings.clear();
        text(mapped, value).filter(|raw| *raw == Raw::Binary).or(Some(raw))
    }
}

/// Indexes a value as text, if it is any.
fn text(mapped: &mut MappedRecord, value: &Bytes) -> Option<Raw> {
    if is_binary(value) {
        return Some(Raw::Binary);
    }
    let (start, cut) = match value.get(..TEXT_BYTES_MAX) {
        Some(start) => (start, value.len() > TEXT_BYTES_MAX),
        None => (value.as_ref(), false),
    };
    let text = String::from_utf8_lossy(start);
    let is_utf8 = matches!(text, Cow::Borrowed(_));
    let at = push(&mut mapped.strings, &text);
    mapped.texts.push(at);
    // A cut within a character is no reason to call it names.
    if cut { Some(Raw::Size) } else { (!is_utf8).then_some(Raw::NotUtf8) }
}

fn push(strings: &mut String, text: &str) -> Text {
    let start = strings.len();
    strings.push_str(text);
    start..strings.len()
}

fn looks_like_object(value: &[u8]) -> bool {
    value.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// Text has no control characters but white space and the one that terminals take for colours, and in any encoding that is still
/// in use most of it is ASCII or UTF-8.
fn is_binary(value: &[u8]) -> bool {
    let start = value.get(..SNIFF_BYTES).unwrap_or(value);
    let is_control = |byte: &u8| matches!(byte, 0..=8 | 14..=26 | 28..=31);
    if start.iter().any(is_control) {
        return true;
    }
    let invalid: usize = start.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    invalid * 4 > start.len()
}

/// Milliseconds that fit the nanoseconds that tantivy counts in.
fn clamped(millis: i64) -> i64 {
    const MAX: i64 = i64::MAX / 1_000_000;
    millis.clamp(-MAX, MAX)
}

#[cfg(test)]
mod tests;
