//! Records of every kind are mapped; nothing is lost on the way.

use bytes::Bytes;
use eddy_batch::{Header, Record};
use eddy_types::{Millis, Offset};
use proptest::prelude::*;
use tantivy::schema::document::ReferenceValueLeaf;
use tantivy::schema::{Document, Value};

use super::*;

fn record(value: Option<&[u8]>) -> Record {
    let value = value.map(Bytes::copy_from_slice);
    Record { offset: Offset(7), timestamp: Millis(1), key: None, value, headers: Vec::new() }
}

/// What the index gets: field name, path and value of each leaf.
fn mapped(
    mapping: &Mapping,
    paths: &mut Paths,
    record: &Record,
) -> (Vec<(String, String, String)>, Option<Raw>) {
    let (schema, fields) = Fields::schema();
    let (mapped, raw) = mapping.map(fields, paths, record);
    let mut seen = Vec::new();
    let show = |leaf: ReferenceValueLeaf<'_>| match leaf {
        ReferenceValueLeaf::Str(text) => text.to_owned(),
        other => format!("{other:?}"),
    };
    for (field, value) in mapped.iter_fields_and_values() {
        let name = schema.get_field_name(field).to_owned();
        if name == "_offset" || name == "@timestamp" {
            continue;
        }
        match value.as_object() {
            Some(members) => {
                seen.extend(members.filter_map(|(path, value)| {
                    Some((name.clone(), path.to_owned(), show(value.as_leaf()?)))
                }));
            }
            None => seen.extend(value.as_leaf().map(|leaf| (name, String::new(), show(leaf)))),
        }
    }
    (seen, raw)
}

fn of_value(value: &[u8]) -> (Vec<(String, String, String)>, Option<Raw>) {
    mapped(&Mapping::default(), &mut Paths::default(), &record(Some(value)))
}

fn texts(value: &[u8]) -> (Vec<String>, Option<Raw>) {
    let (seen, raw) = of_value(value);
    (seen.into_iter().filter(|(field, ..)| field == "text").map(|(.., text)| text).collect(), raw)
}

#[test]
fn leaves_of_json_have_paths_and_types() {
    let (seen, raw) =
        of_value(br#"{"a":{"b.c":[1,-2.5,{"d":"x"}]},"t":"2026-11-21T22:00:00Z","n":null,"y":true}"#);
    assert_eq!(raw, None);
    let value: Vec<_> = seen
        .iter()
        .filter(|(field, ..)| field == "value")
        .map(|(_, path, value)| (path.as_str(), value.as_str()))
        .collect();
    assert_eq!(value.len(), 5);
    assert_eq!(value[0], ("a.b.c", "I64(1)"));
    assert_eq!(value[1], ("a.b.c", "F64(-2.5)"));
    assert_eq!(value[2], ("a.b.c.d", "x"));
    assert!(value[3].0 == "t" && value[3].1.starts_with("Date("), "{value:?}");
    assert_eq!(value[4], ("y", "Bool(true)"));
    assert_eq!(seen.iter().filter(|(field, ..)| field == "exact").count(), 5);
}

#[test]
fn long_strings_are_found_as_a_whole_by_their_hash() {
    let long = "x".repeat(EXACT + 1);
    let (seen, _) = of_value(format!(r#"{{"a":"{long}"}}"#).as_bytes());
    let hash = format!("U64({})", crate::fields::hash_of(&long));
    assert!(seen.contains(&("hash".to_owned(), "a".to_owned(), hash)));
    assert!(!seen.iter().any(|(field, ..)| field == "exact"));
}

const EXACT: usize = crate::fields::EXACT_BYTES_MAX;

#[test]
fn what_is_beyond_a_limit_is_indexed_as_text_and_counted() {
    let deep = format!("{}\"deepword\"{}", "{\"a\":".repeat(1000), "}".repeat(1000));
    let (found, raw) = texts(deep.as_bytes());
    assert!(raw == Some(Raw::Depth) && found[0].contains("deepword"));
    let wide: Vec<_> = (0..10_000).map(|number| format!(r#""f{number}":"w{number}""#)).collect();
    let (found, raw) = texts(format!("{{{}}}", wide.join(",")).as_bytes());
    assert!(raw == Some(Raw::Fields) && found[0].contains("w9999"));
    let (found, raw) = texts(br#"{"broken": "json"#);
    assert_eq!((found, raw), (vec![r#"{"broken": "json"#.to_owned()], Some(Raw::Malformed)));
    let (found, raw) = texts(&vec![b'x'; TEXT_BYTES_MAX + 5]);
    assert!(raw == Some(Raw::Size) && found[0].len() == TEXT_BYTES_MAX);
    let (_, raw) = texts(format!(r#"{{"a":"{}"}}"#, "x".repeat(JSON_BYTES_MAX)).as_bytes());
    assert_eq!(raw, Some(Raw::Size));
    assert_eq!(texts(br#"{"a":1e999}"#).1, Some(Raw::Malformed));
}

#[test]
fn paths_beyond_the_first_thousand_go_to_the_text() {
    let mut paths = Paths::default();
    let mapping = Mapping::default();
    let mut overflown = 0;
    for number in 0..1200 {
        let value = format!(r#"{{"f{number}":"word{number}","n{number}":{number}}}"#);
        let (seen, raw) = mapped(&mapping, &mut paths, &record(Some(value.as_bytes())));
        let word = format!("word{number}");
        assert!(seen.iter().any(|(field, _, value)| (field == "value" || field == "text") && *value == word));
        overflown += usize::from(raw == Some(Raw::Fields));
    }
    assert_eq!(overflown, 700);
}

#[test]
fn binary_and_null_values_keep_their_keys_and_headers() {
    for value in [None, Some(&b"\x00\x01\xff"[..]), Some(&[0xff, 0xfe, 0xfd, 0xfc][..])] {
        let mut record = record(value);
        record.key = Some(Bytes::from_static(b"k"));
        record.headers = vec![
            Header { key: Bytes::from_static(b"h"), value: Some(Bytes::from_static(b"v")) },
            Header { key: Bytes::from_static(b"n"), value: None },
            Header { key: Bytes::from_static(b"b"), value: Some(Bytes::from_static(b"\xff")) },
        ];
        let (seen, raw) = mapped(&Mapping::default(), &mut Paths::default(), &record);
        let name =
            |field: &str, path: &str, value: &str| (field.to_owned(), path.to_owned(), value.to_owned());
        assert_eq!(seen, [name("_key", "", "k"), name("_headers", "h", "v")]);
        assert_eq!(raw, value.map(|_| Raw::Binary));
    }
}

#[test]
fn only_the_fields_asked_for_are_indexed() {
    let mapping = Mapping { fields: vec!["a.b".to_owned(), "c".to_owned()], ..Mapping::default() };
    let value = br#"{"a":{"b":{"x":1},"bb":2},"c":3,"cc":4}"#;
    let (seen, _) = mapped(&mapping, &mut Paths::default(), &record(Some(value)));
    let mut paths: Vec<_> =
        seen.iter().filter(|(field, ..)| field == "value").map(|(_, path, _)| path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["a.b.x", "c"]);
}

/// Any JSON value, of moderate size.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,80}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec((".{0,8}", inner), 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn strings(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => found.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        serde_json::Value::Object(members) => members.values().for_each(|member| strings(member, found)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn every_string_of_any_object_is_indexed_under_its_path(members in proptest::collection::vec((".{0,8}", json()), 0..5)) {
        let value = serde_json::Value::Object(members.into_iter().collect());
        let (seen, raw) = of_value(value.to_string().as_bytes());
        prop_assert_eq!(raw, None);
        let mut expected = Vec::new();
        strings(&value, &mut expected);
        expected.sort();
        let mut found: Vec<_> = seen.iter().filter(|(field, _, value)| field == "value" && !value.contains('(')).map(|(.., value)| value.clone()).collect();
        found.sort();
        expected.retain(|text| !text.contains('('));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_are_mapped(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let (seen, raw) = of_value(&bytes);
        let indexed = seen.iter().any(|(field, ..)| field == "text" || field == "value");
        let is_object = looks_like_object(&bytes);
        prop_assert!(indexed || raw == Some(Raw::Binary) || is_object);
    }
}
