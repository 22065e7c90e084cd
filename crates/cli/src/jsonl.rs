//! One record as one line of JSON, without loss in both directions: `consume -o jsonl` writes what `produce --jsonl` reads.
//!
//! Keys, values and headers are text where they are UTF-8, and otherwise base64 under the same name with `_base64`. Null is null, so that
//! tombstones stay tombstones.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eddy_batch::Header;
use serde::{Deserialize, Serialize};

use crate::record::Record;

/// A record as it is written.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    /// In milliseconds since the epoch.
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    headers: Vec<HeaderLine<'a>>,
}

#[derive(Debug, Serialize)]
struct HeaderLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(record: &'a Record) -> Line<'a> {
        let (key, key_base64) = text(record.key.as_ref());
        let (value, value_base64) = text(record.value.as_ref());
        Line {
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key,
            key_base64,
            value,
            value_base64,
            headers: record.headers.iter().map(HeaderLine::new).collect(),
        }
    }
}

impl<'a> HeaderLine<'a> {
    fn new(header: &'a Header) -> HeaderLine<'a> {
        let (key, key_base64) = text(Some(&header.key));
        let (value, value_base64) = text(header.value.as_ref());
        HeaderLine { key, key_base64, value, value_base64 }
    }
}

/// Bytes as text, or as base64; the other one is left out.
fn text(bytes: Option<&Bytes>) -> (Option<Option<&str>>, Option<String>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => (Some(None), None),
        Some((_, Ok(text))) => (Some(Some(text)), None),
        Some((bytes, Err(_))) => (None, Some(STANDARD.encode(bytes))),
    }
}

/// A record as it is read. All but a value may be left out; what says where a record came from counts only where it can be kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Read {
    topic: Option<String>,
    partition: Option<i32>,
    #[serde(rename = "offset")]
    _offset: Option<i64>,
    timestamp: Option<i64>,
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    headers: Vec<ReadHeader>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReadHeader {
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
}

/// A record to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) topic: Option<Arc<str>>,
    pub(crate) partition: Option<i32>,
    /// In milliseconds since the epoch; none for now.
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<Header>,
}

impl Draft {
    /// Reads a line.
    ///
    /// # Errors
    /// No JSON object, an unknown field, base64 that is none.
    pub(crate) fn parse(line: &[u8]) -> Result<Draft, String> {
        let read: Read = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let header = |header: ReadHeader| {
            let key = bytes("headers.key", header.key, header.key_base64)?;
            let key = key.ok_or_else(|| "a header has no key".to_owned())?;
            Ok(Header { key, value: bytes("headers.value", header.value, header.value_base64)? })
        };
        Ok(Draft {
            topic: read.topic.map(Arc::from),
            partition: read.partition,
            timestamp: read.timestamp,
            key: bytes("key", read.key, read.key_base64)?,
            value: bytes("value", read.value, read.value_base64)?,
            headers: read.headers.into_iter().map(header).collect::<Result<_, String>>()?,
        })
    }
}

fn bytes(name: &str, text: Option<String>, base64: Option<String>) -> Result<Option<Bytes>, String> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(format!("both {name} and {name}_base64 are given")),
        (Some(text), None) => Ok(Some(text.into())),
        (None, Some(text)) => match STANDARD.decode(&text) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) => Err(format!("{name}_base64 is no base64: {error}")),
        },
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn header(key: &'static [u8], value: Option<&'static [u8]>) -> Header {
        Header { key: Bytes::from_static(key), value: value.map(Bytes::from_static) }
    }

    fn record(key: Option<&'static [u8]>, value: Option<&'static [u8]>, headers: Vec<Header>) -> Record {
        Record {
            key: key.map(Bytes::from_static),
            value: value.map(Bytes::from_static),
            headers,
            ..Record::sample()
        }
    }

    #[test]
    fn lines_read_back_are_the_same_record() {
        for record in [
            record(Some(b"k"), Some(b"v"), vec![header(b"a", Some(b"1")), header(b"a", None)]),
            record(None, None, Vec::new()),
            record(Some(b""), Some(b""), vec![header(b"", Some(b"\xff"))]),
            record(
                Some(b"\xff\0"),
                Some("\u{2028}\"\\\u{1}\u{10ffff}".as_bytes()),
                vec![header(b"\xc3", None)],
            ),
        ] {
            let line = serde_json::to_vec(&Line::new(&record)).unwrap();
            assert!(!line.contains(&b'\n'));
            let draft = Draft::parse(&line).unwrap();
            assert_eq!((draft.key, draft.value, draft.headers), (record.key, record.value, record.headers));
            assert_eq!(draft.topic.as_deref(), Some(&*record.topic));
            assert_eq!((draft.partition, draft.timestamp), (Some(record.partition), Some(record.timestamp)));
        }
    }

    #[test]
    fn a_line_says_text_as_text_and_null_as_null() {
        let record = record(None, Some(b"\xff"), vec![header(b"a", Some(b"1"))]);
        expect![[r#"{"topic":"orders","partition":1,"offset":42,"timestamp":1795243622123,"key":null,"value_base64":"/w==","headers":[{"key":"a","value":"1"}]}"#]]
            .assert_eq(&serde_json::to_string(&Line::new(&record)).unwrap());
    }

    #[test]
    fn lines_that_make_no_sense_are_refused() {
        assert_eq!(Draft::parse(br#"{"value":"x"}"#).unwrap().value, Some(Bytes::from_static(b"x")));
        for line in [
            "x",
            r#"{"value":1}"#,
            r#"{"vlaue":"x"}"#,
            r#"{"value":"x","value_base64":"eA=="}"#,
            r#"{"value_base64":"?"}"#,
            r#"{"headers":[{"value":"x"}]}"#,
        ] {
            assert!(Draft::parse(line.as_bytes()).is_err(), "{line}");
        }
    }
}
